mod limits;
mod overrides;
mod traffic;

use super::*;
use crate::fargate::spec::{Condition, Dependency, Link, LoadBalancer, Network, Port, Protocol};

fn good() -> FargateService {
    let container = |name: &str| Container {
        name: name.to_owned(),
        image: format!("registry.example/{name}:1"),
        ..Container::default()
    };
    FargateService {
        name: "web".to_owned(),
        cpu: 256,
        memory: 512,
        containers: vec![
            Container {
                ports: vec![Port {
                    port: 8080,
                    protocol: Protocol::Tcp,
                    ..Port::default()
                }],
                ..container("web")
            },
            container("proxy"),
        ],
        network: Network {
            subnets: vec!["subnet-1".to_owned()],
            ..Network::default()
        },
        ..FargateService::default()
    }
}

/// The fields of the faults after a change to a good service.
fn faults(change: impl FnOnce(&mut FargateService)) -> Vec<String> {
    let mut service = good();
    change(&mut service);
    let found = validate(&service).err().unwrap_or_default();
    found.into_iter().map(|violation| violation.field).collect()
}

fn depends(on: &str, condition: Condition) -> Vec<Dependency> {
    vec![Dependency {
        container: on.to_owned(),
        condition,
    }]
}

#[test]
fn a_good_service_passes_with_its_images_parsed() {
    let valid = validate(&good()).unwrap();
    assert_eq!(valid.images()[0].to_string(), "registry.example/web:1");
}

#[test]
fn all_faults_come_at_once_each_with_its_field() {
    let fields = faults(|s| {
        s.name = "we b".to_owned();
        s.memory = 700;
        s.containers[0].image = " ".to_owned();
        s.network.subnets.clear();
    });
    assert_eq!(
        fields,
        ["name", "memory", "containers[0].image", "network.subnets"]
    );
}

#[test]
fn fargate_has_its_own_sizes() {
    for (cpu, memory, fine) in [
        (256, 2048, true),
        (256, 1536, false),
        (256, 4096, false),
        (512, 3072, true),
        (4096, 30_720, true),
        (8192, 20_480, true),
        (8192, 17_408, false),
        (16_384, 122_880, true),
        (300, 512, false),
    ] {
        assert_eq!(
            faults(|s| (s.cpu, s.memory) = (cpu, memory)).is_empty(),
            fine,
            "{cpu} {memory}"
        );
    }
}

#[test]
fn dependencies_must_exist_and_end_and_not_go_in_circles() {
    assert_eq!(
        faults(|s| s.containers[0].depends_on = depends("nobody", Condition::Start)),
        ["containers[0].depends_on[0]"]
    );
    // An essential container's end is the task's end.
    assert_eq!(
        faults(|s| s.containers[0].depends_on = depends("proxy", Condition::Success)),
        ["containers[0].depends_on[0]"]
    );
    assert!(
        faults(|s| {
            s.containers[0].depends_on = depends("proxy", Condition::Success);
            s.containers[1].essential = false;
        })
        .is_empty()
    );
    assert_eq!(
        faults(|s| {
            s.containers[0].depends_on = depends("proxy", Condition::Start);
            s.containers[1].depends_on = depends("web", Condition::Start);
        }),
        ["containers"]
    );
}

#[test]
fn a_load_balancer_needs_a_port_that_is_there() {
    let link = |container: &str, port| LoadBalancer {
        container: container.to_owned(),
        port,
        link: Link::TargetGroup("arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/1".to_owned()),
    };
    assert!(faults(|s| s.load_balancers = vec![link("web", 8080)]).is_empty());
    assert_eq!(
        faults(|s| s.load_balancers = vec![link("web", 80)]),
        ["load_balancers[0].port"]
    );
    assert_eq!(
        faults(|s| s.load_balancers = vec![link("app", 8080)]),
        ["load_balancers[0].container"]
    );
    let bad = LoadBalancer {
        link: Link::TargetGroup("web".to_owned()),
        ..link("web", 8080)
    };
    assert_eq!(
        faults(|s| s.load_balancers = vec![bad]),
        ["load_balancers[0].target_group"]
    );
}

#[test]
fn a_secret_is_a_reference_and_never_a_value() {
    let secret = |value: &str| {
        let value = value.to_owned();
        faults(|s| {
            s.containers[0].secrets.insert("DB".to_owned(), value);
        })
    };
    assert!(secret("arn:aws-cn:secretsmanager:cn-north-1:1:secret:db-AbCdEf").is_empty());
    assert!(secret("arn:aws:ssm:eu-west-1:1:parameter/db").is_empty());
    assert_eq!(secret("hunter2"), ["containers[0].secrets[DB]"]);
}

#[test]
fn percentages_that_would_never_replace_a_task_are_refused() {
    assert_eq!(faults(|s| s.rollout.maximum_percent = Some(100)), ["rollout"]);
    assert!(
        faults(|s| (s.rollout.minimum_healthy_percent, s.rollout.maximum_percent) = (Some(0), Some(100)))
            .is_empty()
    );
}

#[test]
fn ports_are_shared_by_all_containers_of_a_task() {
    assert_eq!(
        faults(|s| s.containers[1].ports = s.containers[0].ports.clone()),
        ["containers[1].ports[0].container_port"]
    );
}
