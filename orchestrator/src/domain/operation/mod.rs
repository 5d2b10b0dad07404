//! What a release means on the targets of an environment: one operation for
//! each service and target, with all values filled in. Start at [`plan`]; what
//! an operation carries is in `payload` and `update`, `filling` fills the holes,
//! and `terms` says what a person asked for beside the release.

mod again;
mod filling;
mod image;
mod payload;
mod put_back;
mod reads;
mod tasks;
mod terms;
mod update;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    deployment::{OperationSlot, SlotKind},
    name::{
        AccountId, AgentName, BadName, ClusterName, ContainerName, DeploymentId, EcsServiceName,
        EnvironmentName, ImageKey, OperationId, PlanHash, Region, ServiceName, TargetId,
    },
    project::{Project, Scope, Service, Unresolved},
    release::{Release, ReleaseImage},
    variable::{InPlace, Place, Readings, ValueSource},
};

use filling::{Filling, Missing};
use reads::with_pending;

pub use again::{next_attempt, recorded};
pub use image::{NeededImage, NewImage, PinnedImage};
pub use payload::*;
pub use put_back::{Changed, roll_backs};
pub use reads::{FixedValue, Spot, fixed};
pub use tasks::{TaskContainer, TaskPayload};
pub use terms::{ApprovedPlan, TermFault, Terms};
pub use update::*;

/// One service on one target: what an agent executes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedOperation {
    pub id: OperationId,
    pub service: ServiceName,
    pub target: TargetId,
    pub agent: AgentName,
    pub account: AccountId,
    pub region: Region,
    pub cluster: ClusterName,
    /// 0 is the first wave.
    pub wave: u32,
    /// Operations of the same target that must have ended well before.
    pub after: Vec<OperationId>,
    pub payload: Payload,
    /// Start a new ECS deployment also when nothing changed.
    #[serde(default)]
    pub force: bool,
    /// It is executed only as planned.
    #[serde(default)]
    pub plan: Option<PlanHash>,
    /// What its agent has to read before the payload can be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ValueSource>,
    /// What it read: the payload is made with these, for every send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<FixedValue>,
    /// What it is there for.
    #[serde(default)]
    pub kind: SlotKind,
    /// From 1; a retry is the next one.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
}

fn first_attempt() -> u32 {
    FIRST_ATTEMPT
}

impl PlannedOperation {
    /// Its agent has to read values before the payload can be sent.
    pub fn is_pending(&self) -> bool {
        !self.reads.is_empty() && self.values.is_empty()
    }

