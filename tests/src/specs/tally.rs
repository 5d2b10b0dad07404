//! Which features a specification uses.

use towline_proto::agent::v1 as pb;

type Feature = (&'static str, fn(&pb::FargateServiceSpec) -> bool);

/// The features that are counted, and how each shows.
pub const FEATURES: &[Feature] = &[
    ("arm64", |s| {
        s.architecture == i32::from(pb::CpuArchitecture::Arm64)
    }),
    ("stack_name", |s| !s.stack_name.is_empty()),
    ("sidecar", |s| s.containers.len() > 1),
    ("not_essential", |s| {
        s.containers.iter().any(|c| c.essential == Some(false))
    }),
    ("sizes_of_a_container", |s| {
        web(s).cpu > 0 && web(s).memory > 0 && web(s).memory_reservation > 0
    }),
    ("udp_port", |s| {
        web(s)
            .ports
            .iter()
            .any(|port| port.protocol == i32::from(pb::PortProtocol::Udp))
    }),
    ("depends_on", |s| !web(s).depends_on.is_empty()),
    ("depends_on_healthy", |s| {
        let healthy = i32::from(pb::DependencyCondition::Healthy);
        web(s).depends_on.iter().any(|other| other.condition == healthy)
    }),
    ("environment", |s| !web(s).environment.is_empty()),
    ("environment_files", |s| !web(s).environment_files.is_empty()),
    ("secrets", |s| !web(s).secrets.is_empty()),
    ("kms_keys", |s| !s.kms_keys.is_empty()),
    ("repository_credentials", |s| {
        !web(s).repository_credentials.is_empty()
    }),
    ("command", |s| !web(s).command.is_empty()),
    ("entry_point", |s| !web(s).entry_point.is_empty()),
    ("working_directory", |s| !web(s).working_directory.is_empty()),
    ("user", |s| !web(s).user.is_empty()),
    ("terminal", |s| web(s).pseudo_terminal),
    ("interactive", |s| web(s).interactive),
    ("readonly_root", |s| web(s).readonly_root_filesystem),
    ("docker_labels", |s| !web(s).docker_labels.is_empty()),
    ("ulimits", |s| !web(s).ulimits.is_empty()),
    ("health_check", |s| web(s).health_check.is_some()),
    ("start_timeout", |s| web(s).start_timeout > 0),
    ("stop_timeout", |s| web(s).stop_timeout > 0),
    ("linux", |s| web(s).linux.is_some()),
    ("added_capability", |s| {
        web(s)
            .linux
            .as_ref()
            .is_some_and(|linux| !linux.add_capabilities.is_empty())
    }),
    ("restart_policy", |s| web(s).restart_policy.is_some()),
    ("system_controls", |s| !web(s).system_controls.is_empty()),
    ("logging_awslogs", |s| logs_to(s, "awslogs")),
    ("logging_splunk", |s| logs_to(s, "splunk")),
    ("logging_none", |s| logs_to(s, "none")),
    ("volume_of_the_task", |s| {
        s.volumes.iter().any(|volume| volume.efs.is_none())
    }),
    ("efs", |s| s.volumes.iter().any(|volume| volume.efs.is_some())),
    ("efs_access_point", |s| {
        let points = |volume: &pb::VolumeSpec| volume.efs.as_ref().is_some_and(|efs| efs.iam);
        s.volumes.iter().any(points)
    }),
    ("volumes_from", |s| {
        s.containers.iter().any(|c| !c.volumes_from.is_empty())
    }),
    ("public_ip", |s| {
        s.network.as_ref().is_some_and(|network| network.assign_public_ip)
    }),
    ("target_group", |s| {
        s.load_balancers
            .iter()
            .any(|linked| linked.listener_rule.is_none())
    }),
    ("listener_rule", |s| rule(s).is_some()),
    ("hosts", |s| rule(s).is_some_and(|rule| !rule.hosts.is_empty())),
    ("priority", |s| rule(s).is_some_and(|rule| rule.priority > 0)),
    ("next_free_priority", |s| {
        rule(s).is_some_and(|rule| rule.priority == 0)
    }),
    ("target_settings", |s| {
        rule(s).is_some_and(|rule| !rule.protocol_version.is_empty())
    }),
    ("grace_period", |s| s.health_check_grace_period > 0),
    ("count_left_out", |s| s.desired_count.is_none()),
    ("several_tasks", |s| {
        s.desired_count.is_some_and(|count| count > 1)
    }),
    ("percentages", |s| {
        s.rollout
            .as_ref()
            .is_some_and(|rollout| rollout.maximum_percent.is_some())
    }),
    ("breaker_off", |s| {
        breaker(s).is_some_and(|breaker| breaker.enabled == Some(false))
    }),
    ("breaker_without_rollback", |s| {
        breaker(s).is_some_and(|breaker| breaker.rollback == Some(false) && breaker.enabled != Some(false))
    }),
    ("breaker_percent", |s| {
        breaker(s).is_some_and(|breaker| breaker.threshold_percent > 0)
    }),
    ("breaker_count", |s| {
        breaker(s).is_some_and(|breaker| breaker.threshold_count > 0)
    }),
    ("breaker_reset", |s| {
        breaker(s).is_some_and(|breaker| breaker.reset_on_healthy_task.is_some())
    }),
    ("alarms", |s| {
        s.rollout.as_ref().is_some_and(|rollout| rollout.alarms.is_some())
    }),
    ("task_role", |s| !s.task_role.is_empty()),
    ("execution_role", |s| !s.execution_role.is_empty()),
    ("execute_command", |s| s.execute_command),
    ("capacity_providers", |s| !s.capacity_providers.is_empty()),
    ("ephemeral_storage", |s| s.ephemeral_storage > 0),
    ("platform_version", |s| !s.platform_version.is_empty()),
    ("rebalancing", |s| s.availability_zone_rebalancing > 0),
    ("tags", |s| !s.tags.is_empty()),
    ("propagate_tags", |s| s.propagate_tags > 0),
    ("managed_tags", |s| s.managed_tags.is_some()),
    ("log_retention", |s| s.log_retention > 0),
    ("log_group", |s| !s.log_group.is_empty()),
    ("overrides", |s| !s.overrides.is_empty()),
];

/// The container that takes traffic.
fn web(spec: &pb::FargateServiceSpec) -> &pb::ContainerSpec {
    &spec.containers[0]
}

fn logs_to(spec: &pb::FargateServiceSpec, driver: &str) -> bool {
    let logging = web(spec).logging.as_ref();
    logging.is_some_and(|logging| logging.driver == driver)
}

fn rule(spec: &pb::FargateServiceSpec) -> Option<&pb::ListenerRuleSpec> {
    spec.load_balancers
        .iter()
        .find_map(|linked| linked.listener_rule.as_ref())
}

fn breaker(spec: &pb::FargateServiceSpec) -> Option<&pb::CircuitBreakerSpec> {
    spec.rollout.as_ref()?.circuit_breaker.as_ref()
}

/// The names of the features that a specification uses.
pub fn features(spec: &pb::FargateServiceSpec) -> impl Iterator<Item = &'static str> {
    let used = FEATURES.iter().filter(|(_, uses)| uses(spec));
    used.map(|(name, _)| *name)
}
