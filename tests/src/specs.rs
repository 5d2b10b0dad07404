//! Draws Fargate specifications: valid ones, with any mixture of what the
//! specification offers, and odd ones. The ids are those of the simulated
//! account 222222222222.

mod extras;
mod odd;
mod tally;

use proptest::{
    collection::{hash_map, vec},
    option,
    prelude::*,
    sample::{select, subsequence},
};
use towline_proto::agent::v1 as pb;

pub use odd::{PLACES, odd};
pub use tally::{FEATURES, features};

pub const ACCOUNT: &str = "222222222222";
pub const REGION: &str = "eu-west-1";
const TARGET_GROUP: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:222222222222:targetgroup/web/73e2d6bc24d8a067";
const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:222222222222:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:db-password-a1b2c3";
const LOCKED_SECRET: &str = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:card-key-d4e5f6";
const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:222222222222:parameter/shop/web/smtp-host";
const TASK_ROLE: &str = "arn:aws:iam::222222222222:role/orders-task";
const VPC: &str = "vpc-0510000000000000e";

fn image(repository: &str, tag: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{tag}")
}

fn words() -> impl Strategy<Value = std::collections::HashMap<String, String>> {
    hash_map("[A-Z][A-Z0-9_]{0,8}", "[ -~]{0,20}", 0..3)
}

fn sizes() -> impl Strategy<Value = (u32, u32)> {
    select(vec![
        (256, 512),
        (256, 2048),
        (512, 1024),
        (1024, 2048),
        (1024, 8192),
        (2048, 16384),
        (4096, 30720),
        (8192, 16384),
        (16384, 32768),
    ])
}

/// What the one container that takes traffic may have.
fn main_container() -> impl Strategy<Value = pb::ContainerSpec> {
    let process = (
        vec("[a-z /-]{1,12}", 0..3),
        vec("[ -~]{1,12}", 0..3),
        select(vec!["", "/srv"]),
        select(vec!["", "1000:1000"]),
        any::<bool>(),
        any::<bool>(),
    );
    let outside = (
        words(),
        0..3_usize,
        words(),
        any::<bool>(),
        option::of(health_check()),
    );
    let limits = (
        select(vec![0_u32, 20, 120]),
        select(vec![0_u32, 30, 120]),
        any::<bool>(),
        any::<bool>(),
    );
    (process, outside, limits, option::of(restart_policy())).prop_map(
        |(process, outside, limits, restart)| {
            let (entry_point, command, working_directory, user, interactive, read_only) = process;
            let (environment, secrets, docker_labels, ulimit, health_check) = outside;
            let (start_timeout, stop_timeout, init, drop) = limits;
            let secrets = [("DB", SECRET), ("SMTP", PARAMETER)].into_iter().take(secrets);
            pb::ContainerSpec {
                name: "web".into(),
                image: image("shop/web", "1.2.0"),
                ports: vec![pb::PortSpec {
                    container_port: 8080,
                    name: "http".into(),
                    app_protocol: "http".into(),
                    ..Default::default()
                }],
                environment: environment
                    .into_iter()
                    .filter(|(name, _)| name != "DB" && name != "SMTP")
                    .collect(),
                secrets: secrets
                    .map(|(name, arn)| (name.to_owned(), arn.to_owned()))
                    .collect(),
                entry_point,
                command,
                working_directory: working_directory.into(),
                user: user.into(),
                pseudo_terminal: interactive,
                readonly_root_filesystem: read_only,
                docker_labels,
                ulimits: if ulimit {
                    vec![pb::UlimitSpec {
                        name: "nofile".into(),
                        soft: 1024,
                        hard: 4096,
                    }]
                } else {
                    Vec::new()
                },
                health_check,
                start_timeout,
                stop_timeout,
                linux: (init || drop).then(|| pb::LinuxSpec {
                    init,
                    drop_capabilities: if drop { vec!["NET_RAW".into()] } else { Vec::new() },
                    tmpfs: if init {
                        vec![pb::TmpfsSpec {
                            container_path: "/run/memory".into(),
                            size: 16,
                            mount_options: vec!["noexec".into()],
                        }]
                    } else {
                        Vec::new()
                    },
                    ..Default::default()
                }),
                restart_policy: restart,
                ..Default::default()
            }
        },
    )
}

