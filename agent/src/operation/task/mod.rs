//! The driver of `RunTask`: make the task's definition, look whether an earlier send
//! of the operation started the task, start it once ([`send`]), follow it to its end
//! ([`follow`]). What was decided and why is in [`towline_agent_domain::task`].

mod follow;
mod log;
mod send;

use jiff::Timestamp;
use towline_agent_domain::{
    observed::{ClusterRef, TaskDefinition, one_off::ServicePlacement},
    outside::{Account, CallError},
    task::{
        placement::{Placement, placement},
        revision::{TaskRevision, TaskRevisionError, task_revision},
        spec::{TaskSpec, started_by},
        start::{StartDecision, StartView, start},
    },
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{Ending, Handle, Interruption, Surroundings, registration::register};
use follow::Following;

/// A one-off task, checked.
#[derive(Clone, Debug)]
pub(crate) struct TaskOrder {
    pub at: ClusterRef,
    pub spec: TaskSpec,
    /// The operation was sent before.
    pub repeated_send: bool,
    /// By the sender's clock.
    pub first_sent: Option<Timestamp>,
}

/// Carries a task out, to its verdict.
pub(crate) async fn run_task<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    order: &TaskOrder,
) -> Ending {
    let driver = Once {
        surroundings,
        handle,
        order,
    };
    driver.run().await.unwrap_or_else(|ending| ending)
}

struct Once<'a, A> {
    surroundings: &'a Surroundings<A>,
    handle: &'a Handle,
    order: &'a TaskOrder,
}

/// What is to run, and where.
struct Prepared {
    revision: TaskRevision,
    placement: Placement,
}

impl<A: Account> Once<'_, A> {
    async fn run(&self) -> Result<Ending, Ending> {
        let prepared = self.prepare().await?;
        match self.decide(prepared.revision.next.family()).await? {
            StartDecision::Follow(task) => {
                self.handle.started(true);
                let detail = format!("task {} is there already, {}", task.id(), task.last_status);
                self.handle.step(Step::Task, StepState::Started, detail);
                Following::of(self, &prepared, *task, true).into_ending().await
            }
            StartDecision::Run => {
                self.handle.started(false);
                self.may_begin("no task was started")?;
                let region = &self.order.at.region;
                let next = &prepared.revision.next;
                let definition = register(self.surroundings, self.handle, region, next, None).await?;
                let task = self.send(&prepared, &definition).await?;
                Following::of(self, &prepared, task, false).into_ending().await
            }
            StartDecision::Forgotten => Err(self.forgotten()),
            StartDecision::KeepLooking => Err(Ending::new(
                Reason::UnexpectedState,
                "whether the task was started could not be decided",
            )),
        }
    }

    /// The definition and the place of the task.
    async fn prepare(&self) -> Result<Prepared, Ending> {
        let spec = &self.order.spec;
        let like = match &spec.like {
            Some(service) => Some(self.like(service).await?),
            None => None,
        };
        let runs = like.as_ref().and_then(|like| like.task_definition.as_ref());
        let base = match (&spec.base, runs) {
            (Some(base), _) => base.clone(),
            (None, Some(runs)) => runs.0.clone(),
            (None, None) => {
                return Err(Ending::new(
                    Reason::TaskDefinitionUnusable,
                    format!("task {} has no task definition to be made from", spec.name),
                )
                .hint("name one, or a service that runs one"));
            }
        };
        let base = self.definition(&base).await?;
        let revision =
            task_revision(&base, spec, &self.surroundings.tags).map_err(|error| unusable(&error))?;
        let placement = placement(spec, like.as_ref(), &base)?;
        Ok(Prepared { revision, placement })
    }

    async fn like(&self, service: &str) -> Result<ServicePlacement, Ending> {
        let (at, aws) = (&self.order.at, &self.surroundings.aws);
        let what = format!("describe service {service}");
        let found = self.handle.read(&what, || aws.placement(at, service)).await?;
        found.ok_or_else(|| {
            Ending::new(
                Reason::ServiceNotFound,
                format!(
                    "there is no service {service} in {}, which task {} is to be like",
                    at.cluster, self.order.spec.name
                ),
            )
            .hint("deploy the service first, or give the task a task definition and a network of its own")
        })
    }

    async fn definition(&self, reference: &str) -> Result<TaskDefinition, Ending> {
        let region = &self.order.at.region;
        let aws = &self.surroundings.aws;
        let read = || async {
            match aws.task_definition(region, reference).await {
                Ok(definition) => Ok(Some(definition)),
                Err(CallError::Missing { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let what = format!("describe task definition {reference}");
        let found = self.handle.read(&what, read).await?;
        found.ok_or_else(|| {
            Ending::new(
                Reason::TaskDefinitionUnusable,
                format!("there is no task definition {reference} in this region"),
            )
            .hint("compare its family and revision with ECS")
        })
    }

    /// Looks for what an earlier send did, as long as that may not show yet.
    async fn decide(&self, family: &str) -> Result<StartDecision, Ending> {
        let clock = self.handle.clock();
        let since = clock.instant();
        let ours = started_by(self.handle.id());
        let mut waiting = false;
        loop {
            let settled = clock.instant().duration_since(since) >= self.surroundings.timing.settle;
            let (at, aws) = (&self.order.at, &self.surroundings.aws);
            let what = format!("list the tasks of {family}");
            let of_family = self
                .handle
                .read(&what, || aws.tasks_of_family(at, family))
                .await?;
            let decision = start(&StartView {
                of_family: &of_family,
                started_by: &ours,
                repeated_send: self.order.repeated_send,
                first_sent: self.order.first_sent,
                now: clock.now(),
                settled,
            });
            if decision != StartDecision::KeepLooking {
                return Ok(decision);
            }
            if !std::mem::replace(&mut waiting, true) {
                let detail = "no task of an earlier send is to be seen; looking again";
                self.handle.step(Step::Preflight, StepState::Started, detail);
            }
            // Also whoever is told to stop must know what there is to be stopped.
            clock.sleep(self.surroundings.timing.poll).await;
        }
    }

    /// Nothing is running; the last moment at which nothing need.
    fn may_begin(&self, so_far: &str) -> Result<(), Ending> {
        match self.handle.interruption() {
            Some(by) => Err(self.not_begun(by, so_far)),
            None => Ok(()),
        }
    }

    fn not_begun(&self, by: Interruption, so_far: &str) -> Ending {
        let name = &self.order.spec.name;
        match by {
            Interruption::Cancel(_) => Ending::new(
                Reason::Cancelled,
                format!("cancelled before task {name} was started; {so_far}"),
            ),
            Interruption::Deadline => Ending::new(
                Reason::DeadlineExceeded,
                format!("the deadline came before task {name} was started; {so_far}"),
            )
            .hint("give the operation a later deadline"),
        }
    }

    fn forgotten(&self) -> Ending {
        let name = &self.order.spec.name;
        self.handle.started(false);
        Ending::new(
            Reason::Unknown,
            format!(
                "task {name} was sent long ago, and ECS forgets a task an hour after its end: it may have run, and is not run again"
            ),
        )
        .hint("look at the logs of its container, and at what it was to change; then run it again as a new operation, or not")
    }
}

fn unusable(error: &TaskRevisionError) -> Ending {
    Ending::new(Reason::TaskDefinitionUnusable, error.to_string()).hint(error.hint())
}
