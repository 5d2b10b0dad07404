//! A fargate service as the wire's specification, but for its containers.

use towline_proto::agent::v1 as agent;

use super::container;
use crate::domain::{
    operation::{FargateListenerRule, FargatePayload, FargateRollout, FargateVolume, LinkedPort, LinkedTo},
    project::{Architecture, CircuitBreaker, ProtocolVersion, Rebalancing, TagPropagation, TargetProtocol},
};

pub(super) fn spec(payload: &FargatePayload) -> agent::FargateServiceSpec {
    agent::FargateServiceSpec {
        name: payload.name.to_string(),
        stack_name: payload.stack_name.clone(),
        cpu: payload.cpu,
        memory: payload.memory,
        architecture: match payload.architecture {
            Architecture::X86_64 => agent::CpuArchitecture::X8664,
            Architecture::Arm64 => agent::CpuArchitecture::Arm64,
        }
        .into(),
        containers: payload.containers.iter().map(container::spec).collect(),
        network: Some(agent::NetworkSpec {
            subnets: payload.subnets.clone(),
            security_groups: payload.security_groups.clone(),
            assign_public_ip: payload.assign_public_ip,
        }),
        load_balancers: payload.load_balancers.iter().map(link).collect(),
        desired_count: payload.desired_count,
        task_role: payload.task_role.clone(),
        execution_role: payload.execution_role.clone(),
        kms_keys: payload.kms_keys.clone(),
        rollout: Some(rollout(&payload.rollout)),
        tags: payload.tags.clone().into_iter().collect(),
        volumes: payload.volumes.iter().map(volume).collect(),
        ephemeral_storage: payload.ephemeral_storage.unwrap_or_default(),
        platform_version: payload.platform_version.clone(),
        execute_command: payload.execute_command,
        capacity_providers: payload
            .capacity_providers
            .iter()
            .map(|provider| agent::CapacityProviderSpec {
                name: provider.name.as_str().to_owned(),
                base: provider.base,
                weight: provider.weight,
            })
            .collect(),
        health_check_grace_period: payload.health_check_grace_period.unwrap_or_default(),
        propagate_tags: propagation(payload.propagate_tags).into(),
        managed_tags: payload.managed_tags,
        availability_zone_rebalancing: rebalancing(payload.availability_zone_rebalancing).into(),
        log_retention: payload.log_retention.unwrap_or_default(),
        log_group: payload.log_group.clone(),
        overrides: payload
            .overrides
            .iter()
            .map(|(resource, patch)| agent::OverrideSpec {
                resource: resource.as_str().to_owned(),
                merge_patch: patch.to_string(),
            })
            .collect(),
    }
}

fn propagation(from: Option<TagPropagation>) -> agent::TagPropagation {
    match from {
        None => agent::TagPropagation::Unspecified,
        Some(TagPropagation::Service) => agent::TagPropagation::Service,
        Some(TagPropagation::TaskDefinition) => agent::TagPropagation::TaskDefinition,
        Some(TagPropagation::None) => agent::TagPropagation::None,
    }
}

fn rebalancing(how: Option<Rebalancing>) -> agent::AvailabilityZoneRebalancing {
    match how {
        None => agent::AvailabilityZoneRebalancing::Unspecified,
        Some(Rebalancing::Enabled) => agent::AvailabilityZoneRebalancing::Enabled,
        Some(Rebalancing::Disabled) => agent::AvailabilityZoneRebalancing::Disabled,
    }
}

fn volume(volume: &FargateVolume) -> agent::VolumeSpec {
    agent::VolumeSpec {
        name: volume.name.to_string(),
        efs: volume.efs.as_ref().map(|efs| agent::EfsSpec {
            file_system: efs.file_system.clone(),
            root_directory: efs.root_directory.clone(),
            transit_encryption: efs.transit_encryption,
            access_point: efs.access_point.clone(),
            iam: efs.iam,
        }),
    }
}

fn rollout(rollout: &FargateRollout) -> agent::RolloutSpec {
    let breaker = &rollout.circuit_breaker;
    agent::RolloutSpec {
        minimum_healthy_percent: rollout.minimum_healthy_percent,
        maximum_percent: rollout.maximum_percent,
        // What the file says nothing of stays the agent's to say.
        circuit_breaker: (*breaker != CircuitBreaker::default()).then(|| agent::CircuitBreakerSpec {
            enabled: breaker.enabled,
            rollback: breaker.rollback,
            threshold_percent: breaker.threshold_percent.unwrap_or_default(),
            threshold_count: breaker.threshold_count.unwrap_or_default(),
            reset_on_healthy_task: breaker.reset_on_healthy_task,
        }),
        alarms: rollout.alarms.as_ref().map(|alarms| agent::AlarmSpec {
            names: alarms.names.clone(),
            rollback: Some(alarms.rollback),
        }),
    }
}

fn link(link: &LinkedPort) -> agent::LoadBalancerSpec {
    let (target_group, listener_rule) = match &link.to {
        LinkedTo::TargetGroup(group) => (group.clone(), None),
        LinkedTo::ListenerRule(rule) => (String::new(), Some(self::listener_rule(rule))),
    };
    agent::LoadBalancerSpec {
        container: link.container.to_string(),
        port: link.port.into(),
        target_group,
        listener_rule,
    }
}

fn listener_rule(rule: &FargateListenerRule) -> agent::ListenerRuleSpec {
    let check = &rule.health_check;
    agent::ListenerRuleSpec {
        listener: rule.listener.clone(),
        hosts: rule.hosts.clone(),
        paths: rule.paths.clone(),
        priority: rule.priority.unwrap_or_default(),
        vpc: rule.vpc.clone(),
        protocol: match rule.protocol {
            None => "",
            Some(TargetProtocol::Http) => "HTTP",
            Some(TargetProtocol::Https) => "HTTPS",
        }
        .to_owned(),
        protocol_version: match rule.protocol_version {
            None => "",
            Some(ProtocolVersion::Http1) => "HTTP1",
            Some(ProtocolVersion::Http2) => "HTTP2",
            Some(ProtocolVersion::Grpc) => "GRPC",
        }
        .to_owned(),
        health_check: Some(agent::TargetHealthCheckSpec {
            path: check.path.clone(),
            matcher: check.matcher.clone(),
            interval: check.interval.unwrap_or_default(),
            timeout: check.timeout.unwrap_or_default(),
            healthy_threshold: check.healthy_threshold.unwrap_or_default(),
            unhealthy_threshold: check.unhealthy_threshold.unwrap_or_default(),
        }),
        deregistration_delay: rule.deregistration_delay,
    }
}
