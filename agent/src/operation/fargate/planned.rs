//! From what would be done to the plan that a person reads and approves, and the
//! comparison with the one that was approved, before anything is changed.

use towline_agent_domain::{
    fargate::{
        Template,
        plan::{
            Plan, PlanAction, PlannedChange, ServiceAction, Subject, of_change_set, of_recreation, of_service,
        },
        preflight::{Finding, Severity},
        stack::{StackStatus, StatusKind},
    },
    observed::{ObservedService, TaskDefinitionArn},
    outside::Account,
    verdict::Reason,
};
use towline_proto::agent::v1::{Diagnosis, Step, StepState, operation_event::Event};

use super::{Deploy, Ending, observe::Observation};
use crate::wire;

impl<A: Account> Deploy<'_, A> {
    /// The plan of our change set.
    pub(super) async fn plan_of_change_set(&mut self, observation: &Observation) -> Result<Plan, Ending> {
        let wanted = self.wanted_for(observation).await?;
        let (Some(stack), Some(change_set)) = (&observation.stack, &observation.change_set) else {
            return Err(self.undecided());
        };
        let creates = StackStatus::parse(&stack.status).kind() == StatusKind::Empty;
        let subject = self.subject(observation, &wanted.template);
        Ok(of_change_set(&subject, change_set, creates, &stack.parameters))
    }

    /// The plan of a stack that never came up.
    pub(super) async fn plan_of_recreation(&mut self, observation: &Observation) -> Result<Plan, Ending> {
        let wanted = self.wanted_for(observation).await?;
        Ok(of_recreation(&self.subject(observation, &wanted.template)))
    }

    /// The plan when the stack has nothing to change. `runs` is its service as it is.
    pub(super) async fn plan_of_service(
        &mut self,
        observation: &Observation,
        action: ServiceAction,
        revision: &TaskDefinitionArn,
        runs: Option<&ObservedService>,
    ) -> Result<Plan, Ending> {
        let wanted = self.wanted_for(observation).await?;
        let subject = self.subject(observation, &wanted.template);
        let runs = runs
            .and_then(ObservedService::primary)
            .map(|primary| &primary.task_definition);
        Ok(of_service(&subject, action, revision, runs))
    }

    /// The plan of what is not done.
    pub(super) fn plan_of_refusal(&self, finding: Finding) -> Plan {
        Plan {
            action: PlanAction::Refused,
            hash: String::new(),
            summary: finding.message.clone(),
            stack_name: self.order.stack_name.clone(),
            changes: Vec::new(),
            findings: vec![finding],
            drifted: false,
        }
    }

    fn subject<'s>(&'s self, observation: &Observation, wanted: &'s Template) -> Subject<'s> {
        Subject {
            stack_name: &self.order.stack_name,
            service: self.order.service_name(),
            wanted,
            adopts: observation
                .stack
                .as_ref()
                .is_some_and(|stack| self.takes_over(stack)),
        }
    }

    /// Refuses what CloudFormation could not do, and what was not approved.
    pub(super) fn approve(&self, plan: &Plan) -> Result<(), Ending> {
        for finding in &plan.findings {
            self.handle.emit(Event::Finding(wire::finding(finding)));
        }
        let blocked = plan
            .findings
            .iter()
            .find(|finding| finding.severity == Severity::Error);
        if let Some(finding) = blocked {
            return Err(self.refused(
                Ending::new(Reason::ReplacementImpossible, finding.message.clone())
                    .hint(finding.hint.clone())
                    .diagnosis(shown(plan)),
            ));
        }
        match &self.order.approved {
            Some(approved) if *approved != plan.hash => Err(self.refused(
                Ending::new(
                    Reason::PlanChanged,
                    format!(
                        "what would be done is not the plan that was approved: {}",
                        plan.summary
                    ),
                )
                .hint("nothing was changed; plan again, and approve that")
                .diagnosis(shown(plan))
                .output("plan_hash", plan.hash.clone()),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn refused(&self, ending: Ending) -> Ending {
        self.handle
            .step(Step::Preflight, StepState::Failed, ending.summary());
        ending
    }
}

/// A plan in lines, for whoever has to compare it.
fn shown(plan: &Plan) -> Diagnosis {
    Diagnosis {
        root_cause: plan.summary.clone(),
        details: plan.changes.iter().map(line).collect(),
        ..Diagnosis::default()
    }
}

fn line(change: &PlannedChange) -> String {
    let PlannedChange {
        action,
        logical_id,
        resource_type,
        properties,
        replacement,
        details,
    } = change;
    let mut line = format!("{action} {logical_id} ({resource_type})");
    if *replacement {
        line.push_str(", replaced");
    }
    let what = if details.is_empty() { properties } else { details };
    if !what.is_empty() {
        line.push_str(": ");
        line.push_str(&what.join(", "));
    }
    line
}