fn health_check() -> impl Strategy<Value = pb::HealthCheckSpec> {
    (5..=60_u32, 2..=5_u32, 1..=10_u32, 0..=300_u32).prop_map(|(interval, timeout, retries, start_period)| {
        pb::HealthCheckSpec {
            command: vec!["CMD-SHELL".into(), "curl -f http://localhost:8080/health".into()],
            interval,
            timeout,
            retries,
            start_period,
        }
    })
}

fn restart_policy() -> impl Strategy<Value = pb::RestartPolicySpec> {
    (vec(1..=255_i32, 0..3), 60..=1800_u32).prop_map(|(mut ignored_exit_codes, attempt_period)| {
        ignored_exit_codes.sort_unstable();
        ignored_exit_codes.dedup();
        pb::RestartPolicySpec {
            ignored_exit_codes,
            attempt_period,
        }
    })
}

fn sidecar() -> impl Strategy<Value = pb::ContainerSpec> {
    (any::<bool>(), select(vec![0_u32, 64, 128]), any::<bool>()).prop_map(
        |(essential, reservation, silent)| pb::ContainerSpec {
            name: "envoy".into(),
            image: image("envoy", "v1.31.0"),
            essential: Some(essential),
            memory_reservation: reservation,
            logging: silent.then(|| pb::LoggingSpec {
                driver: "none".into(),
                ..Default::default()
            }),
            ..Default::default()
        },
    )
}

fn load_balancer() -> impl Strategy<Value = pb::LoadBalancerSpec> {
    let linked = |target_group: &str, listener_rule| pb::LoadBalancerSpec {
        container: "web".into(),
        port: 8080,
        target_group: target_group.into(),
        listener_rule,
    };
    let existing = Just(linked(TARGET_GROUP, None));
    let made = ("/[a-z]{1,8}/\\*", any::<bool>()).prop_map(move |(path, host)| {
        let rule = pb::ListenerRuleSpec {
            listener: LISTENER.into(),
            paths: vec![path],
            hosts: if host {
                vec!["shop.example.com".into()]
            } else {
                Vec::new()
            },
            vpc: VPC.into(),
            health_check: Some(pb::TargetHealthCheckSpec {
                path: "/health".into(),
                ..Default::default()
            }),
            deregistration_delay: Some(5),
            ..Default::default()
        };
        linked("", Some(rule))
    });
    prop_oneof![existing, made]
}

fn rollout() -> impl Strategy<Value = pb::RolloutSpec> {
    let breaker =
        (0..3_u8, option::of(any::<bool>())).prop_map(|(threshold, reset)| pb::CircuitBreakerSpec {
            enabled: Some(true),
            rollback: Some(true),
            threshold_percent: if threshold == 1 { 50 } else { 0 },
            threshold_count: if threshold == 2 { 5 } else { 0 },
            reset_on_healthy_task: reset,
        });
    (
        select(vec![50_u32, 100]),
        select(vec![150_u32, 200]),
        option::of(breaker),
    )
        .prop_map(|(minimum, maximum, circuit_breaker)| pb::RolloutSpec {
            minimum_healthy_percent: Some(minimum),
            maximum_percent: Some(maximum),
            circuit_breaker,
            alarms: None,
        })
}

/// A specification that Fargate accepts, of a service with this name.
pub fn valid(name: String) -> impl Strategy<Value = pb::FargateServiceSpec> {
    // A quarter of them on average, in their own order.
    let some = subsequence(extras::EXTRAS.to_vec(), 0..=extras::EXTRAS.len() / 2);
    (usual(name), some).prop_map(|(mut spec, extras)| {
        extras.into_iter().for_each(|add| add(&mut spec));
        spec
    })
}

