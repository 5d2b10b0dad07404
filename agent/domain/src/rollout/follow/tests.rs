//! The verdict matrix: the situations of other tools' bug reports, each with what is true.

mod targets;

use super::*;
use crate::observed::{CircuitBreaker, LinkedTargetGroup, TargetHealth};
use crate::sample::{arn, at, exited, older, record, rolling, service, stable};

/// Running targets of ours, and the health in each group.
type Targeted = (Vec<String>, Vec<(String, Vec<TargetHealth>)>);

struct Case {
    service: Option<ObservedService>,
    ours: OurDeployment,
    misses: u32,
    records: Option<Vec<ServiceDeployment>>,
    stopped: Vec<StoppedTask>,
    targets: Option<Targeted>,
    still: jiff::SignedDuration,
    calm: bool,
}

/// Ours is deployment d2 of orders:2; before it, d1 ran orders:1.
fn case(deployments: Vec<Deployment>) -> Case {
    Case {
        service: Some(service(deployments)),
        ours: OurDeployment {
            id: Some("d2".to_owned()),
            task_definition: arn("orders:2"),
        },
        misses: 0,
        records: None,
        stopped: Vec::new(),
        targets: None,
        still: jiff::SignedDuration::ZERO,
        calm: true,
    }
}

impl Case {
    fn judge_with(&self, options: JudgeOptions) -> RolloutJudgement {
        let targets = match &self.targets {
            Some((ours, groups)) => Targets::Read { ours, groups },
            None => Targets::NotRead,
        };
        judge(
            &RolloutView {
                service: self.service.as_ref(),
                ours: &self.ours,
                misses: self.misses,
                service_deployments: self.records.as_deref(),
                stopped: &self.stopped,
                logs: &[],
                targets,
                stillness: Stillness {
                    still: self.still,
                    limit: jiff::SignedDuration::from_mins(15),
                },
                calm: self.calm,
            },
            options,
        )
    }

    fn judge(&self) -> RolloutJudgement {
        self.judge_with(JudgeOptions::default())
    }

    fn reason(&self) -> Option<Reason> {
        match self.judge() {
            RolloutJudgement::Ended { reason, .. } => Some(reason),
            _ => None,
        }
    }

    fn phase(&self) -> Option<Phase> {
        match self.judge() {
            RolloutJudgement::InProgress(progress) => Some(progress.phase),
            _ => None,
        }
    }

    fn succeeds(&self) -> bool {
        matches!(self.judge(), RolloutJudgement::Succeeded { .. })
    }
}

#[test]
fn success_is_ours_primary_completed_and_alone() {
    assert!(case(vec![stable("d2", "orders:2")]).succeeds());

    // All tasks run, and ECS has not called it complete: it may still be undone.
    let mut bake = stable("d2", "orders:2");
    bake.rollout = RolloutState::InProgress;
    let mut starting = stable("d2", "orders:2");
    starting.pending = 1;
    let mut short = stable("d2", "orders:2");
    short.running = 1;
    let mut draining = older("d1", "orders:1", RolloutState::Completed);
    draining.running = 1;
    for deployments in [
        vec![rolling("d2", "orders:2")],
        vec![bake],
        vec![starting],
        vec![short],
        vec![stable("d2", "orders:2"), draining],
    ] {
        let case = case(deployments);
        assert_eq!(case.phase(), Some(Phase::Replacing), "{:?}", case.service);
    }
}

#[test]
fn stable_after_a_breaker_rollback_is_a_failure() {
    // aws-actions/amazon-ecs-deploy-task-definition#860, fabfuel/ecs-deploy#185
    let mut case = case(vec![stable("d3", "orders:1")]);
    case.misses = MISSES_BEFORE_GONE;
    assert_eq!(
        case.judge(),
        RolloutJudgement::Needs(Evidence::ServiceDeployments)
    );
    case.records = Some(vec![
        record("orders:2", ServiceDeploymentStatus::RollbackSuccessful, 0),
        record("orders:1", ServiceDeploymentStatus::Successful, -900),
    ]);
    assert_eq!(case.reason(), Some(Reason::RolledBack));
    // The planted wrong verdict flips this and nothing else.
    let planted = JudgeOptions {
        rolled_back_is_success: true,
    };
    assert!(matches!(
        case.judge_with(planted),
        RolloutJudgement::Succeeded { .. }
    ));
    case.records = Some(vec![record(
        "orders:2",
        ServiceDeploymentStatus::RollbackFailed,
        0,
    )]);
    assert!(!matches!(
        case.judge_with(planted),
        RolloutJudgement::Succeeded { .. }
    ));
}

