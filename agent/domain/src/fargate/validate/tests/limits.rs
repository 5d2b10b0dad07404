//! What ECS, Fargate, CloudFormation and load balancers do not take, a row for each.

use super::*;
use crate::fargate::spec::*;

type Change = fn(&mut FargateService);

/// The fields and messages of the faults after a change to a good service.
pub fn told(change: impl FnOnce(&mut FargateService)) -> Vec<(String, String)> {
    let mut service = good();
    change(&mut service);
    let found = validate(&service).err().unwrap_or_default();
    found
        .into_iter()
        .map(|violation| (violation.field, violation.message))
        .collect()
}

pub fn only(change: impl FnOnce(&mut FargateService)) -> String {
    let told = told(change);
    assert_eq!(told.len(), 1, "{told:?}");
    told[0].0.clone()
}

pub fn text(text: &str) -> String {
    text.to_owned()
}

pub fn patch(resource: &str, patch: &str) -> Override {
    Override {
        resource: text(resource),
        merge_patch: text(patch),
    }
}

#[test]
fn what_fargate_itself_refuses_is_told_as_its_limit() {
    let limits: [(Change, &str); 8] = [
        (
            |s| {
                s.containers[0].linux = Some(Linux {
                    add_capabilities: vec![text("NET_ADMIN")],
                    ..Linux::default()
                })
            },
            "containers[0].linux.add_capabilities[0]",
        ),
        (
            |s| s.containers[0].system_controls = [(text("vm.swappiness"), text("1"))].into(),
            "containers[0].system_controls[vm.swappiness]",
        ),
        (
            |s| {
                s.containers[0].logging = Some(Logging {
                    driver: text("syslog"),
                    ..Logging::default()
                })
            },
            "containers[0].logging.driver",
        ),
        (|s| s.platform_version = Some(text("1.3.0")), "platform_version"),
        (|s| s.ephemeral_storage = Some(20), "ephemeral_storage"),
        (
            |s| s.containers[0].stop_timeout = Some(121),
            "containers[0].stop_timeout",
        ),
        (
            |s| {
                s.capacity_providers = vec![CapacityProvider {
                    name: text("my-asg"),
                    base: 0,
                    weight: 1,
                }]
            },
            "capacity_providers[0].name",
        ),
        (
            |s| {
                s.overrides = vec![patch(
                    "task_definition",
                    r#"{"Properties": {"ContainerDefinitions": [{"ExtraHosts": [1]}]}}"#,
                )]
            },
            "overrides[0].merge_patch",
        ),
    ];
    for (change, field) in limits {
        let told = told(change);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 == field && told[0].1.contains("Fargate"), "{told:?}");
    }
}

#[test]
fn dependencies_on_health_need_a_health_check() {
    let healthy = |s: &mut FargateService| s.containers[0].depends_on = depends("proxy", Condition::Healthy);
    assert_eq!(faults(healthy), ["containers[0].depends_on[0]"]);
    let check = HealthCheck {
        command: vec![text("CMD"), text("true")],
        ..HealthCheck::default()
    };
    assert!(
        faults(|s| {
            healthy(s);
            s.containers[1].health_check = Some(check);
        })
        .is_empty()
    );
}

#[test]
fn a_health_check_has_a_command_and_its_ranges() {
    let check = |check: HealthCheck| faults(|s| s.containers[0].health_check = Some(check));
    let command = vec![text("CMD-SHELL"), text("true")];
    assert_eq!(
        check(HealthCheck::default()),
        ["containers[0].health_check.command"]
    );
    for words in [vec!["true"], vec!["CMD"], vec!["CMD-SHELL", "a", "b"]] {
        let command = words.into_iter().map(text).collect();
        assert_eq!(
            check(HealthCheck {
                command,
                ..HealthCheck::default()
            }),
            ["containers[0].health_check.command"]
        );
    }
    let (interval, timeout, retries, start_period) = (Some(4), Some(61), Some(11), Some(301));
    let fields = check(HealthCheck {
        command,
        interval,
        timeout,
        retries,
        start_period,
    });
    let fields: Vec<&str> = fields
        .iter()
        .filter_map(|field| field.rsplit_once('.'))
        .map(|(_, last)| last)
        .collect();
    assert_eq!(fields, ["interval", "timeout", "retries", "start_period"]);
}

