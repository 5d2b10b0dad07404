//! Changing the stack. Every write carries a token of the operation, so that a
//! repeat after a lost answer does nothing twice: the next look decides.

use towline_agent_domain::{
    fargate::stack::{OurTrace, Waiting},
    outside::{Account, Answer, CallError, ChangeSetRequest, TemplateSource},
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{Deploy, Ending, FargateOrder, Turn, observe::Observation};

/// What came of a write that CloudFormation deduplicates.
pub(super) enum Written {
    Done,
    /// No answer, or asked for patience: the next look shows, and may send it again.
    InDoubt,
}

impl<A: Account> Deploy<'_, A> {
    /// A plan's change set is told from a deployment's: nobody executes it.
    pub(super) fn change_set_name(&self) -> String {
        let id = self.handle.id();
        if self.plans {
            id.plan_change_set_name()
        } else {
            id.change_set_name()
        }
    }

    pub(super) async fn create_change_set(
        &mut self,
        observation: &Observation,
        creates_stack: bool,
    ) -> Result<Turn, Ending> {
        let wanted = self.wanted_for(observation).await?;
        let order = self.order;
        let name = self.change_set_name();
        if !self.progress.change_set_made {
            let kind = if creates_stack { "creates" } else { "changes" };
            let detail = format!("{name} {kind} stack {}", order.stack_name);
            self.handle.step(Step::ChangeSet, StepState::Started, detail);
        }
        let Some(source) = self.template_source(&wanted).await? else {
            return Ok(Turn::Pause(Waiting::Answer));
        };
        let template = wanted.template;
        let request = ChangeSetRequest {
            region: order.at.region.clone(),
            stack_name: order.stack_name.clone(),
            change_set_name: name.clone(),
            creates_stack,
            template: source,
            parameters: template.parameters().to_vec(),
            tags: template.tags().to_vec(),
            role_arn: self.surroundings.cloudformation_role.clone(),
            token: self.handle.id().token(),
        };
        let what = format!("create change set {name} on stack {}", order.stack_name);
        self.progress.change_set_sent = true;
        self.progress.change_set_open = true;
        match self.surroundings.aws.create_change_set(&request).await {
            // An earlier send made it; it is not shown yet.
            Err(CallError::Refused { code, .. }) if code.starts_with("AlreadyExists") => {}
            answer => match self.settle(&what, answer) {
                Ok(Written::Done) => {
                    self.progress.change_set_made = true;
                    self.progress.stack_made |= observation.is_gone();
                }
                Ok(Written::InDoubt) => {}
                Err(error) => return Err(self.no_change_set(&what, &request.template, &error)),
            },
        }
        self.wrote();
        Ok(Turn::Pause(Waiting::Answer))
    }

    /// CloudFormation does not make the change set; nothing is changed.
    fn no_change_set(&self, what: &str, template: &TemplateSource, error: &CallError) -> Ending {
        self.handle
            .step(Step::ChangeSet, StepState::Failed, error.to_string());
        let ending = Ending::call(what, error);
        match (template, error) {
            (TemplateSource::Stored(url), CallError::Refused { message, .. })
                if message.contains("S3 error") || message.contains("TemplateURL") =>
            {
                ending.hint(format!(
                    "CloudFormation reads {url} with the rights of the agent's role, which needs s3:GetObject on it"
                ))
            }
            _ => ending,
        }
    }

    pub(super) async fn execute_change_set(&mut self, observation: &Observation) -> Result<Turn, Ending> {
        self.approve_change_set(observation).await?;
        let (region, stack) = (&self.order.at.region, &self.order.stack_name);
        let id = self.handle.id();
        let name = self.change_set_name();
        if self.handle.interruption().is_some() {
            return Ok(Turn::Again);
        }
        let what = format!("execute change set {name} on stack {stack}");
        let aws = &self.surroundings.aws;
        let answer = aws.execute_change_set(region, stack, &name, &id.token()).await;
        self.progress.in_doubt |= matches!(answer, Err(CallError::Unknown { .. }));
        let refused = answer.is_err() && !self.progress.in_doubt;
        self.progress.change_set_open = refused;
        match answer {
            // It was executed already; the events will show it.
            Err(CallError::Refused { code, .. }) if code.starts_with("InvalidChangeSetStatus") => {
                self.progress.change_set_open = false;
            }
            answer => match self.settle(&what, answer) {
                Ok(Written::Done) => self.progress.executed = true,
                Ok(Written::InDoubt) => {}
                Err(error) => {
                    self.handle
                        .step(Step::Stack, StepState::Failed, error.to_string());
                    return Err(Ending::call(&what, &error));
                }
            },
        }
        self.wrote();
        Ok(Turn::Pause(Waiting::Answer))
    }

    /// Compares what CloudFormation would do with what was approved, once; what is
    /// not to be done leaves no change set behind.
    async fn approve_change_set(&mut self, observation: &Observation) -> Result<(), Ending> {
        if self.progress.approved {
            return Ok(());
        }
        let plan = self.plan_of_change_set(observation).await?;
        if let Err(refused) = self.approve(&plan) {
            self.discard_change_set().await?;
            return Err(refused);
        }
        self.progress.approved = true;
        let name = self.change_set_name();
        let detail = format!("{name} {}", plan.summary);
        self.handle.step(Step::ChangeSet, StepState::Done, detail);
        Ok(())
    }

    pub(super) async fn delete_never_healthy(
        &mut self,
        observation: &Observation,
        stack_id: &str,
    ) -> Result<Turn, Ending> {
        let name = &self.order.stack_name;
        if !self.progress.deleting {
            let plan = self.plan_of_recreation(observation).await?;
            self.approve(&plan)?;
            self.handle.finding(
                Severity::Warning,
                "stack_made_anew",
                format!("stack {name} never came up (ROLLBACK_COMPLETE): it is deleted, and made anew"),
                "CloudFormation allows nothing else; nothing ran in it",
            );
        }
        self.delete_stack(stack_id, &self.handle.id().delete_token())
            .await?;
        Ok(Turn::Pause(Waiting::Answer))
    }

    /// A roll-back that somebody else left stuck is not what a plan was approved of, and
    /// nothing is written where the pre-flight is against it.
    pub(super) async fn before_continuing(&mut self, observation: &Observation) -> Result<(), Ending> {
        if self.progress.continuing || observation.trace != OurTrace::None {
            return Ok(());
        }
        let FargateOrder {
            approved,
            stack_name: name,
            at,
            ..
        } = self.order;
        if approved.is_none() {
            return self.preflight(observation).await;
        }
        let summary = format!(
            "the roll-back of stack {name} is stuck, and was not when the plan was made that was approved"
        );
        Err(self.refused(Ending::new(Reason::PlanChanged, summary).hint(format!(
            "nothing was changed; let it go on with `aws cloudformation continue-update-rollback --stack-name {name} \
             --region {}`, or deploy without an approved plan, which does so once; then plan again",
            at.region
        ))))
    }

    /// A roll-back that is stuck is asked to go on, once in an operation.
    pub(super) async fn continue_rollback(&mut self) -> Result<Turn, Ending> {
        let (region, stack) = (&self.order.at.region, &self.order.stack_name);
        if !self.progress.continuing {
            let message = format!(
                "the roll-back of stack {stack} is stuck: CloudFormation is asked once to go on with it"
            );
            self.handle.finding(
                Severity::Warning,
                "rollback_continued",
                message.clone(),
                "look in its events for what kept an earlier update from being taken back",
            );
            self.handle.step(Step::Rollback, StepState::Started, message);
        }
        let token = self.handle.id().continue_token();
        let role = self.surroundings.cloudformation_role.as_deref();
        let what = format!("continue the roll-back of stack {stack}");
        let aws = &self.surroundings.aws;
        match aws.continue_rollback(region, stack, role, &token).await {
            // It is going on already: the next look shows it.
            Err(CallError::Refused { code, .. }) if code == "ValidationError" && self.progress.continuing => {
            }
            answer => {
                self.settle(&what, answer).map_err(|error| {
                    self.handle
                        .step(Step::Rollback, StepState::Failed, error.to_string());
                    Ending::call(&what, &error)
                })?;
            }
        }
        self.progress.continuing = true;
        self.wrote();
        Ok(Turn::Pause(Waiting::Answer))
    }

    pub(super) async fn delete_stack(&mut self, stack_id: &str, token: &str) -> Result<(), Ending> {
        let what = format!("delete stack {}", self.order.stack_name);
        let region = &self.order.at.region;
        let answer = self.surroundings.aws.delete_stack(region, stack_id, token).await;
        self.settle(&what, answer)
            .map_err(|error| Ending::call(&what, &error))?;
        self.progress.deleting = true;
        self.wrote();
        Ok(())
    }

    /// Sorts an answer: CloudFormation deduplicates, so doubt is for the next look.
    pub(super) fn settle(&self, what: &str, answer: Answer<()>) -> Result<Written, CallError> {
        match answer {
            Ok(()) => Ok(Written::Done),
            Err(error @ (CallError::Unknown { .. } | CallError::Throttled { .. })) => {
                tracing::warn!(operation = %self.handle.id(), "{what}: {error}; looking what came of it");
                Ok(Written::InDoubt)
            }
            Err(error) => Err(error),
        }
    }
}
