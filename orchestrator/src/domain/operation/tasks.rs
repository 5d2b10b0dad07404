//! One-off tasks of a deployment: what is sent for them, and how they stand
//! before and after the services of their target. Start at [`add`].

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{
    ContainerChanges, ContainerUpdate, FIRST_ATTEMPT, FileUpdate, NamedUpdate, Payload, PlanFault,
    PlannedOperation, Spot,
    filling::{Filling, Missing},
    reads::with_pending,
};
use crate::domain::{
    deployment::SlotKind,
    name::{ContainerName, DeploymentId, EcsServiceName, ImageKey, OperationId, ServiceName},
    project::{OneOffTask, Project, RunAt, Scope, Service, ServiceKind},
    release::{Release, ReleaseImage},
    variable::{InPlace, Place},
};

/// A one-off task with all values filled in; mirrors the wire's
/// `towline.agent.v1.RunTaskRequest`. A member that came later has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskPayload {
    pub task: ServiceName,
    /// The ECS service that it is like.
    pub like: EcsServiceName,
    pub containers: Vec<TaskContainer>,
    /// Whose exit code counts.
    pub exit_container: ContainerName,
    /// `None`: the agent's.
    #[serde(default)]
    pub timeout: Option<SignedDuration>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskContainer {
    pub update: ContainerUpdate,
    /// Empty: that of the service's task definition.
    #[serde(default)]
    pub command: Vec<String>,
}

/// Where tasks are added: one target, with the release that is planned for it.
pub(super) struct Around<'a> {
    pub project: &'a Project,
    pub release: &'a Release,
    pub deployment: DeploymentId,
    pub spot: Spot<'a>,
    pub wave: u32,
}

/// Adds the tasks of one target to the operations of its services, which begin at
/// `from`: those before come first, one after the other, and every service follows
/// them; those after follow every service.
pub(super) fn add(
    around: &Around<'_>,
    from: usize,
    operations: &mut Vec<PlannedOperation>,
) -> Result<(), Vec<PlanFault>> {
    let mut faults = Vec::new();
    let mut here: Vec<PlannedOperation> = operations.drain(from.min(operations.len())..).collect();
    let mut before = Vec::new();
    let mut after = Vec::new();
    for task in around.here() {
        let chain = match task.1.run {
            RunAt::Before => &mut before,
            RunAt::After => &mut after,
        };
        let follows: Vec<OperationId> = chain
            .last()
            .map(|it: &PlannedOperation| it.id)
            .into_iter()
            .collect();
        match around.operation(task, follows) {
            Ok(operation) => chain.push(operation),
            Err(fault) => faults.push(fault),
        }
    }
    if let Some(last) = before.last().map(|it| it.id) {
        here.iter_mut().for_each(|it| it.after.insert(0, last));
    }
    if let Some(first) = after.first_mut() {
        let services = here.iter().map(|it| it.id);
        first.after = match here.is_empty() {
            true => before.last().map(|it| it.id).into_iter().collect(),
            false => services.collect(),
        };
    }
    operations.extend(before.into_iter().chain(here).chain(after));
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}

/// A task with its name and the service that it is like.
pub(super) type Task<'a> = (&'a ServiceName, &'a OneOffTask, &'a Service);

impl<'a> Around<'a> {
    /// The tasks of this target.
    fn here(&self) -> impl Iterator<Item = Task<'a>> {
        let (project, spot) = (self.project, self.spot);
        project.tasks.iter().filter_map(move |(name, task)| {
            let like = project.services.get(&task.like)?;
            let here =
                task.goes_to(spot.environment, spot.target) && like.goes_to(spot.environment, spot.target);
            here.then_some((name, task, like))
        })
    }

    fn operation(
        &self,
        (name, task, like): Task<'_>,
        after: Vec<OperationId>,
    ) -> Result<PlannedOperation, PlanFault> {
        let target = self.spot.target;
        let filled = with_pending(self.spot.read, |read| {
            let spot = Spot { read, ..self.spot };
            fill(self.project, &self.release.images, (name, task, like), spot)
        });
        let (payload, reads) = filled.map_err(|missing| missing.of(name, target.id()))?;
        Ok(PlannedOperation {
            id: OperationId::of_task(self.deployment, &target.id(), name, FIRST_ATTEMPT),
            service: name.clone(),
            target: target.id(),
            agent: target.agent.clone(),
            account: target.account.clone(),
            region: target.region.clone(),
            cluster: target.cluster.clone(),
            wave: self.wave,
            after,
            payload,
            force: false,
            plan: None,
            reads,
            values: Vec::new(),
            kind: SlotKind::Task,
            attempt: FIRST_ATTEMPT,
        })
    }
}

/// What is sent for a task.
pub(super) fn fill(
    project: &Project,
    images: &IndexMap<ImageKey, ReleaseImage>,
    (name, task, like): Task<'_>,
    spot: Spot<'_>,
) -> Result<Payload, Missing> {
    let target = spot.target.id();
    let place = Place {
        environment: spot.environment,
        target: &target,
        channel: spot.channel,
        service: Some(&task.like),
    };
    let filling = Filling {
        project,
        images,
        scope: Scope {
            environment: &spot.definition.values,
            target: &spot.target.values,
            variables: Some(InPlace {
                all: &project.variables,
                place,
                read: spot.read,
            }),
        },
    };
    let mut containers = like_containers(&filling, like)?;
    let own = containers
        .iter()
        .position(|it| it.update.container == task.container);
    let own = match own {
        Some(own) => own,
        None => {
            containers.push(TaskContainer {
                update: ContainerUpdate {
                    container: task.container.clone(),
                    image: None,
                    more: ContainerChanges::default(),
                },
                command: Vec::new(),
            });
            containers.len() - 1
        }
    };
    if let Some(own) = containers.get_mut(own) {
        own.command = filling.texts(&task.command)?;
        let environment = &mut own.update.more.environment;
        for (key, value) in filling.map(&task.environment)? {
            environment.remove.retain(|removed| *removed != key);
            environment.set.insert(key, value);
        }
    }
    let like = match filling.payload(like)? {
        Payload::Fargate(fargate) => fargate.name,
        Payload::Update(update) => update.service,
        Payload::Task(task) => task.like,
    };
    Ok(Payload::Task(Box::new(TaskPayload {
        task: name.clone(),
        like,
        containers,
        exit_container: task.container.clone(),
        timeout: task.timeout,
    })))
}

/// The containers as the release would have them.
fn like_containers(filling: &Filling<'_>, service: &Service) -> Result<Vec<TaskContainer>, Missing> {
    let plain = |update: ContainerUpdate| TaskContainer {
        update,
        command: Vec::new(),
    };
    match &service.kind {
        ServiceKind::Existing(existing) => {
            let update = filling.update(existing)?;
            Ok(update.containers.into_iter().map(plain).collect())
        }
        // Towline's own: what the release says of a container is all of it.
        ServiceKind::Fargate(fargate) => {
            let payload = filling.fargate(fargate)?;
            let all = |set| NamedUpdate {
                set,
                remove: Vec::new(),
                replace: true,
            };
            let update = |it: super::FargateContainer| {
                plain(ContainerUpdate {
                    image: Some(it.new_image()),
                    container: it.name,
                    more: ContainerChanges {
                        environment: all(it.environment),
                        secrets: all(it.secrets),
                        environment_files: FileUpdate {
                            add: it.more.environment_files,
                            remove: Vec::new(),
                            replace: true,
                        },
                    },
                })
            };
            Ok(payload.containers.into_iter().map(update).collect())
        }
    }
}
