//! What only looks: the plan of a deployment, and its template. The plan goes the
//! deployment's own way, as far as the change set; then it takes the change set
//! away again, and the empty stack that the change set made.

use towline_agent_domain::{
    fargate::{
        Template,
        plan::{Plan, PlanAction, ServiceAction},
        preflight::{Finding, Severity},
        repair::RepairDecision,
        stack::{StackDecision, Waiting, decide, task_definition_of},
    },
    observed::{ObservedService, TaskDefinitionArn},
    outside::Account,
    verdict::{Reason, Refusal},
};

use super::{Deploy, Ending, FargateOrder, Handle, Surroundings, observe::Observation};
use crate::operation::interruption;

/// What a deployment would do; nothing stays changed.
pub(crate) async fn plan<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    order: &FargateOrder,
) -> Result<Plan, Ending> {
    let mut driver = Deploy::new(surroundings, handle, order);
    driver.plans = true;
    let plan = Box::pin(driver.plan()).await;
    driver.leave_nothing_behind().await;
    plan
}

/// The template that a deployment would use.
pub(crate) async fn print<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    order: &FargateOrder,
) -> Result<Template, Ending> {
    let mut driver = Deploy::new(surroundings, handle, order);
    let observation = Observation {
        stack: driver.read_stack().await?,
        ..Observation::default()
    };
    Ok(driver.wanted_for(&observation).await?.template)
}

impl<A: Account> Deploy<'_, A> {
    async fn plan(&mut self) -> Result<Plan, Ending> {
        let mut findings = Vec::new();
        loop {
            let observation = self.observe().await?;
            let decision = decide(&self.view(&observation));
            self.remember(&observation, &decision);
            if let Some(plan) = self.planned(&observation, decision, &mut findings).await? {
                return Ok(plan);
            }
            if let Some(by) = self.handle.pause(self.pause(Waiting::Answer)).await {
                return Err(interruption::before_the_write(by, "nothing is planned"));
            }
        }
    }

    /// The plan, when the look shows it. `None`: look again.
    async fn planned(
        &mut self,
        observation: &Observation,
        decision: StackDecision,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Plan>, Ending> {
        let plan = match decision {
            StackDecision::Unchanged { task_definition } => {
                let nothing = ServiceAction::Nothing;
                let runs = observation.service.as_ref();
                self.plan_of_service(observation, nothing, &task_definition, runs)
                    .await?
            }
            StackDecision::CheckService { task_definition } => {
                let seen = observation.service.clone();
                self.plan_to_put_right(observation, task_definition, seen, findings)
                    .await?
            }
            StackDecision::CreateChangeSet { creates_stack } => {
                self.look_beforehand(observation, findings).await?;
                self.create_change_set(observation, creates_stack).await?;
                return Ok(None);
            }
            StackDecision::AwaitChangeSet | StackDecision::KeepObserving { .. } => return Ok(None),
            StackDecision::ExecuteChangeSet => {
                let plan = self.plan_of_change_set(observation).await;
                self.discard_change_set().await?;
                plan?
            }
            StackDecision::NoChanges => {
                self.discard_change_set().await?;
                let said = observation.stack.as_ref().and_then(task_definition_of);
                let revision = said.ok_or_else(|| self.no_revision_said())?;
                self.plan_to_put_right(observation, revision, None, findings)
                    .await?
            }
            StackDecision::ChangeSetFailed { reason } => {
                self.discard_change_set().await?;
                let name = &self.order.stack_name;
                self.plan_of_refusal(Finding {
                    severity: Severity::Error,
                    reason: Reason::ChangeSetFailed.as_str(),
                    message: format!("CloudFormation cannot change stack {name}: {reason}"),
                    hint: "correct what CloudFormation names".to_owned(),
                })
            }
            StackDecision::DeleteNeverHealthy { .. } => {
                self.look_beforehand(observation, findings).await?;
                self.plan_of_recreation(observation).await?
            }
            StackDecision::Refuse(refusal) => self.plan_of_refusal(finding_of(refusal)),
            other => self.plan_of_refusal(self.not_now(other, observation)),
        };
        Ok(Some(with_findings(plan, std::mem::take(findings))))
    }

    /// What the deployment's pre-flight will say, once.
    async fn look_beforehand(
        &mut self,
        observation: &Observation,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Ending> {
        if !std::mem::replace(&mut self.progress.preflighted, true) {
            *findings = self.findings(observation).await?;
        }
        Ok(())
    }

    /// The stack has nothing to change: what becomes of its service.
    async fn plan_to_put_right(
        &mut self,
        observation: &Observation,
        revision: TaskDefinitionArn,
        seen: Option<ObservedService>,
        findings: &mut Vec<Finding>,
    ) -> Result<Plan, Ending> {
        let checked = self.check_service(&revision, seen).await?;
        let action = match checked.decision {
            RepairDecision::Repair => ServiceAction::Repair,
            RepairDecision::Force => ServiceAction::Force,
            RepairDecision::Unchanged { .. } | RepairDecision::Follow { .. } => ServiceAction::Nothing,
            RepairDecision::Refuse(refusal) => return Ok(self.plan_of_refusal(finding_of(refusal))),
            _ => return Err(self.undecided()),
        };
        if action != ServiceAction::Nothing {
            self.look_beforehand(observation, findings).await?;
        }
        let runs = checked.service.as_ref();
        self.plan_of_service(observation, action, &revision, runs).await
    }

    fn not_now(&self, decision: StackDecision, observation: &Observation) -> Finding {
        let name = &self.order.stack_name;
        let status = observation.stack.as_ref().map(|stack| stack.status.as_str());
        let status = status.unwrap_or("gone");
        let (reason, message, hint) = match decision {
            StackDecision::AwaitOther { who } => (
                Reason::StackInProgress,
                who,
                "a deployment waits until that has ended; plan again then",
            ),
            StackDecision::ContinueRollback | StackDecision::AwaitRollback => (
                Reason::StackStuck,
                format!(
                    "the roll-back of stack {name} is stuck ({status}); what would change cannot be told"
                ),
                "a deployment asks CloudFormation once to go on with the roll-back, then changes the stack",
            ),
            _ => (
                Reason::UnexpectedState,
                format!("stack {name} is {status}; what would change cannot be told"),
                "plan again in a moment",
            ),
        };
        Finding {
            severity: Severity::Error,
            reason: reason.as_str(),
            message,
            hint: hint.to_owned(),
        }
    }
}

fn finding_of(refusal: Refusal) -> Finding {
    Finding {
        severity: Severity::Error,
        reason: refusal.reason.as_str(),
        message: refusal.message,
        hint: refusal.hint,
    }
}

/// A plan with errors is one that cannot be carried out.
fn with_findings(mut plan: Plan, findings: Vec<Finding>) -> Plan {
    plan.findings.extend(findings);
    plan.findings.sort_by_key(|finding| finding.severity);
    let worst = plan.findings.first();
    if let Some(worst) = worst.filter(|finding| finding.severity == Severity::Error) {
        plan.action = PlanAction::Refused;
        plan.summary.clone_from(&worst.message);
    }
    plan
}
