//! How a one-off task ended. The exit code of its container decides, where the
//! container ended by itself; a task that was stopped has none that counts.

use crate::observed::StoppedTask;
use crate::observed::one_off::{ObservedTask, Unplaced};
use crate::rollout::diagnosis::{ContainerLog, Diagnosis, Findings, diagnose};
use crate::verdict::Reason;

/// Why this operation stops a task. ECS shows the words with the task, so that whoever
/// comes later knows as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoppedFor {
    /// Its time was up.
    Timeout,
    /// The operation's deadline came.
    Deadline,
    /// A person said so.
    Cancel,
}

impl StoppedFor {
    const ALL: [Self; 3] = [Self::Timeout, Self::Deadline, Self::Cancel];

    /// StopTask's reason.
    pub fn words(self) -> &'static str {
        match self {
            Self::Timeout => "Stopped by Towline: its time was up",
            Self::Deadline => "Stopped by Towline: the operation's deadline came",
            Self::Cancel => "Stopped by Towline: cancelled",
        }
    }

    /// Why Towline stopped a task; `None`: somebody else did, or nobody.
    pub fn of(task: &ObservedTask) -> Option<Self> {
        let by_request = task.stop_code == "UserInitiated";
        let all = Self::ALL.into_iter();
        all.filter(|_| by_request)
            .find(|why| task.stopped_reason == why.words())
    }
}

/// A verdict on a task, for a person and for scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    pub reason: Reason,
    pub summary: String,
    /// Better than the reason's own; else empty.
    pub hint: String,
    /// Empty on success.
    pub diagnosis: Diagnosis,
    pub exit_code: Option<i32>,
}

/// What ECS says of a task that it found no place for.
const NO_PLACE: [&str; 3] = ["RESOURCE:", "EMPTY CAPACITY PROVIDER", "ATTRIBUTE"];

/// Judges a stopped task by its container. `logs` are its containers' last lines.
pub fn judge(name: &str, exit_container: &str, task: &ObservedTask, logs: &[ContainerLog]) -> TaskEnd {
    let code = task.exit_code(exit_container);
    let end = |reason, summary| TaskEnd {
        reason,
        summary,
        hint: String::new(),
        diagnosis: Diagnosis::default(),
        exit_code: code,
    };
    if let Some(why) = StoppedFor::of(task) {
        let (reason, summary) = match why {
            StoppedFor::Timeout => (
                Reason::TaskTimedOut,
                format!("task {name} took longer than it may, and was stopped"),
            ),
            StoppedFor::Deadline => (
                Reason::TaskTimedOut,
                format!("the deadline came while task {name} ran, and it was stopped"),
            ),
            StoppedFor::Cancel => (
                Reason::Cancelled,
                format!("task {name} was cancelled, and was stopped"),
            ),
        };
        return TaskEnd {
            diagnosis: with_logs(Diagnosis::default(), task, logs),
            ..end(reason, summary)
        };
    }
    match (task.stop_code.as_str(), code) {
        ("EssentialContainerExited", Some(0)) => end(
            Reason::Completed,
            format!("task {name} ended: {exit_container} exited with code 0"),
        ),
        ("EssentialContainerExited", Some(_)) => exited(end, name, exit_container, task, logs),
        ("UserInitiated" | "SpotInterruption" | "TerminationNotice" | "ServiceSchedulerInitiated", _) => {
            let words = match task.stopped_reason.as_str() {
                "" => task.stop_code.clone(),
                words => words.to_owned(),
            };
            let diagnosis = Diagnosis {
                root_cause: format!("the task was stopped ({}): {words}", task.stop_code),
                ..Diagnosis::default()
            };
            TaskEnd {
                diagnosis: with_logs(diagnosis, task, logs),
                ..end(
                    Reason::TaskStopped,
                    format!("task {name} was stopped before it ended: {words}"),
                )
            }
        }
        _ => did_not_run(end, name, task, logs),
    }
}

