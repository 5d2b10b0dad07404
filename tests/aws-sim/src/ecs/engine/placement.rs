//! Where a task goes: an interface in a subnet, or an instance with room.

use serde_json::Value;

use crate::{
    ecs::{
        clusters::free_resources,
        model::{ContainerInstance, Service, TaskDefinition},
        references::last_part,
        task::{Place, Task},
    },
    wire::json::number,
    world::Region,
};

/// A place, or the words of the event that says why there is none.
pub fn place(region: &mut Region, service: &Service, definition: &TaskDefinition) -> Result<Place, String> {
    if definition.network_mode() == "awsvpc" {
        Ok(interface(region, service))
    } else {
        instance(region, service, definition)
    }
}

/// An interface in the subnet with the most free addresses. Without any it has
/// no address, and the task fails when it is provisioned, as with AWS.
fn interface(region: &mut Region, service: &Service) -> Place {
    let subnets = service.subnets();
    let eni = format!("eni-0{}", region.ids.hex("eni", 16));
    let fullest_last = region
        .network
        .subnets
        .iter_mut()
        .filter(|subnet| subnets.contains(&subnet.id))
        .max_by_key(|subnet| subnet.free);
    match fullest_last {
        Some(subnet) => Place::Interface {
            eni,
            ip: subnet.take().unwrap_or_default(),
            subnet: subnet.id.clone(),
            zone: subnet.zone.clone(),
        },
        None => Place::Interface {
            eni,
            ip: String::new(),
            subnet: subnets.first().cloned().unwrap_or_default(),
            zone: String::new(),
        },
    }
}

/// CPU units and MiB that a container reserves on its instance.
pub fn reservation(container: &Value) -> (i64, i64) {
    let cpu = number(container, "cpu").unwrap_or(0);
    let memory = number(container, "memoryReservation").or_else(|| number(container, "memory"));
    (cpu, memory.unwrap_or(0))
}

/// Host ports that a task definition fixes.
fn fixed_ports(definition: &TaskDefinition) -> Vec<i64> {
    definition
        .containers()
        .flat_map(|container| {
            container
                .get("portMappings")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        })
        .filter_map(|mapping| number(mapping, "hostPort").filter(|port| *port > 0))
        .collect()
}

fn tasks_on<'a>(region: &'a Region, instance: &'a ContainerInstance) -> impl Iterator<Item = &'a Task> {
    region.ecs.tasks.values().filter(|task| {
        !task.is_over() && matches!(&task.place, Place::Instance { arn, .. } if *arn == instance.arn)
    })
}

fn instance(region: &mut Region, service: &Service, definition: &TaskDefinition) -> Result<Place, String> {
    let reservations: Vec<(i64, i64)> = definition.containers().map(reservation).collect();
    let cpu: i64 = reservations.iter().map(|(cpu, _)| cpu).sum();
    let memory: i64 = reservations.iter().map(|(_, memory)| memory).sum();
    let ports = fixed_ports(definition);
    let instances = region
        .ecs
        .clusters
        .get(&service.cluster)
        .map(|cluster| &cluster.instances);
    let mut best: Option<(usize, i64, &ContainerInstance)> = None;
    let mut closest: Option<(&ContainerInstance, &str)> = None;
    for instance in instances.into_iter().flatten() {
        let free = free_resources(region, instance);
        let taken = tasks_on(region, instance)
            .flat_map(|task| &task.containers)
            .flat_map(|container| &container.bindings)
            .any(|(_, host_port, _)| ports.contains(host_port));
        let lack = if taken {
            Some("is already using a port required by your task")
        } else if free.1 < memory {
            Some("has insufficient memory available")
        } else if free.0 < cpu {
            Some("has insufficient CPU units available")
        } else {
            None
        };
        match lack {
            Some(lack) => closest = Some((instance, lack)),
            None => {
                let same = tasks_on(region, instance)
                    .filter(|task| task.service == service.name)
                    .count();
                if best.is_none_or(|(fewest, most, _)| (same, -free.1) < (fewest, -most)) {
                    best = Some((same, free.1, instance));
                }
            }
        }
    }
    if let Some((_, _, instance)) = best {
        return Ok(Place::Instance {
            arn: instance.arn.clone(),
            ec2_id: instance.ec2_id.clone(),
            ip: instance.ip.clone(),
            zone: instance.zone.clone(),
        });
    }
    let why = match closest {
        Some((instance, lack)) => format!(
            "The closest matching (container-instance {}) {lack}.",
            last_part(&instance.arn)
        ),
        None => "Reason: No Container Instances were found in your cluster.".to_owned(),
    };
    Err(format!(
        "was unable to place a task because no container instance met all of its requirements. {why} {}",
        super::events::GUIDE
    ))
}
