//! Changing the stack. Every write carries a token of the operation, so that a
//! repeat after a lost answer does nothing twice: the next look decides.

use towline_agent_domain::{
    fargate::stack::StackStatus,
    outside::{Account, Answer, CallError, ChangeSetRequest},
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{Deploy, Ending, Turn};

/// What came of a write that CloudFormation deduplicates.
enum Written {
    Done,
    /// No answer, or asked for patience: the next look shows, and may send it again.
    InDoubt,
}

impl<A: Account> Deploy<'_, A> {
    pub(super) async fn create_change_set(&mut self, creates_stack: bool) -> Result<Turn, Ending> {
        let order = self.order;
        let name = self.handle.id().change_set_name();
        if !self.progress.change_set_made {
            let kind = if creates_stack { "creates" } else { "changes" };
            let detail = format!("{name} {kind} stack {}", order.stack_name);
            self.handle.step(Step::ChangeSet, StepState::Started, detail);
        }
        let request = ChangeSetRequest {
            region: order.at.region.clone(),
            stack_name: order.stack_name.clone(),
            change_set_name: name.clone(),
            creates_stack,
            template: order.template.text().to_owned(),
            parameters: order.template.parameters().to_vec(),
            tags: order.template.tags().to_vec(),
            role_arn: self.surroundings.cloudformation_role.clone(),
            token: self.handle.id().token(),
        };
        let what = format!("create change set {name} on stack {}", order.stack_name);
        match self.surroundings.aws.create_change_set(&request).await {
            // An earlier send made it; it is not shown yet.
            Err(CallError::Refused { code, .. }) if code.starts_with("AlreadyExists") => {}
            answer => match self.settle(&what, answer) {
                Ok(Written::Done) => self.progress.change_set_made = true,
                Ok(Written::InDoubt) => {}
                Err(error) => {
                    self.handle
                        .step(Step::ChangeSet, StepState::Failed, error.to_string());
                    return Err(Ending::call(&what, &error));
                }
            },
        }
        self.wrote();
        Ok(Turn::Pause)
    }

    pub(super) async fn execute_change_set(&mut self) -> Result<Turn, Ending> {
        let (region, stack) = (&self.order.at.region, &self.order.stack_name);
        let id = self.handle.id();
        let name = id.change_set_name();
        self.handle
            .step(Step::ChangeSet, StepState::Done, format!("{name} is ready"));
        if self.handle.interruption().is_some() {
            return Ok(Turn::Again);
        }
        let what = format!("execute change set {name} on stack {stack}");
        let aws = &self.surroundings.aws;
        match aws.execute_change_set(region, stack, &name, &id.token()).await {
            // It was executed already; the events will show it.
            Err(CallError::Refused { code, .. }) if code.starts_with("InvalidChangeSetStatus") => {}
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
        Ok(Turn::Pause)
    }

    pub(super) async fn delete_never_healthy(&mut self, stack_id: &str) -> Result<Turn, Ending> {
        let name = &self.order.stack_name;
        if !self.progress.deleting {
            self.handle.finding(
                Severity::Warning,
                "stack_made_anew",
                format!("stack {name} never came up (ROLLBACK_COMPLETE): it is deleted, and made anew"),
                "CloudFormation allows nothing else; nothing ran in it",
            );
        }
        self.delete_stack(stack_id, &self.handle.id().delete_token())
            .await?;
        Ok(Turn::Pause)
    }

    async fn delete_stack(&mut self, stack_id: &str, token: &str) -> Result<(), Ending> {
        let what = format!("delete stack {}", self.order.stack_name);
        let region = &self.order.at.region;
        let answer = self.surroundings.aws.delete_stack(region, stack_id, token).await;
        self.settle(&what, answer)
            .map_err(|error| Ending::call(&what, &error))?;
        self.progress.deleting = true;
        self.wrote();
        Ok(())
    }

    /// Removes our change set; that it is gone already is as good.
    pub(super) async fn delete_change_set(&mut self) -> Result<(), Ending> {
        let (region, stack) = (&self.order.at.region, &self.order.stack_name);
        let name = self.handle.id().change_set_name();
        let aws = &self.surroundings.aws;
        let what = format!("delete change set {name} of stack {stack}");
        match aws.delete_change_set(region, stack, &name).await {
            Err(CallError::Missing { .. }) => Ok(()),
            answer => match self.settle(&what, answer) {
                Ok(_) => Ok(()),
                Err(error) => Err(Ending::call(&what, &error)),
            },
        }
    }

    /// A person said stop: takes back what can be taken back. `None`: go on
    /// looking, the stack will show the end.
    pub(super) async fn undo(&mut self) -> Result<Option<Ending>, Ending> {
        let observation = self.observe().await?;
        let Some(stack) = &observation.stack else {
            return Ok(Some(self.cancelled_unwritten()));
        };
        let status = StackStatus::parse(&stack.status);
        let ours = self.our_events().next().is_some();
        match status {
            StackStatus::UpdateInProgress if ours => self.cancel_update(&stack.name).await?,
            StackStatus::CreateInProgress if ours => {
                self.announce_undo(format!("stack {} never was healthy, and is deleted", stack.name));
                let token = self.handle.id().cancel_token();
                self.delete_stack(&stack.id.clone(), &token).await?;
            }
            _ if ours || self.progress.executed => {
                self.handle.finding(
                    Severity::Info,
                    "cancel_too_late",
                    format!(
                        "stack {} is {status}: there is nothing left to cancel",
                        stack.name
                    ),
                    "",
                );
                return Ok(None);
            }
            _ => {
                if observation.change_set.is_some() {
                    self.delete_change_set().await?;
                }
                return Ok(Some(self.cancelled_unwritten()));
            }
        }
        self.progress.undoing = true;
        self.progress.executed = true;
        Ok(None)
    }

    async fn cancel_update(&mut self, stack: &str) -> Result<(), Ending> {
        self.announce_undo(format!("CloudFormation takes the update of stack {stack} back"));
        let region = &self.order.at.region;
        let token = self.handle.id().cancel_token();
        let what = format!("cancel the update of stack {stack}");
        let answer = self.surroundings.aws.cancel_update(region, stack, &token).await;
        match self.settle(&what, answer) {
            Ok(_) => {}
            // The update ended between the look and the call: the next look shows how.
            Err(CallError::Refused { message, .. }) => {
                self.handle
                    .finding(Severity::Info, "cancel_too_late", message, "");
            }
            Err(error) => return Err(Ending::call(&what, &error)),
        }
        self.wrote();
        Ok(())
    }

    fn announce_undo(&self, detail: String) {
        self.handle.step(Step::Rollback, StepState::Started, detail);
    }

    fn cancelled_unwritten(&self) -> Ending {
        let summary = format!("cancelled before stack {} was changed", self.order.stack_name);
        Ending::new(Reason::Cancelled, summary)
    }

    /// Sorts an answer: CloudFormation deduplicates, so doubt is for the next look.
    fn settle(&self, what: &str, answer: Answer<()>) -> Result<Written, CallError> {
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
