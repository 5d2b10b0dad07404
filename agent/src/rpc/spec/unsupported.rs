//! What the wire can say and this agent cannot do yet. Each such member is a
//! violation of its own: a wish is never ignored.

use towline_proto::agent::v1 as proto;

use super::Violations;

const NOT_YET: &str = "is not supported yet by this agent; leave it out";

/// Refuses every member that is given and not carried out. The structs are taken
/// apart in full, so that a member that is new in the wire does not compile until
/// somebody has decided here.
pub(super) fn refuse(wire: &proto::FargateServiceSpec, violations: &mut Violations) {
    let proto::FargateServiceSpec {
        name: _,
        stack_name: _,
        cpu: _,
        memory: _,
        architecture: _,
        containers,
        network: _,
        load_balancers,
        desired_count: _,
        task_role: _,
        execution_role: _,
        rollout,
        tags: _,
        volumes,
        ephemeral_storage,
        platform_version,
        execute_command,
        capacity_providers,
        health_check_grace_period,
        propagate_tags,
        managed_tags,
        availability_zone_rebalancing,
        log_retention,
        log_group,
        overrides,
    } = wire;
    let mut refuse = |given: bool, field: &str| {
        if given {
            violations.add(format!("service.{field}"), NOT_YET);
        }
    };
    refuse(!volumes.is_empty(), "volumes");
    refuse(*ephemeral_storage != 0, "ephemeral_storage");
    refuse(!platform_version.is_empty(), "platform_version");
    refuse(*execute_command, "execute_command");
    refuse(!capacity_providers.is_empty(), "capacity_providers");
    refuse(*health_check_grace_period != 0, "health_check_grace_period");
    refuse(*propagate_tags != 0, "propagate_tags");
    refuse(managed_tags.is_some(), "managed_tags");
    refuse(
        *availability_zone_rebalancing != 0,
        "availability_zone_rebalancing",
    );
    refuse(*log_retention != 0, "log_retention");
    refuse(!log_group.is_empty(), "log_group");
    refuse(!overrides.is_empty(), "overrides");
    if let Some(rollout) = rollout {
        refuse(rollout.circuit_breaker.is_some(), "rollout.circuit_breaker");
        refuse(rollout.alarms.is_some(), "rollout.alarms");
    }
    for (at, link) in load_balancers.iter().enumerate() {
        refuse(
            link.listener_rule.is_some(),
            &format!("load_balancers[{at}].listener_rule"),
        );
    }
    for (at, wire) in containers.iter().enumerate() {
        container(&format!("service.containers[{at}]"), wire, violations);
    }
}

fn container(path: &str, wire: &proto::ContainerSpec, violations: &mut Violations) {
    let proto::ContainerSpec {
        name: _,
        image: _,
        cpu: _,
        memory: _,
        memory_reservation: _,
        ports,
        environment: _,
        secrets: _,
        depends_on: _,
        essential: _,
        entry_point: _,
        command: _,
        working_directory,
        user,
        health_check,
        environment_files,
        repository_credentials,
        readonly_root_filesystem,
        mounts,
        volumes_from,
        logging,
        docker_labels,
        ulimits,
        start_timeout,
        stop_timeout,
        linux,
        restart_policy,
        interactive,
        pseudo_terminal,
        system_controls,
    } = wire;
    let mut refuse = |given: bool, field: &str| {
        if given {
            violations.add(format!("{path}.{field}"), NOT_YET);
        }
    };
    refuse(!working_directory.is_empty(), "working_directory");
    refuse(!user.is_empty(), "user");
    refuse(health_check.is_some(), "health_check");
    refuse(!environment_files.is_empty(), "environment_files");
    refuse(!repository_credentials.is_empty(), "repository_credentials");
    refuse(*readonly_root_filesystem, "readonly_root_filesystem");
    refuse(!mounts.is_empty(), "mounts");
    refuse(!volumes_from.is_empty(), "volumes_from");
    refuse(logging.is_some(), "logging");
    refuse(!docker_labels.is_empty(), "docker_labels");
    refuse(!ulimits.is_empty(), "ulimits");
    refuse(*start_timeout != 0, "start_timeout");
    refuse(*stop_timeout != 0, "stop_timeout");
    refuse(linux.is_some(), "linux");
    refuse(restart_policy.is_some(), "restart_policy");
    refuse(*interactive, "interactive");
    refuse(*pseudo_terminal, "pseudo_terminal");
    refuse(!system_controls.is_empty(), "system_controls");
    for (at, port) in ports.iter().enumerate() {
        refuse(!port.name.is_empty(), &format!("ports[{at}].name"));
        refuse(
            !port.app_protocol.is_empty(),
            &format!("ports[{at}].app_protocol"),
        );
    }
}
