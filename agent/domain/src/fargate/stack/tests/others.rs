//! Stacks that other people are about, that got stuck, or that are only to be deployed anew.

use super::*;

#[test]
fn a_stuck_roll_back_is_continued_once_and_then_a_person_gets_the_command() {
    for trace in [OurTrace::None, OurTrace::Latest] {
        let stack = stack("UPDATE_ROLLBACK_FAILED");
        let failed = StackResource {
            logical_id: "Service".to_owned(),
            physical_id: String::new(),
            resource_type: "AWS::ECS::Service".to_owned(),
            status: "UPDATE_FAILED".to_owned(),
        };
        let view = StackView {
            name: "s",
            stack: Some(&stack),
            trace,
            resources: &[failed],
            ..StackView::default()
        };
        assert_eq!(decide(&view), StackDecision::ContinueRollback);
        let sent = StackView {
            continuation: Continuation::Sent,
            ..view
        };
        assert_eq!(decide(&sent), StackDecision::AwaitRollback);
        let failed = decide(&StackView {
            continuation: Continuation::Failed,
            ..view
        });
        match failed {
            StackDecision::Refuse(refusal) => {
                assert_eq!((refusal.reason, trace), (Reason::StackStuck, OurTrace::None));
                let command = "continue-update-rollback --stack-name s --resources-to-skip Service";
                assert!(refusal.hint.contains(command), "{}", refusal.hint);
            }
            other => {
                assert_eq!(
                    (other, trace),
                    (StackDecision::Conclude(StackOutcome::Stuck), OurTrace::Latest)
                );
            }
        }
    }
    // Continued, it goes back, and then the way is open.
    let mut case = case(Some(stack("UPDATE_ROLLBACK_COMPLETE")));
    case.settled = true;
    assert_eq!(case.decide(), UPDATE);
}

#[test]
fn a_roll_back_that_we_continued_is_awaited_and_its_events_hide_nobodys_trace() {
    let id: OperationId = "6f1c2b1e-57a4-4b62-9f6e-1f0f4a1d2c3b".parse().unwrap();
    let of_stack = |token: String, status: &str| StackEvent {
        resource_type: "AWS::CloudFormation::Stack".to_owned(),
        status: status.to_owned(),
        ..event(Some(&token))
    };
    let stuck = of_stack(id.token(), "UPDATE_ROLLBACK_FAILED");
    let going_on = of_stack(id.continue_token(), "UPDATE_ROLLBACK_IN_PROGRESS");
    let again = of_stack(id.continue_token(), "UPDATE_ROLLBACK_FAILED");
    assert_eq!(
        continuation(std::slice::from_ref(&stuck), id),
        Continuation::NotSent
    );
    let events = [going_on.clone(), stuck.clone()];
    assert_eq!(
        (continuation(&events, id), trace(&events, id)),
        (Continuation::Sent, OurTrace::Latest)
    );
    assert_eq!(continuation(&[again, going_on, stuck], id), Continuation::Failed);
    let decision = decide(&StackView {
        stack: Some(&stack("UPDATE_ROLLBACK_IN_PROGRESS")),
        continuation: Continuation::Sent,
        ..StackView::default()
    });
    assert_eq!(decision, StackDecision::AwaitRollback);
}

#[test]
fn a_forced_deployment_of_an_unchanged_stack_goes_by_its_service() {
    let stack = stack("CREATE_COMPLETE");
    let stable = service(vec![stable("d1", "web:1")]);
    let view = StackView {
        stack: Some(&stack),
        service: Some(&stable),
        same_template: true,
        ..StackView::default()
    };
    let task_definition = arn("web:1");
    let unchanged = StackDecision::Unchanged {
        task_definition: task_definition.clone(),
    };
    assert_eq!(decide(&view), unchanged);
    let forced = decide(&StackView { force: true, ..view });
    assert_eq!(forced, StackDecision::CheckService { task_definition });
    // Somebody changed the parameters, and left the template.
    let wanted = [("ImageWeb".to_owned(), "web:2".to_owned())];
    let view = StackView {
        wanted_parameters: &wanted,
        ..view
    };
    assert_eq!(decide(&view), UPDATE);
}

#[test]
fn a_foreign_stack_is_taken_over_only_when_asked_and_only_at_rest() {
    for (status, decision) in [
        ("CREATE_COMPLETE", Some(UPDATE)),
        ("UPDATE_COMPLETE", Some(UPDATE)),
        ("UPDATE_ROLLBACK_COMPLETE", Some(UPDATE)),
        ("IMPORT_COMPLETE", Some(UPDATE)),
        ("IMPORT_ROLLBACK_COMPLETE", Some(UPDATE)),
        ("ROLLBACK_COMPLETE", None),
        ("UPDATE_ROLLBACK_FAILED", None),
        ("IMPORT_ROLLBACK_FAILED", None),
        ("DELETE_FAILED", None),
    ] {
        let foreign = Stack {
            tags: vec![],
            ..stack(status)
        };
        let found = decide(&StackView {
            stack: Some(&foreign),
            adopt: true,
            ..StackView::default()
        });
        match decision {
            Some(decision) => assert_eq!(found, decision, "{status}"),
            None => assert!(
                matches!(&found, StackDecision::Refuse(refusal) if refusal.reason == Reason::StackNotOurs),
                "{status}: {found:?}"
            ),
        }
    }
}

