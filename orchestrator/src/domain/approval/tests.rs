//! Who may approve, what a hash is of, and how a difference is told.

use super::*;
use crate::domain::project::{ApprovalRule, ApproverRole};

fn rule(role: ApproverRole, not_author: bool) -> ApprovalRule {
    ApprovalRule {
        role,
        count: 1,
        not_author,
        expires: ApprovalRule::DEFAULT_EXPIRES,
    }
}

#[test]
fn who_may_approve() {
    use ApproverRole::{Admin, Approver};
    let authors = ["ann".to_owned(), "dan".to_owned()];
    // (role asked for, authors barred, who, approver, admin, refusal)
    let rows = [
        (Approver, false, "bob", true, false, None),
        (Approver, false, "ann", false, true, None),
        (Approver, false, "vic", false, false, Some("not_an_approver")),
        (Admin, false, "bob", true, false, Some("not_an_approver")),
        (Admin, false, "ann", false, true, None),
        (Approver, true, "bob", true, false, None),
        (Approver, true, "ann", false, true, Some("is_author")),
        (Approver, true, "dan", true, false, Some("is_author")),
        (Admin, true, "dan", true, false, Some("not_an_approver")),
    ];
    for (role, not_author, name, approves, administers, refusal) in rows {
        let person = Person {
            name,
            approves,
            administers,
        };
        let told = may_approve(&rule(role, not_author), &authors, person);
        assert_eq!(
            told.err().map(|it| it.reason()),
            refusal,
            "{name} {role} {not_author}"
        );
    }
}

fn plan(service: &str, hash: &str, summary: &str, changes: &[(&str, &str, &str)]) -> ServicePlan {
    ServicePlan {
        of: ServiceQuestion {
            service: service.to_owned(),
            target: "333333333333/eu-west-1/main".to_owned(),
            ..ServiceQuestion::default()
        },
        planned: Planned {
            action: PlanAction::Register,
            hash: hash.to_owned(),
            summary: summary.to_owned(),
            findings: Vec::new(),
            fargate: None,
            update: Some(UpdatePlan {
                running: String::new(),
                base: String::new(),
                reused: String::new(),
                changes: changes
                    .iter()
                    .map(|(path, before, after)| DefinitionChange {
                        path: (*path).to_owned(),
                        before: (*before).to_owned(),
                        after: (*after).to_owned(),
                    })
                    .collect(),
                base_changes: Vec::new(),
                images: Vec::new(),
            }),
        },
    }
}

#[test]
fn a_difference_names_the_service_both_hashes_and_its_first_lines() {
    let before = [
        plan(
            "web",
            "aa11",
            "two members change",
            &[("image", "web:1", "web:2"), ("cpu", "256", "512")],
        ),
        plan("orders", "bb22", "nothing", &[]),
        plan("jobs", "cc33", "nothing", &[]),
    ];
    let now = [
        plan(
            "web",
            "dd44",
            "two members change",
            &[("image", "web:1", "web:2"), ("cpu", "128", "512")],
        ),
        plan("orders", "bb22", "nothing", &[]),
        plan("mail", "ee55", "a new revision", &[]),
    ];
    assert_eq!(
        difference(&before, &now),
        [
            "web on 333333333333/eu-west-1/main: plan aa11 is now dd44\n  - cpu: 256 -> 512\n  + cpu: 128 -> 512",
            "jobs on 333333333333/eu-west-1/main has no plan any more",
            "mail on 333333333333/eu-west-1/main has a plan now: a new revision",
        ]
    );
    assert!(difference(&before, &before).is_empty());
    let many: Vec<(String, String)> = (0..9).map(|i| (format!("m{i}"), "x".repeat(500))).collect();
    let many: Vec<(&str, &str, &str)> = many
        .iter()
        .map(|(path, after)| (path.as_str(), "", after.as_str()))
        .collect();
    let told = difference(&before[..1], &[plan("web", "ff66", "two members change", &many)]).remove(0);
    assert!(told.ends_with("and 7 lines more") && told.len() < 1200, "{told}");
}

#[test]
fn the_hash_of_the_whole_is_of_every_part_in_its_order() {
    let (web, orders): (ServiceName, ServiceName) = ("web".parse().unwrap(), "orders".parse().unwrap());
    let target: TargetId = "333333333333/eu-west-1/main".parse().unwrap();
    let (one, two): (PlanHash, PlanHash) = ("aa11".parse().unwrap(), "bb22".parse().unwrap());
    let of = |parts: &[(&ServiceName, &PlanHash)]| {
        hash_of(parts.iter().map(|(service, hash)| (*service, &target, *hash))).unwrap()
    };
    let whole = of(&[(&web, &one), (&orders, &two)]);
    assert_eq!(whole, of(&[(&web, &one), (&orders, &two)]));
    assert_eq!(whole.as_str().len(), 32);
    for other in [
        of(&[(&web, &one)]),
        of(&[(&web, &two), (&orders, &one)]),
        of(&[(&orders, &two), (&web, &one)]),
    ] {
        assert_ne!(whole, other);
    }
    assert_ne!(stand_in("refused", "a"), stand_in("refused", "b"));
    assert!(stand_in("task", "a").unwrap().as_str().starts_with("task:"));
}

#[test]
fn a_confirmed_plan_is_fresh_for_a_while() {
    let made: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let mut plan = DeploymentPlan {
        hash: "aa11".parse().unwrap(),
        made,
        confirmed: None,
        operations: Vec::new(),
    };
    assert!(!plan.is_fresh(made));
    plan.confirmed = Some(made);
    let end = made.checked_add(CONFIRMED_FOR).unwrap();
    assert!(plan.is_fresh(made) && !plan.is_fresh(end));
}
