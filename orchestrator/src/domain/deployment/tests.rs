//! The state machine under any log at all, not only one that a planner writes.

mod troubles;

use std::collections::BTreeMap;

use super::*;
use crate::domain::name::{ServiceName, TargetId};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn outcome(verdict: Verdict, reason: &str) -> Outcome {
    Outcome {
        verdict,
        reason: reason.to_owned(),
        summary: String::new(),
        hint: String::new(),
        diagnosis: Vec::new(),
        outputs: BTreeMap::new(),
    }
}

fn slots(count: u32) -> Vec<OperationSlot> {
    let deployment = DeploymentId(uuid::Uuid::from_u128(1));
    let target: TargetId = "111111111111/eu-west-1/main".parse().unwrap();
    let slot = |index: u32| {
        let service: ServiceName = format!("s{index}").parse().unwrap();
        OperationSlot {
            id: OperationId::of(deployment, &target, &service, 1),
            service,
            target: target.clone(),
            agent: "dev".parse().unwrap(),
            wave: index,
            after: Vec::new(),
            plan: None,
            kind: SlotKind::Service,
            attempt: 1,
        }
    };
    (0..count).map(slot).collect()
}

fn created(operations: u32, approvals: u32) -> Deployment {
    let kind = EventKind::DeploymentCreated {
        project: "shop".parse().unwrap(),
        release: "1.0.0".parse().unwrap(),
        environment: "dev".parse().unwrap(),
        phase: "dev".parse().unwrap(),
        by: Author::Lifecycle,
        authors: None,
        time_limit: SignedDuration::from_hours(1),
        approval_rule: (approvals > 0).then_some(ApprovalRule {
            role: crate::domain::project::ApproverRole::Approver,
            count: approvals,
            not_author: false,
            expires: ApprovalRule::DEFAULT_EXPIRES,
        }),
        force: false,
        manner: Manner::default(),
        operations: slots(operations),
    };
    Deployment::create(DeploymentId(uuid::Uuid::from_u128(1)), &kind.at(at(0))).unwrap()
}

/// A running deployment whose operations ended so; `None` for skipped.
fn ended(verdicts: &[Option<Verdict>]) -> Deployment {
    let count = u32::try_from(verdicts.len()).unwrap();
    let start = created(count, 0)
        .apply(&EventKind::DeploymentStarted { deadline: at(3600) }.at(at(1)))
        .unwrap();
    verdicts
        .iter()
        .zip(slots(count))
        .fold(start, |deployment, (verdict, slot)| {
            let operation = slot.id;
            let kind = match verdict {
                Some(verdict) => EventKind::OperationFinished {
                    operation,
                    outcome: outcome(*verdict, "told"),
                },
                None => EventKind::OperationSkipped {
                    operation,
                    because: String::new(),
                },
            };
            deployment.apply(&kind.at(at(2))).unwrap()
        })
}

#[test]
fn the_worst_verdict_is_the_deployments() {
    use Verdict::{Cancelled, Errored, Failed, Succeeded, Unchanged};
    let table: [(&[Option<Verdict>], DeploymentState); 9] = [
        (&[Some(Unchanged)], DeploymentState::Succeeded),
        (&[Some(Succeeded), Some(Unchanged)], DeploymentState::Succeeded),
        (&[Some(Succeeded), Some(Cancelled)], DeploymentState::Cancelled),
        (&[Some(Cancelled), Some(Errored)], DeploymentState::Errored),
        (
            &[Some(Failed), Some(Errored), Some(Cancelled)],
            DeploymentState::Failed,
        ),
        (&[Some(Failed), None], DeploymentState::Failed),
        (&[Some(Errored), None], DeploymentState::Errored),
        // A part was left out, and nobody said stop: that is no success.
        (&[Some(Succeeded), None], DeploymentState::Errored),
        (&[None, None], DeploymentState::Errored),
    ];
    for (verdicts, state) in table {
        assert_eq!(final_state(&ended(verdicts)), Some(state), "{verdicts:?}");
    }
}

#[test]
fn it_cannot_be_called_a_success_that_it_is_not() {
    let failed = ended(&[Some(Verdict::Failed)]);
    let lie = EventKind::DeploymentFinished {
        state: DeploymentState::Succeeded,
        aftermath: String::new(),
    }
    .at(at(3));
    assert_eq!(
        failed.apply(&lie).unwrap_err().to_string(),
        "the deployment cannot end as succeeded: its operations say otherwise"
    );
    let early = EventKind::DeploymentFinished {
        state: DeploymentState::Errored,
        aftermath: String::new(),
    }
    .at(at(3));
    assert!(
        created(1, 0).apply(&early).is_err(),
        "its operation has not ended"
    );
}