#[test]
fn somebody_elses_change_is_waited_for_and_it_is_said_whose_it_is() {
    for status in [
        "CREATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "ROLLBACK_IN_PROGRESS",
        "DELETE_IN_PROGRESS",
        "IMPORT_IN_PROGRESS",
        "IMPORT_ROLLBACK_IN_PROGRESS",
    ] {
        let mut case = case(Some(stack(status)));
        assert!(case.awaits_other(), "{status}");
        case.settled = true;
        case.change_set = Some(change_set("CREATE_COMPLETE", "AVAILABLE", ""));
        assert!(case.awaits_other(), "{status}: our change set waits");
    }
    let begun = StackEvent {
        resource_type: "AWS::CloudFormation::Stack".to_owned(),
        reason: "User Initiated".to_owned(),
        ..event(Some("Console-ExecuteChangeSet-1"))
    };
    let decision = decide(&StackView {
        name: "s",
        stack: Some(&stack("UPDATE_IN_PROGRESS")),
        events: &[begun],
        ..StackView::default()
    });
    let StackDecision::AwaitOther { who } = decision else {
        panic!("{decision:?}")
    };
    assert!(
        who.contains("from the console") && who.contains("User Initiated"),
        "{who}"
    );
}

#[test]
fn a_stack_that_is_being_deleted_is_waited_for_whosever_it_is() {
    for tags in [vec![], vec![("team".to_owned(), "x".to_owned())]] {
        let mut case = case(Some(Stack {
            tags,
            ..stack("DELETE_IN_PROGRESS")
        }));
        case.settled = true;
        assert!(case.awaits_other());
        // A first creation of ours that a person cancelled.
        case.trace = OurTrace::Latest;
        assert_eq!(case.decide(), StackDecision::Follow);
        case.trace = OurTrace::Earlier;
        assert_eq!(case.decide(), StackDecision::Conclude(StackOutcome::Superseded));
    }
}

#[test]
fn the_stack_s_own_events_tell_its_status() {
    let of = |kind: &str, physical_id: &str, status: &str| StackEvent {
        resource_type: kind.to_owned(),
        physical_id: physical_id.to_owned(),
        status: status.to_owned(),
        ..event(None)
    };
    let stack = "AWS::CloudFormation::Stack";
    let events = [
        of("AWS::ECS::Service", "arn:service/1", "CREATE_COMPLETE"),
        of(stack, "arn:stack/nested", "CREATE_COMPLETE"),
        of(stack, "arn:stack/1", "CREATE_IN_PROGRESS"),
        of(stack, "arn:stack/1", "REVIEW_IN_PROGRESS"),
    ];
    let last = last_of_stack(&events, "arn:stack/1").map(|event| event.status.as_str());
    assert_eq!(last, Some("CREATE_IN_PROGRESS"));
}

/// Every word of CloudFormation's, and what it means when nobody's token shows, when
/// ours is the latest, and when somebody came after us.
#[test]
fn every_status_has_a_decision_for_every_trace() {
    let create = "CreateChangeSet { creates_stack: true }";
    let update = "CreateChangeSet { creates_stack: false }";
    let late = "Conclude(Superseded)";
    let done = "Conclude(Done)";
    let back = "Conclude(RolledBack)";
    let never = "Conclude(CreateRolledBack)";
    let stuck = "Conclude(Stuck)";
    let rows = [
        ("REVIEW_IN_PROGRESS", create, create, create),
        ("CREATE_IN_PROGRESS", "AwaitOther", "Follow", late),
        ("CREATE_COMPLETE", update, done, late),
        ("CREATE_FAILED", "Refuse", stuck, late),
        ("ROLLBACK_IN_PROGRESS", "AwaitOther", "Follow", late),
        ("ROLLBACK_COMPLETE", "DeleteNeverHealthy", never, late),
        ("ROLLBACK_FAILED", "Refuse", stuck, late),
        ("DELETE_IN_PROGRESS", "AwaitOther", "Follow", late),
        ("DELETE_COMPLETE", create, create, create),
        ("DELETE_FAILED", "Refuse", stuck, late),
        ("UPDATE_IN_PROGRESS", "AwaitOther", "Follow", late),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "AwaitOther", done, late),
        ("UPDATE_COMPLETE", update, done, late),
        ("UPDATE_FAILED", "Refuse", stuck, late),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "AwaitOther", "Follow", late),
        (
            "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            "AwaitOther",
            "Follow",
            late,
        ),
        ("UPDATE_ROLLBACK_COMPLETE", update, back, late),
        (
            "UPDATE_ROLLBACK_FAILED",
            "ContinueRollback",
            "ContinueRollback",
            late,
        ),
        // Nobody imports with a token of ours; if it shows, the import came of our change set.
        ("IMPORT_IN_PROGRESS", "AwaitOther", "Follow", late),
        ("IMPORT_COMPLETE", update, back, late),
        ("IMPORT_ROLLBACK_IN_PROGRESS", "AwaitOther", "Follow", late),
        ("IMPORT_ROLLBACK_COMPLETE", update, back, late),
        ("IMPORT_ROLLBACK_FAILED", "Refuse", stuck, late),
        ("A_WORD_OF_TOMORROW", "Refuse", stuck, late),
    ];
    for (word, nobody, ours, after_us) in rows {
        let status = StackStatus::parse(word);
        assert_eq!(status.to_string(), word);
        assert_eq!(
            matches!(status, StackStatus::Other(_)),
            word == "A_WORD_OF_TOMORROW"
        );
        let mut case = case(Some(stack(word)));
        case.settled = true;
        let traces = [
            (OurTrace::None, nobody),
            (OurTrace::Latest, ours),
            (OurTrace::Earlier, after_us),
        ];
        for (trace, expected) in traces {
            case.trace = trace;
            let decided = format!("{:?}", case.decide());
            assert!(
                decided.starts_with(expected),
                "{word} {trace:?}: {decided}, not {expected}"
            );
        }
    }
}