#[test]
fn a_rollback_under_way_is_waited_for() {
    let mut case = case(vec![
        rolling("d3", "orders:1"),
        older("d2", "orders:2", RolloutState::Failed),
    ]);
    case.misses = 1;
    case.records = Some(vec![record(
        "orders:2",
        ServiceDeploymentStatus::RollbackInProgress,
        0,
    )]);
    assert_eq!(case.phase(), Some(Phase::RollingBack));
    case.records = Some(vec![record(
        "orders:2",
        ServiceDeploymentStatus::RollbackFailed,
        0,
    )]);
    assert_eq!(case.reason(), Some(Reason::RollbackFailed));
}

#[test]
fn a_breaker_that_gives_up_without_rollback_is_a_failure() {
    // aws/containers-roadmap#1488
    let mut failed = rolling("d2", "orders:2");
    failed.rollout = RolloutState::Failed;
    failed.rollout_reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
    let mut case = case(vec![failed]);
    case.service.as_mut().unwrap().circuit_breaker = CircuitBreaker {
        enabled: true,
        ..CircuitBreaker::OFF
    };
    assert_eq!(
        case.judge(),
        RolloutJudgement::Needs(Evidence::ServiceDeployments)
    );
    case.records = Some(vec![record("orders:2", ServiceDeploymentStatus::InProgress, 0)]);
    assert_eq!(case.reason(), Some(Reason::DeploymentFailed));

    // Rollback is on, but there was nothing to go back to.
    case.service.as_mut().unwrap().circuit_breaker.rolls_back = true;
    case.records = Some(vec![record("orders:2", ServiceDeploymentStatus::InProgress, 0)]);
    assert_eq!(case.phase(), Some(Phase::RollingBack));
    case.records = Some(vec![record("orders:2", ServiceDeploymentStatus::Stopped, 0)]);
    assert_eq!(case.reason(), Some(Reason::DeploymentFailed));
}

#[test]
fn the_record_of_an_earlier_attempt_says_nothing_about_this_one() {
    let mut failed = rolling("d2", "orders:2");
    failed.rollout = RolloutState::Failed;
    failed.created = at(3600);
    let mut case = case(vec![failed]);
    case.records = Some(vec![record(
        "orders:2",
        ServiceDeploymentStatus::RollbackSuccessful,
        0,
    )]);
    assert_eq!(case.reason(), Some(Reason::DeploymentFailed));
}

#[test]
fn what_aws_does_not_show_yet_is_not_gone() {
    // hashicorp/terraform-provider-aws#24565, bugcrowd/ecs-deployment-monitor#2
    let mut missing = case(vec![]);
    missing.service = None;
    let mut stale = case(vec![stable("d1", "orders:1")]);
    for case in [&mut missing, &mut stale] {
        for misses in 1..MISSES_BEFORE_GONE {
            case.misses = misses;
            assert_eq!(case.phase(), Some(Phase::NotSeenYet));
        }
    }
    missing.misses = MISSES_BEFORE_GONE;
    assert_eq!(missing.reason(), Some(Reason::ServiceGone));
}

#[test]
fn a_newer_deployment_by_somebody_else_supersedes_ours() {
    let mut case = case(vec![
        rolling("d3", "orders:9"),
        older("d2", "orders:2", RolloutState::InProgress),
    ]);
    case.records = Some(vec![
        record("orders:9", ServiceDeploymentStatus::InProgress, 50),
        record("orders:2", ServiceDeploymentStatus::Stopped, 0),
    ]);
    case.misses = MISSES_BEFORE_GONE;
    assert_eq!(case.reason(), Some(Reason::Superseded));
    // Also when it deploys the same revision anew: it is not our deployment any more.
    case.service = Some(service(vec![stable("d3", "orders:2")]));
    assert_eq!(case.reason(), Some(Reason::Superseded));
}

#[test]
fn a_stack_that_claims_to_be_done_is_not_believed_against_its_service() {
    // aws/containers-roadmap#328: UPDATE_COMPLETE, and the old revision runs
    let mut case = case(vec![stable("d1", "orders:1")]);
    case.ours.id = None;
    case.misses = MISSES_BEFORE_GONE;
    case.records = Some(vec![record("orders:1", ServiceDeploymentStatus::Successful, 0)]);
    assert_eq!(case.reason(), Some(Reason::OtherRevisionRuns));
    case.service = Some(service(vec![stable("d9", "orders:2")]));
    assert!(case.succeeds());
}

