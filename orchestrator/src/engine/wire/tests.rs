//! Nothing of the file is lost on its way to the agent, and what the file does
//! not say stays the agent's to say.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};
use towline_proto::agent::v1 as agent;

use super::{plan_fargate, service};
use crate::domain::{
    deployment::{ExpectedState, SlotKind},
    name::{DeploymentId, OperationId},
    operation::{self, FargatePayload, Payload, PlannedOperation},
    project::{self, Project, Target},
    release::choose_images_of,
    variable::Readings,
};

const WHOLE: &str = include_str!("../../domain/project/tests/whole.yaml");
const EXISTING: &str = include_str!("../../../../examples/existing/towline.yaml");
const SIMPLE: &str = include_str!("../../../../examples/fargate/simple.yaml");

fn payload(text: &str) -> (Target, FargatePayload) {
    let project = project::parse(text, "f").unwrap();
    let (name, asked) = project.services.first().unwrap();
    let chosen = [("web".to_owned(), "1.0.0".to_owned())];
    let images = choose_images_of(&project, asked, &chosen).unwrap();
    let target = first_target(&project);
    match operation::payload(&project, &images, (name, asked), spot(&project, &target)).unwrap() {
        Payload::Fargate(payload) => (target, *payload),
        _ => panic!("the first service is a fargate service"),
    }
}

fn first_target(project: &Project) -> Target {
    project.environments.first().unwrap().1.targets[0].clone()
}

fn spot<'a>(project: &'a Project, target: &'a Target) -> operation::Spot<'a> {
    static NOTHING: std::sync::LazyLock<Readings> = std::sync::LazyLock::new(Readings::new);
    let (environment, definition) = project.environments.first().unwrap();
    operation::Spot {
        environment,
        definition,
        target,
        channel: None,
        read: &NOTHING,
    }
}

/// The fields that are set anywhere in a message, as `Message.field`.
fn fields_set(message: &DynamicMessage, found: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        found.insert(field.full_name().to_owned());
        let values = match value {
            Value::List(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            if let Value::Message(inner) = value {
                fields_set(inner, found);
            }
        }
    }
}

/// All fields of a message and of those in it.
fn fields_of(message: &MessageDescriptor, found: &mut BTreeSet<String>) {
    for field in message.fields() {
        if found.insert(field.full_name().to_owned())
            && !field.is_map()
            && let Some(inner) = field.kind().as_message()
        {
            fields_of(inner, found);
        }
    }
}

#[test]
fn every_member_of_the_specification_has_a_spelling_in_the_project_file() {
    let (_, payload) = payload(WHOLE);
    let spec = service::spec(&payload);
    let pool = DescriptorPool::decode(towline_proto::DESCRIPTORS).unwrap();
    let descriptor = pool
        .get_message_by_name("towline.agent.v1.FargateServiceSpec")
        .unwrap();
    let message = DynamicMessage::decode(descriptor, spec.encode_to_vec().as_slice()).unwrap();
    let (mut set, mut all) = (BTreeSet::new(), BTreeSet::new());
    fields_set(&message, &mut set);
    fields_of(&message.descriptor(), &mut all);
    let missing: Vec<&String> = all.difference(&set).collect();
    // Each excludes one that the file has.
    assert_eq!(
        missing,
        [
            "towline.agent.v1.CircuitBreakerSpec.threshold_count",
            "towline.agent.v1.FargateServiceSpec.kms_keys",
            "towline.agent.v1.FargateServiceSpec.log_group"
        ]
    );
}

#[test]
fn keys_come_in_place_of_an_execution_role() {
    let role = "execution_role: \"arn:aws:iam::${target.account}:role/execution\"";
    let keys = "kms_keys: [\"arn:aws:kms:eu-west-1:${target.account}:key/k\"]";
    assert!(WHOLE.contains(role));
    let (_, payload) = payload(&WHOLE.replace(role, keys));
    let spec = service::spec(&payload);
    assert_eq!(spec.kms_keys.len(), 1);
    assert!(
        spec.kms_keys[0].ends_with(":key/k") && !spec.kms_keys[0].contains("${"),
        "{:?}",
        spec.kms_keys
    );
}

