//! Reading stack and service, and telling what is new of them.

use towline_agent_domain::{
    fargate::{
        stack::{
            Continuation, ExpectedStack, OurTrace, StackDecision, StackStatus, StackView, StatusKind,
            cancelled_by, continuation, deleted_by, trace,
        },
        template::{FoundTemplate, SERVICE_TAG},
    },
    observed::{ChangeSet, ObservedService, Stack, StackEvent, StackResource, TaskDefinitionArn},
    outside::{Account, CallError},
};
use towline_proto::agent::v1::{Step, StepState, operation_event::Event};

use super::{Deploy, Ending};
use crate::wire;

/// Deleted stacks of one name whose events are looked into.
const MOST_DELETED: usize = 5;

/// One look at the account.
#[derive(Clone, Debug, Default)]
pub(super) struct Observation {
    pub stack: Option<Stack>,
    pub trace: OurTrace,
    pub deleted_by_us: bool,
    pub continuation: Continuation,
    pub change_set: Option<ChangeSet>,
    pub service: Option<ObservedService>,
    /// Whether the stack has the template that is wanted, once they were compared.
    pub same_template: Option<bool>,
    /// Read of a stack that is stuck.
    pub resources: Vec<StackResource>,
    pub settled: bool,
}

impl Observation {
    /// There is no stack, or what is left of one that was deleted.
    pub fn is_gone(&self) -> bool {
        self.stack
            .as_ref()
            .is_none_or(|stack| StackStatus::parse(&stack.status).kind() == StatusKind::Gone)
    }
}

/// A stack is Towline's by its tag.
pub(super) fn is_towlines(stack: &Stack) -> bool {
    stack.tags.iter().any(|(key, _)| key == SERVICE_TAG)
}

/// Nobody has asked for its execution.
fn is_open(change_set: &ChangeSet) -> bool {
    !change_set.execution_status.starts_with("EXECUTE")
}

