//! The one RunTask of an operation. ECS deduplicates it by its client token, so that a
//! lost answer is looked for first, and then asked for again with the same token.

use towline_agent_domain::{
    observed::{
        TaskDefinitionArn,
        one_off::{ObservedTask, Ran, RunTask},
    },
    outside::{Account, CallError},
    task::{
        judge::not_placed,
        spec::{client_token, started_by},
    },
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{Once, Prepared};
use crate::operation::{Ending, Interruption};

/// Sends of one request whose answers were lost.
const SENDS: u32 = 3;

/// ECS refuses a task that it has no place for in more than one way.
const NO_PLACE: [&str; 2] = ["Capacity is unavailable", "No Container Instances were found"];

impl<A: Account> Once<'_, A> {
    pub(super) async fn send(
        &self,
        prepared: &Prepared,
        definition: &TaskDefinitionArn,
    ) -> Result<ObservedTask, Ending> {
        let name = &self.order.spec.name;
        let detail = format!("task {name} of {definition}");
        self.handle
            .step(Step::Task, StepState::Started, format!("starting {detail}"));
        let sent = self.until_answered(&self.request(prepared, definition)).await;
        match &sent {
            Ok(task) => {
                let detail = format!("started {detail}: {}", task.id());
                self.handle.step(Step::Task, StepState::Started, detail);
            }
            Err(ending) => self
                .handle
                .step(Step::Task, StepState::Failed, ending.summary().to_owned()),
        }
        sent.map_err(|ending| ending.output("task_definition", definition.0.clone()))
    }

    fn request(&self, prepared: &Prepared, definition: &TaskDefinitionArn) -> RunTask {
        let placement = prepared.placement.clone();
        let tags = self.surroundings.tags.iter().chain(&self.order.spec.tags);
        let mut tags: std::collections::BTreeMap<String, String> =
            tags.map(|(key, value)| (key.clone(), value.clone())).collect();
        tags.insert("towline:operation".to_owned(), self.handle.id().to_string());
        tags.insert("towline:task".to_owned(), self.order.spec.name.to_string());
        RunTask {
            task_definition: definition.clone(),
            network: placement.network,
            capacity: placement.capacity,
            platform_version: placement.platform_version,
            client_token: client_token(self.handle.id()),
            started_by: started_by(self.handle.id()),
            tags: tags.into_iter().collect(),
        }
    }

    async fn until_answered(&self, run: &RunTask) -> Result<ObservedTask, Ending> {
        let (at, aws) = (&self.order.at, &self.surroundings.aws);
        let what = format!("run task {}", self.order.spec.name);
        let mut lost = 0;
        loop {
            // Once an answer was lost, there may be a task: only looking ends this.
            if lost == 0 {
                self.may_begin("no task was started")?;
            }
            match Box::pin(aws.run_task(at, run)).await {
                Ok(Ran::Started(task)) => return Ok(task),
                Ok(Ran::NotPlaced(failures)) => {
                    let end = not_placed(self.order.spec.name.as_str(), &failures);
                    return Err(Ending::new(end.reason, end.summary.clone())
                        .because(&end.diagnosis)
                        .hint(end.hint));
                }
                Ok(Ran::TokenTaken(tasks)) => return self.of_token(&what, tasks).await,
                Err(CallError::Throttled { message }) => {
                    tracing::info!(operation = %self.handle.id(), "cannot {what} yet: {message}");
                    let by = self.handle.pause(self.surroundings.timing.poll).await;
                    if let Some(by) = by.filter(|_| lost == 0) {
                        return Err(self.given_up(&what, by, message));
                    }
                }
                Err(CallError::Unknown { message }) => {
                    tracing::warn!(operation = %self.handle.id(), "the answer to {what} was lost: {message}");
                    lost += 1;
                    if let Some(task) = self.look(run).await? {
                        return Ok(task);
                    }
                    if lost >= SENDS || self.handle.interruption().is_some() {
                        return Err(self.not_to_be_seen(&what));
                    }
                }
                Err(error) => return Err(self.refused(&what, &error)),
            }
        }
    }

    fn refused(&self, what: &str, error: &CallError) -> Ending {
        let words = error.to_string();
        match NO_PLACE.iter().any(|no_place| words.contains(no_place)) {
            true => Ending::new(
                Reason::NoCapacity,
                format!("ECS has no place for task {}: {words}", self.order.spec.name),
            ),
            false => Ending::call(what, error),
        }
    }

    fn given_up(&self, what: &str, by: Interruption, message: String) -> Ending {
        match by {
            Interruption::Deadline => Ending::call(what, &CallError::Throttled { message }),
            by => self.not_begun(by, "no task was started"),
        }
    }

    /// The task that a request without an answer may have started.
    async fn look(&self, run: &RunTask) -> Result<Option<ObservedTask>, Ending> {
        let (at, aws) = (&self.order.at, &self.surroundings.aws);
        let clock = self.handle.clock();
        let since = clock.instant();
        let family = run.task_definition.family();
        let what = format!("list the tasks of {family}");
        loop {
            let tasks = self
                .handle
                .read(&what, || aws.tasks_of_family(at, family))
                .await?;
            let ours = tasks.into_iter().find(|task| task.started_by == run.started_by);
            if ours.is_some() || clock.instant().duration_since(since) >= self.surroundings.timing.settle {
                return Ok(ours);
            }
            clock.sleep(self.surroundings.timing.poll).await;
        }
    }

    /// The operation's token was used with another content: by an earlier send, when
    /// what the task is made from was different. Its task is this operation's.
    async fn of_token(&self, what: &str, tasks: Vec<String>) -> Result<ObservedTask, Ending> {
        let (at, aws) = (&self.order.at, &self.surroundings.aws);
        let Some(arn) = tasks.first() else {
            return Err(self.not_to_be_seen(what));
        };
        let read = format!("describe task {arn}");
        let found = self.handle.read(&read, || aws.task(at, arn)).await?;
        found.ok_or_else(|| self.not_to_be_seen(what))
    }

    fn not_to_be_seen(&self, what: &str) -> Ending {
        Ending::unknown(
            what,
            format!(
                "look in ECS for a task that was started by {}, then run it again as a new operation, or not",
                started_by(self.handle.id())
            ),
        )
    }
}
