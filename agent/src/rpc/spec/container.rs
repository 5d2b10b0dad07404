//! One container of the task.

use towline_agent_domain::fargate::spec::{
    Condition, Container, Dependency, HealthCheck, Linux, Logging, Mount, Port, Protocol, RestartPolicy,
    Tmpfs, Ulimit, VolumesFrom,
};
use towline_proto::agent::v1 as proto;

use super::{Violations, given, set};

/// `field` is the container's own path in the request.
pub(super) fn container(field: &str, wire: &proto::ContainerSpec, violations: &mut Violations) -> Container {
    let proto::ContainerSpec {
        name,
        image,
        cpu,
        memory,
        memory_reservation,
        ports,
        environment,
        secrets,
        depends_on,
        essential,
        entry_point,
        command,
        working_directory,
        user,
        health_check: wire_health_check,
        environment_files,
        repository_credentials,
        readonly_root_filesystem,
        mounts,
        volumes_from,
        logging: wire_logging,
        docker_labels,
        ulimits,
        start_timeout,
        stop_timeout,
        linux: wire_linux,
        restart_policy: wire_restart_policy,
        interactive,
        pseudo_terminal,
        system_controls,
    } = wire;
    let each_port = ports.iter().enumerate();
    let each_dependency = depends_on.iter().enumerate();
    Container {
        name: name.clone(),
        image: image.clone(),
        cpu: set(*cpu),
        memory: set(*memory),
        memory_reservation: set(*memory_reservation),
        ports: each_port
            .map(|(at, wire)| port(&format!("{field}.ports[{at}]"), wire, violations))
            .collect(),
        environment: environment.clone().into_iter().collect(),
        secrets: secrets.clone().into_iter().collect(),
        depends_on: each_dependency
            .map(|(at, wire)| dependency(&format!("{field}.depends_on[{at}]"), wire, violations))
            .collect(),
        essential: essential.unwrap_or(true),
        entry_point: entry_point.clone(),
        command: command.clone(),
        working_directory: given(working_directory),
        user: given(user),
        health_check: wire_health_check.as_ref().map(health_check),
        environment_files: environment_files.clone(),
        repository_credentials: given(repository_credentials),
        readonly_root_filesystem: *readonly_root_filesystem,
        mounts: mounts.iter().map(mount).collect(),
        volumes_from: volumes_from.iter().map(volumes_of).collect(),
        logging: wire_logging.as_ref().map(logging),
        docker_labels: docker_labels.clone().into_iter().collect(),
        ulimits: ulimits.iter().map(ulimit).collect(),
        start_timeout: set(*start_timeout),
        stop_timeout: set(*stop_timeout),
        linux: wire_linux.as_ref().map(linux),
        restart_policy: wire_restart_policy.as_ref().map(restart_policy),
        interactive: *interactive,
        pseudo_terminal: *pseudo_terminal,
        system_controls: system_controls.clone().into_iter().collect(),
    }
}

fn port(field: &str, wire: &proto::PortSpec, violations: &mut Violations) -> Port {
    let proto::PortSpec {
        container_port,
        protocol,
        name,
        app_protocol,
    } = wire;
    let protocol = match proto::PortProtocol::try_from(*protocol) {
        Ok(proto::PortProtocol::Unspecified | proto::PortProtocol::Tcp) => Protocol::Tcp,
        Ok(proto::PortProtocol::Udp) => Protocol::Udp,
        Err(_) => {
            violations.add(format!("{field}.protocol"), format!("{protocol} is no protocol"));
            Protocol::default()
        }
    };
    Port {
        port: *container_port,
        protocol,
        name: given(name),
        app_protocol: given(app_protocol),
    }
}

fn dependency(field: &str, wire: &proto::DependencySpec, violations: &mut Violations) -> Dependency {
    use proto::DependencyCondition as Wire;
    let proto::DependencySpec { container, condition } = wire;
    let condition = match Wire::try_from(*condition) {
        Ok(Wire::Unspecified | Wire::Start) => Condition::Start,
        Ok(Wire::Complete) => Condition::Complete,
        Ok(Wire::Success) => Condition::Success,
        Ok(Wire::Healthy) => Condition::Healthy,
        Err(_) => {
            violations.add(
                format!("{field}.condition"),
                format!("{condition} is no condition"),
            );
            Condition::default()
        }
    };
    Dependency {
        container: container.clone(),
        condition,
    }
}

fn health_check(wire: &proto::HealthCheckSpec) -> HealthCheck {
    let proto::HealthCheckSpec {
        command,
        interval,
        timeout,
        retries,
        start_period,
    } = wire;
    HealthCheck {
        command: command.clone(),
        interval: set(*interval),
        timeout: set(*timeout),
        retries: set(*retries),
        start_period: set(*start_period),
    }
}

fn mount(wire: &proto::MountSpec) -> Mount {
    let proto::MountSpec {
        volume,
        container_path,
        read_only,
    } = wire;
    Mount {
        volume: volume.clone(),
        container_path: container_path.clone(),
        read_only: *read_only,
    }
}

fn volumes_of(wire: &proto::VolumesFromSpec) -> VolumesFrom {
    let proto::VolumesFromSpec { container, read_only } = wire;
    VolumesFrom {
        container: container.clone(),
        read_only: *read_only,
    }
}

fn logging(wire: &proto::LoggingSpec) -> Logging {
    let proto::LoggingSpec {
        driver,
        options,
        secret_options,
    } = wire;
    Logging {
        driver: driver.clone(),
        options: options.clone().into_iter().collect(),
        secret_options: secret_options.clone().into_iter().collect(),
    }
}

fn ulimit(wire: &proto::UlimitSpec) -> Ulimit {
    let proto::UlimitSpec { name, soft, hard } = wire;
    Ulimit {
        name: name.clone(),
        soft: *soft,
        hard: *hard,
    }
}

fn linux(wire: &proto::LinuxSpec) -> Linux {
    let proto::LinuxSpec {
        init,
        add_capabilities,
        drop_capabilities,
        tmpfs: mounts,
    } = wire;
    Linux {
        init: *init,
        add_capabilities: add_capabilities.clone(),
        drop_capabilities: drop_capabilities.clone(),
        tmpfs: mounts.iter().map(tmpfs).collect(),
    }
}

fn tmpfs(wire: &proto::TmpfsSpec) -> Tmpfs {
    let proto::TmpfsSpec {
        container_path,
        size,
        mount_options,
    } = wire;
    Tmpfs {
        container_path: container_path.clone(),
        size: *size,
        mount_options: mount_options.clone(),
    }
}

fn restart_policy(wire: &proto::RestartPolicySpec) -> RestartPolicy {
    let proto::RestartPolicySpec {
        ignored_exit_codes,
        attempt_period,
    } = wire;
    RestartPolicy {
        ignored_exit_codes: ignored_exit_codes.clone(),
        attempt_period: set(*attempt_period),
    }
}
