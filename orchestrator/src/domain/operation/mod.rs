//! What a release means on the targets of an environment: one operation for
//! each service and target, with all values filled in. Start at [`plan`]; what
//! an operation carries is in `payload`, and `filling` fills the holes.

mod filling;
mod payload;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    deployment::OperationSlot,
    name::{
        AccountId, AgentName, ClusterName, ContainerName, DeploymentId, EcsServiceName, EnvironmentName,
        ImageKey, OperationId, Region, ServiceName, TargetId,
    },
    project::{Environment, FargateService, Project, Scope, Target, Unresolved},
    release::{Release, ReleaseImage},
};

use filling::Filling;

pub use payload::*;

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
}

impl PlannedOperation {
    /// What the deployment's state machine keeps of it.
    pub fn slot(&self) -> OperationSlot {
        OperationSlot {
            id: self.id,
            service: self.service.clone(),
            target: self.target.clone(),
            agent: self.agent.clone(),
            wave: self.wave,
            after: self.after.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Payload {
    Fargate(Box<FargatePayload>),
    Update(UpdatePayload),
}

impl Payload {
    /// The service's name in ECS.
    pub fn ecs_service(&self) -> &EcsServiceName {
        match self {
            Self::Fargate(fargate) => &fargate.name,
            Self::Update(update) => &update.service,
        }
    }

    /// The images that it puts there, by container: whole references, or
    /// `:tag` where the repository that runs is kept.
    pub fn images(&self) -> Vec<(ContainerName, String)> {
        match self {
            Self::Fargate(fargate) => fargate
                .containers
                .iter()
                .map(|c| (c.name.clone(), c.image.clone()))
                .collect(),
            Self::Update(update) => update
                .containers
                .iter()
                .map(|c| (c.container.clone(), c.image.to_string()))
                .collect(),
        }
    }
}

/// New images for an existing service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatePayload {
    pub service: EcsServiceName,
    pub containers: Vec<ContainerUpdate>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerUpdate {
    pub container: ContainerName,
    pub image: NewImage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewImage {
    /// `registry/repository:tag`.
    Whole(String),
    /// Only another tag, on the repository that runs.
    Tag(String),
}

impl std::fmt::Display for NewImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(image) => f.write_str(image),
            Self::Tag(tag) => write!(f, ":{tag}"),
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
) -> Result<Vec<PlannedOperation>, Vec<PlanFault>> {
    let Some(there) = project.environments.get(environment) else {
        return Err(vec![PlanFault::UnknownEnvironment {
            environment: environment.clone(),
        }]);
    };
    let mut operations = Vec::new();
    let mut faults = Vec::new();
    for (index, target) in there.targets.iter().enumerate() {
        let scope = Scope {
            environment: &there.values,
            target: &target.values,
        };
        let filling = Filling {
            project,
            images: &release.images,
            scope,
        };
        for (name, service) in &project.services {
            let id = target.id();
            match filling.payload(service) {
                Ok(payload) => operations.push(PlannedOperation {
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
                        .map(|it| OperationId::of(deployment, &id, it, FIRST_ATTEMPT))
                        .collect(),
                    target: id,
                    payload,
                }),
                Err(missing) => faults.push(missing.of(name, id)),
            }
        }
    }
    if faults.is_empty() {
        Ok(operations)
    } else {
        Err(faults)
    }
}

/// One fargate service on one target, outside of any deployment: to look at.
///
/// # Errors
/// What is missing.
pub fn fargate_payload(
    project: &Project,
    images: &IndexMap<ImageKey, ReleaseImage>,
    (name, service): (&ServiceName, &FargateService),
    (environment, target): (&Environment, &Target),
) -> Result<FargatePayload, PlanFault> {
    let scope = Scope {
        environment: &environment.values,
        target: &target.values,
    };
    let filling = Filling {
        project,
        images,
        scope,
    };
    filling
        .fargate(service)
        .map_err(|missing| missing.of(name, target.id()))
}

/// A deployment tries each operation once: trying again is another deployment.
const FIRST_ATTEMPT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{name::ChannelName, project, release::choose_images};

    const SHOP: &str = include_str!("../../../../examples/shop/towline.yaml");

    fn planned(environment: &str) -> Vec<PlannedOperation> {
        let project = project::parse(SHOP, "f").unwrap();
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
            created: "2026-11-24T21:00:00Z".parse().unwrap(),
            created_by: "ann".to_owned(),
        };
        let id = DeploymentId(uuid::Uuid::from_u128(1));
        plan(&project, &release, &environment.parse().unwrap(), id).unwrap()
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