fn usual(name: String) -> impl Strategy<Value = pb::FargateServiceSpec> {
    let containers = (main_container(), option::of(sidecar()), any::<bool>());
    let task = (
        sizes(),
        any::<bool>(),
        select(vec![0_u32, 21, 100]),
        any::<bool>(),
    );
    let service = (
        option::of(load_balancer()),
        option::of(rollout()),
        1..=3_u32,
        any::<bool>(),
        option::of(any::<bool>()),
        0..=3_i32,
        0..=2_i32,
    );
    let rest = (
        words(),
        select(vec![0_u32, 7, 365]),
        0..3_u8,
        select(vec!["", "1.4.0", "LATEST"]),
        any::<bool>(),
    );
    (containers, task, service, rest).prop_map(move |(containers, task, service, rest)| {
        let ((mut web, sidecar, depends), ((cpu, memory), volume, storage, arm)) = (containers, task);
        let (balancer, rollout, count, exec, managed, propagate, rebalancing) = service;
        let (tags, retention, providers, platform, locked) = rest;
        // A secret under a key of the account's own.
        let secret = web.secrets.get_mut("DB").filter(|_| locked);
        let kms_keys = secret.map(|secret| {
            LOCKED_SECRET.clone_into(secret);
            vec![KEY.to_owned()]
        });
        let mut volumes = Vec::new();
        if volume {
            volumes.push(pb::VolumeSpec {
                name: "scratch".into(),
                efs: None,
            });
            web.mounts.push(pb::MountSpec {
                volume: "scratch".into(),
                container_path: "/scratch".into(),
                read_only: false,
            });
        }
        // The sidecar is built for one architecture only.
        let arm = arm && sidecar.is_none();
        // ECS Exec writes into the container's root file system.
        web.readonly_root_filesystem &= !exec;
        if depends && sidecar.is_some() {
            web.depends_on.push(pb::DependencySpec {
                container: "envoy".into(),
                condition: pb::DependencyCondition::Start.into(),
            });
        }
        pb::FargateServiceSpec {
            name: name.clone(),
            cpu,
            memory,
            architecture: if arm {
                pb::CpuArchitecture::Arm64
            } else {
                pb::CpuArchitecture::X8664
            }
            .into(),
            containers: std::iter::once(web).chain(sidecar).collect(),
            network: Some(network()),
            health_check_grace_period: if balancer.is_some() { 30 } else { 0 },
            load_balancers: balancer.into_iter().collect(),
            // ECS Exec acts with the task role.
            task_role: if exec { TASK_ROLE.into() } else { String::new() },
            desired_count: Some(count),
            // With one task, less than 200 % is a deadlock.
            rollout: rollout.filter(|_| count > 1),
            tags: tags.into_iter().map(tag).collect(),
            volumes,
            ephemeral_storage: storage,
            platform_version: platform.into(),
            execute_command: exec,
            capacity_providers: capacity_providers(providers),
            propagate_tags: propagate,
            managed_tags: managed,
            availability_zone_rebalancing: rebalancing,
            log_retention: retention,
            kms_keys: kms_keys.unwrap_or_default(),
            ..Default::default()
        }
    })
}

/// A tag with a value in the characters that AWS allows, and at least one.
fn tag((key, value): (String, String)) -> (String, String) {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || " +-=._:/@".contains(*c);
    (
        key,
        format!("v{}", value.chars().filter(allowed).collect::<String>().trim()),
    )
}

fn network() -> pb::NetworkSpec {
    pb::NetworkSpec {
        subnets: vec![
            "subnet-0510000000000000a".into(),
            "subnet-0510000000000000b".into(),
        ],
        security_groups: vec!["sg-0510000000000000c".into()],
        assign_public_ip: false,
    }
}

fn capacity_providers(choice: u8) -> Vec<pb::CapacityProviderSpec> {
    let provider = |name: &str, base, weight| pb::CapacityProviderSpec {
        name: name.into(),
        base,
        weight,
    };
    match choice {
        0 => Vec::new(),
        1 => vec![provider("FARGATE", 1, 1), provider("FARGATE_SPOT", 0, 3)],
        _ => vec![provider("FARGATE_SPOT", 0, 1)],
    }
}
