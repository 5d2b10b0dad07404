use super::*;

/// A specification in which every text and number is different from all others.
fn everything() -> (proto::FargateServiceSpec, Vec<String>) {
    let mut marks = Marks::default();
    let spec = proto::FargateServiceSpec {
        name: marks.text(),
        stack_name: marks.text(),
        cpu: marks.number(),
        memory: marks.number(),
        architecture: proto::CpuArchitecture::Arm64.into(),
        containers: vec![container(&mut marks)],
        network: Some(proto::NetworkSpec {
            subnets: vec![marks.text()],
            security_groups: vec![marks.text()],
            assign_public_ip: true,
        }),
        load_balancers: vec![proto::LoadBalancerSpec {
            container: marks.text(),
            port: marks.number(),
            target_group: String::new(),
            listener_rule: Some(listener_rule(&mut marks)),
        }],
        desired_count: Some(marks.number()),
        task_role: marks.text(),
        execution_role: marks.text(),
        rollout: Some(proto::RolloutSpec {
            minimum_healthy_percent: Some(marks.number()),
            maximum_percent: Some(marks.number()),
            circuit_breaker: Some(proto::CircuitBreakerSpec {
                enabled: Some(false),
                rollback: Some(false),
                threshold_percent: marks.number(),
                threshold_count: marks.number(),
                reset_on_healthy_task: Some(false),
            }),
            alarms: Some(proto::AlarmSpec {
                names: vec![marks.text()],
                rollback: Some(false),
            }),
        }),
        tags: marks.pair(),
        volumes: vec![proto::VolumeSpec {
            name: marks.text(),
            efs: Some(proto::EfsSpec {
                file_system: marks.text(),
                root_directory: marks.text(),
                transit_encryption: true,
                access_point: marks.text(),
                iam: true,
            }),
        }],
        ephemeral_storage: marks.number(),
        platform_version: marks.text(),
        execute_command: true,
        capacity_providers: vec![proto::CapacityProviderSpec {
            name: marks.text(),
            base: marks.number(),
            weight: marks.number(),
        }],
        health_check_grace_period: marks.number(),
        propagate_tags: proto::TagPropagation::TaskDefinition.into(),
        managed_tags: Some(false),
        availability_zone_rebalancing: proto::AvailabilityZoneRebalancing::Disabled.into(),
        log_retention: marks.number(),
        log_group: marks.text(),
        overrides: vec![proto::OverrideSpec {
            resource: marks.text(),
            merge_patch: marks.text(),
        }],
        kms_keys: vec![marks.text()],
    };
    (spec, marks.0)
}

fn container(marks: &mut Marks) -> proto::ContainerSpec {
    proto::ContainerSpec {
        name: marks.text(),
        image: marks.text(),
        cpu: marks.number(),
        memory: marks.number(),
        memory_reservation: marks.number(),
        ports: vec![proto::PortSpec {
            container_port: marks.number(),
            protocol: proto::PortProtocol::Udp.into(),
            name: marks.text(),
            app_protocol: marks.text(),
        }],
        environment: marks.pair(),
        secrets: marks.pair(),
        depends_on: vec![proto::DependencySpec {
            container: marks.text(),
            condition: proto::DependencyCondition::Healthy.into(),
        }],
        essential: Some(false),
        entry_point: vec![marks.text()],
        command: vec![marks.text()],
        working_directory: marks.text(),
        user: marks.text(),
        health_check: Some(proto::HealthCheckSpec {
            command: vec![marks.text()],
            interval: marks.number(),
            timeout: marks.number(),
            retries: marks.number(),
            start_period: marks.number(),
        }),
        environment_files: vec![marks.text()],
        repository_credentials: marks.text(),
        readonly_root_filesystem: true,
        mounts: vec![proto::MountSpec {
            volume: marks.text(),
            container_path: marks.text(),
            read_only: true,
        }],
        volumes_from: vec![proto::VolumesFromSpec {
            container: marks.text(),
            read_only: true,
        }],
        logging: Some(proto::LoggingSpec {
            driver: marks.text(),
            options: marks.pair(),
            secret_options: marks.pair(),
        }),
        docker_labels: marks.pair(),
        ulimits: vec![proto::UlimitSpec {
            name: marks.text(),
            soft: marks.number(),
            hard: marks.number(),
        }],
        start_timeout: marks.number(),
        stop_timeout: marks.number(),
        linux: Some(proto::LinuxSpec {
            init: true,
            add_capabilities: vec![marks.text()],
            drop_capabilities: vec![marks.text()],
            tmpfs: vec![proto::TmpfsSpec {
                container_path: marks.text(),
                size: marks.number(),
                mount_options: vec![marks.text()],
            }],
        }),
        restart_policy: Some(proto::RestartPolicySpec {
            ignored_exit_codes: vec![i32::try_from(marks.number()).unwrap()],
            attempt_period: marks.number(),
        }),
        interactive: true,
        pseudo_terminal: true,
        system_controls: marks.pair(),
    }
}

