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

/// What the tasks of a definition need of an instance.
struct Need {
    cpu: i64,
    memory: i64,
    ports: Vec<i64>,
}

impl Need {
    fn of(definition: &TaskDefinition) -> Self {
        let (cpu, memory) = definition
            .containers()
            .map(reservation)
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Self {
            cpu,
            memory,
            ports: fixed_ports(definition),
        }
    }

    /// What an instance lacks, in the words of ECS's event.
    fn lack(&self, region: &Region, instance: &ContainerInstance) -> Option<&'static str> {
        let (cpu, memory) = free_resources(region, instance);
        let taken = tasks_on(region, instance)
            .flat_map(|task| &task.containers)
            .flat_map(|container| &container.bindings)
            .any(|(_, host_port, _)| self.ports.contains(host_port));
        if taken {
            Some("is already using a port required by your task")
        } else if memory < self.memory {
            Some("has insufficient memory available")
        } else if cpu < self.cpu {
            Some("has insufficient CPU units available")
        } else {
            None
        }
    }
}

/// The instance with room that has the fewest tasks of the service, then the most memory.
fn instance(region: &Region, service: &Service, definition: &TaskDefinition) -> Result<Place, String> {
    let need = Need::of(definition);
    let cluster = region.ecs.clusters.get(&service.cluster);
    let instances: Vec<&ContainerInstance> = cluster.into_iter().flat_map(|one| &one.instances).collect();
    let load = |instance: &ContainerInstance| {
        let same = tasks_on(region, instance)
            .filter(|task| task.service == service.name)
            .count();
        (same, -free_resources(region, instance).1)
    };
    let fit = instances
        .iter()
        .filter(|instance| need.lack(region, instance).is_none())
        .min_by_key(|instance| load(instance));
    if let Some(instance) = fit {
        return Ok(Place::Instance {
            arn: instance.arn.clone(),
            ec2_id: instance.ec2_id.clone(),
            ip: instance.ip.clone(),
            zone: instance.zone.clone(),
        });
    }
    let closest = instances
        .last()
        .and_then(|instance| Some((instance, need.lack(region, instance)?)));
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
