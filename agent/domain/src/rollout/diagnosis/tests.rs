use serde_json::json;

use super::*;
use crate::observed::StoppedContainer;
use crate::sample::{arn, at, exited};

fn log(task: &str, lines: &[&str]) -> ContainerLog {
    ContainerLog {
        task: task.to_owned(),
        container: "app".to_owned(),
        lines: lines
            .iter()
            .map(|line| LoggedLine {
                at: at(0),
                message: (*line).to_owned(),
            })
            .collect(),
    }
}

fn stopped(code: &str, reason: &str) -> StoppedTask {
    let mut task = exited("t", "web:2", 1, 10);
    task.stop_code = code.to_owned();
    task.reason = reason.to_owned();
    task.containers.clear();
    task
}

fn cause_of(task: StoppedTask) -> (String, String) {
    let found = diagnose(&Findings {
        stopped: &[task],
        ..Findings::default()
    });
    (found.root_cause, found.hint)
}

#[test]
fn a_crash_is_told_with_its_exit_code_and_last_line() {
    let tasks = [exited("t1", "web:2", 3, 10), exited("t2", "web:2", 3, 20)];
    let logs = [
        log("t1", &["starting"]),
        log("t2", &["starting", "fatal: no database", " "]),
    ];
    let revision = arn("web:2");
    let found = diagnose(&Findings {
        task_definition: Some(&revision),
        stopped: &tasks,
        logs: &logs,
        ..Findings::default()
    });
    assert_eq!(
        found.root_cause,
        "container app exited with code 3; its last line: fatal: no database (2 tasks)"
    );
    assert_eq!(found.stopped_tasks[0].id, "t2", "newest first");
}

#[test]
fn what_is_not_of_this_rollout_is_left_out() {
    let mut on_purpose = exited("t3", "web:2", 1, 30);
    on_purpose.stop_code = "ServiceSchedulerInitiated".to_owned();
    on_purpose.reason = "Scaling activity initiated by deployment".to_owned();
    let tasks = [
        exited("t1", "web:1", 1, 20),
        exited("t2", "web:2", 1, -5),
        on_purpose,
    ];
    let revision = arn("web:2");
    let found = diagnose(&Findings {
        task_definition: Some(&revision),
        since: Some(at(0)),
        stopped: &tasks,
        ..Findings::default()
    });
    assert_eq!(found, Diagnosis::default());
}

#[test]
fn the_container_that_ended_the_task_is_blamed_not_those_that_ecs_killed_then() {
    let mut task = exited("t", "web:2", 137, 10);
    task.containers.push(StoppedContainer {
        name: "worker".to_owned(),
        exit_code: Some(2),
        reason: String::new(),
    });
    assert_eq!(telling_containers(&task), ["worker", "app"]);
    assert_eq!(cause_of(task).0, "container worker exited with code 2");
}

#[test]
fn each_cause_has_its_sentence_and_its_next_step() {
    let pull = "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref \
                r/web:9: r/web:9: not found";
    for (task, words, hint) in [
        (
            stopped("TaskFailedToStart", pull),
            "the image cannot be pulled",
            "tag exists",
        ),
        (
            stopped("TaskFailedToStart", "CannotPullContainerError: 403 Forbidden"),
            "the image cannot be pulled",
            "execution role",
        ),
        (
            stopped(
                "TaskFailedToStart",
                "ResourceInitializationError: unable to pull secrets or registry auth: secret db: not found",
            ),
            "a secret cannot be read",
            "secret exists",
        ),
        (
            stopped(
                "EssentialContainerExited",
                "OutOfMemoryError: Container killed due to memory usage",
            ),
            "ran out of memory",
            "more memory",
        ),
        (
            stopped(
                "ServiceSchedulerInitiated",
                "Task failed ELB health checks in (target-group tg)",
            ),
            "the load balancer's health check fails",
            "path and port",
        ),
        (
            stopped("TaskFailedToStart", "Capacity is unavailable at this time."),
            "no capacity",
            "later",
        ),
        (exited("t", "web:2", 0, 1), "exited with code 0", "must not end"),
    ] {
        let (cause, next) = cause_of(task);
        assert!(cause.contains(words), "{cause}");
        assert!(next.contains(hint), "{cause}: {next}");
    }
}