#[test]
fn values_are_filled_everywhere() {
    let (_, payload) = payload(WHOLE);
    let spec = service::spec(&payload);
    assert!(!format!("{spec:?}").contains("${"), "{spec:#?}");
    let patches: Vec<(&str, &str)> = spec
        .overrides
        .iter()
        .map(|it| (it.resource.as_str(), it.merge_patch.as_str()))
        .collect();
    assert_eq!(
        patches[0],
        (
            "service",
            r#"{"Properties":{"AvailabilityZoneRebalancing":null,"EnableExecuteCommand":false,"Role":"dev"}}"#
        )
    );
    assert_eq!(
        patches[1],
        (
            "task_definition",
            r#"{"Properties":{"PidMode":"task","Volumes":[{"Name":"extra"}],"Cpu":1024}}"#
        )
    );
    assert_eq!(
        spec.load_balancers[1].listener_rule.as_ref().unwrap().paths,
        ["/a/*", "/b/*"]
    );
}

#[test]
fn what_the_file_does_not_say_is_left_to_the_agent() {
    let (target, payload) = payload(SIMPLE);
    let asked = plan_fargate(&target, &payload, false);
    assert!(!asked.adopt && !asked.force);
    let spec = asked.service.unwrap();
    assert_eq!(spec.desired_count, None);
    assert_eq!(spec.managed_tags, None);
    assert_eq!(spec.rollout, Some(agent::RolloutSpec::default()));
    assert_eq!(spec.log_retention, 0);
    assert_eq!(spec.propagate_tags(), agent::TagPropagation::Unspecified);
    assert_eq!(spec.containers[0].logging, None);
    assert_eq!(spec.containers[0].essential, Some(true));
}

#[test]
fn what_was_stored_before_the_full_specification_is_read() {
    let stored = r#"{
        "name": "web", "stack_name": "", "cpu": 256, "memory": 512, "architecture": "x86_64",
        "containers": [{
            "name": "web", "image": "shop/web:1.0.0", "cpu": null, "memory": null, "memory_reservation": 64,
            "ports": [{ "port": 8080, "protocol": "tcp" }], "environment": {}, "secrets": {},
            "depends_on": [["envoy", "start"]], "essential": true, "entry_point": [], "command": []
        }],
        "subnets": ["subnet-1"], "security_groups": ["sg-1"], "assign_public_ip": false,
        "load_balancers": [{ "container": "web", "port": 8080, "target_group": "arn:aws:x" }],
        "desired_count": null, "task_role": "", "execution_role": "",
        "rollout": { "minimum_healthy_percent": null, "maximum_percent": 150 },
        "tags": { "towline:project": "shop" }
    }"#;
    let payload: FargatePayload = serde_json::from_str(stored).unwrap();
    let spec = service::spec(&payload);
    assert_eq!(spec.load_balancers[0].target_group, "arn:aws:x");
    assert_eq!(spec.rollout.unwrap().maximum_percent, Some(150));
    let again: FargatePayload = serde_json::from_str(&serde_json::to_string(&payload).unwrap()).unwrap();
    assert_eq!(again, payload);
}

/// The second service of the example says everything that can be said.
fn update() -> PlannedOperation {
    let project = project::parse(EXISTING, "f").unwrap();
    let (name, asked) = project.services.get_index(1).unwrap();
    let chosen = [("stock".to_owned(), "1.0.0".to_owned())];
    let images = choose_images_of(&project, asked, &chosen).unwrap();
    let target = first_target(&project);
    PlannedOperation {
        id: OperationId::of(DeploymentId(uuid::Uuid::nil()), &target.id(), name, 1),
        payload: operation::payload(&project, &images, (name, asked), spot(&project, &target)).unwrap(),
        reads: Vec::new(),
        values: Vec::new(),
        kind: SlotKind::Service,
        attempt: 1,
        service: name.clone(),
        target: target.id(),
        agent: target.agent,
        account: target.account,
        region: target.region,
        cluster: target.cluster,
        wave: 0,
        after: Vec::new(),
        force: true,
        plan: Some("4f2a".parse().unwrap()),
    }
}

