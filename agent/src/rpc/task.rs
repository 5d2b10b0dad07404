//! What a request for a one-off task asks for, with every fault at once.

use tonic::Status;
use towline_agent_domain::{
    observed::one_off::{Capacity, CapacityProvider, TaskNetwork},
    outside::Account,
    task::spec::{TaskContainer, TaskSpec, USUAL_TIMEOUT},
};
use towline_proto::agent::v1 as proto;

use super::{
    Agent, deadline,
    orders::{Order, Wanted, cancel_mode, cluster_ref},
    update::{duration, task_changes},
    violations::Violations,
};
use crate::{
    operation::{Payload, Place, TaskOrder},
    time::from_proto,
};

/// ECS's own words.
const LAUNCH_TYPES: [&str; 3] = ["FARGATE", "EC2", "EXTERNAL"];

impl<A: Account> Agent<A> {
    /// Checks a request to run a task.
    pub(super) fn task(&self, mut request: proto::RunTaskRequest) -> Result<Wanted, Status> {
        let context = request.context.take().unwrap_or_default();
        let mut violations = Violations::default();
        let id = self.context(&context, &mut violations);
        self.check_place(&request.region, &request.cluster, &mut violations);
        let spec = spec(&request, &self.surroundings.partition, &mut violations);
        violations.check()?;
        self.check_account(&request.account)?;
        let (Some(id), Some(spec)) = (id, spec) else {
            return Err(Status::internal("a checked request lacks its id or its task"));
        };
        let at = cluster_ref(&request.region, &request.cluster);
        let place = Place {
            region: at.region.clone(),
            cluster: at.cluster.clone(),
            service: request.like.clone(),
            task: spec.name.to_string(),
        };
        let order = TaskOrder {
            at,
            spec,
            repeated_send: context.repeated_send,
            first_sent: context.first_send_time.as_ref().and_then(from_proto),
        };
        Ok(Wanted {
            id,
            epoch: context.epoch,
            place,
            order: Order::Task(Box::new(order)),
            deadline: deadline(&context),
            cancel: cancel_mode(context.cancel),
            payload: Payload::Task(Box::new(request)),
        })
    }
}

/// `None` when the task has no name that it could have.
fn spec(wire: &proto::RunTaskRequest, partition: &str, violations: &mut Violations) -> Option<TaskSpec> {
    violations.demand("task", &wire.task, "\"migrate\"");
    let name = match wire.task.parse() {
        Ok(name) => Some(name),
        Err(error) if !wire.task.is_empty() => {
            violations.add("task", format!("{error}"));
            None
        }
        Err(_) => None,
    };
    if wire.like.is_empty() && wire.task_definition.is_empty() {
        violations.add(
            "like",
            "give a service that the task is like, or a task_definition",
        );
    }
    let (changes, tags) = task_changes(wire, partition, violations);
    let containers = wire
        .containers
        .iter()
        .zip(changes)
        .map(|(container, change)| TaskContainer {
            change,
            command: container.command.clone(),
            entry_point: container.entry_point.clone(),
        });
    let containers = containers.collect();
    let timeout = match &wire.timeout {
        Some(given) => duration("timeout", given, violations),
        None => None,
    };
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        violations.add("timeout", "is zero; leave it out for 15 minutes");
    }
    let placement = wire.placement.clone().unwrap_or_default();
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(TaskSpec {
        like: given(&wire.like),
        base: given(&wire.task_definition),
        network: network(&placement, violations),
        capacity: capacity(&placement, violations),
        platform_version: given(&placement.platform_version),
        containers,
        exit_container: given(&wire.exit_container),
        timeout: timeout.unwrap_or(USUAL_TIMEOUT),
        tags,
        name: name?,
    })
}

fn network(placement: &proto::TaskPlacement, violations: &mut Violations) -> Option<TaskNetwork> {
    let blank = |ids: &[String]| ids.iter().any(|id| id.trim().is_empty());
    if blank(&placement.subnets) {
        violations.add("placement.subnets", "has a blank entry");
    }
    if blank(&placement.security_groups) {
        violations.add("placement.security_groups", "has a blank entry");
    }
    if placement.subnets.is_empty() {
        if !placement.security_groups.is_empty() || placement.assign_public_ip {
            violations.add(
                "placement.subnets",
                "is missing; a network is subnets, security groups and public address together",
            );
        }
        return None;
    }
    Some(TaskNetwork {
        subnets: placement.subnets.clone(),
        security_groups: placement.security_groups.clone(),
        assign_public_ip: placement.assign_public_ip,
    })
}

fn capacity(placement: &proto::TaskPlacement, violations: &mut Violations) -> Option<Capacity> {
    let launch_type = placement.launch_type.as_str();
    let providers = &placement.capacity_providers;
    if !launch_type.is_empty() && !providers.is_empty() {
        violations.add(
            "placement.launch_type",
            "give a launch type or capacity providers, not both",
        );
    }
    for (at, provider) in providers.iter().enumerate() {
        let field = format!("placement.capacity_providers[{at}].name");
        violations.demand(&field, &provider.name, "\"FARGATE_SPOT\"");
    }
    match (launch_type, providers.as_slice()) {
        ("", []) => None,
        ("", providers) => Some(Capacity::Providers(
            providers
                .iter()
                .map(|provider| CapacityProvider {
                    name: provider.name.clone(),
                    base: provider.base,
                    weight: provider.weight,
                })
                .collect(),
        )),
        (launch_type, _) => {
            if !LAUNCH_TYPES.contains(&launch_type) {
                violations.add(
                    "placement.launch_type",
                    format!("{launch_type:?} is none of {}", LAUNCH_TYPES.join(", ")),
                );
            }
            Some(Capacity::LaunchType(launch_type.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_told_at_its_field() {
        let request = proto::RunTaskRequest {
            task: "Migrate".into(),
            containers: vec![proto::TaskContainer {
                update: Some(proto::ContainerUpdate {
                    name: "app".into(),
                    tag: Some(" ".into()),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            placement: Some(proto::TaskPlacement {
                launch_type: "LAMBDA".into(),
                assign_public_ip: true,
                ..Default::default()
            }),
            timeout: Some(prost_types::Duration::default()),
            ..Default::default()
        };
        let mut violations = Violations::default();
        assert_eq!(spec(&request, "aws", &mut violations), None);
        let fields: Vec<_> = violations
            .into_pairs()
            .into_iter()
            .map(|(field, _)| field)
            .collect();
        assert_eq!(
            fields,
            [
                "task",
                "like",
                "containers[0].update.tag",
                "timeout",
                "placement.subnets",
                "placement.launch_type"
            ]
        );
    }
}
