//! What follows from operations that ended badly: decisions of people, stops,
//! roll-backs; and any log at all with them in it.

use super::*;
use crate::domain::{
    name::OperationId,
    project::{FailureRules, OnFailure, StopAt},
};

const GUIDED: Option<SignedDuration> = Some(SignedDuration::from_hours(1));

fn rules(stop_at: StopAt, on_failure: OnFailure, guided: Option<SignedDuration>) -> FailureRules {
    FailureRules {
        stop_at,
        on_failure,
        guided,
    }
}

/// A running deployment with such rules.
fn running(operations: u32, failures: FailureRules) -> Deployment {
    let mut deployment = created(operations, 0);
    deployment.manner.failures = failures;
    deployment
        .apply(&EventKind::DeploymentStarted { deadline: at(3600) }.at(at(1)))
        .unwrap()
}

fn id(index: usize) -> OperationId {
    slots(u32::try_from(index).unwrap() + 1)[index].id
}

fn finished(operation: OperationId, verdict: Verdict) -> EventKind {
    EventKind::OperationFinished {
        operation,
        outcome: outcome(verdict, "told"),
    }
}

fn intervened(choice: Choice) -> EventKind {
    EventKind::Intervened {
        operator: "ann".to_owned(),
        note: "seen".to_owned(),
        choice,
    }
}

fn again(first: &Operation) -> OperationSlot {
    let slot = &first.slot;
    OperationSlot {
        id: OperationId(uuid::Uuid::new_v5(&slot.id.0, b"again")),
        attempt: slot.attempt + 1,
        ..slot.clone()
    }
}

fn retry(deployment: &Deployment, operation: OperationId) -> Choice {
    let again = again(deployment.operation(operation).unwrap());
    Choice::Retry { operation, again }
}

fn put_back(of: &Operation) -> OperationSlot {
    OperationSlot {
        id: OperationId(uuid::Uuid::new_v5(&of.slot.id.0, b"back")),
        kind: SlotKind::RollBackOf(of.slot.id),
        after: Vec::new(),
        ..of.slot.clone()
    }
}

#[track_caller]
fn after(deployment: Deployment, events: &[EventKind]) -> Deployment {
    events
        .iter()
        .zip(2..)
        .fold(deployment, |deployment, (kind, second)| {
            deployment
                .apply(&kind.clone().at(at(second)))
                .unwrap_or_else(|why| panic!("{why}"))
        })
}

#[track_caller]
fn refused(deployment: &Deployment, kind: EventKind) -> String {
    deployment.apply(&kind.at(at(9))).unwrap_err().to_string()
}

#[test]
fn it_stops_at_the_first_failure_at_a_count_or_at_a_share() {
    // Rule, operations, of which failed so many: stops?
    let table = [
        (StopAt::First, 8, 1, true),
        (StopAt::Count(2), 8, 1, false),
        (StopAt::Count(2), 8, 2, true),
        (StopAt::Share(25), 8, 1, false),
        (StopAt::Share(25), 8, 2, true),
        (StopAt::Share(25), 3, 1, true),
        (StopAt::Share(100), 2, 1, false),
        (StopAt::Share(100), 2, 2, true),
        (StopAt::Share(1), 8, 0, false),
    ];
    for (stop_at, operations, failed, stops) in table {
        let deployment = running(operations, rules(stop_at, OnFailure::Leave, None));
        let events: Vec<_> = (0..failed).map(|it| finished(id(it), Verdict::Failed)).collect();
        let deployment = after(deployment, &events);
        assert_eq!(
            deployment.is_stop_reached(),
            stops,
            "{stop_at}: {failed} of {operations}"
        );
    }
}

#[test]
fn a_person_is_asked_only_when_nothing_is_out_and_something_ended_badly() {
    let guided = rules(StopAt::First, OnFailure::Leave, GUIDED);
    let ask = EventKind::InterventionRequested { until: at(5000) };
    let whole = running(2, guided.clone());
    assert!(refused(&whole, ask.clone()).contains("while the deployment is running"));
    let sent = EventKind::OperationIntended {
        operation: id(1),
        expected: None,
    };
    let one_out = after(whole.clone(), &[sent, finished(id(0), Verdict::Failed)]);
    assert!(
        refused(&one_out, ask.clone()).contains("cannot follow"),
        "one is out"
    );
    assert_eq!(final_state(&one_out), None);

    let asked = after(whole, &[finished(id(0), Verdict::Failed), ask.clone()]);
    assert_eq!(asked.state, DeploymentState::AwaitingIntervention);
    assert!(asked.state.is_under_way() && !asked.state.is_terminal());
    assert_eq!(
        final_state(&asked),
        None,
        "it does not end while somebody is asked"
    );
    let unguided = after(
        running(2, FailureRules::default()),
        &[finished(id(0), Verdict::Failed)],
    );
    assert!(refused(&unguided, ask).contains("cannot follow"));
    assert!(refused(&unguided, intervened(Choice::Abort)).contains("cannot follow"));
}

