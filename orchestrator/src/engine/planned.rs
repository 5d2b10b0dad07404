//! What the engine answers about services before they are deployed.

pub use crate::domain::approval::{
    DefinitionChange, FargatePlan, FindingSeverity, PlanAction, PlanFinding, Planned, PlannedImage,
    PromotionPlan, ServiceChange, ServicePlan, ServiceQuestion, ServiceTemplate, Unplanned, UpdatePlan,
};