impl<A: Account> Deploy<'_, A> {
    /// Reads what the next decision may need, and no more: for a stack that is as
    /// wanted, three calls (stack, template, service).
    pub(super) async fn observe(&mut self) -> Result<Observation, Ending> {
        if let Some(observation) = self.glance().await? {
            return Ok(observation);
        }
        let events_are_known = std::mem::take(&mut self.events_are_new);
        let stack = self.read_stack().await?;
        let mut observation = Observation {
            settled: self.settled(),
            stack,
            ..Observation::default()
        };
        let Some(stack) = observation.stack.clone() else {
            observation.deleted_by_us = self.deleted_expected().await?;
            return Ok(observation);
        };
        let kind = StackStatus::parse(&stack.status).kind();
        // An operation that was never sent has left no trace that could say otherwise.
        if kind == StatusKind::Good && self.is_untouched() {
            self.compare(&stack, &mut observation).await?;
            if observation.service.is_some() {
                return Ok(observation);
            }
        }
        // An empty stack's one event says nothing of what was done.
        if kind != StatusKind::Empty && !events_are_known {
            self.read_events(&stack.id).await?;
        }
        let id = self.handle.id();
        observation.trace = trace(&self.events, id);
        observation.deleted_by_us = deleted_by(&self.events, id);
        observation.continuation = continuation(&self.events, id);
        if observation.trace != OurTrace::None {
            return Ok(observation);
        }
        if !self.is_untouched() {
            observation.change_set = self.read_change_set(&stack.name).await?;
            let asked = self.progress.executed || self.progress.in_doubt;
            self.progress.change_set_open |= !asked && observation.change_set.as_ref().is_some_and(is_open);
        }
        match kind {
            StatusKind::Good if observation.change_set.is_none() => {
                self.compare(&stack, &mut observation).await?;
            }
            StatusKind::Stuck | StatusKind::HalfRolledBack => {
                observation.resources = self.read_resources(&stack.name).await?
            }
            _ => {}
        }
        Ok(observation)
    }

    /// Neither an earlier send nor this incarnation has written anything.
    fn is_untouched(&self) -> bool {
        let progress = &self.progress;
        let wrote = progress.change_set_sent || progress.executed || progress.deleting || progress.continuing;
        !self.order.repeated_send && !wrote
    }

    /// Compares the stack's template with the one that is wanted; when they are the
    /// same, the service is what is left to look at.
    async fn compare(&mut self, stack: &Stack, observation: &mut Observation) -> Result<(), Ending> {
        let foreign = !is_towlines(stack) && !self.order.adopt;
        if foreign || observation.same_template.is_some() {
            return Ok(());
        }
        let found = self.read_template(&stack.name).await?;
        let wanted = self.want(Some(stack), found.metadata()).await?;
        let same = wanted.template.is(&found);
        if same {
            observation.service = self.read_service().await?;
        }
        observation.same_template = Some(same);
        Ok(())
    }

    pub(super) fn view<'v>(&'v self, observation: &'v Observation) -> StackView<'v> {
        let template = self.wanted.as_ref().map(|wanted| &wanted.template);
        StackView {
            name: &self.order.stack_name,
            stack: observation.stack.as_ref(),
            trace: observation.trace,
            deleted_by_us: observation.deleted_by_us,
            continuation: observation.continuation,
            events: &self.events,
            resources: &observation.resources,
            change_set: observation.change_set.as_ref(),
            service: observation.service.as_ref(),
            same_template: observation.same_template == Some(true),
            wanted_parameters: template.map_or(&[], |template| template.parameters()),
            expected: self.order.expected.as_ref(),
            adopt: self.order.adopt,
            force: self.order.force,
            repeated_send: self.order.repeated_send,
            settled: observation.settled,
        }
    }

    pub(super) async fn read_stack(&self) -> Result<Option<Stack>, Ending> {
        let (region, name) = (&self.order.at.region, &self.order.stack_name);
        let what = format!("describe stack {name}");
        let aws = &self.surroundings.aws;
        self.handle.read(&what, || aws.stack(region, name)).await
    }

    /// Adds the events that are newer than those known.
    pub(super) async fn read_events(&mut self, stack_id: &str) -> Result<(), Ending> {
        let region = &self.order.at.region;
        let what = format!("read the events of stack {}", self.order.stack_name);
        let aws = &self.surroundings.aws;
        let until = self.events.first().map(|event| event.id.clone());
        let mut events = self
            .handle
            .read(&what, || aws.stack_events(region, stack_id, until.as_deref()))
            .await?;
        self.looked = self.handle.clock().instant();
        if !events.is_empty() {
            self.stirred();
        }
        events.append(&mut self.events);
        self.events = events;
        Ok(())
    }

    /// Whether the stack that was expected, and is gone, was deleted by this operation.
    async fn deleted_expected(&mut self) -> Result<bool, Ending> {
        // A stack that is made anew starts its events anew.
        self.events.clear();
        let Some(ExpectedStack::Id(id)) = &self.order.expected else {
            self.look_for_cancelled_creation().await?;
            return Ok(self.progress.deleting);
        };
        let events = self.read_events_of_deleted(id).await?;
        Ok(deleted_by(&events, self.handle.id()))
    }

    /// A first creation that an earlier send made, and that a person cancelled: its
    /// stack shows in the list of deleted ones alone. It is not to be made anew.
    async fn look_for_cancelled_creation(&mut self) -> Result<(), Ending> {
        let looked = std::mem::replace(&mut self.progress.looked_for_deleted, true);
        if !self.order.repeated_send || looked || self.progress.undoing {
            return Ok(());
        }
        let (region, name) = (&self.order.at.region, &self.order.stack_name);
        // Best effort: an agent may not be allowed to list stacks.
        let deleted = self.surroundings.aws.deleted_stacks(region, name).await;
        let deleted = deleted.unwrap_or_else(|error| {
            tracing::warn!(operation = %self.handle.id(), "deleted stacks cannot be listed: {error}");
            Vec::new()
        });
        for id in deleted.iter().take(MOST_DELETED) {
            let events = self.read_events_of_deleted(id).await?;
            if cancelled_by(&events, self.handle.id()) {
                self.events = events;
                self.progress.undoing = true;
                return Ok(());
            }
        }
        Ok(())
    }

    async fn read_events_of_deleted(&self, id: &str) -> Result<Vec<StackEvent>, Ending> {
        let region = &self.order.at.region;
        let aws = &self.surroundings.aws;
        let what = format!("read the events of stack {id}");
        self.handle
            .read(&what, || async {
                match aws.stack_events(region, id, None).await {
                    Err(CallError::Missing { .. }) => Ok(Vec::new()),
                    answer => answer,
                }
            })
            .await
    }

    pub(super) async fn read_change_set(&self, stack: &str) -> Result<Option<ChangeSet>, Ending> {
        let region = &self.order.at.region;
        let name = self.change_set_name();
        let aws = &self.surroundings.aws;
        let what = format!("describe change set {name} of stack {stack}");
        self.handle
            .read(&what, || async {
                match aws.change_set(region, stack, &name).await {
                    Ok(change_set) => Ok(Some(change_set)),
                    Err(CallError::Missing { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// The stack's template; empty when it has none.
    pub(super) async fn read_template(&self, stack: &str) -> Result<FoundTemplate, Ending> {
        let region = &self.order.at.region;
        let aws = &self.surroundings.aws;
        let what = format!("read the template of stack {stack}");
        let body = self
            .handle
            .read(&what, || aws.template_body(region, stack))
            .await?;
        Ok(FoundTemplate::read(&body.unwrap_or_default()))
    }

    /// What the stack holds.
    pub(super) async fn read_resources(&self, stack: &str) -> Result<Vec<StackResource>, Ending> {
        let region = &self.order.at.region;
        let aws = &self.surroundings.aws;
        let what = format!("list the resources of stack {stack}");
        self.handle
            .read(&what, || async {
                match aws.stack_resources(region, stack).await {
                    // An empty stack has none to list.
                    Err(CallError::Missing { .. }) => Ok(Vec::new()),
                    answer => answer,
                }
            })
            .await
    }

    pub(super) async fn read_service(&self) -> Result<Option<ObservedService>, Ending> {
        let name = self.order.service_name();
        let aws = &self.surroundings.aws;
        let what = format!("describe service {name}");
        self.handle
            .read(&what, || aws.service(&self.order.at, name))
            .await
    }

    /// The events of this operation, newest first.
    pub(super) fn our_events(&self) -> impl DoubleEndedIterator<Item = &StackEvent> {
        let id = self.handle.id();
        let tokens = [
            id.token(),
            id.cancel_token(),
            id.delete_token(),
            id.continue_token(),
        ];
        self.events
            .iter()
            .filter(move |event| event.token.as_ref().is_some_and(|token| tokens.contains(token)))
    }

    /// The revision that our change made; `None` before it did, or when it makes none.
    /// What a roll-back puts back is not it.
    pub(super) fn our_revision(&self) -> Option<TaskDefinitionArn> {
        let goes_back = |event: &&StackEvent| {
            event.resource_type == "AWS::CloudFormation::Stack"
                && event.status.ends_with("ROLLBACK_IN_PROGRESS")
        };
        let made = self
            .our_events()
            .rev()
            .take_while(|event| !goes_back(event))
            .filter(|event| event.resource_type == "AWS::ECS::TaskDefinition")
            .filter(|event| matches!(event.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE"))
            .last()?;
        Some(TaskDefinitionArn(made.physical_id.clone()))
    }

    /// Tells the start, the stack's new events and its status.
    pub(super) fn tell(&mut self, observation: &Observation, decision: &StackDecision) {
        self.handle
            .started(observation.trace != OurTrace::None || observation.change_set.is_some());
        self.tell_events();
        let Some(stack) = &observation.stack else { return };
        let follows = matches!(decision, StackDecision::Follow | StackDecision::Conclude(_));
        if follows && self.told_status != stack.status {
            let state = match StackStatus::parse(&stack.status).kind() {
                StatusKind::Busy | StatusKind::Empty => StepState::Started,
                StatusKind::Good => StepState::Done,
                StatusKind::Idle
                | StatusKind::NeverHealthy
                | StatusKind::Gone
                | StatusKind::HalfRolledBack
                | StatusKind::Stuck => StepState::Failed,
            };
            self.handle.step(
                Step::Stack,
                state,
                format!("stack {}: {}", stack.name, stack.status),
            );
            self.told_status.clone_from(&stack.status);
        }
    }

    /// Tells what is new of the stack, each event once.
    pub(super) fn tell_events(&mut self) {
        let new: Vec<StackEvent> = self
            .our_events()
            .filter(|event| !self.told_events.contains(&event.id))
            .cloned()
            .collect();
        for event in new.into_iter().rev() {
            if event.resource_type == "AWS::Logs::LogGroup" && event.status == "CREATE_COMPLETE" {
                self.progress.log_group = Some(event.physical_id.clone());
            }
            self.handle.emit(Event::StackResource(wire::stack_event(&event)));
            self.told_events.insert(event.id);
        }
    }
}