#[test]
fn a_file_system_in_memory_has_a_path_of_its_own_a_size_and_known_options() {
    fn tmpfs(path: &str, size: u32, option: &str) -> Tmpfs {
        Tmpfs {
            container_path: text(path),
            size,
            mount_options: vec![text(option)],
        }
    }
    fn set(service: &mut FargateService, tmpfs: &[Tmpfs]) {
        service.volumes = vec![Volume {
            name: text("data"),
            efs: None,
        }];
        service.containers[0].mounts = vec![Mount {
            volume: text("data"),
            container_path: text("/data"),
            read_only: false,
        }];
        service.containers[0].linux = Some(Linux {
            tmpfs: tmpfs.to_vec(),
            ..Linux::default()
        });
    }
    let of = |member: &str| format!("containers[0].linux.tmpfs[{member}");
    for (path, size, option, member) in [
        ("scratch", 1, "rw", "0].container_path"),
        ("/", 1, "rw", "0].container_path"),
        ("/data/", 1, "rw", "0].container_path"),
        ("/scratch", 0, "rw", "0].size"),
        ("/scratch", u32::MAX, "rw", "0].size"),
        ("/scratch", 1, "noexecute", "0].mount_options[0]"),
        ("/scratch", 1, "rw=1", "0].mount_options[0]"),
        ("/scratch", 1, "mode=", "0].mount_options[0]"),
    ] {
        assert_eq!(only(|s| set(s, &[tmpfs(path, size, option)])), of(member));
    }
    let twice = [tmpfs("/a", 1, "mode=1777"), tmpfs("/a", 1, "noexec")];
    assert_eq!(only(|s| set(s, &twice)), of("1].container_path"));
}

#[test]
fn mounts_and_volumes_match() {
    let mount = |volume: &str, path: &str| Mount {
        volume: text(volume),
        container_path: text(path),
        read_only: false,
    };
    let volume = |name: &str| Volume {
        name: text(name),
        efs: None,
    };
    assert_eq!(
        only(|s| s.containers[0].mounts = vec![mount("data", "/data")]),
        "containers[0].mounts[0].volume"
    );
    assert_eq!(
        only(|s| s.volumes = vec![volume("data"), volume("data")]),
        "volumes[1].name"
    );
    let twice = |s: &mut FargateService| {
        s.volumes = vec![volume("data")];
        s.containers[0].mounts = vec![mount("data", "/data"), mount("data", "/data")];
    };
    assert_eq!(only(twice), "containers[0].mounts[1].container_path");
    let from = |container: &str| {
        vec![VolumesFrom {
            container: text(container),
            read_only: false,
        }]
    };
    assert_eq!(
        only(|s| s.containers[0].volumes_from = from("web")),
        "containers[0].volumes_from[0].container"
    );
    assert_eq!(
        only(|s| s.containers[0].volumes_from = from("db")),
        "containers[0].volumes_from[0].container"
    );
}

#[test]
fn efs_wants_encryption_and_a_role_where_it_checks_who_comes() {
    let efs = |change: fn(&mut Efs)| {
        let mut efs = Efs {
            file_system: text("fs-1"),
            ..Efs::default()
        };
        change(&mut efs);
        faults(|s| {
            s.volumes = vec![Volume {
                name: text("files"),
                efs: Some(efs),
            }]
        })
    };
    assert!(efs(|_| {}).is_empty());
    assert_eq!(
        efs(|e| e.file_system = text("files")),
        ["volumes[0].efs.file_system"]
    );
    assert_eq!(
        efs(|e| e.access_point = Some(text("fsap-1"))),
        ["volumes[0].efs.access_point"]
    );
    assert_eq!(
        efs(|e| (e.iam, e.transit_encryption) = (true, true)),
        ["volumes[0].efs.iam"]
    );
    let both = |e: &mut Efs| {
        e.transit_encryption = true;
        (e.access_point, e.root_directory) = (Some(text("fsap-1")), Some(text("/shop")));
    };
    assert_eq!(efs(both), ["volumes[0].efs.root_directory"]);
}

