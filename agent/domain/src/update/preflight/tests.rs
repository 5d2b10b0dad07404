use serde_json::json;

use super::*;
use crate::fargate::preflight::Severity;
use crate::observed::surroundings::ObservedImage;
use crate::observed::{AlarmState, CircuitBreaker};
use crate::outside::CallError;
use crate::sample::service;
use crate::update::spec::Bake;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1b2c3";
const ROLE: &str = "arn:aws:iam::111122223333:role/tasks";
const ECR: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/orders";

fn definition(tag: &str) -> TaskDefinition {
    let definition = json!({
        "family": "orders", "cpu": "512", "memory": "1024", "executionRoleArn": ROLE, "taskRoleArn": ROLE,
        "networkMode": "bridge",
        "containerDefinitions": [
            { "name": "app", "image": format!("{ECR}:{tag}"),
              "portMappings": [{ "containerPort": 80, "hostPort": 8080 }],
              "secrets": [{ "name": "A", "valueFrom": format!("{SECRET}:password::") }],
              "logConfiguration": { "logDriver": "splunk", "secretOptions": [{ "name": "splunk-token", "valueFrom": "/splunk" }] } },
            { "name": "envoy", "image": "envoy:1" },
        ],
    });
    TaskDefinition {
        definition: definition.as_object().unwrap().clone(),
        tags: Vec::new(),
    }
}

struct World {
    service: ObservedService,
    running: TaskDefinition,
    next: TaskDefinition,
    spec: UpdateSpec,
    facts: Facts,
}

impl World {
    /// A healthy service on EC2, which only gets another tag.
    fn new() -> Self {
        let mut service = service(Vec::new());
        service.launch_type = Some("EC2".to_owned());
        service.desired = 2;
        service.circuit_breaker = CircuitBreaker {
            enabled: true,
            rolls_back: true,
            resets_on_healthy: false,
            ..CircuitBreaker::OFF
        };
        Self {
            service,
            running: definition("1"),
            next: definition("2"),
            spec: UpdateSpec::default(),
            facts: Facts::default(),
        }
    }

    fn view(&self) -> UpdateView<'_> {
        UpdateView {
            service: &self.service,
            running: Some(&self.running),
            next: &self.next,
            spec: &self.spec,
        }
    }

    fn found(&self) -> Vec<(Severity, &'static str)> {
        let found = judge(&self.view(), &self.facts);
        found
            .iter()
            .map(|finding| (finding.severity, finding.reason))
            .collect()
    }

    fn image(&mut self, architectures: &[&str]) {
        let image = ObservedImage {
            digest: "sha256:1".to_owned(),
            architectures: architectures.iter().map(|&one| one.to_owned()).collect(),
        };
        self.facts.images.insert(format!("{ECR}:2"), Ok(Some(image)));
    }
}

fn instance(cpu: u32, memory: u32, ports: &[u32]) -> ContainerInstance {
    ContainerInstance {
        id: "i".to_owned(),
        takes_tasks: true,
        cpu,
        memory,
        ports: ports.to_vec(),
        architecture: Some("arm64".to_owned()),
    }
}

#[test]
fn before_a_write_only_what_is_new_is_asked_and_a_plan_asks_all() {
    let mut world = World::new();
    world.service.load_balancers = vec![crate::observed::LinkedTargetGroup {
        target_group: "arn:tg".to_owned(),
        container: "app".to_owned(),
        port: 80,
    }];
    let before_write = questions(&world.view(), Purpose::Write);
    let wanted = Questions {
        images: vec![format!("{ECR}:2").parse().unwrap()],
        roles: vec![ROLE.to_owned()],
        ..Questions::default()
    };
    assert_eq!(before_write, wanted);
    let plan = questions(&world.view(), Purpose::Plan);
    assert_eq!(plan.images.len(), 2);
    assert_eq!(plan.secrets, ["/splunk", SECRET]);
    assert_eq!(plan.target_groups, ["arn:tg"]);
    assert!(plan.instances && plan.passing);
}

#[test]
fn a_healthy_service_has_no_findings() {
    let mut world = World::new();
    world.facts.instances = Some(Ok(vec![instance(512, 1024, &[22])]));
    world.image(&["amd64", "arm64"]);
    assert_eq!(world.found(), []);
}

#[test]
fn an_image_must_exist_for_what_the_tasks_run_on() {
    let mut world = World::new();
    world.facts.images.insert(format!("{ECR}:2"), Ok(None));
    assert_eq!(world.found(), [(Severity::Error, "image_missing")]);
    let wrong = [(Severity::Error, "image_architecture")];
    // As the cluster's instances are, where the task definition says nothing.
    world.image(&["amd64"]);
    assert_eq!(world.found(), []);
    world.facts.instances = Some(Ok(vec![instance(512, 1024, &[])]));
    assert_eq!(world.found(), wrong);
    // As it says.
    world.next.definition.insert(
        "runtimePlatform".to_owned(),
        json!({ "cpuArchitecture": "X86_64" }),
    );
    assert_eq!(world.found(), []);
    // Fargate's own default.
    world.next.definition.remove("runtimePlatform");
    world.service.launch_type = Some("FARGATE".to_owned());
    world.image(&["arm64"]);
    world.facts.instances = None;
    assert_eq!(world.found(), wrong);
}

