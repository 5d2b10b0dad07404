//! What dead containers left behind: their last lines, read once an operation has
//! failed. Best effort: a log that cannot be read is said, and is no reason to
//! lose the verdict.

use towline_agent_domain::{
    observed::{StackEvent, StoppedTask, TaskDefinitionArn},
    outside::Account,
    rollout::diagnosis::{
        ContainerLog, Diagnosis, Findings, LogSource, diagnose, log_source, telling_containers,
    },
};
use towline_proto::agent::v1::{Severity, operation_event::Event};

use super::{Handle, Surroundings, follow::Follower};
use crate::wire;

/// Lines that are read of each container.
const LINES: u32 = 20;
/// Containers whose logs are read.
const MOST_LOGS: usize = 3;
/// Looks at an empty log: lines arrive a moment after their container's end.
const LOOKS: u32 = 4;

/// Why a rollout failed, with all that can be found out.
pub(super) async fn explain<A: Account>(
    follower: &Follower<'_, A>,
    stack_events: &[StackEvent],
) -> Diagnosis {
    let revision = &follower.ours.task_definition;
    let reader = Reader {
        surroundings: follower.surroundings(),
        handle: follower.handle(),
        region: &follower.at().region,
    };
    let logs = reader.logs(revision, follower.stopped()).await;
    let service_events = follower.last().map(|service| service.events.as_slice());
    diagnose(&Findings {
        task_definition: Some(revision),
        since: follower.since(),
        stopped: follower.stopped(),
        logs: &logs,
        service_events: service_events.unwrap_or_default(),
        stack_events,
    })
}

/// The dead containers that are worth reading, of each the newest: the others said the same.
fn newest_of_each<'s>(
    revision: &TaskDefinitionArn,
    stopped: &'s [StoppedTask],
) -> Vec<(&'s StoppedTask, &'s str)> {
    let mut newest: Vec<(&StoppedTask, &str)> = Vec::new();
    for task in stopped.iter().filter(|task| task.task_definition == *revision) {
        for container in telling_containers(task) {
            if newest.iter().all(|(_, known)| *known != container) {
                newest.push((task, container));
            }
        }
    }
    newest.truncate(MOST_LOGS);
    newest
}

struct Reader<'a, A> {
    surroundings: &'a Surroundings<A>,
    handle: &'a Handle,
    region: &'a str,
}

impl<A: Account> Reader<'_, A> {
    async fn logs(&self, revision: &TaskDefinitionArn, stopped: &[StoppedTask]) -> Vec<ContainerLog> {
        let dead: Vec<(&StoppedTask, &str)> = stopped
            .iter()
            .filter(|task| task.task_definition == *revision)
            .flat_map(|task| telling_containers(task).into_iter().map(move |name| (task, name)))
            .take(MOST_LOGS)
            .collect();
        if dead.is_empty() {
            return Vec::new();
        }
        let definition = match self
            .surroundings
            .aws
            .task_definition(self.region, &revision.0)
            .await
        {
            Ok(definition) => definition,
            Err(error) => {
                self.unreadable(&format!("cannot describe {revision}: {error}"));
                return Vec::new();
            }
        };
        let mut logs = Vec::new();
        for (task, container) in dead {
            if let Some(source) = log_source(&definition, container, &task.id) {
                logs.extend(self.log(task, container, &source).await);
            }
        }
        logs
    }

    async fn log(&self, task: &StoppedTask, container: &str, source: &LogSource) -> Option<ContainerLog> {
        let LogSource {
            region,
            group,
            stream,
        } = source;
        for look in 1..=LOOKS {
            let lines = self
                .surroundings
                .aws
                .last_log_lines(region, group, stream, LINES)
                .await;
            match lines {
                Ok(lines) if !lines.is_empty() => {
                    for line in &lines {
                        self.handle
                            .emit(Event::LogLine(wire::log_line(&task.id, container, line)));
                    }
                    return Some(ContainerLog {
                        task: task.id.clone(),
                        container: container.to_owned(),
                        lines,
                    });
                }
                Err(error) if look == LOOKS => {
                    self.unreadable(&format!("cannot read log stream {stream} of {group}: {error}"));
                }
                Ok(_) | Err(_) => {}
            }
            if look < LOOKS {
                self.handle.clock().sleep(self.surroundings.timing.poll).await;
            }
        }
        None
    }

    fn unreadable(&self, message: &str) {
        let hint = "the agent's role needs logs:GetLogEvents and ecs:DescribeTaskDefinition";
        self.handle
            .finding(Severity::Warning, "logs_unreadable", message, hint);
    }
}
