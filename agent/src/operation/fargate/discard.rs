//! What was made and is not carried out leaves nothing behind: its change set goes,
//! and the empty stack that the change set made. So do those of earlier plans whose
//! agent was killed. Other people's are left alone.

use std::time::Duration;

use towline_agent_domain::{
    fargate::stack::{ExpectedStack, StackStatus, StatusKind, Waiting, of_plans},
    observed::{ListedChangeSet, Stack},
    outside::{Account, CallError},
    verdict::Reason,
};

use super::{Deploy, Ending, observe::Observation};

/// How long the end of an operation waits for it at most.
const PATIENCE: Duration = Duration::from_secs(20);

impl<A: Account> Deploy<'_, A> {
    /// Whatever this ended by: a change set that was never executed is taken away.
    /// Best effort, and bounded: the verdict stands without it.
    pub(super) async fn leave_nothing_behind(&mut self) {
        if !self.progress.change_set_open {
            return;
        }
        let clock = self.handle.clock();
        let discarded = tokio::select! {
            discarded = Box::pin(self.discard_once_it_is_made()) => discarded.map_err(|ending| ending.into_finished().summary),
            () = clock.sleep(PATIENCE) => Err("AWS did not take it away in time".to_owned()),
        };
        if let Err(why) = discarded {
            let name = self.change_set_name();
            tracing::warn!(operation = %self.handle.id(), "change set {name} may be left behind: {why}");
        }
    }

    /// CloudFormation refuses to delete a change set while it makes it.
    async fn discard_once_it_is_made(&mut self) -> Result<(), Ending> {
        let pause = self.surroundings.timing.poll;
        loop {
            match self.discard_change_set().await {
                Err(ending) if ending.reason() == Reason::Refused.as_str() => {
                    self.handle.clock().sleep(pause).await;
                }
                ended => return ended,
            }
        }
    }

    /// Removes our change set, and the empty stack that it made.
    pub(super) async fn discard_change_set(&mut self) -> Result<(), Ending> {
        let listed = self.list_change_sets().await;
        let known = listed.is_some();
        let listed = listed.unwrap_or_default();
        let own = self.change_set_name();
        // AWS's time, a moment ago.
        let now = listed.iter().find(|set| set.name == own).map(|set| set.created);
        let left = now.map(|now| of_plans(&listed, now)).unwrap_or_default();
        let stays = |set: &&ListedChangeSet| {
            set.name != own && !set.status.starts_with("DELETE") && !left.contains(set)
        };
        let shared = listed.iter().any(|set| stays(&set)) || !(known || self.progress.stack_made);
        let ours = self.progress.stack_made
            || self.order.expected == Some(ExpectedStack::Absent)
            || !left.is_empty();
        // Deleted with all that is in it, a plan's stack is never without its mark.
        let at_once = self.plans && ours && !shared;
        if !at_once {
            self.delete_left(&left).await;
            self.delete_change_set().await?;
        }
        if !ours || shared {
            return Ok(());
        }
        // It may have been executed a moment before it was deleted.
        match self.read_stack().await?.filter(is_empty) {
            Some(stack) => {
                let token = self.handle.id().delete_token();
                self.delete_stack(&stack.id, &token).await?;
                self.progress.change_set_open = false;
                self.until_gone().await
            }
            None if at_once => {
                self.delete_left(&left).await;
                self.delete_change_set().await
            }
            None => Ok(()),
        }
    }

    /// All change sets of the stack; `None` when it cannot be told which there are.
    async fn list_change_sets(&self) -> Option<Vec<ListedChangeSet>> {
        let (region, stack) = (&self.order.at.region, &self.order.stack_name);
        match self.surroundings.aws.change_sets(region, stack).await {
            Ok(listed) => Some(listed),
            Err(CallError::Missing { .. }) => Some(Vec::new()),
            Err(error) => {
                tracing::warn!(operation = %self.handle.id(), "the change sets of {stack} cannot be listed: {error}");
                None
            }
        }
    }

    /// Deletes the change sets of plans that were killed midway.
    async fn delete_left(&self, left: &[&ListedChangeSet]) {
        let (region, stack) = (&self.order.at.region, &self.order.stack_name);
        for set in left {
            let deleted = self
                .surroundings
                .aws
                .delete_change_set(region, stack, &set.name)
                .await;
            match deleted {
                Ok(()) => tracing::info!("deleted change set {} of a plan that did not end", set.name),
                Err(error) => tracing::warn!("change set {} stays: {error}", set.name),
            }
        }
    }

    /// Waits until the empty stack is gone: who deploys next would find it being deleted.
    async fn until_gone(&self) -> Result<(), Ending> {
        loop {
            let observation = Observation {
                stack: self.read_stack().await?,
                ..Observation::default()
            };
            if observation.is_gone() || self.handle.pause(self.pause(Waiting::Answer)).await.is_some() {
                return Ok(());
            }
        }
    }

    /// Removes our change set; that it is gone already is as good.
    pub(super) async fn delete_change_set(&mut self) -> Result<(), Ending> {
        let (region, stack) = (&self.order.at.region, &self.order.stack_name);
        let name = self.change_set_name();
        let aws = &self.surroundings.aws;
        let what = format!("delete change set {name} of stack {stack}");
        match aws.delete_change_set(region, stack, &name).await {
            Err(CallError::Missing { .. }) => {}
            answer => {
                self.settle(&what, answer)
                    .map_err(|error| Ending::call(&what, &error))?;
            }
        }
        self.progress.change_set_open = false;
        Ok(())
    }
}

fn is_empty(stack: &Stack) -> bool {
    StackStatus::parse(&stack.status).kind() == StatusKind::Empty
}