#[test]
fn roles_and_secrets_that_are_gone_are_errors_and_silence_is_unknown() {
    let mut world = World::new();
    let role = |role| RoleFact { role, passing: None };
    world.facts.roles.insert(ROLE.to_owned(), role(Ok(None)));
    world.facts.secrets.insert(SECRET.to_owned(), Ok(false));
    assert_eq!(
        world.found(),
        [
            (Severity::Error, "role_missing"),
            (Severity::Error, "secret_missing")
        ]
    );
    let stranger = Role {
        arn: ROLE.to_owned(),
        trusted_services: vec!["ec2.amazonaws.com".to_owned()],
    };
    world
        .facts
        .roles
        .insert(ROLE.to_owned(), role(Ok(Some(stranger))));
    let denied = CallError::Denied {
        message: "no".to_owned(),
    };
    world.facts.secrets.insert(SECRET.to_owned(), Err(denied));
    assert_eq!(
        world.found(),
        [
            (Severity::Error, "role_trusts_not_tasks"),
            (Severity::Unknown, "not_checked")
        ]
    );
}

#[test]
fn room_lacks_where_no_instance_fits_and_none_may_stop_first() {
    let no_room = [(Severity::Warning, "no_room")];
    for instances in [
        vec![],
        vec![instance(511, 2048, &[]), instance(2048, 1023, &[])],
        vec![instance(2048, 4096, &[8080])],
        vec![ContainerInstance {
            takes_tasks: false,
            ..instance(2048, 4096, &[])
        }],
    ] {
        let mut world = World::new();
        world.facts.instances = Some(Ok(instances));
        assert_eq!(world.found(), no_room);
        world.service.minimum_healthy_percent = 50;
        assert_eq!(world.found(), [], "one of the two may stop first");
        world.service.minimum_healthy_percent = 51;
        assert_eq!(world.found(), no_room, "the lower bound rounds up");
        world.service.launch_type = None;
        assert_eq!(
            world.found(),
            [(Severity::Note, "no_room")],
            "managed scaling may help"
        );
    }
}

#[test]
fn a_breaker_that_is_off_or_blind_is_told() {
    let mut world = World::new();
    world.service.circuit_breaker.resets_on_healthy = true;
    assert_eq!(world.found(), [(Severity::Note, "circuit_breaker_blind")]);
    world.service.circuit_breaker = CircuitBreaker::OFF;
    assert_eq!(world.found(), [(Severity::Warning, "circuit_breaker_off")]);
}

#[test]
fn slow_target_groups_are_told_with_their_seconds() {
    let mut world = World::new();
    let group = TargetGroup {
        arn: "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/orders/1".to_owned(),
        health_check_interval: 30,
        healthy_threshold: 5,
        deregistration_delay: Some(300),
        ..TargetGroup::default()
    };
    world
        .facts
        .target_groups
        .insert(group.arn.clone(), Ok(Some(group)));
    let found = judge(&world.view(), &world.facts);
    assert!(
        found[0].message.contains("150 s") && found[1].message.contains("300 s"),
        "{found:?}"
    );
}

#[test]
fn a_roll_back_target_that_is_inactive_is_a_note_and_one_that_is_gone_a_warning() {
    let mut world = World::new();
    world
        .running
        .definition
        .insert("status".to_owned(), json!("INACTIVE"));
    assert_eq!(world.found(), [(Severity::Note, "rollback_target_inactive")]);
    let gone = UpdateView {
        running: None,
        ..world.view()
    };
    assert_eq!(judge(&gone, &world.facts)[0].reason, "rollback_target_gone");
}

#[test]
fn alarms_of_the_bake_time_must_be_there_and_quiet() {
    let mut world = World::new();
    world.spec.bake = Some(Bake {
        time: jiff::SignedDuration::from_mins(5),
        alarms: vec!["errors".to_owned(), "gone".to_owned(), "new".to_owned()],
    });
    assert_eq!(questions(&world.view(), Purpose::Plan).alarms.len(), 3);
    let alarm = |name: &str, state| ObservedAlarm {
        name: name.to_owned(),
        state,
        reason: "1 > 0".to_owned(),
        updated: None,
    };
    world.facts.alarms = Some(Ok(vec![
        alarm("errors", AlarmState::Alarm),
        alarm("new", AlarmState::InsufficientData),
    ]));
    assert_eq!(
        world.found(),
        [
            (Severity::Error, "alarm_not_ok"),
            (Severity::Error, "alarm_not_ok"),
            (Severity::Note, "alarm_without_data")
        ]
    );
}
