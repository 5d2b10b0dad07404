//! What people read of a change set, and what its hash stands for.

use super::*;
use crate::fargate::preflight::Severity;
use crate::fargate::spec::{Container, FargateService, Network};
use crate::fargate::{AccountFacts, Choices, template, validate};
use crate::observed::{PropertyChange, ResourceChange};
use crate::sample::arn;

fn wanted(image: &str, change: impl FnOnce(&mut FargateService)) -> Template {
    let mut service = FargateService {
        name: "web".to_owned(),
        cpu: 256,
        memory: 512,
        containers: vec![Container {
            name: "web".to_owned(),
            image: image.to_owned(),
            ..Container::default()
        }],
        network: Network {
            subnets: vec!["subnet-1".to_owned()],
            ..Network::default()
        },
        ..FargateService::default()
    };
    change(&mut service);
    let facts = AccountFacts {
        account: "111122223333".to_owned(),
        partition: "aws".to_owned(),
        region: "eu-west-1".to_owned(),
        cluster: "main".to_owned(),
        permissions_boundary: None,
        role_path: "/".to_owned(),
        mandatory_tags: Default::default(),
    };
    template(&validate(&service).unwrap(), &facts, &Choices::default()).unwrap()
}

fn subject(wanted: &Template) -> Subject<'_> {
    Subject {
        stack_name: "towline-main-web",
        service: "web",
        wanted,
        adopts: false,
    }
}

fn set(changes: Vec<ResourceChange>) -> ChangeSet {
    ChangeSet {
        status: "CREATE_COMPLETE".to_owned(),
        status_reason: String::new(),
        execution_status: "AVAILABLE".to_owned(),
        changes,
    }
}

fn modify(id: &str, kind: &str, replacement: &str, details: Vec<PropertyChange>) -> ResourceChange {
    ResourceChange {
        action: "Modify".to_owned(),
        logical_id: id.to_owned(),
        resource_type: kind.to_owned(),
        replacement: replacement.to_owned(),
        details,
        ..ResourceChange::default()
    }
}

fn property(name: &str, requires: &str) -> PropertyChange {
    PropertyChange {
        attribute: "Properties".to_owned(),
        name: name.to_owned(),
        requires_recreation: requires.to_owned(),
        source: "DirectModification".to_owned(),
        ..PropertyChange::default()
    }
}

/// A release with a new image, as CloudFormation shows it.
fn release() -> ChangeSet {
    let image = PropertyChange {
        path: "/Properties/ContainerDefinitions/0/Image".to_owned(),
        before: Some("r.example/web:1".to_owned()),
        after: Some("r.example/web:2".to_owned()),
        source: "ParameterReference".to_owned(),
        ..property("ContainerDefinitions", "Always")
    };
    let revision = PropertyChange {
        source: "ResourceReference".to_owned(),
        ..property("TaskDefinition", "Never")
    };
    set(vec![
        modify("TaskDefinition", "AWS::ECS::TaskDefinition", "True", vec![image]),
        modify("Service", "AWS::ECS::Service", "False", vec![revision]),
    ])
}

fn before() -> Vec<(String, String)> {
    vec![("ImageWeb".to_owned(), "r.example/web:1".to_owned())]
}

#[test]
fn a_release_reads_as_its_images_and_a_new_revision_is_no_replacement() {
    let wanted = wanted("r.example/web:2", |_| {});
    let plan = of_change_set(&subject(&wanted), &release(), false, &before());
    assert_eq!(plan.action, PlanAction::Update);
    let [service, task] = plan.changes.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!(
        (service.logical_id.as_str(), service.properties.as_slice()),
        ("Service", &["TaskDefinition".to_owned()][..])
    );
    assert!(!service.replacement && !task.replacement);
    let image = "image of container web: r.example/web:1 -> r.example/web:2";
    assert_eq!(task.details, ["a new revision; the one before is kept", image]);
    assert_eq!(plan.summary, format!("changes stack towline-main-web: {image}"));
    assert_eq!(plan.findings, []);
}