#[test]
fn tasks_that_start_and_die_below_the_breakers_sight_end_the_rollout() {
    // aws/copilot-cli#1879 and #1369: endless waits on a crash-looping task
    let mut case = case(vec![rolling("d2", "orders:2")]);
    case.service.as_mut().unwrap().circuit_breaker = CircuitBreaker::OFF;
    case.stopped = (0..5)
        .map(|n| exited(&format!("t{n}"), "orders:2", 1, 10 + n))
        .collect();
    assert_eq!(case.reason(), Some(Reason::CrashLooping));
    case.service.as_mut().unwrap().circuit_breaker.enabled = true;
    assert_eq!(case.phase(), Some(Phase::Replacing), "the breaker comes first");
}

#[test]
fn a_moment_of_completion_between_two_deaths_is_no_success() {
    let mut case = case(vec![stable("d2", "orders:2")]);
    case.stopped = vec![exited("t1", "orders:2", 1, 10)];
    case.calm = false;
    assert_eq!(case.phase(), Some(Phase::Settling));
    case.calm = true;
    assert!(case.succeeds());
}

#[test]
fn a_rollout_in_which_nothing_moves_is_stuck() {
    let mut case = case(vec![rolling("d2", "orders:2")]);
    case.still = jiff::SignedDuration::from_mins(14);
    assert_eq!(case.phase(), Some(Phase::Replacing));
    case.still = jiff::SignedDuration::from_mins(15);
    assert_eq!(case.reason(), Some(Reason::RolloutStuck));
    // Done is done, however long ago.
    case.service = Some(service(vec![stable("d2", "orders:2")]));
    assert!(case.succeeds());
}

#[test]
fn who_had_ecs_roll_back_is_told_apart() {
    let mut case = case(vec![stable("d3", "orders:1")]);
    case.misses = MISSES_BEFORE_GONE;
    let mut told = |words: &str| {
        let mut record = record("orders:2", ServiceDeploymentStatus::RollbackSuccessful, 0);
        record.status_reason = words.to_owned();
        case.records = Some(vec![record]);
        case.reason()
    };
    let breaker = "Service deployment rolled back because the circuit breaker threshold was exceeded.";
    let alarm =
        "Service deployment rolled back because of the CloudWatch alarm(s) orders-5xx in ALARM state.";
    let stopped = "Service deployment was stopped and rolled back by a StopServiceDeployment request.";
    assert_eq!(told(breaker), Some(Reason::RolledBack));
    assert_eq!(told(alarm), Some(Reason::RolledBackByAlarm));
    assert_eq!(told(stopped), Some(Reason::RolledBack));
    assert_eq!(UndoneBy::by_words(stopped), UndoneBy::Request);
    assert_eq!(UndoneBy::by_words(""), UndoneBy::Breaker);
}

#[test]
fn an_alarm_that_stops_a_rollout_without_rolling_it_back_is_called_so() {
    let mut failed = rolling("d2", "orders:2");
    failed.rollout = RolloutState::Failed;
    failed.rollout_reason = "ECS deployment alarms: alarm detected.".to_owned();
    let mut case = case(vec![failed]);
    case.records = Some(vec![record("orders:2", ServiceDeploymentStatus::Stopped, 0)]);
    assert_eq!(case.reason(), Some(Reason::AlarmFired));
}

#[test]
fn a_service_that_is_being_deleted_under_our_rollout_is_gone() {
    let mut case = case(vec![rolling("d2", "orders:2")]);
    case.service.as_mut().unwrap().status = ServiceStatus::Draining;
    assert!(!shows_ours(case.service.as_ref(), &case.ours));
    case.misses = MISSES_BEFORE_GONE;
    assert_eq!(case.reason(), Some(Reason::ServiceGone));
}

#[test]
fn other_counts_and_daemons_are_no_failures() {
    // fabfuel/ecs-deploy#174: the desired count changes underneath.
    let mut scaled = stable("d2", "orders:2");
    (scaled.desired, scaled.running) = (5, 5);
    assert!(case(vec![scaled]).succeeds());
    let mut daemon = case(vec![stable("d2", "orders:2")]);
    daemon.service.as_mut().unwrap().scheduling = crate::observed::Scheduling::Daemon;
    assert!(daemon.succeeds());
}