/// The container ended by itself, and not well. The others were stopped because of it:
/// what they exited with says nothing.
fn exited(
    end: impl Fn(Reason, String) -> TaskEnd,
    name: &str,
    exit_container: &str,
    task: &ObservedTask,
    logs: &[ContainerLog],
) -> TaskEnd {
    let mut alone = task.as_stopped();
    alone
        .containers
        .retain(|container| container.name == exit_container);
    let diagnosis = diagnosed(&alone, logs);
    let reason = match diagnosis.cause {
        Some(Reason::CrashLooping) | None => Reason::TaskFailed,
        Some(cause) => cause,
    };
    let summary = format!("task {name} failed: {}", diagnosis.root_cause);
    // A service's container must not end; a task's may.
    let hint = match reason {
        Reason::TaskFailed => String::new(),
        _ => diagnosis.hint.clone(),
    };
    TaskEnd {
        hint,
        diagnosis: Diagnosis {
            stopped_tasks: vec![task.as_stopped()],
            ..diagnosis
        },
        ..end(reason, summary)
    }
}

/// Its container never ran, or ECS does not say how it ended.
fn did_not_run(
    end: impl Fn(Reason, String) -> TaskEnd,
    name: &str,
    task: &ObservedTask,
    logs: &[ContainerLog],
) -> TaskEnd {
    let stopped = task.as_stopped();
    let diagnosis = diagnosed(&stopped, logs);
    let no_place = NO_PLACE.iter().any(|words| stopped.reason.contains(words));
    let reason = match diagnosis.cause {
        _ if no_place => Reason::NoCapacity,
        Some(Reason::CrashLooping) | None => Reason::CannotStart,
        Some(cause) => cause,
    };
    TaskEnd {
        hint: diagnosis.hint.clone(),
        ..end(
            reason,
            format!("task {name} did not run: {}", diagnosis.root_cause),
        )
    }
    .with(diagnosis)
}

impl TaskEnd {
    fn with(self, diagnosis: Diagnosis) -> Self {
        Self { diagnosis, ..self }
    }
}

fn diagnosed(task: &StoppedTask, logs: &[ContainerLog]) -> Diagnosis {
    diagnose(&Findings {
        task_definition: Some(&task.task_definition),
        stopped: std::slice::from_ref(task),
        logs,
        ..Findings::default()
    })
}

fn with_logs(diagnosis: Diagnosis, task: &ObservedTask, logs: &[ContainerLog]) -> Diagnosis {
    Diagnosis {
        stopped_tasks: vec![task.as_stopped()],
        logs: logs.to_vec(),
        ..diagnosis
    }
}