#[test]
fn port_names_are_the_tasks_own_and_carry_the_protocol() {
    let port = |name: Option<&str>, app: Option<&str>| {
        let (name, app_protocol) = (name.map(text), app.map(text));
        faults(|s| {
            s.containers[1].ports = vec![Port {
                port: 9000,
                name,
                app_protocol,
                ..Port::default()
            }]
        })
    };
    assert!(port(Some("admin"), Some("http2")).is_empty());
    assert_eq!(port(Some("Admin"), None), ["containers[1].ports[0].name"]);
    assert_eq!(port(None, Some("grpc")), ["containers[1].ports[0].app_protocol"]);
    assert_eq!(
        port(Some("admin"), Some("tcp")),
        ["containers[1].ports[0].app_protocol"]
    );
    // The same number over UDP is another port.
    let udp = |s: &mut FargateService| {
        s.containers[1].ports = vec![Port {
            port: 8080,
            protocol: Protocol::Udp,
            ..Port::default()
        }];
    };
    assert!(faults(udp).is_empty());
}

#[test]
fn the_forms_of_secrets_are_those_of_ecs() {
    let secret = |source: &str| {
        let source = text(source);
        faults(|s| drop(s.containers[0].secrets.insert(text("DB"), source))).is_empty()
    };
    let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:db-AbCdEf";
    assert!(secret(arn) && secret(&format!("{arn}:password::")) && secret(&format!("{arn}::AWSPREVIOUS:")));
    assert!(!secret(&format!("{arn}:password")), "all three colons or none");
    assert!(
        !secret(&format!("{arn}:password:AWSCURRENT:1")),
        "a stage or a version"
    );
    let both = |s: &mut FargateService| {
        s.containers[0].environment.insert(text("DB"), text("x"));
        s.containers[0].secrets.insert(text("DB"), text(arn));
    };
    assert_eq!(only(both), "containers[0].secrets[DB]");
}

#[test]
fn tags_and_what_else_has_an_end() {
    assert_eq!(
        only(|s| s.tags = [(text("aws:x"), text("1"))].into()),
        "tags[aws:x]"
    );
    // CloudFormation's own limit: ECS itself would take it.
    assert_eq!(only(|s| s.tags = [(text("team"), text(""))].into()), "tags[team]");
    assert_eq!(
        only(|s| s.tags = [(text("team"), text("a#b"))].into()),
        "tags[team]"
    );
    assert_eq!(
        only(|s| s.tags = (0..50).map(|n| (format!("t{n}"), text("x"))).collect()),
        "tags"
    );
    assert_eq!(only(|s| s.log_retention = Some(31)), "log_retention");
    assert_eq!(
        only(|s| s.health_check_grace_period = Some(30)),
        "health_check_grace_period"
    );
    assert_eq!(only(|s| s.execute_command = true), "execute_command");
    assert_eq!(only(|s| s.desired_count = Some(5001)), "desired_count");
    let label =
        |s: &mut FargateService| s.containers[0].docker_labels = [(text("Fn::Sub"), text("x"))].into();
    assert_eq!(
        only(label),
        "containers[0].docker_labels[Fn::Sub]",
        "CloudFormation would compute it"
    );
    let breaker = |s: &mut FargateService| {
        let breaker = &mut s.rollout.circuit_breaker;
        (breaker.threshold_percent, breaker.threshold_count) = (Some(10), Some(3));
    };
    assert_eq!(only(breaker), "rollout.circuit_breaker.threshold_count");
}

#[test]
fn containers_reserve_no_more_than_the_task_has() {
    let both = |s: &mut FargateService| {
        s.containers[0].memory_reservation = Some(400);
        s.containers[1].memory = Some(200);
    };
    assert_eq!(only(both), "memory");
    let eleven = |s: &mut FargateService| {
        for n in 0..9 {
            let container = Container {
                name: format!("c{n}"),
                image: text("r.example/c:1"),
                ..Container::default()
            };
            s.containers.push(container);
        }
    };
    assert_eq!(only(eleven), "containers");
}

#[test]
fn a_count_that_is_left_out_is_judged_when_it_is_known() {
    let percent = |count| {
        faults(|s| {
            s.desired_count = count;
            (s.rollout.minimum_healthy_percent, s.rollout.maximum_percent) = (Some(50), Some(150));
        })
    };
    assert!(percent(None).is_empty() && percent(Some(2)).is_empty());
    assert_eq!(percent(Some(1)), ["rollout"]);
}
