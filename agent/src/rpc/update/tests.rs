use std::collections::BTreeMap;

use towline_agent_domain::update::spec::{ContainerChange, FileChanges, NamedChanges, NewImage, TagChanges};

use super::*;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1b2c3";
const FILE: &str = "arn:aws:s3:::bucket/a.env";

fn check(wire: &proto::UpdateServiceRequest) -> (UpdateSpec, Violations) {
    let mut violations = Violations::default();
    let spec = update_spec(wire, "aws", &mut violations);
    (spec, violations)
}

fn faults(wire: &proto::UpdateServiceRequest) -> BTreeMap<String, String> {
    check(wire).1.into_pairs().into_iter().collect()
}

fn set(name: &str, value: &str) -> proto::NamedValues {
    proto::NamedValues {
        set: [(name.to_owned(), value.to_owned())].into(),
        ..Default::default()
    }
}

fn of_container(container: proto::ContainerUpdate) -> proto::UpdateServiceRequest {
    proto::UpdateServiceRequest {
        containers: vec![proto::ContainerUpdate {
            name: "app".to_owned(),
            ..container
        }],
        ..Default::default()
    }
}

fn everything() -> proto::UpdateServiceRequest {
    let digest = format!("sha256:{}", "0".repeat(64));
    proto::UpdateServiceRequest {
        family: "next".to_owned(),
        template_family: "template".to_owned(),
        tags: [("team".to_owned(), String::new())].into(),
        remove_tags: vec!["old".to_owned()],
        force: true,
        on_failure: proto::OnFailure::RollBack.into(),
        wait_for: proto::WaitFor::Verdict.into(),
        bake_time: Some(prost_types::Duration {
            seconds: 86_400,
            nanos: 0,
        }),
        bake_alarms: vec!["errors".to_owned()],
        plan_hash: "abc".to_owned(),
        ..of_container(proto::ContainerUpdate {
            tag: Some("1.2.0".to_owned()),
            digest: Some(digest),
            environment: Some(proto::NamedValues {
                replace: true,
                ..set("LEVEL", "debug")
            }),
            secrets: Some(proto::NamedValues {
                remove: vec!["GONE".to_owned()],
                ..set("PASSWORD", SECRET)
            }),
            environment_files: Some(proto::EnvironmentFiles {
                add: vec![FILE.to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        })
    }
}

#[test]
fn every_member_arrives_where_it_belongs() {
    let (spec, violations) = check(&everything());
    assert_eq!(violations.into_pairs(), []);
    let one = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let wanted = UpdateSpec {
        family: Some("next".to_owned()),
        base: Base::TemplateFamily("template".to_owned()),
        containers: vec![ContainerChange {
            name: "app".to_owned(),
            image: Some(NewImage::DigestOnly {
                digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
                tag: Some("1.2.0".parse().unwrap()),
            }),
            environment: NamedChanges {
                set: one("LEVEL", "debug"),
                replace: true,
                ..Default::default()
            },
            secrets: NamedChanges {
                set: one("PASSWORD", SECRET),
                remove: ["GONE".to_owned()].into(),
                replace: false,
            },
            environment_files: FileChanges {
                add: vec![FILE.to_owned()],
                ..Default::default()
            },
        }],
        tags: TagChanges {
            set: one("team", ""),
            remove: ["old".to_owned()].into(),
        },
        force: true,
        on_failure: OnFailure::RollBack,
        wait_for: WaitFor::Verdict,
        bake: Some(Bake {
            time: SignedDuration::from_hours(24),
            alarms: vec!["errors".to_owned()],
        }),
        plan_hash: Some("abc".to_owned()),
    };
    assert_eq!(spec, wanted);
}

#[test]
fn all_faults_come_at_once_and_each_says_where() {
    let container = proto::ContainerUpdate {
        image: Some(" ".to_owned()),
        tag: Some("-x".to_owned()),
        digest: Some("sha256:12".to_owned()),
        environment: Some(proto::NamedValues {
            remove: vec!["BOTH".to_owned()],
            ..set("BOTH", "1")
        }),
        secrets: Some(set("BOTH", "hunter2!")),
        environment_files: Some(proto::EnvironmentFiles {
            add: vec![FILE.to_owned(), "s3://b/a.env".to_owned()],
            remove: vec![FILE.to_owned()],
            replace: true,
        }),
        ..Default::default()
    };
    let mut wire = of_container(container.clone());
    wire.containers.push(proto::ContainerUpdate {
        name: "app".to_owned(),
        ..Default::default()
    });
    wire.family = "orders:7".to_owned();
    wire.base = proto::BaseRevision::Running.into();
    wire.template_family = "template".to_owned();
    wire.tags = [
        ("towline:x".to_owned(), String::new()),
        ("AWS:x".to_owned(), String::new()),
        ("k".repeat(129), String::new()),
        ("long".to_owned(), "v".repeat(257)),
        ("both".to_owned(), String::new()),
    ]
    .into();
    wire.remove_tags = vec!["both".to_owned(), "both".to_owned()];
    wire.on_failure = 99;
    wire.bake_time = Some(prost_types::Duration {
        seconds: 86_401,
        nanos: 0,
    });
    wire.bake_alarms = vec!["a".to_owned(), "a".to_owned(), " ".to_owned()];
    let found = faults(&wire);
    let fields: Vec<_> = found.keys().map(String::as_str).collect();
    let long = format!("tags[{}]", "k".repeat(129));
    let mut wanted = vec![
        "bake_alarms[1]",
        "bake_alarms[2]",
        "bake_time",
        "containers[0].digest",
        "containers[0].environment.set[BOTH]",
        "containers[0].environment_files.add[1]",
        "containers[0].environment_files.remove",
        "containers[0].environment_files.remove[0]",
        "containers[0].image",
        "containers[0].secrets.set[BOTH]",
        "containers[0].tag",
        "containers[1]",
        "containers[1].name",
        "family",
        "on_failure",
        "remove_tags[1]",
        "tags[AWS:x]",
        "tags[both]",
        &long,
        "tags[long]",
        "tags[towline:x]",
        "template_family",
    ];
    wanted.sort_unstable();
    assert_eq!(fields, wanted);
    assert!(!found.values().any(|told| told.contains("hunter2")), "{found:?}");
}

#[test]
fn a_blank_image_is_an_error_and_not_the_old_one() {
    for blank in ["", "  "] {
        let wire = of_container(proto::ContainerUpdate {
            image: Some(blank.to_owned()),
            environment: Some(set("A", "1")),
            ..Default::default()
        });
        let told = &faults(&wire)["containers[0].image"];
        assert!(told.contains("blank"), "{told}");
    }
}

#[test]
fn nothing_to_change_is_a_fault_unless_forced() {
    let mut wire = of_container(proto::ContainerUpdate::default());
    assert!(faults(&wire).contains_key("containers[0]"));
    wire.force = true;
    assert!(faults(&wire).is_empty());
    assert!(faults(&proto::UpdateServiceRequest::default()).contains_key("containers"));
    let base = proto::UpdateServiceRequest {
        base: proto::BaseRevision::Latest.into(),
        ..Default::default()
    };
    assert!(
        faults(&base).is_empty(),
        "the latest revision is something to change to"
    );
}

#[test]
fn a_revision_as_it_is_has_nothing_else_that_changes_content() {
    let mut wire = proto::UpdateServiceRequest {
        task_definition: "arn:aws:ecs:eu-west-1:111111111111:task-definition/orders:7".to_owned(),
        ..Default::default()
    };
    assert!(faults(&wire).is_empty());
    wire.family = "orders".to_owned();
    wire.base = proto::BaseRevision::Running.into();
    wire.containers.push(proto::ContainerUpdate {
        name: "app".to_owned(),
        tag: Some("1".to_owned()),
        ..Default::default()
    });
    let told: Vec<_> = faults(&wire).into_keys().collect();
    assert_eq!(told, ["base", "containers", "family"]);
    for arn in [
        "orders:7",
        "arn:aws:ecs:eu-west-1:111111111111:task-definition/orders",
    ] {
        let wire = proto::UpdateServiceRequest {
            task_definition: arn.to_owned(),
            ..Default::default()
        };
        assert!(faults(&wire).contains_key("task_definition"), "{arn}");
    }
}

#[test]
fn alarms_need_a_bake_time_and_times_are_times() {
    let mut wire = everything();
    wire.bake_time = None;
    assert!(faults(&wire).contains_key("bake_alarms"));
    for (seconds, nanos) in [(-1, 0), (0, -1), (0, 0), (1, 2_000_000_000)] {
        wire.bake_time = Some(prost_types::Duration { seconds, nanos });
        assert!(faults(&wire).contains_key("bake_time"), "{seconds} {nanos}");
    }
}

#[test]
fn a_rollout_that_nobody_follows_is_neither_baked_nor_rolled_back() {
    let mut wire = everything();
    wire.wait_for = proto::WaitFor::Started.into();
    assert!(faults(&wire).contains_key("wait_for"));
    wire.bake_time = None;
    wire.bake_alarms.clear();
    assert!(faults(&wire).contains_key("wait_for"));
    wire.on_failure = proto::OnFailure::Leave.into();
    let (spec, violations) = check(&wire);
    assert_eq!(violations.into_pairs(), []);
    assert_eq!(spec.wait_for, WaitFor::Started);
}

#[test]
fn one_timeout_counts_once() {
    let mut wire = everything();
    wire.timeout = Some(prost_types::Duration {
        seconds: 90,
        nanos: 0,
    });
    let told = |context: &proto::OperationContext| {
        let mut violations = Violations::default();
        let timeout = timeout(&wire, context, &mut violations);
        (timeout, violations.into_pairs().len())
    };
    let mut context = proto::OperationContext::default();
    assert_eq!(told(&context), (Some(SignedDuration::from_secs(90)), 0));
    context.deadline = Some(prost_types::Timestamp::default());
    assert_eq!(told(&context).1, 1);
}