#[test]
fn a_retry_counts_in_the_place_of_what_it_tries_again() {
    let guided = rules(StopAt::First, OnFailure::Leave, GUIDED);
    let failed = after(running(1, guided), &[finished(id(0), Verdict::Failed)]);
    let choice = retry(&failed, id(0));
    let Choice::Retry { again, .. } = choice.clone() else {
        panic!()
    };
    let retried = after(failed, &[intervened(choice.clone())]);
    assert_eq!(retried.operations.len(), 2);
    assert_eq!(retried.last_attempt(id(0)).unwrap().slot.id, again.id);
    assert!(
        refused(&retried, intervened(choice)).contains("intervened"),
        "once"
    );
    assert_eq!(final_state(&retried), None);
    let good = after(retried.clone(), &[finished(again.id, Verdict::Succeeded)]);
    assert_eq!(final_state(&good), Some(DeploymentState::Succeeded));
    let bad = after(retried, &[finished(again.id, Verdict::Errored)]);
    assert_eq!(final_state(&bad), None, "it is decided about once more");
    let aborted = after(bad, &[intervened(Choice::Abort)]);
    assert_eq!(
        final_state(&aborted),
        Some(DeploymentState::Errored),
        "the last attempt counts"
    );
    assert_eq!(aborted.aftermath(), "aborted by ann");
}

#[test]
fn a_retry_is_of_the_same_operation() {
    let guided = rules(StopAt::First, OnFailure::Leave, GUIDED);
    let failed = after(running(2, guided), &[finished(id(0), Verdict::Failed)]);
    let other = retry(&failed, id(1));
    let Choice::Retry { again: slot, .. } = retry(&failed, id(0)) else {
        panic!()
    };
    let wrong = [
        other,
        Choice::Ignore { operation: id(1) },
        Choice::Retry {
            operation: id(0),
            again: OperationSlot {
                attempt: 3,
                ..slot.clone()
            },
        },
        Choice::Retry {
            operation: id(0),
            again: OperationSlot {
                id: id(1),
                ..slot.clone()
            },
        },
        Choice::Retry {
            operation: id(0),
            again: OperationSlot {
                service: "other".parse().unwrap(),
                ..slot
            },
        },
    ];
    for choice in wrong {
        refused(&failed, intervened(choice));
    }
}

#[test]
fn what_is_ignored_does_not_count_unless_nothing_else_does() {
    let guided = rules(StopAt::First, OnFailure::RollBack, GUIDED);
    let ignore = |operation| intervened(Choice::Ignore { operation });
    let both = after(
        running(2, guided.clone()),
        &[
            finished(id(0), Verdict::Failed),
            ignore(id(0)),
            finished(id(1), Verdict::Succeeded),
        ],
    );
    assert_eq!(final_state(&both), Some(DeploymentState::Succeeded));
    assert!(
        both.operation(id(0)).unwrap().is_satisfied(),
        "what follows it may begin"
    );
    assert_eq!(
        both.operation(id(0)).unwrap().state.verdict(),
        Some(Verdict::Failed)
    );
    assert_eq!(both.aftermath(), "ignored: s0");
    let only = after(
        running(1, guided),
        &[finished(id(0), Verdict::Failed), ignore(id(0))],
    );
    assert_eq!(
        final_state(&only),
        Some(DeploymentState::Failed),
        "nothing was deployed"
    );
}

#[test]
fn when_nobody_decides_in_time_it_ends_with_its_worst_verdict() {
    let guided = rules(StopAt::First, OnFailure::Leave, GUIDED);
    let asked = after(
        running(2, guided),
        &[
            finished(id(0), Verdict::Failed),
            EventKind::InterventionRequested { until: at(100) },
        ],
    );
    refused(&asked, EventKind::InterventionExpired);
    let expired = asked.apply(&EventKind::InterventionExpired.at(at(100))).unwrap();
    let resumed = after(expired, &[EventKind::DeploymentResumed { deadline: at(9000) }]);
    assert_eq!(
        (resumed.state, resumed.deadline),
        (DeploymentState::Running, Some(at(9000)))
    );
    let begin = EventKind::OperationIntended {
        operation: id(1),
        expected: None,
    };
    assert!(
        refused(&resumed, begin).contains("cannot follow"),
        "nothing more starts"
    );
    let skipped = EventKind::OperationSkipped {
        operation: id(1),
        because: "nobody".to_owned(),
    };
    let over = after(resumed, &[skipped]);
    assert_eq!(final_state(&over), Some(DeploymentState::Failed));
    assert_eq!(over.aftermath(), "nobody decided how to go on");
}

