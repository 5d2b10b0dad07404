//! From what CloudFormation would do to the plan that a person reads and approves.

use towline_agent_domain::{
    fargate::plan::{Plan, PlanAction, PlannedChange},
    observed::ResourceChange,
    outside::Account,
};

use super::{Deploy, Ending, observe::Observation};

impl<A: Account> Deploy<'_, A> {
    /// The plan of what changes no resource of the stack.
    pub(super) fn plan_of(&self, action: PlanAction, _: &Observation, drifted: bool) -> Plan {
        Plan {
            action,
            hash: String::new(),
            summary: format!("{} service {}", action.as_str(), self.order.service_name()),
            stack_name: self.order.stack_name.clone(),
            changes: Vec::new(),
            findings: Vec::new(),
            drifted,
        }
    }

    /// The plan of our change set.
    pub(super) fn plan_of_change_set(&self, observation: &Observation) -> Result<Plan, Ending> {
        let action = match self.progress.stack_made {
            true => PlanAction::Create,
            false => PlanAction::Update,
        };
        let changes = observation.change_set.iter().flat_map(|set| &set.changes);
        Ok(Plan {
            changes: changes.map(change).collect(),
            ..self.plan_of(action, observation, false)
        })
    }
}

fn change(change: &ResourceChange) -> PlannedChange {
    PlannedChange {
        action: change.action.clone(),
        logical_id: change.logical_id.clone(),
        resource_type: change.resource_type.clone(),
        properties: change.details.iter().map(|detail| detail.name.clone()).collect(),
        replacement: change.replacement == "True" && change.resource_type != "AWS::ECS::TaskDefinition",
        details: Vec::new(),
    }
}