/// ECS found no place for the task.
pub fn not_placed(name: &str, failures: &[Unplaced]) -> TaskEnd {
    let said = failures.iter().map(|failure| match failure.detail.as_str() {
        "" => failure.reason.clone(),
        detail => format!("{} ({detail})", failure.reason),
    });
    let said = said.collect::<Vec<_>>().join("; ");
    let is = |word: &str| failures.iter().any(|failure| failure.reason.contains(word));
    let hint = if is("RESOURCE:PORTS") {
        "a port of the host is taken; give the task a definition without fixed host ports"
    } else if is("ATTRIBUTE") {
        "no instance has what the task definition asks for: its CPU architecture, or a placement constraint"
    } else if is("AGENT") {
        "the ECS agent of the instances is not connected"
    } else {
        "make room in the cluster, or give the task less to reserve; then run it again"
    };
    TaskEnd {
        reason: Reason::NoCapacity,
        summary: format!("ECS has no place for task {name}: {said}"),
        hint: hint.to_owned(),
        diagnosis: Diagnosis {
            root_cause: format!("there is no place for the task: {said}"),
            cause: Some(Reason::NoCapacity),
            ..Diagnosis::default()
        },
        exit_code: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::{LoggedLine, StoppedContainer, TaskDefinitionArn};

    fn task(stop_code: &str, reason: &str, containers: &[(&str, Option<i32>, &str)]) -> ObservedTask {
        let containers = containers
            .iter()
            .map(|(name, exit_code, reason)| StoppedContainer {
                name: (*name).to_owned(),
                exit_code: *exit_code,
                reason: (*reason).to_owned(),
            });
        ObservedTask {
            arn: "arn:aws:ecs:eu-west-1:1:task/main/abc".to_owned(),
            task_definition: TaskDefinitionArn("orders-task-migrate:1".to_owned()),
            started_by: "towline/1".to_owned(),
            last_status: "STOPPED".to_owned(),
            created: None,
            stop_code: stop_code.to_owned(),
            stopped_reason: reason.to_owned(),
            containers: containers.collect(),
            stopped: None,
        }
    }

    fn of(task: &ObservedTask) -> TaskEnd {
        judge("migrate", "app", task, &[])
    }

    #[test]
    fn only_a_container_that_ended_by_itself_with_0_is_a_success() {
        let exited = "EssentialContainerExited";
        let words = "Essential container in task exited";
        let good = of(&task(
            exited,
            words,
            &[("proxy", Some(137), ""), ("app", Some(0), "")],
        ));
        assert_eq!((good.reason, good.exit_code), (Reason::Completed, Some(0)));
        for (code, expected) in [
            ("UserInitiated", Reason::TaskStopped),
            ("SpotInterruption", Reason::TaskStopped),
            ("TerminationNotice", Reason::TaskStopped),
        ] {
            let stopped = of(&task(code, "Task stopped by user", &[("app", Some(0), "")]));
            assert_eq!(stopped.reason, expected, "it handled SIGTERM, and was not done");
        }
    }

    #[test]
    fn a_failure_is_named_by_its_container_and_not_by_its_neighbours() {
        let failed = task(
            "EssentialContainerExited",
            "Essential container in task exited",
            &[("proxy", Some(1), ""), ("app", Some(3), "")],
        );
        let logs = [ContainerLog {
            task: "abc".to_owned(),
            container: "app".to_owned(),
            lines: vec![LoggedLine {
                at: jiff::Timestamp::UNIX_EPOCH,
                message: "fatal: relation orders_v2 exists".to_owned(),
            }],
        }];
        let end = judge("migrate", "app", &failed, &logs);
        assert_eq!((end.reason, end.exit_code), (Reason::TaskFailed, Some(3)));
        assert!(
            end.summary
                .contains("app exited with code 3; its last line: fatal: relation orders_v2 exists"),
            "{}",
            end.summary
        );
        let killed = task(
            "EssentialContainerExited",
            "Essential container in task exited",
            &[(
                "app",
                Some(137),
                "OutOfMemoryError: Container killed due to memory usage",
            )],
        );
        assert_eq!(of(&killed).reason, Reason::OutOfMemory);
    }

    #[test]
    fn what_kept_it_from_running_is_named() {
        for (reason, expected) in [
            (
                "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found",
                Reason::CannotPullImage,
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: ResourceNotFoundException: secret",
                Reason::SecretNotFound,
            ),
            ("TaskFailedToStart: RESOURCE:MEMORY", Reason::NoCapacity),
            (
                "Unexpected EC2 error: InsufficientFreeAddressesInSubnet",
                Reason::NoCapacity,
            ),
            ("something new", Reason::CannotStart),
        ] {
            let end = of(&task("TaskFailedToStart", reason, &[("app", None, "")]));
            assert_eq!(end.reason, expected, "{reason}");
            assert!(
                end.summary.starts_with("task migrate did not run: "),
                "{}",
                end.summary
            );
        }
    }

    #[test]
    fn what_towline_stopped_is_known_again_by_its_words() {
        for (why, expected) in [
            (StoppedFor::Timeout, Reason::TaskTimedOut),
            (StoppedFor::Deadline, Reason::TaskTimedOut),
            (StoppedFor::Cancel, Reason::Cancelled),
        ] {
            let end = of(&task("UserInitiated", why.words(), &[("app", Some(143), "")]));
            assert_eq!(end.reason, expected);
        }
        let late = task(
            "EssentialContainerExited",
            "Essential container in task exited",
            &[("app", Some(0), "")],
        );
        assert_eq!(
            of(&late).reason,
            Reason::Completed,
            "it was done before the stop arrived"
        );
    }
}