#[test]
fn a_cancel_ends_the_question_too() {
    let guided = rules(StopAt::First, OnFailure::RollBack, GUIDED);
    let cancel = EventKind::CancelRequested {
        operator: "ann".to_owned(),
        note: String::new(),
        mode: CancelMode::RollBack,
    };
    let asked = after(
        running(1, guided),
        &[
            finished(id(0), Verdict::Failed),
            EventKind::InterventionRequested { until: at(100) },
            cancel,
        ],
    );
    assert!(refused(&asked, intervened(Choice::Abort)).contains("cannot follow"));
    let resumed = after(asked, &[EventKind::DeploymentResumed { deadline: at(9000) }]);
    assert!(!resumed.owes_roll_back(), "who cancels wants it left");
    assert_eq!(final_state(&resumed), Some(DeploymentState::Failed));
}

#[test]
fn a_failed_deployment_puts_back_what_it_changed_before_it_ends() {
    let back = rules(StopAt::First, OnFailure::RollBack, None);
    let failed = after(
        running(3, back),
        &[
            finished(id(0), Verdict::Succeeded),
            finished(id(1), Verdict::Unchanged),
            finished(id(2), Verdict::Failed),
        ],
    );
    assert_eq!(final_state(&failed), None, "it owes a roll-back");
    let changed: Vec<_> = failed.to_put_back().iter().map(|it| it.slot.id).collect();
    assert_eq!(changed, [id(0)], "what changed nothing and what failed stay");
    let begin = |of: usize| EventKind::RollBackBegan {
        deadline: at(7000),
        operations: vec![put_back(failed.operation(id(of)).unwrap())],
        left: Vec::new(),
    };
    refused(&failed, begin(1));
    refused(&failed, begin(2));
    let rolling = after(failed.clone(), &[begin(0)]);
    assert_eq!(rolling.deadline, Some(at(7000)));
    refused(&rolling, begin(0));
    let of = rolling.roll_backs().next().unwrap().slot.id;
    for (verdict, told) in [
        (Verdict::Succeeded, "rolled back"),
        (Verdict::Failed, "0 of 1 rolled back"),
    ] {
        let over = after(rolling.clone(), &[finished(of, verdict)]);
        assert_eq!(final_state(&over), Some(DeploymentState::Failed));
        assert_eq!(over.aftermath(), told);
        let end = EventKind::DeploymentFinished {
            state: DeploymentState::Failed,
            aftermath: over.aftermath(),
        };
        assert_eq!(end.message(), format!("failed, {told}"));
        assert!(after(over, &[end]).state.is_terminal());
    }
    let left = EventKind::RollBackBegan {
        deadline: at(7000),
        operations: Vec::new(),
        left: vec![LeftAsIs {
            operation: id(0),
            because: "nothing ran before".to_owned(),
        }],
    };
    let left = after(failed, &[left]);
    assert_eq!(final_state(&left), Some(DeploymentState::Failed));
    assert_eq!(left.aftermath(), "not rolled back: 1 left as they are");
}

#[test]
fn what_was_stored_before_there_were_rules_is_read() {
    let deployment = after(
        running(2, FailureRules::default()),
        &[finished(id(0), Verdict::Succeeded)],
    );
    let mut stored = serde_json::to_value(&deployment).unwrap();
    let members = stored.as_object_mut().unwrap();
    for new in [
        "manner",
        "interventions",
        "intervention_until",
        "stop",
        "roll_back",
    ] {
        assert!(members.remove(new).is_some(), "{new}");
    }
    for operation in members["operations"].as_array_mut().unwrap() {
        operation.as_object_mut().unwrap().remove("decided");
        for new in ["kind", "attempt"] {
            operation["slot"].as_object_mut().unwrap().remove(new);
        }
    }
    assert_eq!(serde_json::from_value::<Deployment>(stored).unwrap(), deployment);
    let old = r#"{"at":"2026-11-24T21:00:00Z","kind":"deployment_finished","state":"failed"}"#;
    let old: Event = serde_json::from_str(old).unwrap();
    assert_eq!(old.kind.message(), "failed");
}

