//! The decision table, a test for each row.

mod others;

use super::*;
use crate::fargate::template::SERVICE_TAG;
use crate::observed::TaskDefinitionArn;
use crate::operation_id::OperationId;
use crate::rollout::follow::{JudgeOptions, RolloutJudgement};
use crate::sample::{arn, at, rolling, service, stable};

fn stack(status: &str) -> Stack {
    Stack {
        id: "arn:stack/1".to_owned(),
        name: "towline-main-web".to_owned(),
        status: status.to_owned(),
        status_reason: String::new(),
        parameters: Vec::new(),
        outputs: vec![(OUTPUT_TASK_DEFINITION.to_owned(), arn("web:1").0)],
        tags: vec![(SERVICE_TAG.to_owned(), "main/web".to_owned())],
        updated: None,
    }
}

fn change_set(status: &str, execution: &str, reason: &str) -> ChangeSet {
    ChangeSet {
        status: status.to_owned(),
        status_reason: reason.to_owned(),
        execution_status: execution.to_owned(),
        changes: Vec::new(),
    }
}

struct Case {
    stack: Option<Stack>,
    trace: OurTrace,
    deleted_by_us: bool,
    change_set: Option<ChangeSet>,
    service: Option<ObservedService>,
    same_template: bool,
    expected: Option<ExpectedStack>,
    repeated: bool,
    settled: bool,
}

fn case(stack: Option<Stack>) -> Case {
    Case {
        stack,
        trace: OurTrace::None,
        deleted_by_us: false,
        change_set: None,
        service: None,
        same_template: false,
        expected: None,
        repeated: false,
        settled: false,
    }
}

impl Case {
    fn decide(&self) -> StackDecision {
        decide(&StackView {
            name: "towline-main-web",
            stack: self.stack.as_ref(),
            trace: self.trace,
            deleted_by_us: self.deleted_by_us,
            change_set: self.change_set.as_ref(),
            service: self.service.as_ref(),
            same_template: self.same_template,
            expected: self.expected.as_ref(),
            repeated_send: self.repeated,
            settled: self.settled,
            ..StackView::default()
        })
    }

    fn refusal(&self) -> Option<Reason> {
        match self.decide() {
            StackDecision::Refuse(refusal) => Some(refusal.reason),
            _ => None,
        }
    }

    fn awaits_other(&self) -> bool {
        matches!(self.decide(), StackDecision::AwaitOther { .. })
    }

    fn observes(&self) -> bool {
        matches!(self.decide(), StackDecision::KeepObserving { .. })
    }
}

const CREATE: StackDecision = StackDecision::CreateChangeSet { creates_stack: true };
const UPDATE: StackDecision = StackDecision::CreateChangeSet { creates_stack: false };

#[test]
fn no_stack_is_created_a_repeat_observes_first() {
    for there in [None, Some(stack("DELETE_COMPLETE"))] {
        let mut case = case(there);
        assert_eq!(case.decide(), CREATE);
        case.repeated = true;
        assert!(case.observes());
        case.settled = true;
        assert_eq!(case.decide(), CREATE);
        case.expected = Some(ExpectedStack::Id("arn:stack/1".to_owned()));
        assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
    }
}

#[test]
fn a_stack_at_rest_gets_a_change_set() {
    for status in [
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    ] {
        let mut case = case(Some(stack(status)));
        assert_eq!(case.decide(), UPDATE, "{status}");
        case.repeated = true;
        assert!(case.observes(), "{status}");
        case.settled = true;
        assert_eq!(case.decide(), UPDATE, "{status}");
    }
}

#[test]
fn unchanged_needs_the_fingerprint_the_status_and_the_service() {
    let mut case = case(Some(stack("UPDATE_COMPLETE")));
    case.same_template = true;
    case.service = Some(service(vec![stable("d1", "web:1")]));
    assert_eq!(
        case.decide(),
        StackDecision::Unchanged {
            task_definition: arn("web:1")
        }
    );

    case.service = Some(service(vec![stable("d1", "web:0")]));
    let check = StackDecision::CheckService {
        task_definition: arn("web:1"),
    };
    assert_eq!(case.decide(), check, "the service runs another revision");
    case.service = Some(service(vec![rolling("d1", "web:1")]));
    assert_eq!(case.decide(), check, "the service is not stable");
    case.service = None;
    assert_eq!(case.decide(), check, "the service is not there");
    case.service = Some(service(vec![stable("d1", "web:1")]));
    case.stack = Some(stack("UPDATE_ROLLBACK_COMPLETE"));
    assert_eq!(case.decide(), UPDATE, "the last change did not go through");
}