#[test]
fn another_architecture_is_read_from_the_log() {
    let tasks = [exited("t", "web:2", 255, 1)];
    let logs = [log("t", &["exec /app: exec format error"])];
    let found = diagnose(&Findings {
        stopped: &tasks,
        logs: &logs,
        ..Findings::default()
    });
    assert!(
        found.root_cause.contains("another CPU architecture"),
        "{}",
        found.root_cause
    );
}

fn resource(kind: &str, status: &str, reason: &str) -> StackEvent {
    StackEvent {
        id: String::new(),
        logical_id: kind.rsplit(':').next().unwrap().to_owned(),
        physical_id: String::new(),
        resource_type: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        token: None,
        at: at(0),
    }
}

#[test]
fn a_stack_fails_by_its_first_failure_and_a_service_by_its_tasks() {
    let service = resource("AWS::ECS::Service", "UPDATE_FAILED", "circuit breaker");
    let role = resource(
        "AWS::IAM::Role",
        "CREATE_FAILED",
        "not authorized to perform iam:CreateRole",
    );
    let follows = resource(
        "AWS::Logs::LogGroup",
        "CREATE_FAILED",
        "Resource creation cancelled",
    );
    let tasks = [exited("t", "web:2", 1, 1)];

    let events = [follows, role];
    let found = diagnose(&Findings {
        stopped: &tasks,
        stack_events: &events,
        ..Findings::default()
    });
    assert!(
        found
            .root_cause
            .starts_with("Role (AWS::IAM::Role) is CREATE_FAILED"),
        "{}",
        found.root_cause
    );

    let events = [service];
    let found = diagnose(&Findings {
        stopped: &tasks,
        stack_events: &events,
        ..Findings::default()
    });
    assert_eq!(found.root_cause, "container app exited with code 1");
    assert!(
        found.details[0].contains("circuit breaker"),
        "{:?}",
        found.details
    );
}

#[test]
fn of_two_failures_the_first_is_the_cause() {
    let service = resource("AWS::ECS::Service", "CREATE_FAILED", "circuit breaker");
    let rule = resource(
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "CREATE_FAILED",
        "Priority '5' is currently in use",
    );
    let cancelled = resource(
        "AWS::Logs::LogGroup",
        "CREATE_FAILED",
        "Resource creation cancelled",
    );
    let died = [exited("t1", "web:2", 1, 10)];
    let cause = |newest_first: [StackEvent; 3]| {
        let found = diagnose(&Findings {
            stopped: &died,
            stack_events: &newest_first,
            ..Findings::default()
        });
        (found.root_cause, found.details)
    };

    let (root, details) = cause([rule.clone(), service.clone(), cancelled.clone()]);
    assert!(root.starts_with("container app exited with code 1"), "{root}");
    assert!(
        details[0].starts_with("Service "),
        "its own words come next: {details:?}"
    );

    let (root, details) = cause([service, rule, cancelled]);
    assert!(root.contains("Priority '5' is currently in use"), "{root}");
    assert!(
        details[0].starts_with("container app exited"),
        "what the tasks died of is told all the same: {details:?}"
    );
}

#[test]
fn without_tasks_ecs_own_words_are_the_cause() {
    let event = |message: &str, seconds| ServiceEvent {
        id: String::new(),
        message: message.to_owned(),
        at: at(seconds),
    };
    let events = [
        event("(service web) has reached a steady state.", 20),
        event(
            "(service web) was unable to place a task because no container instance met its requirements.",
            10,
        ),
        event("(service web) was unable to place a task long ago.", -10),
    ];
    let found = diagnose(&Findings {
        since: Some(at(0)),
        service_events: &events,
        ..Findings::default()
    });
    assert!(
        found.root_cause.contains("no container instance"),
        "{}",
        found.root_cause
    );
    assert!(found.details.is_empty(), "{:?}", found.details);
    assert!(found.hint.contains("make room"));
}

#[test]
fn the_log_stream_is_found_in_the_task_definition() {
    let json = json!({ "containerDefinitions": [{
        "name": "app",
        "logConfiguration": { "logDriver": "awslogs", "options": {
            "awslogs-group": "/orders", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs",
        } },
    }] });
    let definition = TaskDefinition {
        definition: json.as_object().unwrap().clone(),
        tags: vec![],
    };
    let source = log_source(&definition, "app", "0a1b").unwrap();
    assert_eq!(
        (source.group.as_str(), source.stream.as_str()),
        ("/orders", "ecs/app/0a1b")
    );
    assert_eq!(log_source(&definition, "other", "0a1b"), None);
}
