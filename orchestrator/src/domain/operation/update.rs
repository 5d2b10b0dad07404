//! An update of an existing service with all values filled in; mirrors the
//! wire's `towline.agent.v1.UpdateServiceRequest`. It is stored with its
//! operation: what an older program stored is read, a member that came later
//! has a default.

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{
    filling::{Filling, Missing},
    image::NewImage,
};
use crate::domain::{
    name::{ContainerName, EcsServiceName},
    project::{
        BaseRevision, ExistingContainer, ExistingService, NamedChanges, OnFailure, Template, Unresolved,
        WaitFor,
    },
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatePayload {
    pub service: EcsServiceName,
    pub containers: Vec<ContainerUpdate>,
    #[serde(flatten)]
    pub more: UpdateMembers,
}

/// Members of an update that have a default: the agent's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateMembers {
    /// Empty: that of the service.
    pub family: String,
    pub base: Option<BaseRevision>,
    /// Empty: the base is of the family itself.
    pub template_family: String,
    pub tags: NamedUpdate,
    pub on_failure: Option<OnFailure>,
    pub wait_for: Option<WaitFor>,
    /// From the operation's first send.
    pub timeout: Option<SignedDuration>,
    pub bake: Option<UpdateBake>,
    /// The ARN of the very revision to run, in place of all that changes; empty:
    /// the next one.
    pub revision: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerUpdate {
    pub container: ContainerName,
    pub image: Option<NewImage>,
    #[serde(flatten)]
    pub more: ContainerChanges,
}

/// What changes in a container beside its image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerChanges {
    pub environment: NamedUpdate,
    pub secrets: NamedUpdate,
    pub environment_files: FileUpdate,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedUpdate {
    pub set: IndexMap<String, String>,
    pub remove: Vec<String>,
    pub replace: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUpdate {
    pub add: Vec<String>,
    pub remove: Vec<String>,
    pub replace: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateBake {
    pub time: SignedDuration,
    pub alarms: Vec<String>,
}

impl Filling<'_> {
    pub fn update(&self, service: &ExistingService) -> Result<UpdatePayload, Missing> {
        let containers = service.containers.iter().map(|it| self.container_update(it));
        let bake = service.bake.as_ref().map(|bake| {
            Ok(UpdateBake {
                time: bake.time,
                alarms: self.list(bake.alarms.as_ref())?,
            })
        });
        Ok(UpdatePayload {
            service: self.name(&service.service)?,
            containers: containers.collect::<Result<_, _>>()?,
            more: UpdateMembers {
                family: self.text(service.family.as_ref())?,
                base: service.base,
                template_family: self.text(service.template_family.as_ref())?,
                tags: self.named(&service.tags)?,
                on_failure: service.on_failure,
                wait_for: service.wait_for,
                timeout: service.timeout,
                bake: bake.transpose().map_err(|why: Unresolved| Missing::from(why))?,
                revision: String::new(),
            },
        })
    }

    fn container_update(&self, container: &ExistingContainer) -> Result<ContainerUpdate, Missing> {
        let files = &container.environment_files;
        Ok(ContainerUpdate {
            container: self.name(&container.name)?,
            image: container.image.as_ref().map(|key| self.image(key)).transpose()?,
            more: ContainerChanges {
                environment: self.named(&container.environment)?,
                secrets: self.named(&container.secrets)?,
                environment_files: FileUpdate {
                    add: self.list(files.add.as_ref())?,
                    remove: self.list(files.remove.as_ref())?,
                    replace: files.replace,
                },
            },
        })
    }

    fn named(&self, changes: &NamedChanges) -> Result<NamedUpdate, Unresolved> {
        Ok(NamedUpdate {
            set: self.map(&changes.set)?,
            remove: changes.remove.clone(),
            replace: changes.replace,
        })
    }

    /// A filled text that is a name.
    fn name<T: std::str::FromStr<Err = crate::domain::name::BadName>>(
        &self,
        template: &Template,
    ) -> Result<T, Missing> {
        template.resolve(self.scope)?.parse().map_err(Missing::Name)
    }
}
