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
pub fn place(
    region: &mut Region,
    service: &Service,
    definition: &TaskDefinition,
    provider: Option<&str>,
) -> Result<Place, String> {
    if service.uses_fargate() {
        return interface(region, service, None);
    }
    let found = instance(region, service, definition, provider)?;
    settled(region, service, definition, found)
}

/// On an instance an `awsvpc` task has an interface of its own, too.
fn settled(
    region: &mut Region,
    service: &Service,
    definition: &TaskDefinition,
    found: Place,
) -> Result<Place, String> {
    match found {
        Place::Instance { arn, .. } if definition.network_mode() == "awsvpc" => {
            interface(region, service, Some(arn))
        }
        other => Ok(other),
    }
}

/// Whether Fargate has room in a zone for one more task.
fn has_fargate_room(region: &Region, zone: &str) -> bool {
    let Some(most) = region.network.fargate_room.get(zone) else {
        return true;
    };
    let here = region.ecs.tasks.values().filter(|task| {
        !task.is_over() && matches!(&task.place, Place::Interface { zone: of_task, .. } if of_task == zone)
    });
    here.count() < *most
}

/// An interface in the subnet with the most free addresses. Without any it has
/// no address, and the task fails when it is provisioned, as with AWS.
fn interface(region: &mut Region, service: &Service, host: Option<String>) -> Result<Place, String> {
    let subnets = service.subnets();
    let eni = format!("eni-0{}", region.ids.hex("eni", 16));
    let named = |id: &String| subnets.contains(id);
    let usable: Vec<String> = region
        .network
        .subnets
        .iter()
        .filter(|subnet| named(&subnet.id))
        .filter(|subnet| !service.uses_fargate() || has_fargate_room(region, &subnet.zone))
        .map(|subnet| subnet.id.clone())
        .collect();
    if usable.is_empty() && region.network.subnets.iter().any(|subnet| named(&subnet.id)) {
        return Err(format!(
            "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone. {}",
            super::events::GUIDE
        ));
    }
    let fullest_last = region
        .network
        .subnets
        .iter_mut()
        .filter(|subnet| usable.contains(&subnet.id))
        .max_by_key(|subnet| subnet.free);
    Ok(match fullest_last {
        Some(subnet) => Place::Interface {
            eni,
            ip: subnet.take().unwrap_or_default(),
            subnet: subnet.id.clone(),
            zone: subnet.zone.clone(),
            host,
        },
        None => Place::Interface {
            eni,
            ip: String::new(),
            subnet: subnets.first().cloned().unwrap_or_default(),
            zone: String::new(),
            host,
        },
    })
}

/// CPU units and MiB that a container reserves on its instance.
pub fn reservation(container: &Value) -> (i64, i64) {
    let cpu = number(container, "cpu").unwrap_or(0);
    let memory = number(container, "memoryReservation").or_else(|| number(container, "memory"));
    (cpu, memory.unwrap_or(0))
}

/// Host ports that a task definition fixes; none where each task has its own address.
fn fixed_ports(definition: &TaskDefinition) -> Vec<i64> {
    if definition.network_mode() == "awsvpc" {
        return Vec::new();
    }
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
    region
        .ecs
        .tasks
        .values()
        .filter(|task| !task.is_over() && task.host() == Some(instance.arn.as_str()))
}

/// What keeps a task off an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    Ports,
    Memory,
    Cpu,
    Attribute,
}

impl Lack {
    /// In the words of the service's event.
    fn words(self) -> &'static str {
        match self {
            Self::Ports => "is already using a port required by your task",
            Self::Memory => "has insufficient memory available",
            Self::Cpu => "has insufficient CPU units available",
            Self::Attribute => "is missing an attribute required by your task",
        }
    }

    /// In the words of a task that could not be placed.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
    fn code(self) -> &'static str {
        match self {
            Self::Ports => "RESOURCE:PORTS",
            Self::Memory => "RESOURCE:MEMORY",
            Self::Cpu => "RESOURCE:CPU",
            Self::Attribute => "ATTRIBUTE",
        }
    }
}

/// What the tasks of a definition need of an instance.
struct Need<'a> {
    cluster: &'a str,
    service: &'a str,
    /// One task of the service on each instance.
    is_daemon: bool,
    provider: Option<&'a str>,
    cpu: i64,
    memory: i64,
    ports: Vec<i64>,
    architecture: Option<&'static str>,
}

impl<'a> Need<'a> {
    fn of(
        cluster: &'a str,
        service: &'a str,
        is_daemon: bool,
        provider: Option<&'a str>,
        definition: &TaskDefinition,
    ) -> Self {
        let (cpu, memory) = definition
            .containers()
            .map(reservation)
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Self {
            cluster,
            service,
            is_daemon,
            provider,
            cpu,
            memory,
            ports: fixed_ports(definition),
            architecture: required_architecture(definition),
        }
    }

