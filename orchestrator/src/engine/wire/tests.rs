//! Nothing of the file is lost on its way to the agent, and what the file does
//! not say stays the agent's to say.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};
use towline_proto::agent::v1 as agent;

use super::{plan, service};
use crate::domain::{
    operation::{FargatePayload, fargate_payload},
    project::{self, ServiceKind, Target},
    release::choose_images_of,
};

const WHOLE: &str = include_str!("../../domain/project/tests/whole.yaml");
const SIMPLE: &str = include_str!("../../../../examples/fargate/simple.yaml");

fn payload(text: &str) -> (Target, FargatePayload) {
    let project = project::parse(text, "f").unwrap();
    let (name, asked) = project.services.first().unwrap();
    let ServiceKind::Fargate(fargate) = &asked.kind else {
        panic!("the first service is a fargate service")
    };
    let chosen = [("web".to_owned(), "1.0.0".to_owned())];
    let images = choose_images_of(&project, asked, &chosen).unwrap();
    let environment = project.environments.first().unwrap().1;
    let target = environment.targets[0].clone();
    let payload = fargate_payload(&project, &images, (name, fargate), (environment, &target)).unwrap();
    (target, payload)
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
            "towline.agent.v1.FargateServiceSpec.log_group"
        ]
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
    let asked = plan(&target, &payload);
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
