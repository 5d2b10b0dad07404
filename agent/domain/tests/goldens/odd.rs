//! Services in which every word and number may be odd.

use proptest::prelude::*;
use towline_agent_domain::fargate::spec::*;

/// Texts that people and attackers write where a name, an ARN or a path belongs.
pub fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just(String::new()),
        Just("web".to_owned()),
        Just("a".repeat(70_000)),
        Just("arn:aws:iam::1:role/".to_owned()),
        Just("arn:aws:secretsmanager:::secret:::::".to_owned()),
        Just("{\"Properties\": [[[{}]]]}".to_owned()),
        "[\\x00-\\x20/:*{}\"'\u{202e}\u{1f600}]{0,12}",
    ]
}

fn some<T: Clone + std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(of)
}

fn odd_container() -> impl Strategy<Value = Container> {
    let map = || proptest::collection::btree_map(odd(), odd(), 0..3);
    let list = || proptest::collection::vec(odd(), 0..3);
    let numbers = proptest::array::uniform8(some(any::<u32>()));
    (
        odd(),
        odd(),
        map(),
        map(),
        list(),
        list(),
        numbers,
        any::<(bool, bool)>(),
        odd(),
    )
        .prop_map(
            |(name, image, environment, secrets, command, files, numbers, (essential, flag), word)| {
                Container {
                    name,
                    image,
                    cpu: numbers[0],
                    memory: numbers[1],
                    memory_reservation: numbers[2],
                    ports: vec![Port {
                        port: numbers[3].unwrap_or_default(),
                        name: Some(word.clone()),
                        app_protocol: flag.then(|| word.clone()),
                        ..Port::default()
                    }],
                    docker_labels: environment.clone(),
                    system_controls: environment.clone(),
                    logging: Some(Logging {
                        driver: word.clone(),
                        options: environment.clone(),
                        secret_options: secrets.clone(),
                    }),
                    environment,
                    secrets,
                    depends_on: vec![Dependency {
                        container: word.clone(),
                        condition: Condition::Healthy,
                    }],
                    essential,
                    health_check: Some(HealthCheck {
                        command: command.clone(),
                        interval: numbers[4],
                        timeout: numbers[5],
                        retries: numbers[6],
                        start_period: numbers[7],
                    }),
                    mounts: vec![Mount {
                        volume: word.clone(),
                        container_path: word.clone(),
                        read_only: flag,
                    }],
                    volumes_from: vec![VolumesFrom {
                        container: word.clone(),
                        read_only: flag,
                    }],
                    ulimits: vec![Ulimit {
                        name: word.clone(),
                        soft: numbers[4].unwrap_or(0),
                        hard: numbers[5].unwrap_or(0),
                    }],
                    linux: Some(Linux {
                        init: flag,
                        add_capabilities: command.clone(),
                        drop_capabilities: files.clone(),
                        tmpfs: vec![Tmpfs {
                            container_path: word.clone(),
                            size: numbers[4].unwrap_or(0),
                            mount_options: command.clone(),
                        }],
                    }),
                    restart_policy: Some(RestartPolicy {
                        ignored_exit_codes: vec![i32::MIN],
                        attempt_period: numbers[6],
                    }),
                    entry_point: command.clone(),
                    command,
                    environment_files: files,
                    repository_credentials: flag.then(|| word.clone()),
                    working_directory: Some(word.clone()),
                    user: Some(word),
                    start_timeout: numbers[4],
                    stop_timeout: numbers[5],
                    ..Container::default()
                }
            },
        )
}

pub fn odd_service() -> impl Strategy<Value = FargateService> {
    let list = || proptest::collection::vec(odd(), 0..4);
    let containers = proptest::collection::vec(odd_container(), 0..3);
    let numbers = proptest::array::uniform12(some(any::<u32>()));
    (
        odd(),
        containers,
        list(),
        list(),
        numbers,
        odd(),
        odd(),
        any::<bool>(),
    )
        .prop_map(
            |(name, containers, hosts, paths, numbers, word, patch, flag)| FargateService {
                stack_name: flag.then(|| word.clone()),
                cpu: numbers[0].unwrap_or(256),
                memory: numbers[1].unwrap_or(512),
                network: Network {
                    subnets: hosts.clone(),
                    security_groups: paths.clone(),
                    assign_public_ip: flag,
                },
                load_balancers: vec![
                    LoadBalancer {
                        container: containers
                            .first()
                            .map_or_else(String::new, |c: &Container| c.name.clone()),
                        port: numbers[2].unwrap_or(80),
                        link: Link::ListenerRule(ListenerRule {
                            listener: word.clone(),
                            hosts,
                            paths,
                            priority: numbers[3],
                            vpc: word.clone(),
                            protocol: Some(word.clone()),
                            protocol_version: Some(word.clone()),
                            health_check: TargetHealthCheck {
                                path: Some(word.clone()),
                                matcher: Some(word.clone()),
                                interval: numbers[4],
                                timeout: numbers[5],
                                healthy_threshold: numbers[6],
                                unhealthy_threshold: numbers[7],
                            },
                            deregistration_delay: numbers[8],
                        }),
                    },
                    LoadBalancer {
                        container: word.clone(),
                        port: 0,
                        link: Link::TargetGroup(word.clone()),
                    },
                ],
                desired_count: numbers[9],
                task_role: Some(word.clone()),
                execution_role: flag.then(|| word.clone()),
                kms_keys: vec![word.clone()],
                rollout: Rollout {
                    minimum_healthy_percent: numbers[10],
                    maximum_percent: numbers[11],
                    circuit_breaker: CircuitBreaker {
                        enabled: Some(flag),
                        threshold_percent: numbers[0],
                        threshold_count: numbers[1],
                        ..CircuitBreaker::default()
                    },
                    alarms: Some(Alarms {
                        names: vec![word.clone()],
                        rollback: flag,
                    }),
                },
                tags: [(word.clone(), patch.clone())].into(),
                volumes: vec![Volume {
                    name: word.clone(),
                    efs: Some(Efs {
                        file_system: word.clone(),
                        access_point: Some(word.clone()),
                        ..Efs::default()
                    }),
                }],
                ephemeral_storage: numbers[2],
                platform_version: Some(word.clone()),
                capacity_providers: vec![CapacityProvider {
                    name: word.clone(),
                    base: numbers[3].unwrap_or(0),
                    weight: numbers[4].unwrap_or(0),
                }],
                health_check_grace_period: numbers[5],
                log_retention: numbers[6],
                log_group: Some(word.clone()),
                overrides: vec![
                    Override {
                        resource: "service".to_owned(),
                        merge_patch: patch.clone(),
                    },
                    Override {
                        resource: word,
                        merge_patch: patch,
                    },
                ],
                name,
                containers,
                ..FargateService::default()
            },
        )
}