#[test]
fn the_hash_is_of_what_is_done_and_not_of_the_order_in_which_it_is_told() {
    let made = wanted("r.example/web:2", |_| {});
    let hash =
        |wanted: &Template, set: &ChangeSet| of_change_set(&subject(wanted), set, false, &before()).hash;
    let value = |name: &str| PropertyChange {
        before: Some("1".to_owned()),
        after: Some("2".to_owned()),
        ..property(name, "Always")
    };
    let mut turned = release();
    turned.changes[0].details.extend([value("Cpu"), value("Memory")]);
    let first = hash(&made, &turned);
    turned.changes.reverse();
    for change in &mut turned.changes {
        change.details.reverse();
    }
    // Metadata alone is Towline's own affair.
    let metadata = PropertyChange {
        attribute: "Metadata".to_owned(),
        ..PropertyChange::default()
    };
    turned
        .changes
        .push(modify("LogGroup", "AWS::Logs::LogGroup", "False", vec![metadata]));
    assert_eq!(hash(&made, &turned), first);
    let mut more = turned;
    more.changes.push(modify(
        "LogGroup",
        "AWS::Logs::LogGroup",
        "False",
        vec![property("RetentionInDays", "Never")],
    ));
    assert_ne!(hash(&made, &more), first);
    // CloudFormation shows nothing of what an addition holds: the template counts as well.
    let other = wanted("r.example/web:2", |s| {
        s.containers[0].user = Some("root".to_owned())
    });
    assert_ne!(hash(&other, &release()), first);
}

#[test]
fn a_stack_that_is_made_anew_has_the_hash_of_its_creation() {
    let wanted = wanted("r.example/web:2", |_| {});
    let add = |(id, resource): (&String, &serde_json::Value)| ResourceChange {
        action: "Add".to_owned(),
        logical_id: id.clone(),
        resource_type: resource["Type"].as_str().unwrap().to_owned(),
        ..ResourceChange::default()
    };
    let created = set(wanted.resources().iter().rev().map(add).collect());
    let create = of_change_set(&subject(&wanted), &created, true, &[]);
    let recreate = of_recreation(&subject(&wanted));
    assert_eq!(
        (create.action, recreate.action),
        (PlanAction::Create, PlanAction::Recreate)
    );
    assert_eq!((create.hash, create.changes), (recreate.hash, recreate.changes));
}

#[test]
fn a_named_service_that_would_be_replaced_is_refused_with_a_way_out() {
    let wanted = wanted("r.example/web:2", |_| {});
    let moved = set(vec![modify(
        "Service",
        "AWS::ECS::Service",
        "True",
        vec![property("Cluster", "Always")],
    )]);
    let plan = of_change_set(&subject(&wanted), &moved, false, &before());
    assert_eq!(plan.action, PlanAction::Refused);
    assert!(plan.changes[0].replacement);
    let finding = &plan.findings[0];
    assert_eq!(
        (finding.severity, finding.reason),
        (Severity::Error, "named_service_replaced")
    );
    assert!(
        finding.message.contains("Cluster") && finding.hint.contains("another name"),
        "{finding:?}"
    );
    // A new name is what CloudFormation can do; it hurts all the same.
    let renamed = set(vec![modify(
        "Service",
        "AWS::ECS::Service",
        "True",
        vec![property("ServiceName", "Always")],
    )]);
    let plan = of_change_set(&subject(&wanted), &renamed, false, &before());
    assert_eq!(
        (plan.action, plan.findings[0].severity),
        (PlanAction::Update, Severity::Warning)
    );
}

