//! What a release means on the targets of an environment: one operation for
//! each service and target, with all values filled in.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    deployment::OperationSlot,
    name::{
        AccountId, AgentName, ClusterName, ContainerName, DeploymentId, EcsServiceName, EnvironmentName,
        ImageKey, OperationId, Region, ServiceName, TargetId,
    },
    project::{Architecture, Condition, Port, Project, Rollout, Unresolved},
    release::Release,
};

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

/// A Fargate service with all values filled in; mirrors the wire's
/// `towline.agent.v1.FargateServiceSpec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargatePayload {
    pub name: EcsServiceName,
    /// Empty: the agent derives it.
    pub stack_name: String,
    /// CPU units.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    pub architecture: Architecture,
    pub containers: Vec<FargateContainer>,
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub assign_public_ip: bool,
    pub load_balancers: Vec<LinkedTargetGroup>,
    pub desired_count: Option<u32>,
    /// Empty: none.
    pub task_role: String,
    /// Empty: made in the stack.
    pub execution_role: String,
    pub rollout: Rollout,
    pub tags: IndexMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateContainer {
    pub name: ContainerName,
    /// `registry/repository:tag`.
    pub image: String,
    pub cpu: Option<u32>,
    pub memory: Option<u32>,
    pub memory_reservation: Option<u32>,
    pub ports: Vec<Port>,
    pub environment: IndexMap<String, String>,
    pub secrets: IndexMap<String, String>,
    pub depends_on: Vec<(ContainerName, Condition)>,
    pub essential: bool,
    pub entry_point: Vec<String>,
    pub command: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedTargetGroup {
    pub container: ContainerName,
    pub port: u16,
    /// The target group's ARN.
    pub target_group: String,
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
    let _ = (project, release, environment, deployment);
    Err(Vec::new())
}
