//! A container as the wire's specification.

use towline_proto::agent::v1 as agent;

use crate::domain::{
    name::ContainerName,
    operation::{FargateContainer, FargateHealthCheck, FargateLogging, FargateMount},
    project::{
        AppProtocol, Condition, Linux, LogDriver, Port, Protocol, RestartPolicy, Tmpfs, Ulimit, VolumesFrom,
    },
};

pub(super) fn spec(container: &FargateContainer) -> agent::ContainerSpec {
    let more = &container.more;
    agent::ContainerSpec {
        name: container.name.to_string(),
        image: container.image.clone(),
        cpu: container.cpu.unwrap_or_default(),
        memory: container.memory.unwrap_or_default(),
        memory_reservation: container.memory_reservation.unwrap_or_default(),
        ports: container.ports.iter().map(port).collect(),
        environment: container.environment.clone().into_iter().collect(),
        secrets: container.secrets.clone().into_iter().collect(),
        depends_on: container.depends_on.iter().map(dependency).collect(),
        essential: Some(container.essential),
        entry_point: container.entry_point.clone(),
        command: container.command.clone(),
        working_directory: more.working_directory.clone(),
        user: more.user.clone(),
        health_check: more.health_check.as_ref().map(health_check),
        environment_files: more.environment_files.clone(),
        repository_credentials: more.repository_credentials.clone(),
        readonly_root_filesystem: more.readonly_root_filesystem,
        mounts: more.mounts.iter().map(mount).collect(),
        volumes_from: more.volumes_from.iter().map(volumes_from).collect(),
        logging: more.logging.as_ref().map(logging),
        docker_labels: more.docker_labels.clone().into_iter().collect(),
        ulimits: more.ulimits.iter().map(ulimit).collect(),
        start_timeout: more.start_timeout.unwrap_or_default(),
        stop_timeout: more.stop_timeout.unwrap_or_default(),
        linux: more.linux.as_ref().map(linux),
        restart_policy: more.restart_policy.as_ref().map(restart_policy),
        interactive: more.interactive,
        pseudo_terminal: more.pseudo_terminal,
        system_controls: more.system_controls.clone().into_iter().collect(),
    }
}

fn port(port: &Port) -> agent::PortSpec {
    agent::PortSpec {
        container_port: port.port.into(),
        protocol: match port.protocol {
            Protocol::Tcp => agent::PortProtocol::Tcp,
            Protocol::Udp => agent::PortProtocol::Udp,
        }
        .into(),
        name: port.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        app_protocol: match port.app_protocol {
            None => "",
            Some(AppProtocol::Http) => "http",
            Some(AppProtocol::Http2) => "http2",
            Some(AppProtocol::Grpc) => "grpc",
        }
        .to_owned(),
    }
}

fn dependency((name, condition): &(ContainerName, Condition)) -> agent::DependencySpec {
    agent::DependencySpec {
        container: name.to_string(),
        condition: match condition {
            Condition::Start => agent::DependencyCondition::Start,
            Condition::Complete => agent::DependencyCondition::Complete,
            Condition::Success => agent::DependencyCondition::Success,
            Condition::Healthy => agent::DependencyCondition::Healthy,
        }
        .into(),
    }
}

fn health_check(check: &FargateHealthCheck) -> agent::HealthCheckSpec {
    agent::HealthCheckSpec {
        command: check.command.clone(),
        interval: check.interval.unwrap_or_default(),
        timeout: check.timeout.unwrap_or_default(),
        retries: check.retries.unwrap_or_default(),
        start_period: check.start_period.unwrap_or_default(),
    }
}

fn logging(logging: &FargateLogging) -> agent::LoggingSpec {
    agent::LoggingSpec {
        driver: match logging.driver {
            LogDriver::Awslogs => "awslogs",
            LogDriver::Splunk => "splunk",
            LogDriver::None => "none",
        }
        .to_owned(),
        options: logging.options.clone().into_iter().collect(),
        secret_options: logging.secret_options.clone().into_iter().collect(),
    }
}

fn mount(mount: &FargateMount) -> agent::MountSpec {
    agent::MountSpec {
        volume: mount.volume.to_string(),
        container_path: mount.container_path.clone(),
        read_only: mount.read_only,
    }
}

fn volumes_from(from: &VolumesFrom) -> agent::VolumesFromSpec {
    agent::VolumesFromSpec {
        container: from.container.to_string(),
        read_only: from.read_only,
    }
}

fn ulimit(ulimit: &Ulimit) -> agent::UlimitSpec {
    agent::UlimitSpec {
        name: ulimit.name.clone(),
        soft: ulimit.soft,
        hard: ulimit.hard,
    }
}

fn linux(linux: &Linux) -> agent::LinuxSpec {
    agent::LinuxSpec {
        init: linux.init,
        add_capabilities: linux.add_capabilities.clone(),
        drop_capabilities: linux.drop_capabilities.clone(),
        tmpfs: linux.tmpfs.iter().map(tmpfs).collect(),
    }
}

fn tmpfs(tmpfs: &Tmpfs) -> agent::TmpfsSpec {
    agent::TmpfsSpec {
        container_path: tmpfs.path.clone(),
        size: tmpfs.size,
        mount_options: tmpfs.options.clone(),
    }
}

fn restart_policy(policy: &RestartPolicy) -> agent::RestartPolicySpec {
    let codes = policy.ignored_exit_codes.iter();
    agent::RestartPolicySpec {
        ignored_exit_codes: codes.filter_map(|code| i32::try_from(*code).ok()).collect(),
        attempt_period: policy.attempt_period.unwrap_or_default(),
    }
}
