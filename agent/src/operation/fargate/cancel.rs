//! A person said stop: what was not started is let be, an update is taken back by
//! CloudFormation and followed until it is back, and a first creation is deleted.

use towline_agent_domain::{
    fargate::stack::{OurTrace, StackStatus, StatusKind},
    outside::{Account, CallError},
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{Deploy, Ending};

impl<A: Account> Deploy<'_, A> {
    /// A person said stop: takes back what can be taken back. `None`: go on
    /// looking, the stack will show the end.
    pub(super) async fn undo(&mut self) -> Result<Option<Ending>, Ending> {
        let observation = self.observe().await?;
        let Some(stack) = &observation.stack else {
            return Ok(Some(self.cancelled_unwritten()));
        };
        let status = StackStatus::parse(&stack.status);
        // An empty stack's one event carries the token of the change set, and nothing runs.
        let ours = observation.trace != OurTrace::None && status.kind() != StatusKind::Empty;
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
                if self.progress.in_doubt {
                    return Ok(Some(self.execution_unknown()));
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
}