#[test]
fn an_empty_stack_takes_our_first_change_set() {
    let mut case = case(Some(Stack {
        tags: vec![],
        ..stack("REVIEW_IN_PROGRESS")
    }));
    assert_eq!(case.decide(), CREATE);
    case.expected = Some(ExpectedStack::Absent);
    assert_eq!(case.decide(), CREATE);
    // Its one event may carry the change set's own token.
    case.trace = OurTrace::Latest;
    case.change_set = Some(change_set("CREATE_COMPLETE", "AVAILABLE", ""));
    assert_eq!(case.decide(), StackDecision::ExecuteChangeSet);
}

#[test]
fn our_change_set_is_taken_up_where_it_was_left() {
    let mut case = case(Some(stack("UPDATE_COMPLETE")));
    case.repeated = true;
    case.change_set = Some(change_set("CREATE_IN_PROGRESS", "UNAVAILABLE", ""));
    assert_eq!(case.decide(), StackDecision::AwaitChangeSet);
    case.change_set = Some(change_set("CREATE_COMPLETE", "AVAILABLE", ""));
    assert_eq!(case.decide(), StackDecision::ExecuteChangeSet);
    case.change_set = Some(change_set("CREATE_COMPLETE", "EXECUTE_COMPLETE", ""));
    assert!(case.observes(), "executed, and the events lag");
    case.change_set = Some(change_set("CREATE_COMPLETE", "OBSOLETE", ""));
    assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
    for words in [
        "The submitted information didn't contain changes. Submit different information.",
        "No updates are to be performed.",
    ] {
        case.change_set = Some(change_set("FAILED", "UNAVAILABLE", words));
        assert_eq!(case.decide(), StackDecision::NoChanges);
    }
    case.change_set = Some(change_set("FAILED", "UNAVAILABLE", "Template error"));
    assert_eq!(
        case.decide(),
        StackDecision::ChangeSetFailed {
            reason: "Template error".to_owned()
        }
    );
}

#[test]
fn our_change_is_followed_and_concluded_by_its_token() {
    for (status, decision) in [
        ("CREATE_IN_PROGRESS", StackDecision::Follow),
        ("UPDATE_IN_PROGRESS", StackDecision::Follow),
        ("UPDATE_ROLLBACK_IN_PROGRESS", StackDecision::Follow),
        ("ROLLBACK_IN_PROGRESS", StackDecision::Follow),
        ("CREATE_COMPLETE", StackDecision::Conclude(StackOutcome::Done)),
        ("UPDATE_COMPLETE", StackDecision::Conclude(StackOutcome::Done)),
        (
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            StackDecision::Conclude(StackOutcome::Done),
        ),
        (
            "UPDATE_ROLLBACK_COMPLETE",
            StackDecision::Conclude(StackOutcome::RolledBack),
        ),
        (
            "ROLLBACK_COMPLETE",
            StackDecision::Conclude(StackOutcome::CreateRolledBack),
        ),
        ("UPDATE_ROLLBACK_FAILED", StackDecision::ContinueRollback),
        ("UPDATE_FAILED", StackDecision::Conclude(StackOutcome::Stuck)),
        ("DELETE_FAILED", StackDecision::Conclude(StackOutcome::Stuck)),
        ("ROLLBACK_FAILED", StackDecision::Conclude(StackOutcome::Stuck)),
        ("CREATE_FAILED", StackDecision::Conclude(StackOutcome::Stuck)),
    ] {
        let mut case = case(Some(stack(status)));
        case.trace = OurTrace::Latest;
        // Our token wins over everything else that could be read from the stack.
        case.same_template = true;
        case.repeated = true;
        case.expected = Some(ExpectedStack::Absent);
        assert_eq!(case.decide(), decision, "{status}");
        case.trace = OurTrace::Earlier;
        assert_eq!(
            case.decide(),
            StackDecision::Conclude(StackOutcome::Superseded),
            "{status}"
        );
    }
}

#[test]
fn a_stack_that_never_was_healthy_is_deleted_and_only_that() {
    let mut case = case(Some(stack("ROLLBACK_COMPLETE")));
    let delete = StackDecision::DeleteNeverHealthy {
        stack_id: "arn:stack/1".to_owned(),
    };
    assert_eq!(case.decide(), delete);
    for status in [
        "UPDATE_FAILED",
        "DELETE_FAILED",
        "CREATE_FAILED",
        "ROLLBACK_FAILED",
        "IMPORT_ROLLBACK_FAILED",
        "A_WORD_OF_TOMORROW",
    ] {
        case.stack = Some(stack(status));
        case.settled = true;
        assert_eq!(case.refusal(), Some(Reason::StackStuck), "{status}");
    }
}