fn asked(planned: &PlannedOperation) -> agent::UpdateServiceRequest {
    let context = agent::OperationContext {
        operation_id: planned.id.to_string(),
        epoch: 1,
        deadline: Some(prost_types::Timestamp { seconds: 1, nanos: 1 }),
        repeated_send: true,
        ..agent::OperationContext::default()
    };
    let expected = ExpectedState {
        task_definition: "t".to_owned(),
        deployment_id: "d".to_owned(),
        stack_id: "s".to_owned(),
        absent: true,
    };
    match super::request(planned, Some(&expected), context) {
        super::OperationRequest::Update(request) => *request,
        _ => panic!("stock is an existing service"),
    }
}

#[test]
fn every_member_of_an_update_has_a_spelling_in_the_project_file() {
    let pool = DescriptorPool::decode(towline_proto::DESCRIPTORS).unwrap();
    let descriptor = pool
        .get_message_by_name("towline.agent.v1.UpdateServiceRequest")
        .unwrap();
    let (mut set, mut all) = (BTreeSet::new(), BTreeSet::new());
    fields_of(&descriptor, &mut all);
    // One base excludes the other; a service whose image keeps its repository has a tag.
    let mut tagged = update();
    if let Payload::Update(update) = &mut tagged.payload {
        update.containers[0].image = Some(operation::NewImage::Tag("1.0.0".to_owned()));
        update.more.wait_for = Some(project::WaitFor::Verdict);
        update.containers[0].more.environment_files.remove = vec!["f".to_owned()];
        update.containers[0].more.environment_files.replace = true;
    }
    let mut running = update();
    if let Payload::Update(update) = &mut running.payload {
        update.more.base = Some(project::BaseRevision::Running);
    }
    let mut pinned = update();
    if let Payload::Update(update) = &mut pinned.payload {
        update.containers[0].image = Some(operation::NewImage::RunningPinned(operation::PinnedImage {
            image: "stock".parse().unwrap(),
            tag: "1.0.0".parse().unwrap(),
            digest: format!("sha256:{}", "4f".repeat(32)).parse().unwrap(),
        }));
    }
    for planned in [update(), tagged, running, pinned] {
        let bytes = asked(&planned).encode_to_vec();
        let message = DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).unwrap();
        fields_set(&message, &mut set);
    }
    let missing: Vec<&String> = all.difference(&set).collect();
    assert_eq!(
        missing,
        [
            // Time spans of the file are whole seconds here.
            "google.protobuf.Duration.nanos",
            // Said by whoever cancels, and told with every repeat.
            "towline.agent.v1.OperationContext.cancel",
            // The engine's own, of an operation that was sent before.
            "towline.agent.v1.OperationContext.first_send_time",
            // A roll-back's, which names the revision itself.
            "towline.agent.v1.UpdateServiceRequest.task_definition",
            // Travels as the context's deadline, which repeats keep.
            "towline.agent.v1.UpdateServiceRequest.timeout",
        ]
    );
}

#[test]
fn what_the_file_says_of_an_existing_service_reaches_the_agent() {
    let asked = asked(&update());
    assert_eq!(
        (
            asked.service.as_str(),
            asked.family.as_str(),
            asked.template_family.as_str()
        ),
        ("stock-dev", "stock-dev", "stock-template-dev")
    );
    assert_eq!((asked.force, asked.plan_hash.as_str()), (true, "4f2a"));
    assert_eq!(asked.bake_alarms, ["stock-dev-errors"]);
    assert_eq!(asked.bake_time.map(|time| time.seconds), Some(300));
    assert_eq!(asked.on_failure(), agent::OnFailure::RollBack);
    assert_eq!(asked.remove_tags, ["legacy"]);
    let [app, log] = asked.containers.as_slice() else {
        panic!("two containers: {:?}", asked.containers)
    };
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/warehouse/stock:1.0.0";
    assert_eq!((app.image.as_deref(), app.tag.as_deref()), (Some(image), None));
    let environment = app.environment.as_ref().unwrap();
    assert_eq!(environment.set["LEVEL"], "debug");
    assert_eq!(
        (environment.remove.as_slice(), environment.replace),
        (["DEBUG".to_owned()].as_slice(), false)
    );
    assert!(app.secrets.as_ref().unwrap().replace);
    assert_eq!(
        (log.name.as_str(), log.image.as_deref(), log.secrets.is_none()),
        ("log-dev", None, true)
    );
}