fn listener_rule(marks: &mut Marks) -> proto::ListenerRuleSpec {
    proto::ListenerRuleSpec {
        listener: marks.text(),
        hosts: vec![marks.text()],
        paths: vec![marks.text()],
        priority: marks.number(),
        vpc: marks.text(),
        protocol: marks.text(),
        protocol_version: marks.text(),
        health_check: Some(proto::TargetHealthCheckSpec {
            path: marks.text(),
            matcher: marks.text(),
            interval: marks.number(),
            timeout: marks.number(),
            healthy_threshold: marks.number(),
            unhealthy_threshold: marks.number(),
        }),
        deregistration_delay: Some(marks.number()),
    }
}

/// What must be found again.
#[derive(Default)]
struct Marks(Vec<String>);

impl Marks {
    fn text(&mut self) -> String {
        self.0.push(format!("\"mark-{}-\"", self.0.len()));
        self.0.last().unwrap().trim_matches('"').to_owned()
    }

    fn number(&mut self) -> u32 {
        let number = u32::try_from(70_000 + self.0.len()).unwrap();
        self.0.push(number.to_string());
        number
    }

    fn pair(&mut self) -> std::collections::HashMap<String, String> {
        [(self.text(), self.text())].into()
    }
}

#[test]
fn no_wish_is_lost_on_the_way() {
    let (wire, marks) = everything();
    let mut violations = Violations::default();
    let service = fargate_service(&wire, &mut violations);
    assert!(violations.check().is_ok());
    let heard = format!("{service:?}");
    let lost: Vec<_> = marks.iter().filter(|mark| !heard.contains(*mark)).collect();
    assert!(lost.is_empty(), "{lost:?} of {heard}");
    // Every switch above stands on what is not its default.
    let container = &service.containers[0];
    assert!(container.readonly_root_filesystem && container.interactive && container.pseudo_terminal);
    assert!(!container.essential && container.mounts[0].read_only && container.volumes_from[0].read_only);
    assert!(service.execute_command && service.network.assign_public_ip);
    assert_eq!(service.managed_tags, Some(false));
    assert_eq!(service.propagate_tags, TagPropagation::TaskDefinition);
    assert_eq!(service.availability_zone_rebalancing, Some(Rebalancing::Disabled));
    assert_eq!(service.architecture, Architecture::Arm64);
    let breaker = &service.rollout.circuit_breaker;
    assert_eq!(
        (breaker.enabled, breaker.rollback, breaker.reset_on_healthy_task),
        (Some(false), Some(false), Some(false))
    );
}

#[test]
fn a_port_is_linked_in_exactly_one_way() {
    let link = |target_group: &str, listener_rule| proto::FargateServiceSpec {
        load_balancers: vec![proto::LoadBalancerSpec {
            target_group: target_group.to_owned(),
            listener_rule,
            ..proto::LoadBalancerSpec::default()
        }],
        ..proto::FargateServiceSpec::default()
    };
    let rule = || Some(proto::ListenerRuleSpec::default());
    for (wire, good) in [
        (link("arn", None), true),
        (link("", rule()), true),
        (link("", None), false),
        (link("arn", rule()), false),
    ] {
        let mut violations = Violations::default();
        fargate_service(&wire, &mut violations);
        assert_eq!(violations.check().is_ok(), good, "{wire:?}");
    }
}
