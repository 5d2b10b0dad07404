//! The services of the goldens.

use towline_agent_domain::fargate::spec::{
    Condition, Container, Dependency, Efs, FargateService, HealthCheck, Link, ListenerRule, LoadBalancer,
    Network, Port, Volume,
};

use crate::settings::{SETTINGS, Setting};

pub const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/main/50dc6c495c0c9188/f2f7dc8efc522ab2";
pub const GROUP: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/73e2d6bc24d8a067";
pub const REGISTRY: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com";
pub const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/db-AbCdEf";
pub const PARAMETER: &str = "arn:aws:ssm:eu-west-1:111122223333:parameter/shop/url";
pub const TASK_ROLE: &str = "arn:aws:iam::111122223333:role/shop-tasks";

pub fn text(text: &str) -> String {
    text.to_owned()
}

pub fn texts(all: &[&str]) -> Vec<String> {
    all.iter().copied().map(text).collect()
}

pub fn pairs<const N: usize>(all: [(&str, &str); N]) -> std::collections::BTreeMap<String, String> {
    all.into_iter()
        .map(|(key, value)| (text(key), text(value)))
        .collect()
}

pub fn simple() -> FargateService {
    FargateService {
        name: text("web"),
        cpu: 256,
        memory: 512,
        containers: vec![Container {
            name: text("web"),
            image: format!("{REGISTRY}/shop/web:1.0.0"),
            ports: vec![Port {
                port: 8080,
                ..Port::default()
            }],
            ..Container::default()
        }],
        network: Network {
            subnets: texts(&["subnet-0a0000000000000aa", "subnet-0b0000000000000bb"]),
            security_groups: texts(&["sg-0c0000000000000cc"]),
            assign_public_ip: false,
        },
        ..FargateService::default()
    }
}

fn several_containers() -> FargateService {
    let mut service = FargateService {
        cpu: 512,
        memory: 1024,
        ..simple()
    };
    service.tags = pairs([("team", "shop")]);
    let web = &mut service.containers[0];
    web.environment = pairs([("LEVEL", "debug")]);
    let key = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/key";
    web.secrets = pairs([
        ("DB", &format!("{SECRET}:password::")),
        ("KEY", key),
        ("URL", PARAMETER),
    ]);
    web.depends_on = vec![
        Dependency {
            container: text("envoy-proxy"),
            condition: Condition::Healthy,
        },
        Dependency {
            container: text("migrate"),
            condition: Condition::Success,
        },
    ];
    service.containers.push(Container {
        name: text("envoy-proxy"),
        image: format!("{REGISTRY}/envoy:v1.31.0"),
        memory: Some(256),
        health_check: Some(HealthCheck {
            command: texts(&["CMD", "curl", "-f", "http://localhost:9901/ready"]),
            interval: Some(5),
            ..HealthCheck::default()
        }),
        ..Container::default()
    });
    service.containers.push(Container {
        name: text("migrate"),
        image: format!("{REGISTRY}/shop/migrate:1.0.0"),
        essential: false,
        ..Container::default()
    });
    service.load_balancers = vec![link(8080, Link::TargetGroup(text(GROUP)))];
    service
}

pub fn link(port: u32, link: Link) -> LoadBalancer {
    LoadBalancer {
        container: text("web"),
        port,
        link,
    }
}

pub fn rule() -> ListenerRule {
    ListenerRule {
        listener: text(LISTENER),
        hosts: texts(&["shop.example.com"]),
        paths: texts(&["/api/*", "/health"]),
        vpc: text("vpc-0d0000000000000dd"),
        ..ListenerRule::default()
    }
}

pub fn efs() -> Volume {
    Volume {
        name: text("files"),
        efs: Some(Efs {
            file_system: text("fs-0123456789abcdef0"),
            transit_encryption: true,
            access_point: Some(text("fsap-0123456789abcdef0")),
            iam: true,
            ..Efs::default()
        }),
    }
}

/// Everything that goes together.
fn complex() -> FargateService {
    let mut service = several_containers();
    (service.cpu, service.memory) = (2048, 4096);
    let apart = [
        "execution_role",
        "log_group",
        "circuit_breaker_off",
        "circuit_breaker_count",
        "circuit_breaker_reset",
        "environment",
        "secrets",
        "essential",
        "depends_on",
        "depends_on_healthy",
        "depends_on_success",
        "health_check_grace_period",
        "propagate_no_tags",
        "stack_of_16_vcpu",
        "volume_of_the_task",
        "volume_on_efs_with_root",
        "target_group",
        "listener_rule",
        "listener_rule_for_grpc",
        "ports",
        "logging_awslogs_elsewhere",
        "logging_splunk",
        "logging_none",
        "repository_credentials",
        "readonly_root",
    ];
    for (_, set) in SETTINGS.iter().filter(|(name, _)| !apart.contains(name)) {
        set(&mut service);
    }
    service
        .load_balancers
        .push(link(8080, Link::TargetGroup(text(GROUP))));
    service.health_check_grace_period = Some(60);
    service
}

/// Name and service of every golden.
pub fn golden() -> Vec<(&'static str, FargateService)> {
    let alone = |(name, set): &Setting| {
        let mut service = simple();
        set(&mut service);
        (*name, service)
    };
    [
        ("simple", simple()),
        ("several_containers", several_containers()),
        ("complex", complex()),
    ]
    .into_iter()
    .chain(SETTINGS.iter().map(alone))
    .collect()
}
