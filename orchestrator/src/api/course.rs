//! The course that a deployment took, as the API's messages.

use towline_proto::orchestrator::v1 as pb;

use super::convert::timestamp;
use crate::{
    domain::deployment::{Choice, Decided, Intervention, Origin, SlotKind},
    engine::{CourseView, InterventionDecision},
};

/// A deployment's message with the members that tell of its course.
pub fn with_course(deployment: pb::Deployment, course: CourseView) -> pb::Deployment {
    let origin = match course.origin {
        Origin::Promotion => pb::DeploymentOrigin::Promotion,
        Origin::Redeployment => pb::DeploymentOrigin::Redeployment,
        Origin::Rollback { .. } => pb::DeploymentOrigin::Rollback,
    };
    pb::Deployment {
        origin: origin.into(),
        rolled_back_from: course.rolled_back_from(),
        interventions: course.interventions.into_iter().map(intervention).collect(),
        intervention_deadline: course.decide_until.map(timestamp),
        aftermath: course.aftermath,
        note: course.note,
        ..deployment
    }
}

fn intervention(taken: Intervention) -> pb::Intervention {
    let (choice, operation) = match taken.choice {
        Choice::Retry { operation, .. } => (pb::InterventionChoice::Retry, operation.to_string()),
        Choice::Ignore { operation } => (pb::InterventionChoice::Ignore, operation.to_string()),
        Choice::Abort => (pb::InterventionChoice::Abort, String::new()),
    };
    pb::Intervention {
        choice: choice.into(),
        operation,
        operator: taken.operator,
        note: taken.note,
        time: Some(timestamp(taken.at)),
    }
}

pub fn operation_kind(kind: SlotKind) -> pb::OperationKind {
    match kind {
        SlotKind::Service => pb::OperationKind::Service,
        SlotKind::Task => pb::OperationKind::Task,
        SlotKind::RollBackOf(_) => pb::OperationKind::RollBack,
    }
}

/// The operation whose work is put back; else empty.
pub fn roll_back_of(kind: SlotKind) -> String {
    match kind {
        SlotKind::RollBackOf(of) => of.to_string(),
        SlotKind::Service | SlotKind::Task => String::new(),
    }
}

pub fn decided(decided: Option<Decided>) -> pb::InterventionChoice {
    match decided {
        None => pb::InterventionChoice::Unspecified,
        Some(Decided::Retried { .. }) => pb::InterventionChoice::Retry,
        Some(Decided::Ignored) => pb::InterventionChoice::Ignore,
    }
}

/// `None` for a word that is no decision.
pub fn decision(choice: pb::InterventionChoice) -> Option<InterventionDecision> {
    match choice {
        pb::InterventionChoice::Unspecified => None,
        pb::InterventionChoice::Retry => Some(InterventionDecision::Retry),
        pb::InterventionChoice::Ignore => Some(InterventionDecision::Ignore),
        pb::InterventionChoice::Abort => Some(InterventionDecision::Abort),
    }
}