#[test]
fn our_own_deletion_is_awaited_and_then_the_stack_is_made_anew() {
    let mut case = case(Some(stack("DELETE_IN_PROGRESS")));
    case.expected = Some(ExpectedStack::Id("arn:stack/1".to_owned()));
    case.repeated = true;
    case.settled = true;
    assert!(case.awaits_other(), "somebody else deletes it");
    case.deleted_by_us = true;
    assert_eq!(case.decide(), StackDecision::AwaitDeletion);
    case.stack = None;
    assert_eq!(case.decide(), CREATE);
}

#[test]
fn a_stack_that_towline_did_not_make_is_not_touched() {
    for status in [
        "CREATE_COMPLETE",
        "ROLLBACK_COMPLETE",
        "UPDATE_ROLLBACK_FAILED",
        "UPDATE_IN_PROGRESS",
    ] {
        let mut case = case(Some(Stack {
            tags: vec![],
            ..stack(status)
        }));
        case.settled = true;
        assert_eq!(case.refusal(), Some(Reason::StackNotOurs), "{status}");
    }
    let foreign = Stack {
        tags: vec![("team".to_owned(), "x".to_owned())],
        ..stack("REVIEW_IN_PROGRESS")
    };
    assert_eq!(case(Some(foreign)).refusal(), Some(Reason::StackNotOurs));
}

#[test]
fn another_stack_than_expected_is_refused() {
    let mut case = case(Some(stack("UPDATE_COMPLETE")));
    case.expected = Some(ExpectedStack::Absent);
    assert!(case.observes());
    case.settled = true;
    assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
    case.expected = Some(ExpectedStack::Id("arn:stack/0".to_owned()));
    assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
    case.expected = Some(ExpectedStack::Id("arn:stack/1".to_owned()));
    assert_eq!(case.decide(), UPDATE);
}

#[test]
fn every_word_of_cloudformation_is_read_and_written_back() {
    for word in [
        "REVIEW_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "TOMORROW",
    ] {
        assert_eq!(StackStatus::parse(word).to_string(), word);
    }
    assert!(matches!(StackStatus::parse("TOMORROW"), StackStatus::Other(_)));
}

fn event(token: Option<&str>) -> StackEvent {
    StackEvent {
        id: String::new(),
        logical_id: "Service".to_owned(),
        physical_id: String::new(),
        resource_type: "AWS::ECS::Service".to_owned(),
        status: "UPDATE_IN_PROGRESS".to_owned(),
        reason: String::new(),
        token: token.map(str::to_owned),
        at: at(0),
    }
}

#[test]
fn the_trace_is_who_changed_the_stack_last() {
    let id: OperationId = "6f1c2b1e-57a4-4b62-9f6e-1f0f4a1d2c3b".parse().unwrap();
    let (ours, other) = (id.token(), "somebody".to_owned());
    let of = |tokens: &[Option<&str>]| {
        let events: Vec<_> = tokens.iter().map(|token| event(*token)).collect();
        trace(&events, id)
    };
    assert_eq!(of(&[None, Some(&other)]), OurTrace::None);
    assert_eq!(of(&[None, Some(&ours), Some(&other)]), OurTrace::Latest);
    assert_eq!(of(&[Some(&other), Some(&ours)]), OurTrace::Earlier);
    // `aws cloudformation update-stack` gives no token unless it is asked to.
    let by_hand = StackEvent {
        resource_type: "AWS::CloudFormation::Stack".into(),
        ..event(None)
    };
    assert_eq!(trace(&[by_hand, event(Some(&ours))], id), OurTrace::Earlier);
    assert_eq!(of(&[Some(&id.cancel_token()), Some(&ours)]), OurTrace::Latest);
    assert_eq!(of(&[Some(&id.delete_token())]), OurTrace::None);
}

#[test]
fn a_rolled_back_stack_is_a_failure_unless_the_wrong_verdict_is_planted() {
    let judged = |outcome_, planted| {
        outcome(
            outcome_,
            "s",
            "",
            JudgeOptions {
                rolled_back_is_success: planted,
            },
        )
    };
    assert!(matches!(
        judged(StackOutcome::RolledBack, false),
        Some(RolloutJudgement::Ended {
            reason: Reason::RolledBack,
            ..
        })
    ));
    assert!(matches!(
        judged(StackOutcome::RolledBack, true),
        Some(RolloutJudgement::Succeeded { .. })
    ));
    assert_eq!(judged(StackOutcome::Done, false), None);
    let _: TaskDefinitionArn = task_definition_of(&stack("UPDATE_COMPLETE")).unwrap();
}
