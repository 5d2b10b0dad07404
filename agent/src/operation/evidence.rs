//! What dead containers left behind. Their last lines are read as soon as they
//! die, because a log group goes away with a first creation that is taken back.
//! Best effort: a log that cannot be read is said, and is no reason to lose the verdict.

use towline_agent_domain::{
    observed::{LoggedLine, StackEvent, StoppedTask, TaskDefinition, TaskDefinitionArn},
    outside::{Account, Answer},
    rollout::crash_loop::died,
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
/// Looks at a log that is still empty: lines arrive a moment after their container's end.
const LOOKS: u32 = 8;

/// Why a rollout failed, with all that can be found out.
pub(super) async fn explain<A: Account>(
    follower: &mut Follower<'_, A>,
    stack_events: &[StackEvent],
) -> Diagnosis {
    while follower.read_logs().await {
        let (handle, timing) = (follower.handle(), follower.surroundings().timing);
        handle.clock().sleep(timing.poll).await;
    }
    let service_events = follower.last().map(|service| service.events.as_slice());
    diagnose(&Findings {
        task_definition: Some(&follower.ours.task_definition),
        since: follower.since(),
        stopped: follower.stopped(),
        logs: follower.logs(),
        service_events: service_events.unwrap_or_default(),
        stack_events,
    })
}

/// The last lines of the dead containers of one revision.
#[derive(Debug, Default)]
pub(super) struct DeadLogs {
    definition: Option<TaskDefinition>,
    read: Vec<ContainerLog>,
    looks: u32,
}

impl DeadLogs {
    pub(super) fn read(&self) -> &[ContainerLog] {
        &self.read
    }

    /// Reads what is not read yet. True: some log is still empty, and may be worth another look.
    pub(super) async fn gather<A: Account>(
        &mut self,
        surroundings: &Surroundings<A>,
        handle: &Handle,
        revision: &TaskDefinitionArn,
        region: &str,
        stopped: &[StoppedTask],
    ) -> bool {
        let unread: Vec<(&StoppedTask, &str)> = newest_of_each(revision, stopped)
            .into_iter()
            .filter(|(_, container)| self.read.iter().all(|log| log.container != *container))
            .collect();
        if unread.is_empty() || self.looks >= LOOKS {
            return false;
        }
        self.looks += 1;
        let last_look = self.looks == LOOKS;
        let definition = match self.definition(surroundings, region, revision).await {
            Ok(definition) => definition,
            Err(error) => {
                return waits_or_tells(handle, last_look, &format!("cannot describe {revision}: {error}"));
            }
        };
        let mut waits = false;
        for (task, container) in unread {
            let Some(source) = log_source(&definition, container, &task.id) else {
                continue;
            };
            let LogSource {
                region,
                group,
                stream,
            } = &source;
            match surroundings
                .aws
                .last_log_lines(region, group, stream, LINES)
                .await
            {
                Ok(lines) if lines.is_empty() => waits = true,
                Ok(lines) => self.keep(handle, task, container, lines),
                Err(error) => {
                    let message = format!("cannot read log stream {stream} of {group}: {error}");
                    waits |= waits_or_tells(handle, last_look, &message);
                }
            }
        }
        waits && !last_look
    }

    fn keep(&mut self, handle: &Handle, task: &StoppedTask, container: &str, lines: Vec<LoggedLine>) {
        for line in &lines {
            handle.emit(Event::LogLine(wire::log_line(&task.id, container, line)));
        }
        self.read.push(ContainerLog {
            task: task.id.clone(),
            container: container.to_owned(),
            lines,
        });
    }

    async fn definition<A: Account>(
        &mut self,
        surroundings: &Surroundings<A>,
        region: &str,
        revision: &TaskDefinitionArn,
    ) -> Answer<TaskDefinition> {
        if let Some(definition) = &self.definition {
            return Ok(definition.clone());
        }
        let read = surroundings.aws.task_definition(region, &revision.0).await?;
        Ok(self.definition.insert(read).clone())
    }
}

/// True while another look is worth it; after the last one it says what was missed.
fn waits_or_tells(handle: &Handle, last_look: bool, message: &str) -> bool {
    if last_look {
        let hint = "the agent's role needs logs:GetLogEvents and ecs:DescribeTaskDefinition";
        handle.finding(Severity::Warning, "logs_unreadable", message, hint);
    }
    !last_look
}

/// The dead containers that are worth reading, of each the newest: the others said the same.
fn newest_of_each<'s>(
    revision: &TaskDefinitionArn,
    stopped: &'s [StoppedTask],
) -> Vec<(&'s StoppedTask, &'s str)> {
    let mut newest: Vec<(&StoppedTask, &str)> = Vec::new();
    let dead = |task: &&StoppedTask| task.task_definition == *revision && died(task);
    for task in stopped.iter().filter(dead) {
        for container in telling_containers(task) {
            if newest.iter().all(|(_, known)| *known != container) {
                newest.push((task, container));
            }
        }
    }
    newest.truncate(MOST_LOGS);
    newest
}
