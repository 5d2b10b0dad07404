//! Specifications with one thing in them that may be anything.

use proptest::{collection::vec, prelude::*};
use towline_proto::agent::v1 as pb;

use super::{network, valid};

/// Where the oddness may lie.
pub const PLACES: [&str; 16] = [
    "name",
    "size",
    "container",
    "port",
    "secret",
    "depends_on",
    "network",
    "load_balancer",
    "override",
    "numbers",
    "linux",
    "no_containers",
    "environment",
    "label",
    "command",
    "tag",
];

/// A specification with something in it that may be anything, and the place where.
pub fn odd(name: String) -> impl Strategy<Value = (&'static str, pb::FargateServiceSpec)> {
    let text = || prop_oneof![Just(String::new()), "[ -~]{0,40}", "\\PC{0,12}", "[a-z]{200}"];
    let number = || prop_oneof![Just(0_u32), Just(u32::MAX), any::<u32>(), 0..70_000_u32];
    (
        valid(name),
        (text(), text(), text(), text()),
        (number(), number(), number()),
        (any::<i32>(), vec(text(), 0..4), 0..PLACES.len()),
    )
        .prop_map(|(mut spec, (a, b, c, d), (x, y, z), (choice, list, place))| {
            let web = &mut spec.containers[0];
            match place {
                0 => spec.name = a,
                1 => (spec.cpu, spec.memory) = (x, y),
                2 => (web.name, web.image) = (a, b),
                3 => web.ports.push(pb::PortSpec {
                    container_port: x,
                    protocol: choice,
                    name: a,
                    app_protocol: b,
                }),
                4 => drop(web.secrets.insert(a, b)),
                5 => web.depends_on.push(pb::DependencySpec {
                    container: a,
                    condition: choice,
                }),
                6 => {
                    spec.network = Some(pb::NetworkSpec {
                        subnets: list,
                        security_groups: vec![a, b],
                        ..network()
                    })
                }
                7 => {
                    spec.load_balancers.push(pb::LoadBalancerSpec {
                        container: a,
                        port: x,
                        target_group: b,
                        ..Default::default()
                    });
                }
                8 => spec.overrides.push(pb::OverrideSpec {
                    resource: a,
                    merge_patch: b,
                }),
                9 => {
                    (
                        spec.ephemeral_storage,
                        spec.log_retention,
                        spec.health_check_grace_period,
                    ) = (x, y, z)
                }
                10 => {
                    web.linux = Some(pb::LinuxSpec {
                        init: true,
                        add_capabilities: list,
                        drop_capabilities: vec![c.clone()],
                        tmpfs: vec![pb::TmpfsSpec {
                            container_path: c,
                            size: x,
                            mount_options: Vec::new(),
                        }],
                    });
                    spec.task_role = d;
                }
                11 => (spec.containers, spec.stack_name) = (Vec::new(), a),
                // Odd, and often nobody's business.
                12 => drop(web.environment.insert("ODD".into(), a)),
                13 => drop(web.docker_labels.insert("odd".into(), b)),
                14 => web.command.push(c),
                _ => drop(spec.tags.insert("odd".into(), d)),
            }
            (PLACES[place], spec)
        })
}
