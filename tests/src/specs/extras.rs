//! What a specification may have besides the usual. Each takes out what it
//! excludes, so that any of them go together, in this order.

use towline_proto::agent::v1 as pb;

use super::{PARAMETER, SECRET, TASK_ROLE};

type Extra = fn(&mut pb::FargateServiceSpec);

pub(super) const EXTRAS: &[Extra] = &[
    |s| s.stack_name = format!("team-{}", s.name),
    |s| {
        let web = &mut s.containers[0];
        (web.cpu, web.memory, web.memory_reservation) = (64, 256, 128);
    },
    |s| {
        s.containers[0].ports.push(pb::PortSpec {
            container_port: 8125,
            protocol: pb::PortProtocol::Udp.into(),
            name: "statsd".into(),
            ..Default::default()
        });
    },
    waits_for_health,
    |s| {
        let files = &mut s.containers[0].environment_files;
        files.push("arn:aws:s3:::shop-settings/staging/web.env".into());
    },
    |s| s.containers[0].repository_credentials = SECRET.into(),
    |s| s.containers[0].interactive = true,
    |s| {
        let linux = s.containers[0].linux.get_or_insert_default();
        linux.add_capabilities = vec!["SYS_PTRACE".into()];
    },
    |s| {
        let controls = &mut s.containers[0].system_controls;
        controls.insert("net.core.somaxconn".into(), "1024".into());
    },
    |s| {
        log_to(
            s,
            "awslogs",
            &[("mode", "non-blocking"), ("max-buffer-size", "4m")],
        )
    },
    splunk,
    |s| log_to(s, "none", &[]),
    |s| efs(s, "files", false),
    |s| efs(s, "shared", true),
    |s| {
        for sidecar in s.containers.iter_mut().skip(1) {
            sidecar.volumes_from.push(pb::VolumesFromSpec {
                container: "web".into(),
                read_only: true,
            });
        }
    },
    |s| s.network.get_or_insert_default().assign_public_ip = true,
    // Another one for each service: they share a listener.
    |s| {
        let number = s
            .name
            .bytes()
            .fold(0, |sum, byte| (sum * 31 + u32::from(byte)) % 9973);
        rules(s, |rule| rule.priority = 100 + number);
    },
    |s| rules(s, target_settings),
    |s| {
        s.desired_count = None;
        // One task, to begin with.
        if let Some(rollout) = &mut s.rollout {
            rollout.maximum_percent = Some(200);
        }
    },
    |s| {
        breaker(
            s,
            pb::CircuitBreakerSpec {
                enabled: Some(false),
                ..Default::default()
            },
        );
    },
    |s| {
        breaker(
            s,
            pb::CircuitBreakerSpec {
                rollback: Some(false),
                ..Default::default()
            },
        );
    },
    |s| {
        s.rollout.get_or_insert_default().alarms = Some(pb::AlarmSpec {
            names: vec!["orders-errors".into()],
            rollback: None,
        });
    },
    |s| s.task_role = TASK_ROLE.into(),
    execution_role,
    |s| (s.log_group, s.log_retention) = ("/ecs/orders".into(), 0),
    |s| {
        s.overrides.push(pb::OverrideSpec {
            resource: "task_definition".into(),
            merge_patch: r#"{"Properties": {"PidMode": "task"}}"#.into(),
        });
    },
];

/// The account's own, which may not decrypt with the key.
fn execution_role(spec: &mut pb::FargateServiceSpec) {
    spec.execution_role = "arn:aws:iam::222222222222:role/shop-execution".into();
    spec.kms_keys.clear();
    if let Some(secret) = spec.containers[0].secrets.get_mut("DB") {
        SECRET.clone_into(secret);
    }
}

fn waits_for_health(spec: &mut pb::FargateServiceSpec) {
    let [web, sidecar] = spec.containers.as_mut_slice() else {
        return;
    };
    sidecar.health_check = Some(pb::HealthCheckSpec {
        command: vec!["CMD".into(), "curl".into(), "http://localhost:9901/ready".into()],
        interval: 5,
        ..Default::default()
    });
    web.depends_on = vec![pb::DependencySpec {
        container: sidecar.name.clone(),
        condition: pb::DependencyCondition::Healthy.into(),
    }];
}

fn log_to(spec: &mut pb::FargateServiceSpec, driver: &str, options: &[(&str, &str)]) {
    let options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    spec.containers[0].logging = Some(pb::LoggingSpec {
        driver: driver.into(),
        options: options.collect(),
        ..Default::default()
    });
}

fn splunk(spec: &mut pb::FargateServiceSpec) {
    log_to(
        spec,
        "splunk",
        &[("splunk-url", "https://splunk.example.com:8088")],
    );
    if let Some(logging) = &mut spec.containers[0].logging {
        logging
            .secret_options
            .insert("splunk-token".into(), PARAMETER.into());
    }
}

fn efs(spec: &mut pb::FargateServiceSpec, volume: &str, has_access_point: bool) {
    let file_system = "fs-0510000000000000a".into();
    let efs = if has_access_point {
        spec.task_role = TASK_ROLE.into();
        pb::EfsSpec {
            file_system,
            transit_encryption: true,
            access_point: "fsap-0510000000000000a".into(),
            iam: true,
            ..Default::default()
        }
    } else {
        pb::EfsSpec {
            file_system,
            root_directory: "/shop".into(),
            ..Default::default()
        }
    };
    spec.volumes.push(pb::VolumeSpec {
        name: volume.into(),
        efs: Some(efs),
    });
    spec.containers[0].mounts.push(pb::MountSpec {
        volume: volume.into(),
        container_path: format!("/{volume}"),
        read_only: !has_access_point,
    });
}

fn rules(spec: &mut pb::FargateServiceSpec, set: impl Fn(&mut pb::ListenerRuleSpec)) {
    let rules = spec
        .load_balancers
        .iter_mut()
        .filter_map(|linked| linked.listener_rule.as_mut());
    rules.for_each(set);
}

fn target_settings(rule: &mut pb::ListenerRuleSpec) {
    (rule.protocol, rule.protocol_version) = ("HTTP".into(), "HTTP1".into());
    rule.health_check = Some(pb::TargetHealthCheckSpec {
        path: "/health".into(),
        matcher: "200-299".into(),
        interval: 6,
        timeout: 3,
        healthy_threshold: 2,
        unhealthy_threshold: 3,
    });
}

fn breaker(spec: &mut pb::FargateServiceSpec, breaker: pb::CircuitBreakerSpec) {
    spec.rollout.get_or_insert_default().circuit_breaker = Some(breaker);
}