    /// What the deployment's state machine keeps of it.
    pub fn slot(&self) -> OperationSlot {
        OperationSlot {
            id: self.id,
            service: self.service.clone(),
            target: self.target.clone(),
            agent: self.agent.clone(),
            wave: self.wave,
            after: self.after.clone(),
            plan: self.plan.clone(),
            kind: self.kind,
            attempt: self.attempt,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Payload {
    Fargate(Box<FargatePayload>),
    Update(Box<UpdatePayload>),
    Task(Box<TaskPayload>),
}

impl Payload {
    /// The service's name in ECS; of a task, the one that it is like.
    pub fn ecs_service(&self) -> &EcsServiceName {
        match self {
            Self::Fargate(fargate) => &fargate.name,
            Self::Update(update) => &update.service,
            Self::Task(task) => &task.like,
        }
    }

    /// The images that it puts there, by container: `repository:tag@digest`, with
    /// what is known of it; without the repository where the running one is kept.
    pub fn images(&self) -> Vec<(ContainerName, String)> {
        let all = self.new_images().into_iter();
        all.map(|(container, image)| (container.clone(), image.to_string()))
            .collect()
    }

    /// The images that have to be there before it begins, each once.
    pub fn needs(&self) -> Vec<NeededImage> {
        let mut all: Vec<NeededImage> = Vec::new();
        for (container, image) in self.new_images() {
            let Some(pin) = image.pin().cloned() else { continue };
            let repository = match image {
                NewImage::Pinned { repository, .. } => Some(repository),
                _ => None,
            };
            let known = |it: &NeededImage| {
                it.pin.digest == pin.digest && it.repository == repository && repository.is_some()
            };
            if !all.iter().any(known) {
                all.push(NeededImage {
                    repository,
                    container: container.clone(),
                    pin,
                });
            }
        }
        all
    }

    fn new_images(&self) -> Vec<(&ContainerName, NewImage)> {
        let updated = |update: &'_ ContainerUpdate| update.image.clone();
        match self {
            Self::Fargate(fargate) => {
                let containers = fargate.containers.iter();
                containers.map(|it| (&it.name, it.new_image())).collect()
            }
            Self::Update(update) => {
                let containers = update.containers.iter();
                containers
                    .filter_map(|it| Some((&it.container, updated(it)?)))
                    .collect()
            }
            Self::Task(task) => {
                let containers = task.containers.iter().map(|it| &it.update);
                containers
                    .filter_map(|it| Some((&it.container, updated(it)?)))
                    .collect()
            }
        }
    }
}

/// Why a release cannot be planned for an environment. A project that was
/// parsed and a release of it bring none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    #[error("the project has no environment {environment}")]
    UnknownEnvironment { environment: EnvironmentName },
    #[error("the release has no image {image}, which service {service} uses")]
    MissingImage { service: ServiceName, image: ImageKey },
    #[error("service {service} on target {target}: {why}")]
    Unresolved {
        service: ServiceName,
        target: TargetId,
        why: Unresolved,
    },
    #[error("service {service} on target {target}: secret {secret}: {why}")]
    Secret {
        service: ServiceName,
        target: TargetId,
        secret: String,
        why: String,
    },
    #[error("service {service} on target {target}: {why}")]
    BadName {
        service: ServiceName,
        target: TargetId,
        why: BadName,
    },
}

/// The operations of one deployment, in the order of waves, targets and services.
/// The project is the one that the release snapshotted.
///
/// # Errors
/// Everything that is missing, at once.
pub fn plan(
    project: &Project,
    release: &Release,
    environment: &EnvironmentName,
    deployment: DeploymentId,
    terms: &Terms,
) -> Result<Vec<PlannedOperation>, Vec<PlanFault>> {
    let Some(there) = project.environments.get(environment) else {
        return Err(vec![PlanFault::UnknownEnvironment {
            environment: environment.clone(),
        }]);
    };
    let mut operations = Vec::new();
    let mut faults = Vec::new();
    for (index, target) in there.targets.iter().enumerate() {
        let first = operations.len();
        let here = |service: &Service| service.goes_to(environment, target);
        for (name, service) in project.services.iter().filter(|(_, service)| here(service)) {
            let id = target.id();
            let filled = with_pending(&Readings::new(), |read| {
                let spot = Spot {
                    environment,
                    definition: there,
                    target,
                    channel: Some(&release.channel),
                    read,
                };
                fill(project, &release.images, (name, service), spot)
            });
            match filled.map_err(|missing| missing.of(name, target.id())) {
                Ok((payload, reads)) => operations.push(PlannedOperation {
                    id: OperationId::of(deployment, &id, name, FIRST_ATTEMPT),
                    service: name.clone(),
                    agent: target.agent.clone(),
                    account: target.account.clone(),
                    region: target.region.clone(),
                    cluster: target.cluster.clone(),
                    wave: there.wave(index),
                    after: service
                        .after
                        .iter()
                        .filter(|it| project.services.get(*it).is_some_and(here))
                        .map(|it| OperationId::of(deployment, &id, it, FIRST_ATTEMPT))
                        .collect(),
                    force: terms.force,
                    plan: terms.plan_of(name, &id).cloned(),
                    target: id,
                    payload,
                    reads,
                    values: Vec::new(),
                    kind: SlotKind::Service,
                    attempt: FIRST_ATTEMPT,
                }),
                Err(fault) => faults.push(fault),
            }
        }
        let around = tasks::Around {
            project,
            release,
            deployment,
            spot: Spot {
                environment,
                definition: there,
                target,
                channel: Some(&release.channel),
                read: &Readings::new(),
            },
            wave: there.wave(index),
        };
        if let Err(more) = tasks::add(&around, first, &mut operations) {
            faults.extend(more);
        }
    }
    if faults.is_empty() {
        Ok(operations)
    } else {
        Err(faults)
    }
}

/// One service on one target, outside of any deployment: to look at.
///
/// # Errors
/// What is missing.
pub fn payload(
    project: &Project,
    images: &IndexMap<ImageKey, ReleaseImage>,
    (name, service): (&ServiceName, &Service),
    spot: Spot<'_>,
) -> Result<Payload, PlanFault> {
    fill(project, images, (name, service), spot).map_err(|missing| missing.of(name, spot.target.id()))
}

/// As [`payload`], with something in the place of what nobody has read yet, and
/// what that is: such a payload is never sent.
///
/// # Errors
/// What is missing.
pub fn pending_payload(
    project: &Project,
    images: &IndexMap<ImageKey, ReleaseImage>,
    (name, service): (&ServiceName, &Service),
    spot: Spot<'_>,
) -> Result<(Payload, Vec<ValueSource>), PlanFault> {
    let filled = with_pending(spot.read, |read| {
        fill(project, images, (name, service), Spot { read, ..spot })
    });
    filled.map_err(|missing| missing.of(name, spot.target.id()))
}

fn fill(
    project: &Project,
    images: &IndexMap<ImageKey, ReleaseImage>,
    (name, service): (&ServiceName, &Service),
    spot: Spot<'_>,
) -> Result<Payload, Missing> {
    let target = spot.target.id();
    let place = Place {
        environment: spot.environment,
        target: &target,
        channel: spot.channel,
        service: Some(name),
    };
    let scope = Scope {
        environment: &spot.definition.values,
        target: &spot.target.values,
        variables: Some(InPlace {
            all: &project.variables,
            place,
            read: spot.read,
        }),
    };
    let filling = Filling {
        project,
        images,
        scope,
    };
    filling.payload(service)
}

/// A deployment tries each operation once: trying again is another deployment.
const FIRST_ATTEMPT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{name::ChannelName, project, release::choose_images};

    const SHOP: &str = include_str!("../../../../examples/shop/towline.yaml");

    fn planned(environment: &str) -> Vec<PlannedOperation> {
        planned_of(SHOP, environment)
    }

    fn planned_of(text: &str, environment: &str) -> Vec<PlannedOperation> {
        let project = project::parse(text, "f").unwrap();
        let channel: ChannelName = "stable".parse().unwrap();
        let chosen = [
            ("web".to_owned(), "1.2.0".to_owned()),
            ("orders".to_owned(), "1.1.0".to_owned()),
        ];
        let release = Release {
            project: project.name.clone(),
            version: "1.2.0".parse().unwrap(),
            images: choose_images(&project, &channel, &chosen).unwrap(),
            channel,
            project_version: 1,
            notes: String::new(),
            build_url: String::new(),
            commit: String::new(),
            created: "2026-11-24T21:00:00Z".parse().unwrap(),
            created_by: "ann".to_owned(),
        };
        let id = DeploymentId(uuid::Uuid::from_u128(1));
        plan(
            &project,
            &release,
            &environment.parse().unwrap(),
            id,
            &Terms::default(),
        )
        .unwrap()
    }

    #[test]
    fn every_target_gets_its_own_values_and_its_own_wave() {
        let operations = planned("prod");
        let told: Vec<String> = operations
            .iter()
            .map(|it| {
                format!(
                    "{} {} {} {:?}",
                    it.wave,
                    it.target,
                    it.service,
                    it.payload.images()
                )
            })
            .collect();
        let of = |wave, region| {
            let registry = format!("333333333333.dkr.ecr.{region}.amazonaws.com");
            [
                format!(
                    "{wave} 333333333333/{region}/main web [(ContainerName(\"web\"), \"{registry}/shop/web:1.2.0\"), \
                     (ContainerName(\"envoy\"), \"{registry}/envoy:v1.31.0\")]"
                ),
                format!("{wave} 333333333333/{region}/main orders [(ContainerName(\"app\"), \":1.1.0\")]"),
            ]
        };
        assert_eq!(told, [of(0, "eu-west-1"), of(1, "eu-central-1")].concat());
        let Payload::Fargate(web) = &operations[2].payload else {
            panic!("web is a fargate service")
        };
        assert_eq!(
            web.subnets,
            ["subnet-0c10000000000000a", "subnet-0c10000000000000b"]
        );
        assert_eq!(web.containers[0].environment["LEVEL"], "warn");
        assert_eq!(web.desired_count, Some(2));
        assert!(web.containers[0].secrets["DB"].contains("eu-central-1:333333333333"));
    }

    #[test]
    fn an_order_holds_within_a_target() {
        let operations = planned("prod");
        assert_eq!(operations[1].after, [operations[0].id]);
        assert_eq!(operations[3].after, [operations[2].id]);
    }

    #[test]
    fn a_service_that_is_elsewhere_has_no_operation_and_nobody_waits_for_it() {
        let text = SHOP.replace(
            "  web:\n    kind: fargate\n",
            "  web:\n    kind: fargate\n    only_in: [prod]\n",
        );
        let told = |environment: &str| -> Vec<(String, usize)> {
            let operations = planned_of(&text, environment).into_iter();
            operations
                .map(|it| (it.service.to_string(), it.after.len()))
                .collect()
        };
        assert_eq!(told("dev"), [("orders".to_owned(), 0)]);
        assert_eq!(
            told("prod")[..2],
            [("web".to_owned(), 0), ("orders".to_owned(), 1)]
        );
    }

    #[test]
    fn ids_are_the_same_for_the_same_deployment_and_survive_storage() {
        let operations = planned("dev");
        assert_eq!(operations, planned("dev"));
        let stored = serde_json::to_string(&operations).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<PlannedOperation>>(&stored).unwrap(),
            operations
        );
    }
}
