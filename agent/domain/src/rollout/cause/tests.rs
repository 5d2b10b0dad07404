//! The words by which AWS tells why a task died, and what they mean.

use super::*;
use crate::observed::LoggedLine;
use crate::sample::{at, exited};

fn failed_to_start(reason: &str) -> StoppedTask {
    let mut task = exited("t1", "orders:2", 1, 10);
    task.stop_code = "TaskFailedToStart".to_owned();
    task.reason = reason.to_owned();
    task.containers[0].exit_code = None;
    task
}

fn container(code: Option<i32>, reason: &str) -> StoppedTask {
    let mut task = exited("t1", "orders:2", 1, 10);
    task.containers[0].exit_code = code;
    task.containers[0].reason = reason.to_owned();
    task
}

#[test]
fn aws_words_and_the_cause_that_they_name() {
    let secret = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret X";
    let on_an_instance = "Fetching secret data from AWS Secrets Manager in region eu-west-1: secret X: ResourceNotFoundException: Secrets Manager can't find the specified secret.";
    let parameter = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: invalid ssm parameters: /a";
    let login = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError";
    let no_right = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr image: AccessDeniedException";
    let logger = "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: The specified log group does not exist.";
    let platform = "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/arm64'";
    let addresses = "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-1': InsufficientFreeAddressesInSubnet";
    let table = [
        (
            failed_to_start("CannotPullContainerError: orders:9: not found"),
            Kind::CannotPull,
        ),
        (failed_to_start(login), Kind::CannotPull),
        (failed_to_start(no_right), Kind::CannotPull),
        (failed_to_start(platform), Kind::WrongArchitecture),
        (failed_to_start(secret), Kind::Secret),
        (failed_to_start(on_an_instance), Kind::Secret),
        (
            failed_to_start("Timeout waiting for network interface provisioning to complete."),
            Kind::CannotStart,
        ),
        (failed_to_start(parameter), Kind::Secret),
        (failed_to_start(logger), Kind::CannotStart),
        (
            failed_to_start("ECS was unable to assume the role 'arn:aws:iam::1:role/x'"),
            Kind::CannotStart,
        ),
        (failed_to_start(addresses), Kind::NoCapacity),
        (
            failed_to_start("Capacity is unavailable at this time. Please try again later"),
            Kind::NoCapacity,
        ),
        (
            container(None, "CannotStartContainerError: exec: \"/nope\": no such file"),
            Kind::CannotStart,
        ),
        (
            container(
                Some(137),
                "OutOfMemoryError: Container killed due to memory usage",
            ),
            Kind::OutOfMemory,
        ),
        (container(Some(1), ""), Kind::Exited),
    ];
    for (task, kind) in table {
        assert_eq!(of(&task, &[]).kind, kind, "{task:?}");
    }
}

#[test]
fn the_two_kinds_of_health_checks_are_told_apart() {
    let stopped = |reason: &str| {
        let mut task = exited("t1", "orders:2", 143, 10);
        task.stop_code = "ServiceSchedulerInitiated".to_owned();
        task.reason = reason.to_owned();
        of(&task, &[]).kind
    };
    assert_eq!(
        stopped("Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)"),
        Kind::Targets
    );
    assert_eq!(stopped("Task failed container health checks"), Kind::HealthCheck);
}

#[test]
fn another_cpu_shows_in_the_log_alone() {
    let task = container(Some(255), "");
    let log = ContainerLog {
        task: "t1".to_owned(),
        container: "app".to_owned(),
        lines: vec![LoggedLine {
            at: at(9),
            message: "exec /usr/bin/orders: exec format error".to_owned(),
        }],
    };
    assert_eq!(of(&task, &[]).kind, Kind::Exited);
    let logs = [log];
    assert_eq!(of(&task, &logs).kind, Kind::WrongArchitecture);
    // Only one log of each container is read; its like ended alike.
    let mut another = container(Some(255), "");
    another.id = "t2".to_owned();
    assert_eq!(of(&another, &logs).kind, Kind::WrongArchitecture);
    another.containers[0].exit_code = Some(1);
    assert_eq!(of(&another, &logs).kind, Kind::Exited);
}

#[test]
fn every_kind_has_a_stable_word_of_a_failure() {
    use crate::verdict::Verdict;
    let kinds = [
        Kind::CannotPull,
        Kind::Secret,
        Kind::WrongArchitecture,
        Kind::CannotStart,
        Kind::NoCapacity,
        Kind::OutOfMemory,
        Kind::HealthCheck,
        Kind::Targets,
    ];
    let words = kinds.map(Kind::reason);
    assert!(Reason::CAUSES.iter().all(|cause| words.contains(cause)));
    assert_eq!(words.len(), Reason::CAUSES.len());
    assert!(
        kinds
            .iter()
            .all(|kind| kind.reason().verdict() == Verdict::Failed)
    );
}