    /// Instances that may take it if they have room.
    fn candidates(&self, region: &'a Region) -> Vec<&'a ContainerInstance> {
        let cluster = region.ecs.clusters.get(self.cluster);
        let instances = cluster.into_iter().flat_map(|one| &one.instances);
        let has_own = |instance: &ContainerInstance| {
            let mut tasks = tasks_on(region, instance);
            tasks.any(|task| task.service == self.service && task.is_wanted())
        };
        instances
            .filter(|one| !one.is_draining)
            .filter(|one| {
                self.provider
                    .is_none_or(|wanted| one.capacity_provider.as_deref() == Some(wanted))
            })
            .filter(|one| !self.is_daemon || !has_own(one))
            .collect()
    }

    fn lack(&self, region: &Region, instance: &ContainerInstance) -> Option<Lack> {
        let (cpu, memory) = free_resources(region, instance);
        let used = tasks_on(region, instance)
            .flat_map(Task::host_ports)
            .any(|host_port| self.ports.contains(&host_port));
        if self
            .architecture
            .is_some_and(|wanted| wanted != instance.architecture)
        {
            Some(Lack::Attribute)
        } else if used || instance.taken_ports.iter().any(|port| self.ports.contains(port)) {
            Some(Lack::Ports)
        } else if memory < self.memory {
            Some(Lack::Memory)
        } else if cpu < self.cpu {
            Some(Lack::Cpu)
        } else {
            None
        }
    }

    /// The instance with room that has the fewest tasks of the service, then the
    /// most memory; or what the last of them lacks.
    fn find(&self, region: &Region) -> Result<Place, Option<(String, Lack)>> {
        let candidates = self.candidates(region);
        let load = |instance: &ContainerInstance| {
            let same = tasks_on(region, instance).filter(|task| task.service == self.service);
            (same.count(), -free_resources(region, instance).1)
        };
        let fit = candidates
            .iter()
            .filter(|instance| self.lack(region, instance).is_none())
            .min_by_key(|instance| load(instance));
        match fit {
            Some(instance) => Ok(Place::Instance {
                arn: instance.arn.clone(),
                ec2_id: instance.ec2_id.clone(),
                ip: instance.ip.clone(),
                zone: instance.zone.clone(),
            }),
            None => Err(candidates
                .last()
                .and_then(|last| Some((last_part(&last.arn).to_owned(), self.lack(region, last)?)))),
        }
    }
}

/// The `ecs.cpu-architecture` that a task definition asks its instances for.
fn required_architecture(definition: &TaskDefinition) -> Option<&'static str> {
    let platform = definition.body.get("runtimePlatform")?;
    match crate::wire::json::text(platform, "cpuArchitecture")? {
        "ARM64" => Some("arm64"),
        _ => Some("x86_64"),
    }
}

/// An instance of the service's cluster, or of its capacity provider.
fn instance(
    region: &Region,
    service: &Service,
    definition: &TaskDefinition,
    provider: Option<&str>,
) -> Result<Place, String> {
    let is_daemon = service.is_daemon();
    let need = Need::of(&service.cluster, &service.name, is_daemon, provider, definition);
    let closest = match need.find(region) {
        Ok(place) => return Ok(place),
        Err(closest) => closest,
    };
    if let Some(provider) = provider.filter(|name| scales(region, &service.cluster, name)) {
        return Ok(Place::Waiting {
            provider: provider.to_owned(),
        });
    }
    let why = match (provider, closest) {
        (None, Some((id, lack))) => {
            format!("The closest matching (container-instance {id}) {}.", lack.words())
        }
        (Some(_), Some((_, lack))) => {
            return Err(format!(
                "was unable to place a task. Reason: TaskFailedToStart: {}.",
                lack.code()
            ));
        }
        (Some(_), None) => {
            return Err(
                "was unable to place a task. Reason: TaskFailedToStart: EMPTY CAPACITY PROVIDER.".to_owned(),
            );
        }
        (None, None) => "Reason: No Container Instances were found in your cluster.".to_owned(),
    };
    Err(format!(
        "was unable to place a task because no container instance met all of its requirements. {why} {}",
        super::events::GUIDE
    ))
}

/// Whether managed scaling brings instances for tasks that wait.
fn scales(region: &Region, cluster: &str, provider: &str) -> bool {
    let cluster = region.ecs.clusters.get(cluster);
    let mut providers = cluster.into_iter().flat_map(|one| &one.providers);
    providers.any(|one| one.name == provider && one.has_managed_scaling)
}

/// Looks again for a task that waits for an instance: its place, or the reason
/// that it ends with when it has waited too long.
pub fn look_again(region: &mut Region, task: &Task, definition: &TaskDefinition) -> Result<Place, String> {
    let provider = task.capacity_provider.as_deref();
    let need = Need::of(&task.cluster, &task.service, false, provider, definition);
    let found = need.find(region).map_err(|closest| {
        let why = closest.map_or("EMPTY CAPACITY PROVIDER", |(_, lack)| lack.code());
        format!("TaskFailedToStart: {why}")
    })?;
    let key = (task.cluster.clone(), task.service.clone());
    match region.ecs.services.get(&key).cloned() {
        Some(service) => settled(region, &service, definition, found),
        None => Ok(found),
    }
}
