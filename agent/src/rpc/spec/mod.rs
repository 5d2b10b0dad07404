//! A Fargate service's spec from the wire into the domain's words. What the
//! wire cannot express wrongly is copied; what it can (numbers of enums, a choice
//! that was not made) is told as a violation of its field. Every message is taken
//! apart in full, so that a member that is new in the wire does not compile until
//! somebody has decided what becomes of it: a wish is never ignored.

mod container;
#[cfg(test)]
mod tests;
mod traffic;

use towline_agent_domain::fargate::spec::{
    Alarms, Architecture, CapacityProvider, CircuitBreaker, Efs, FargateService, Network, Override,
    Rebalancing, Rollout, TagPropagation, Volume,
};
use towline_proto::agent::v1 as proto;

use super::violations::Violations;

/// The spec in the domain's words; what is wrong with the wire's form goes into `violations`.
pub(super) fn fargate_service(
    wire: &proto::FargateServiceSpec,
    violations: &mut Violations,
) -> FargateService {
    let proto::FargateServiceSpec {
        name,
        stack_name,
        cpu,
        memory,
        architecture: wire_architecture,
        containers,
        network: wire_network,
        load_balancers,
        desired_count,
        task_role,
        execution_role,
        rollout: wire_rollout,
        tags,
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
        kms_keys,
    } = wire;
    let each_container = containers.iter().enumerate();
    let each_link = load_balancers.iter().enumerate();
    FargateService {
        name: name.clone(),
        stack_name: given(stack_name),
        cpu: *cpu,
        memory: *memory,
        architecture: architecture(*wire_architecture, violations),
        containers: each_container
            .map(|(at, wire)| container::container(&format!("service.containers[{at}]"), wire, violations))
            .collect(),
        network: wire_network.as_ref().map(network).unwrap_or_default(),
        load_balancers: each_link
            .filter_map(|(at, wire)| {
                traffic::load_balancer(&format!("service.load_balancers[{at}]"), wire, violations)
            })
            .collect(),
        desired_count: *desired_count,
        task_role: given(task_role),
        execution_role: given(execution_role),
        kms_keys: kms_keys.clone(),
        rollout: wire_rollout.as_ref().map(rollout).unwrap_or_default(),
        tags: tags.clone().into_iter().collect(),
        volumes: volumes.iter().map(volume).collect(),
        ephemeral_storage: set(*ephemeral_storage),
        platform_version: given(platform_version),
        execute_command: *execute_command,
        capacity_providers: capacity_providers.iter().map(capacity_provider).collect(),
        health_check_grace_period: set(*health_check_grace_period),
        propagate_tags: propagation(*propagate_tags, violations),
        managed_tags: *managed_tags,
        availability_zone_rebalancing: rebalancing(*availability_zone_rebalancing, violations),
        log_retention: set(*log_retention),
        log_group: given(log_group),
        overrides: overrides.iter().map(override_of).collect(),
    }
}

fn network(wire: &proto::NetworkSpec) -> Network {
    let proto::NetworkSpec {
        subnets,
        security_groups,
        assign_public_ip,
    } = wire;
    Network {
        subnets: subnets.clone(),
        security_groups: security_groups.clone(),
        assign_public_ip: *assign_public_ip,
    }
}

fn rollout(wire: &proto::RolloutSpec) -> Rollout {
    let proto::RolloutSpec {
        minimum_healthy_percent,
        maximum_percent,
        circuit_breaker,
        alarms,
    } = wire;
    Rollout {
        minimum_healthy_percent: *minimum_healthy_percent,
        maximum_percent: *maximum_percent,
        circuit_breaker: circuit_breaker.as_ref().map(breaker).unwrap_or_default(),
        alarms: alarms
            .as_ref()
            .map(|proto::AlarmSpec { names, rollback }| Alarms {
                names: names.clone(),
                rollback: rollback.unwrap_or(true),
            }),
    }
}

fn breaker(wire: &proto::CircuitBreakerSpec) -> CircuitBreaker {
    let proto::CircuitBreakerSpec {
        enabled,
        rollback,
        threshold_percent,
        threshold_count,
        reset_on_healthy_task,
    } = wire;
    CircuitBreaker {
        enabled: *enabled,
        rollback: *rollback,
        threshold_percent: set(*threshold_percent),
        threshold_count: set(*threshold_count),
        reset_on_healthy_task: *reset_on_healthy_task,
    }
}

fn volume(wire: &proto::VolumeSpec) -> Volume {
    let proto::VolumeSpec { name, efs } = wire;
    Volume {
        name: name.clone(),
        efs: efs.as_ref().map(
            |proto::EfsSpec {
                 file_system,
                 root_directory,
                 transit_encryption,
                 access_point,
                 iam,
             }| Efs {
                file_system: file_system.clone(),
                root_directory: given(root_directory),
                transit_encryption: *transit_encryption,
                access_point: given(access_point),
                iam: *iam,
            },
        ),
    }
}

fn capacity_provider(wire: &proto::CapacityProviderSpec) -> CapacityProvider {
    let proto::CapacityProviderSpec { name, base, weight } = wire;
    CapacityProvider {
        name: name.clone(),
        base: *base,
        weight: *weight,
    }
}

fn override_of(wire: &proto::OverrideSpec) -> Override {
    let proto::OverrideSpec {
        resource,
        merge_patch,
    } = wire;
    Override {
        resource: resource.clone(),
        merge_patch: merge_patch.clone(),
    }
}

fn architecture(number: i32, violations: &mut Violations) -> Architecture {
    match proto::CpuArchitecture::try_from(number) {
        Ok(proto::CpuArchitecture::Unspecified | proto::CpuArchitecture::X8664) => Architecture::X86_64,
        Ok(proto::CpuArchitecture::Arm64) => Architecture::Arm64,
        Err(_) => {
            violations.add("service.architecture", format!("{number} is no CPU architecture"));
            Architecture::default()
        }
    }
}

fn propagation(number: i32, violations: &mut Violations) -> TagPropagation {
    use proto::TagPropagation as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified | Wire::Service) => TagPropagation::Service,
        Ok(Wire::TaskDefinition) => TagPropagation::TaskDefinition,
        Ok(Wire::None) => TagPropagation::None,
        Err(_) => {
            violations.add("service.propagate_tags", format!("{number} is no source of tags"));
            TagPropagation::default()
        }
    }
}

fn rebalancing(number: i32, violations: &mut Violations) -> Option<Rebalancing> {
    use proto::AvailabilityZoneRebalancing as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified) => None,
        Ok(Wire::Enabled) => Some(Rebalancing::Enabled),
        Ok(Wire::Disabled) => Some(Rebalancing::Disabled),
        Err(_) => {
            violations.add(
                "service.availability_zone_rebalancing",
                format!("{number} is neither enabled nor disabled"),
            );
            None
        }
    }
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn set(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}