fn any_kind(now: &Deployment, kind: u8, which: u8) -> EventKind {
    let some = &now.operations[usize::from(which) % now.operations.len()];
    let operation = some.slot.id;
    let verdicts = [
        Verdict::Succeeded,
        Verdict::Failed,
        Verdict::Errored,
        Verdict::Unchanged,
    ];
    let verdict = verdicts[usize::from(which / 16) % verdicts.len()];
    let began = || {
        let slots = now
            .to_put_back()
            .into_iter()
            .take(usize::from(which % 4))
            .map(put_back);
        EventKind::RollBackBegan {
            deadline: at(9000),
            operations: slots.collect(),
            left: Vec::new(),
        }
    };
    match kind {
        0 | 1 => EventKind::OperationIntended {
            operation,
            expected: None,
        },
        2..=5 => finished(operation, verdict),
        6 => EventKind::OperationSkipped {
            operation,
            because: String::new(),
        },
        7 => EventKind::InterventionRequested { until: at(30) },
        8 => intervened(retry(now, operation)),
        9 => intervened(Choice::Ignore { operation }),
        10 => intervened(Choice::Abort),
        11 => EventKind::InterventionExpired,
        12 | 13 => EventKind::DeploymentResumed { deadline: at(9000) },
        14 | 15 => began(),
        16 if which < 16 => EventKind::CancelRequested {
            operator: "ann".to_owned(),
            note: String::new(),
            mode: CancelMode::RollBack,
        },
        _ => EventKind::DeploymentFinished {
            state: final_state(now).unwrap_or(DeploymentState::Succeeded),
            aftermath: now.aftermath(),
        },
    }
}

proptest::proptest! {
    #[test]
    fn any_log_with_troubles_keeps_the_promises(
        operations in 1_u32..5,
        share in 1_u8..=100,
        flags in 0_u8..4,
        events in proptest::collection::vec((0_u8..18, proptest::prelude::any::<u8>()), 0..80)
    ) {
        let on_failure = if flags & 1 == 0 { OnFailure::Leave } else { OnFailure::RollBack };
        let guided = (flags & 2 != 0).then_some(SignedDuration::from_mins(1));
        let first = running(operations, rules(StopAt::Share(share), on_failure, guided));
        let mut now = first.clone();
        let mut log = Vec::new();
        for (second, (kind, which)) in (2..).zip(events) {
            let event = any_kind(&now, kind, which).at(at(second));
            let Ok(next) = now.apply(&event) else { continue };
            assert!(!now.state.is_terminal() || next.state == now.state, "terminal stays terminal");
            let state = next.state;
            assert_eq!(state == DeploymentState::AwaitingIntervention, next.intervention_until.is_some());
            if state == DeploymentState::AwaitingIntervention {
                assert!(next.operations.iter().all(|it| !it.state.is_out()), "nothing is out while people are asked");
            }
            if state.is_terminal() {
                assert!(next.is_all_over() && !next.needs_decision() && !next.owes_roll_back());
            }
            if state == DeploymentState::Succeeded {
                assert!(next.forward().filter(|it| it.counts()).all(|it| it.state.is_good()));
                assert!(next.roll_back.is_none());
            }
            if next.roll_back.is_some() && now.roll_back.is_none() {
                assert!(now.is_all_over(), "everything is over before anything is put back");
            }
            for roll_back in next.roll_backs() {
                let SlotKind::RollBackOf(of) = roll_back.slot.kind else { panic!() };
                assert!(next.operation(of).unwrap().changed_a_service());
            }
            assert!(next.operations.len() >= now.operations.len());
            for (old, new) in now.operations.iter().zip(&next.operations) {
                assert!(!old.state.is_over() || old.state == new.state, "an end stays an end");
                assert!(old.decided.is_none() || old.decided == new.decided, "a decision stays");
                if new.sends > old.sends {
                    assert!(next.cancel.is_none() && (next.stop.is_none() || new.slot.is_roll_back()));
                }
            }
            let stored: Deployment = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
            assert_eq!(stored, next);
            log.push(event);
            now = next;
        }
        let text = serde_json::to_string(&log).unwrap();
        let read: Vec<Event> = serde_json::from_str(&text).unwrap();
        let folded = read.iter().try_fold(first, |deployment, event| deployment.apply(event));
        assert_eq!(folded.unwrap(), now, "the log folds to the state");
    }
}