#[test]
fn nothing_is_sent_once_a_cancel_was_asked() {
    let running = created(1, 0)
        .apply(&EventKind::DeploymentStarted { deadline: at(3600) }.at(at(1)))
        .unwrap();
    let cancel = EventKind::CancelRequested {
        operator: "ann".into(),
        note: String::new(),
        mode: CancelMode::RollBack,
    };
    let cancelled = running.apply(&cancel.at(at(2))).unwrap();
    let intent = EventKind::OperationIntended {
        operation: slots(1)[0].id,
        expected: None,
    };
    assert!(running.apply(&intent.clone().at(at(3))).is_ok());
    assert!(cancelled.apply(&intent.at(at(3))).is_err());
}

#[test]
fn events_are_stored_in_words_that_stay() {
    let kind = EventKind::OperationFinished {
        operation: slots(1)[0].id,
        outcome: outcome(Verdict::Failed, "rolled_back"),
    };
    let json = serde_json::to_value(kind.clone().at(at(0))).unwrap();
    assert_eq!(json["kind"], "operation_finished");
    assert_eq!(json["outcome"]["verdict"], "failed");
    assert_eq!(kind.name(), "operation_finished");
    assert_eq!(kind.message(), "failed (rolled_back)");
}

fn any_event(kind: u8, which: u8, operations: u32) -> EventKind {
    let slots = slots(operations + 1);
    // One of them is not of the deployment.
    let operation = slots[usize::from(which) % slots.len()].id;
    let verdicts = [
        Verdict::Succeeded,
        Verdict::Unchanged,
        Verdict::Failed,
        Verdict::Errored,
        Verdict::Cancelled,
    ];
    let verdict = verdicts[usize::from(which / 8) % verdicts.len()];
    let states = [
        DeploymentState::Succeeded,
        DeploymentState::Failed,
        DeploymentState::Errored,
        DeploymentState::Cancelled,
    ];
    match kind {
        0 => EventKind::ApprovalRequested,
        1 | 2 => EventKind::Approved {
            operator: format!("p{}", which % 3),
            note: String::new(),
            plan_hash: None,
        },
        3 | 4 => EventKind::DeploymentStarted { deadline: at(3600) },
        5 => EventKind::CancelRequested {
            operator: "ann".into(),
            note: String::new(),
            mode: CancelMode::Detach,
        },
        6 => EventKind::OperationIntended {
            operation,
            expected: None,
        },
        7 => EventKind::OperationReattached { operation },
        8 => EventKind::OperationStarted {
            operation,
            found: false,
        },
        9 => EventKind::OperationProgress {
            operation,
            message: "on".into(),
        },
        10 | 11 => EventKind::OperationFinished {
            operation,
            outcome: outcome(verdict, reason::DEADLINE_EXCEEDED),
        },
        12 => EventKind::OperationSkipped {
            operation,
            because: String::new(),
        },
        13 => EventKind::CancelConfirmed { operation },
        14 => EventKind::LateTruth {
            operation,
            outcome: outcome(verdict, "told"),
        },
        _ => EventKind::DeploymentFinished {
            state: states[usize::from(which) % states.len()],
            aftermath: String::new(),
        },
    }
}

proptest::proptest! {
    #[test]
    fn any_log_keeps_the_promises(
        operations in 1_u32..4,
        approvals in 0_u32..3,
        events in proptest::collection::vec((0_u8..17, proptest::prelude::any::<u8>()), 0..60)
    ) {
        let mut now = created(operations, approvals);
        for (second, (kind, which)) in (1..).zip(events) {
            let event = any_event(kind, which, operations).at(at(second));
            let Ok(next) = now.apply(&event) else { continue };
            if now.state.is_terminal() {
                assert_eq!((next.state, next.ended), (now.state, now.ended));
                assert_eq!(event.kind.name(), "late_truth");
            }
            assert!(next.state != DeploymentState::Running || next.is_approved());
            assert!(next.started.is_some() || next.operations.iter().all(|it| it.sends == 0));
            if next.state == DeploymentState::Succeeded {
                assert!(next.operations.iter().all(|it| it.state.verdict().is_some_and(Verdict::is_good)));
            }
            for (old, new) in now.operations.iter().zip(&next.operations) {
                assert!(!old.state.is_over() || old.state == new.state, "an end stays an end");
                assert!(new.sends >= old.sends);
            }
            now = next;
        }
    }
}
