//! Each option of a service alone, and which of them exclude each other.

use towline_agent_domain::fargate::spec::{
    Alarms, Architecture, CapacityProvider, CircuitBreaker, Condition, Container, Dependency, Efs,
    FargateService, HealthCheck, Link, Linux, ListenerRule, Logging, Mount, Override, Port, Protocol,
    Rebalancing, RestartPolicy, TagPropagation, TargetHealthCheck, Tmpfs, Ulimit, Volume, VolumesFrom,
};

use crate::services::{GROUP, PARAMETER, REGISTRY, SECRET, TASK_ROLE, efs, link, pairs, rule, text, texts};

/// An option's name, and how it is set.
pub type Setting = (&'static str, fn(&mut FargateService));

/// Each option alone, on the simple service.
pub const SETTINGS: &[Setting] = &[
    ("architecture", |s| s.architecture = Architecture::Arm64),
    ("stack_of_16_vcpu", |s| (s.cpu, s.memory) = (16_384, 122_880)),
    ("desired_count", |s| s.desired_count = Some(3)),
    ("task_role", |s| s.task_role = Some(text(TASK_ROLE))),
    ("execution_role", |s| {
        s.execution_role = Some(text("arn:aws:iam::111122223333:role/execution"))
    }),
    ("kms_keys", |s| {
        s.kms_keys = texts(&["arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"])
    }),
    ("percentages", |s| {
        (s.rollout.minimum_healthy_percent, s.rollout.maximum_percent) = (Some(50), Some(150));
        s.desired_count = Some(2);
    }),
    ("circuit_breaker_off", |s| {
        s.rollout.circuit_breaker.enabled = Some(false)
    }),
    ("circuit_breaker_percent", |s| {
        s.rollout.circuit_breaker = CircuitBreaker {
            threshold_percent: Some(20),
            rollback: Some(false),
            ..CircuitBreaker::default()
        };
    }),
    ("circuit_breaker_count", |s| {
        s.rollout.circuit_breaker = CircuitBreaker {
            threshold_count: Some(5),
            reset_on_healthy_task: Some(false),
            ..CircuitBreaker::default()
        };
    }),
    ("circuit_breaker_reset", |s| {
        s.rollout.circuit_breaker.reset_on_healthy_task = Some(true)
    }),
    ("alarms", |s| {
        s.rollout.alarms = Some(Alarms {
            names: texts(&["web-5xx"]),
            rollback: true,
        })
    }),
    ("tags", |s| s.tags = pairs([("team", "shop"), ("stage", "live")])),
    ("volume_of_the_task", |s| {
        s.volumes = vec![Volume {
            name: text("scratch"),
            efs: None,
        }];
        s.containers[0].mounts = vec![Mount {
            volume: text("scratch"),
            container_path: text("/scratch"),
            read_only: false,
        }];
    }),
    ("volume_on_efs", |s| {
        s.task_role = Some(text(TASK_ROLE));
        s.volumes = vec![efs()];
        s.containers[0].mounts = vec![Mount {
            volume: text("files"),
            container_path: text("/files"),
            read_only: true,
        }];
    }),
    ("volume_on_efs_with_root", |s| {
        let root = Efs {
            file_system: text("fs-0123456789abcdef0"),
            root_directory: Some(text("/shop")),
            ..Efs::default()
        };
        s.volumes = vec![Volume {
            name: text("files"),
            efs: Some(root),
        }];
    }),
    ("ephemeral_storage", |s| s.ephemeral_storage = Some(100)),
    ("platform_version", |s| s.platform_version = Some(text("1.4.0"))),
    ("execute_command", |s| {
        s.execute_command = true;
        s.task_role = Some(text(TASK_ROLE));
    }),
    ("capacity_providers", |s| {
        s.capacity_providers = vec![
            CapacityProvider {
                name: text("FARGATE"),
                base: 1,
                weight: 1,
            },
            CapacityProvider {
                name: text("FARGATE_SPOT"),
                base: 0,
                weight: 3,
            },
        ];
    }),
    ("target_group", |s| {
        s.load_balancers = vec![link(8080, Link::TargetGroup(text(GROUP)))];
        s.health_check_grace_period = Some(30);
    }),
    ("health_check_grace_period", |s| {
        s.load_balancers = vec![link(8080, Link::TargetGroup(text(GROUP)))];
        s.health_check_grace_period = Some(0);
    }),
    ("listener_rule", |s| {
        s.load_balancers = vec![link(8080, Link::ListenerRule(rule()))]
    }),
    ("listener_rule_with_settings", |s| {
        s.load_balancers = vec![link(
            8080,
            Link::ListenerRule(ListenerRule {
                priority: Some(200),
                protocol: Some(text("HTTPS")),
                protocol_version: Some(text("HTTP2")),
                health_check: TargetHealthCheck {
                    path: Some(text("/health")),
                    matcher: Some(text("200-299")),
                    interval: Some(15),
                    timeout: Some(10),
                    healthy_threshold: Some(3),
                    unhealthy_threshold: Some(2),
                },
                deregistration_delay: Some(5),
                ..rule()
            }),
        )];
    }),
    ("listener_rule_for_grpc", |s| {
        let grpc = ListenerRule {
            protocol_version: Some(text("GRPC")),
            paths: vec![],
            ..rule()
        };
        s.load_balancers = vec![link(8080, Link::ListenerRule(grpc))];
    }),
    ("propagate_tags_of_the_task_definition", |s| {
        s.propagate_tags = TagPropagation::TaskDefinition
    }),
    ("propagate_no_tags", |s| s.propagate_tags = TagPropagation::None),
    ("managed_tags_off", |s| s.managed_tags = Some(false)),
    ("zone_rebalancing", |s| {
        s.availability_zone_rebalancing = Some(Rebalancing::Enabled)
    }),
    ("log_retention", |s| s.log_retention = Some(7)),
    ("log_group", |s| s.log_group = Some(text("/shop/web"))),
    ("log_group_that_was_there", |_| {}),
    ("public_ip", |s| s.network.assign_public_ip = true),
    ("sizes_of_a_container", |s| {
        let web = &mut s.containers[0];
        (web.cpu, web.memory, web.memory_reservation) = (Some(128), Some(512), Some(256));
    }),
    ("ports", |s| {
        s.containers[0].ports = vec![
            Port {
                port: 80,
                name: Some(text("http")),
                app_protocol: Some(text("http2")),
                ..Port::default()
            },
            Port {
                port: 53,
                protocol: Protocol::Udp,
                name: Some(text("dns")),
                ..Port::default()
            },
        ];
    }),
    ("entry_point_and_command", |s| {
        s.containers[0].entry_point = texts(&["/bin/sh", "-c"]);
        s.containers[0].command = texts(&["exec serve --port 8080, --verbose"]);
        s.containers[0].working_directory = Some(text("/srv"));
        s.containers[0].user = Some(text("1000:1000"));
    }),
    ("health_check", |s| {
        s.containers[0].health_check = Some(HealthCheck {
            command: texts(&["CMD-SHELL", "curl -f http://localhost:8080/ || exit 1"]),
            interval: Some(10),
            timeout: Some(3),
            retries: Some(2),
            start_period: Some(20),
        });
    }),
    ("environment", |s| {
        s.containers[0].environment = pairs([
            ("LEVEL", "debug"),
            ("EMPTY", ""),
            ("GREETING", "${not} a: \"function\""),
        ]);
    }),
    ("secrets", |s| {
        let key = format!("{SECRET}:password:AWSCURRENT:");
        s.containers[0].secrets = pairs([("DB", SECRET), ("KEY", &key), ("URL", PARAMETER)]);
    }),
    ("working_directory", |s| {
        s.containers[0].working_directory = Some(text("/srv"))
    }),
    ("user", |s| s.containers[0].user = Some(text("1000:1000"))),
    ("essential", |s| {
        let side = side_container();
        s.containers.push(Container {
            essential: false,
            ..side
        });
    }),
    ("depends_on", |s| {
        s.containers.push(side_container());
        s.containers[0].depends_on = vec![Dependency {
            container: text("side"),
            condition: Condition::Start,
        }];
    }),
    ("depends_on_healthy", |s| {
        let health_check = Some(HealthCheck {
            command: texts(&["CMD", "true"]),
            ..HealthCheck::default()
        });
        s.containers.push(Container {
            health_check,
            ..side_container()
        });
        s.containers[0].depends_on = vec![Dependency {
            container: text("side"),
            condition: Condition::Healthy,
        }];
    }),
    ("depends_on_success", |s| {
        let side = side_container();
        s.containers.push(Container {
            essential: false,
            ..side
        });
        s.containers[0].depends_on = vec![Dependency {
            container: text("side"),
            condition: Condition::Success,
        }];
    }),
    ("environment_files", |s| {
        s.containers[0].environment_files = texts(&["arn:aws:s3:::shop-settings/live/web.env"]);
    }),
    ("repository_credentials", |s| {
        s.containers[0].image = text("registry.example.com/shop/web:1.0.0");
        s.containers[0].repository_credentials = Some(text(SECRET));
    }),
    ("readonly_root", |s| {
        s.containers[0].readonly_root_filesystem = true
    }),
    ("volumes_from", |s| {
        let volumes_from = vec![VolumesFrom {
            container: text("web"),
            read_only: true,
        }];
        s.containers.push(Container {
            volumes_from,
            ..side_container()
        });
    }),
    ("logging_awslogs", |s| {
        s.containers[0].logging = Some(Logging {
            driver: text("awslogs"),
            options: pairs([
                ("awslogs-stream-prefix", "web"),
                ("mode", "non-blocking"),
                ("max-buffer-size", "4m"),
            ]),
            ..Logging::default()
        });
    }),
    ("logging_awslogs_elsewhere", |s| {
        s.containers[0].logging = Some(Logging {
            driver: text("awslogs"),
            options: pairs([("awslogs-group", "/shop/other"), ("awslogs-create-group", "true")]),
            ..Logging::default()
        });
    }),
    ("logging_splunk", |s| {
        s.containers[0].logging = Some(Logging {
            driver: text("splunk"),
            options: pairs([("splunk-url", "https://splunk.example.com:8088")]),
            secret_options: pairs([("splunk-token", SECRET)]),
        });
    }),
    ("logging_none", |s| {
        s.containers[0].logging = Some(Logging {
            driver: text("none"),
            ..Logging::default()
        });
    }),
    ("docker_labels", |s| {
        s.containers[0].docker_labels = pairs([("com.example.team", "shop")])
    }),
    ("ulimits", |s| {
        s.containers[0].ulimits = vec![Ulimit {
            name: text("nofile"),
            soft: 65_536,
            hard: 65_536,
        }];
    }),
    ("timeouts", |s| {
        (s.containers[0].start_timeout, s.containers[0].stop_timeout) = (Some(60), Some(120))
    }),
    ("linux", |s| {
        s.containers[0].linux = Some(Linux {
            init: true,
            add_capabilities: texts(&["SYS_PTRACE"]),
            drop_capabilities: texts(&["NET_RAW"]),
            tmpfs: Vec::new(),
        });
    }),
    ("tmpfs", |s| {
        let linux = s.containers[0].linux.get_or_insert_default();
        linux.tmpfs = vec![
            Tmpfs {
                container_path: text("/scratch"),
                size: 64,
                mount_options: texts(&["noexec", "mode=1777"]),
            },
            Tmpfs {
                container_path: text("/run"),
                size: 1,
                mount_options: Vec::new(),
            },
        ];
    }),
    ("restart_policy", |s| {
        s.containers[0].restart_policy = Some(RestartPolicy {
            ignored_exit_codes: vec![0, 143],
            attempt_period: Some(60),
        });
    }),
    ("terminal", |s| {
        (s.containers[0].interactive, s.containers[0].pseudo_terminal) = (true, true)
    }),
    ("system_controls", |s| {
        s.containers[0].system_controls = pairs([("net.core.somaxconn", "1024")])
    }),
    ("overrides", |s| {
        let patch = |resource: &str, merge_patch: &str| Override {
            resource: text(resource),
            merge_patch: text(merge_patch),
        };
        s.overrides = vec![
            patch(
                "service",
                r#"{"Properties": {"DeploymentConfiguration": {"MaximumPercent": 150}}}"#,
            ),
            patch(
                "log_group",
                r#"{"DeletionPolicy": "Retain", "Properties": {"RetentionInDays": 365}}"#,
            ),
            patch(
                "execution_role",
                r#"{"Properties": {"MaxSessionDuration": 7200}}"#,
            ),
        ];
    }),
];

fn side_container() -> Container {
    Container {
        name: text("side"),
        image: format!("{REGISTRY}/side:1"),
        ..Container::default()
    }
}

/// Settings that exclude each other: they speak of the same thing, or one takes away
/// what the other is about.
pub fn conflicts(one: &str, other: &str) -> bool {
    const GROUPS: [&[&str]; 8] = [
        &[
            "volumes_from",
            "essential",
            "depends_on",
            "depends_on_healthy",
            "depends_on_success",
        ],
        &["log_group", "log_retention", "overrides"],
        &["execution_role", "overrides"],
        &["execution_role", "kms_keys"],
        &[
            "logging_awslogs",
            "logging_awslogs_elsewhere",
            "logging_splunk",
            "logging_none",
            "overrides",
        ],
        &[
            "target_group",
            "health_check_grace_period",
            "listener_rule",
            "listener_rule_with_settings",
            "listener_rule_for_grpc",
            "ports",
        ],
        &["volume_of_the_task", "volume_on_efs", "volume_on_efs_with_root"],
        &[
            "circuit_breaker_off",
            "circuit_breaker_percent",
            "circuit_breaker_count",
            "circuit_breaker_reset",
        ],
    ];
    GROUPS
        .iter()
        .any(|group| group.contains(&one) && group.contains(&other))
}
