//! A Fargate service's spec from the wire into the domain's words. What the
//! wire cannot express wrongly is copied; what it can (numbers of enums) is told
//! as a violation of its field.

mod unsupported;

use towline_agent_domain::fargate::spec::{
    Architecture, Condition, Container, Dependency, FargateService, LoadBalancer, Network, Port, Protocol,
};
use towline_proto::agent::v1 as proto;

use super::violations::Violations;

/// The spec in the domain's words; what is wrong with the wire's form goes into `violations`.
pub(super) fn fargate_service(
    wire: &proto::FargateServiceSpec,
    violations: &mut Violations,
) -> FargateService {
    unsupported::refuse(wire, violations);
    let network = wire.network.clone().unwrap_or_default();
    let rollout = wire.rollout.clone().unwrap_or_default();
    FargateService {
        name: wire.name.clone(),
        stack_name: given(&wire.stack_name),
        cpu: wire.cpu,
        memory: wire.memory,
        architecture: architecture(wire.architecture, violations),
        containers: wire
            .containers
            .iter()
            .enumerate()
            .map(|(at, c)| container(at, c, violations))
            .collect(),
        network: Network {
            subnets: network.subnets,
            security_groups: network.security_groups,
            assign_public_ip: network.assign_public_ip,
        },
        load_balancers: wire
            .load_balancers
            .iter()
            .map(|lb| LoadBalancer {
                container: lb.container.clone(),
                port: lb.port,
                target_group: lb.target_group.clone(),
            })
            .collect(),
        desired_count: wire.desired_count,
        task_role: given(&wire.task_role),
        execution_role: given(&wire.execution_role),
        minimum_healthy_percent: rollout.minimum_healthy_percent,
        maximum_percent: rollout.maximum_percent,
        tags: wire.tags.clone().into_iter().collect(),
    }
}

fn container(at: usize, wire: &proto::ContainerSpec, violations: &mut Violations) -> Container {
    let field = format!("service.containers[{at}]");
    Container {
        name: wire.name.clone(),
        image: wire.image.clone(),
        cpu: set(wire.cpu),
        memory: set(wire.memory),
        memory_reservation: set(wire.memory_reservation),
        ports: wire
            .ports
            .iter()
            .enumerate()
            .map(|(at, port)| Port {
                port: port.container_port,
                protocol: protocol(
                    port.protocol,
                    &format!("{field}.ports[{at}].protocol"),
                    violations,
                ),
            })
            .collect(),
        environment: wire.environment.clone().into_iter().collect(),
        secrets: wire.secrets.clone().into_iter().collect(),
        depends_on: wire
            .depends_on
            .iter()
            .enumerate()
            .map(|(at, dependency)| Dependency {
                container: dependency.container.clone(),
                condition: condition(
                    dependency.condition,
                    &format!("{field}.depends_on[{at}].condition"),
                    violations,
                ),
            })
            .collect(),
        essential: wire.essential.unwrap_or(true),
        entry_point: wire.entry_point.clone(),
        command: wire.command.clone(),
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

fn protocol(number: i32, field: &str, violations: &mut Violations) -> Protocol {
    match proto::PortProtocol::try_from(number) {
        Ok(proto::PortProtocol::Unspecified | proto::PortProtocol::Tcp) => Protocol::Tcp,
        Ok(proto::PortProtocol::Udp) => Protocol::Udp,
        Err(_) => {
            violations.add(field, format!("{number} is no protocol"));
            Protocol::default()
        }
    }
}

fn condition(number: i32, field: &str, violations: &mut Violations) -> Condition {
    use proto::DependencyCondition as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified | Wire::Start) => Condition::Start,
        Ok(Wire::Complete) => Condition::Complete,
        Ok(Wire::Success) => Condition::Success,
        Ok(Wire::Healthy) => Condition::Healthy,
        Err(_) => {
            violations.add(field, format!("{number} is no condition"));
            Condition::default()
        }
    }
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn set(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}
