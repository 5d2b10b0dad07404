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
    project::{
        Architecture, Condition, Container, FargateService, Port, Project, Repository, Rollout, Scope,
        Service, ServiceKind, Template, Unresolved,
    },
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
            release,
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
                Err(Missing::Image(image)) => faults.push(PlanFault::MissingImage {
                    service: name.clone(),
                    image,
                }),
                Err(Missing::Value(why)) => faults.push(PlanFault::Unresolved {
                    service: name.clone(),
                    target: id,
                    why,
                }),
            }
        }
    }
    if faults.is_empty() {
        Ok(operations)
    } else {
        Err(faults)
    }
}

/// A deployment tries each operation once: trying again is another deployment.
const FIRST_ATTEMPT: u32 = 1;

/// Fills the holes of a project for one target.
struct Filling<'a> {
    project: &'a Project,
    release: &'a Release,
    scope: Scope<'a>,
}

enum Missing {
    Image(ImageKey),
    Value(Unresolved),
}

impl From<Unresolved> for Missing {
    fn from(why: Unresolved) -> Self {
        Self::Value(why)
    }
}

impl Filling<'_> {
    fn payload(&self, service: &Service) -> Result<Payload, Missing> {
        match &service.kind {
            ServiceKind::Fargate(fargate) => Ok(Payload::Fargate(Box::new(self.fargate(fargate)?))),
            ServiceKind::Existing(existing) => {
                let containers = existing.containers.iter().map(|(container, image)| {
                    Ok(ContainerUpdate {
                        container: container.clone(),
                        image: self.image(image)?,
                    })
                });
                let containers = containers.collect::<Result<_, Missing>>()?;
                Ok(Payload::Update(UpdatePayload {
                    service: existing.service.clone(),
                    containers,
                }))
            }
        }
    }

    fn image(&self, key: &ImageKey) -> Result<NewImage, Missing> {
        let missing = || Missing::Image(key.clone());
        let image = self.project.images.get(key).ok_or_else(missing)?;
        let tag = &self.release.images.get(key).ok_or_else(missing)?.tag;
        Ok(match &image.repository {
            Repository::Running => NewImage::Tag(tag.to_string()),
            Repository::Named(repository) => {
                NewImage::Whole(format!("{}:{tag}", repository.resolve(self.scope)?))
            }
        })
    }

    fn texts(&self, templates: &[Template]) -> Result<Vec<String>, Unresolved> {
        templates
            .iter()
            .map(|template| template.resolve(self.scope))
            .collect()
    }

    fn map(&self, templates: &IndexMap<String, Template>) -> Result<IndexMap<String, String>, Unresolved> {
        templates
            .iter()
            .map(|(name, template)| Ok((name.clone(), template.resolve(self.scope)?)))
            .collect()
    }

    fn optional(&self, template: Option<&Template>) -> Result<String, Unresolved> {
        template.map_or(Ok(String::new()), |template| template.resolve(self.scope))
    }

    fn fargate(&self, service: &FargateService) -> Result<FargatePayload, Missing> {
        let containers = service
            .containers
            .iter()
            .map(|container| self.container(container));
        let load_balancers = service.load_balancers.iter().map(|link| {
            Ok(LinkedTargetGroup {
                container: link.container.clone(),
                port: link.port,
                target_group: link.target_group.resolve(self.scope)?,
            })
        });
        let mut tags = self.map(&service.tags)?;
        // The agent's own tag says which service a stack is of.
        tags.entry("towline:project".to_owned())
            .or_insert_with(|| self.project.name.to_string());
        Ok(FargatePayload {
            name: service.service.clone(),
            stack_name: self.optional(service.stack.as_ref())?,
            cpu: service.cpu.resolve(self.scope)?,
            memory: service.memory.resolve(self.scope)?,
            architecture: service.architecture,
            containers: containers.collect::<Result<_, _>>()?,
            subnets: service.network.subnets.resolve(self.scope)?,
            security_groups: service.network.security_groups.resolve(self.scope)?,
            assign_public_ip: service.network.assign_public_ip,
            load_balancers: load_balancers.collect::<Result<_, Unresolved>>()?,
            desired_count: service
                .desired_count
                .as_ref()
                .map(|count| count.resolve(self.scope))
                .transpose()?,
            task_role: self.optional(service.task_role.as_ref())?,
            execution_role: self.optional(service.execution_role.as_ref())?,
            rollout: service.rollout,
            tags,
        })
    }

    fn container(&self, container: &Container) -> Result<FargateContainer, Missing> {
        Ok(FargateContainer {
            name: container.name.clone(),
            image: self.image(&container.image)?.to_string(),
            cpu: container.cpu,
            memory: container.memory,
            memory_reservation: container.memory_reservation,
            ports: container.ports.clone(),
            environment: self.map(&container.environment)?,
            secrets: self.map(&container.secrets)?,
            depends_on: container
                .depends_on
                .iter()
                .map(|(name, condition)| (name.clone(), *condition))
                .collect(),
            essential: container.essential,
            entry_point: self.texts(&container.entry_point)?,
            command: self.texts(&container.command)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{name::ChannelName, project, release::choose_images};

    const SHOP: &str = include_str!("../../../examples/shop/towline.yaml");

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