#[test]
fn taking_over_is_refused_when_the_service_would_be_replaced_or_removed() {
    let wanted = wanted("r.example/web:2", |_| {});
    let subject = Subject {
        adopts: true,
        ..subject(&wanted)
    };
    let remove = |id: &str, kind: &str| ResourceChange {
        action: "Remove".to_owned(),
        ..modify(id, kind, "", vec![])
    };
    for (change, action) in [
        (
            modify(
                "Web",
                "AWS::ECS::Service",
                "True",
                vec![property("ServiceName", "Always")],
            ),
            PlanAction::Refused,
        ),
        // What CloudFormation does not promise cannot be promised here.
        (
            modify(
                "Web",
                "AWS::ECS::Service",
                "Conditional",
                vec![property("LaunchType", "Conditionally")],
            ),
            PlanAction::Refused,
        ),
        (remove("Web", "AWS::ECS::Service"), PlanAction::Refused),
        // It goes, and it is said.
        (remove("Alarm", "AWS::CloudWatch::Alarm"), PlanAction::Update),
    ] {
        let plan = of_change_set(&subject, &set(vec![change]), false, &[]);
        assert_eq!((plan.action, plan.findings.len()), (action, 1), "{plan:#?}");
    }
}

#[test]
fn what_may_replace_the_service_is_named_and_told_by_whether_it_has_a_name() {
    let wanted = wanted("r.example/web:2", |_| {});
    // One that always replaces, and whose value is not known before CloudFormation runs.
    for (name, recreation) in [("LaunchType", "Conditionally"), ("Role", "Always")] {
        let perhaps = |id: &str| {
            let properties = vec![property("DesiredCount", "Never"), property(name, recreation)];
            set(vec![modify(id, "AWS::ECS::Service", "Conditional", properties)])
        };
        let adopts = Subject {
            adopts: true,
            ..subject(&wanted)
        };
        let refused = of_change_set(&adopts, &perhaps("Web"), false, &[]);
        let finding = &refused.findings[0];
        assert_eq!(finding.reason, "adopt_may_replace_service");
        assert!(
            finding.message.contains(name) && finding.hint.contains(name),
            "{finding:?}"
        );
        // No resource of the template is called Web: as a service without a name.
        for (id, words) in [
            ("Service", "cannot be replaced"),
            ("Web", "a new service is made"),
        ] {
            let plan = of_change_set(&subject(&wanted), &perhaps(id), false, &[]);
            let finding = &plan.findings[0];
            assert_eq!(
                (plan.action, finding.severity, finding.reason),
                (PlanAction::Update, Severity::Warning, "service_may_be_replaced")
            );
            assert!(
                finding.message.contains(name) && finding.hint.contains(words),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn a_changed_property_shows_its_place_and_both_values() {
    let wanted = wanted("r.example/web:1", |s| {
        s.containers[0]
            .environment
            .insert("LEVEL".to_owned(), "info".to_owned());
    });
    let level = PropertyChange {
        path: "/Properties/ContainerDefinitions/0/Environment/0/Value".to_owned(),
        before: Some("debug".to_owned()),
        after: Some("info".to_owned()),
        ..property("ContainerDefinitions", "Always")
    };
    let changed = set(vec![modify(
        "TaskDefinition",
        "AWS::ECS::TaskDefinition",
        "True",
        vec![level],
    )]);
    let changes = translate(&changed, &before(), &wanted);
    assert_eq!(
        changes[0].details,
        [
            "a new revision; the one before is kept",
            "container web: Environment/0/Value: debug -> info"
        ]
    );
}

#[test]
fn without_a_change_the_plan_names_the_one_write_outside_cloudformation() {
    let wanted = wanted("r.example/web:2", |_| {});
    let plan = |action, runs: &str| of_service(&subject(&wanted), action, &arn("web:2"), Some(&arn(runs)));
    let unchanged = plan(ServiceAction::Nothing, "web:2");
    assert_eq!(
        (unchanged.action, unchanged.drifted),
        (PlanAction::Unchanged, false)
    );
    let repair = plan(ServiceAction::Repair, "web:1");
    assert_eq!((repair.action, repair.drifted), (PlanAction::Repair, true));
    assert!(repair.summary.contains("one UpdateService") && repair.summary.contains("web:1"));
    let force = plan(ServiceAction::Force, "web:2");
    assert_eq!(force.action, PlanAction::Force);
    assert!(force.summary.contains("one UpdateService"));
    let hashes = std::collections::BTreeSet::from([unchanged.hash, repair.hash, force.hash]);
    assert_eq!(hashes.len(), 3, "each is approved for itself");
}
