use serde_json::json;

use super::*;
use crate::sample::arn;
use crate::update::revision::next_revision;
use crate::update::spec::{Base, ContainerChange, NamedChanges, NewImage};
use crate::verdict::Reason;

fn revision(number: u32, image: &str, level: &str) -> TaskDefinition {
    let definition = json!({
        "taskDefinitionArn": arn(&format!("orders:{number}")).0, "family": "orders", "revision": number,
        "containerDefinitions": [
            { "name": "app", "image": image, "environment": [{ "name": "LEVEL", "value": level }] },
            { "name": "envoy", "image": "envoy:1" },
        ],
    });
    TaskDefinition {
        definition: definition.as_object().unwrap().clone(),
        tags: vec![json!({ "key": "towline:content-hash", "value": number.to_string() })],
    }
}

fn to_tag(tag: &str) -> UpdateSpec {
    UpdateSpec {
        containers: vec![ContainerChange::of_image(
            "app",
            NewImage::TagOnly(tag.parse().unwrap()),
        )],
        ..UpdateSpec::default()
    }
}

fn planned(
    spec: &UpdateSpec,
    running: &TaskDefinition,
    base: &TaskDefinition,
    decision: StartDecision,
) -> UpdatePlan {
    let next = next_revision(base, "orders", spec).unwrap();
    plan(&Subject {
        service: "orders",
        spec,
        decision: &decision,
        runs: running.arn().as_ref(),
        running: Some(running),
        base: Some(base),
        next: Some(&next),
    })
}

#[test]
fn the_hash_is_that_of_the_change_whether_or_not_its_revision_is_registered() {
    let running = revision(7, "orders:1", "info");
    let reuse = StartDecision::Update {
        task_definition: arn("orders:8"),
    };
    let first = planned(&to_tag("2"), &running, &running, StartDecision::Register);
    let repeated = planned(&to_tag("2"), &running, &revision(8, "orders:2", "info"), reuse);
    assert_eq!(
        first.hash, repeated.hash,
        "Towline's own tags do not count either"
    );
    assert_eq!(
        (first.action, repeated.action),
        (UpdateAction::Register, UpdateAction::Reuse)
    );
    let other = planned(&to_tag("3"), &running, &running, StartDecision::Register);
    assert_ne!(first.hash, other.hash);
    let forced = StartDecision::Force {
        task_definition: arn("orders:7"),
    };
    let nothing = StartDecision::Unchanged {
        deployment_id: "ecs-svc/1".to_owned(),
        task_definition: arn("orders:7"),
    };
    let [forced, nothing] =
        [forced, nothing].map(|decision| planned(&to_tag("1"), &running, &running, decision));
    assert!(forced.changes.is_empty() && nothing.changes.is_empty());
    assert_ne!(forced.hash, nothing.hash, "a new deployment is something");
}

#[test]
fn what_latest_brings_along_is_shown_apart_and_counts() {
    let running = revision(7, "orders:1", "info");
    let latest = revision(9, "orders:1", "debug");
    let plan = planned(&to_tag("2"), &running, &latest, StartDecision::Register);
    let paths = |changes: &[DefinitionChange]| {
        changes
            .iter()
            .map(|change| change.path.clone())
            .collect::<Vec<_>>()
    };
    let level = "containerDefinitions[app].environment[LEVEL]";
    assert_eq!(paths(&plan.base_changes), [level]);
    assert_eq!(paths(&plan.changes), ["containerDefinitions[app].image", level]);
    assert_eq!(plan.base, Some(arn("orders:9")));
    assert_eq!(plan.findings[0].reason, "latest_is_not_running");
    let spec = UpdateSpec {
        base: Base::Running,
        ..to_tag("2")
    };
    let from_running = planned(&spec, &running, &running, StartDecision::Register);
    assert!(from_running.base_changes.is_empty() && from_running.findings.is_empty());
    assert_ne!(plan.hash, from_running.hash);
}

#[test]
fn images_are_those_that_change_and_those_that_are_named() {
    let running = revision(7, "orders:1", "info");
    let plan = planned(&to_tag("2"), &running, &running, StartDecision::Register);
    let images: Vec<_> = plan
        .images
        .iter()
        .map(|i| (i.container.as_str(), i.before.as_str(), i.after.as_str()))
        .collect();
    assert_eq!(images, [("app", "orders:1", "orders:2")]);
    let same = planned(&to_tag("1"), &running, &running, StartDecision::Register);
    assert_eq!(same.images.len(), 1, "named, and the same");
}

#[test]
fn secrets_are_shown_by_their_reference() {
    let mut running = revision(7, "orders:1", "info");
    running.definition["containerDefinitions"][0]["secrets"] =
        json!([{ "name": "PASSWORD", "valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/old" }]);
    let mut spec = to_tag("1");
    spec.containers[0].secrets = NamedChanges {
        set: [("PASSWORD".to_owned(), "/new".to_owned())].into(),
        ..NamedChanges::default()
    };
    let plan = planned(&spec, &running, &running, StartDecision::Register);
    assert_eq!(
        plan.lines(),
        [
            "containerDefinitions[app].secrets[PASSWORD]: \"arn:aws:ssm:eu-west-1:1:parameter/old\" -> \"/new\""
        ]
    );
}

#[test]
fn what_cannot_be_done_is_a_finding_and_what_will_not_work_refuses() {
    let running = revision(7, "orders:1", "info");
    let refusal = Refusal::new(Reason::DeploymentInProgress, "somebody deploys", "wait");
    let refused = planned(&to_tag("2"), &running, &running, StartDecision::Refuse(refusal));
    assert_eq!(refused.action, UpdateAction::Refused);
    assert_eq!(refused.findings[0].reason, "deployment_in_progress");
    assert_eq!(refused.hash, "");
    assert_eq!(refused.changes.len(), 1, "what it would have been is still shown");

    let finding = |severity| Finding {
        severity,
        reason: "image_missing",
        message: "image orders:2 does not exist".to_owned(),
        hint: String::new(),
    };
    let plan = planned(&to_tag("2"), &running, &running, StartDecision::Register);
    let warned = plan.clone().with_findings(vec![finding(Severity::Warning)]);
    assert_eq!(warned.action, UpdateAction::Register);
    let refused = plan.with_findings(vec![finding(Severity::Note), finding(Severity::Error)]);
    assert_eq!(refused.action, UpdateAction::Refused);
    assert_eq!(refused.summary, "image orders:2 does not exist");
    let nothing = StartDecision::Unchanged {
        deployment_id: "ecs-svc/1".to_owned(),
        task_definition: arn("orders:7"),
    };
    let nothing =
        planned(&to_tag("1"), &running, &running, nothing).with_findings(vec![finding(Severity::Error)]);
    assert_eq!(
        nothing.action,
        UpdateAction::Unchanged,
        "nothing is started that could not work"
    );
}
