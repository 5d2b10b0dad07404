//! Where the tags of a release are resolved to digests: for each image the
//! first target along the channel's lifecycle on which a service uses it. In
//! most projects that is the first target of the first phase.

use super::ReleaseImage;
use crate::domain::{
    name::{
        AccountId, AgentName, ChannelName, ClusterName, ContainerName, EcsServiceName, EnvironmentName,
        ImageKey, Region, ServiceName, TargetId,
    },
    project::{Environment, Project, Repository, Scope, Service, ServiceKind, Target},
    variable,
};

/// Where one image is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub image: ImageKey,
    pub target: TargetId,
    pub agent: AgentName,
    pub account: AccountId,
    pub region: Region,
    pub cluster: ClusterName,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `registry/repository`.
    Repository(String),
    /// That of the image which a container runs now.
    Running {
        service: EcsServiceName,
        container: ContainerName,
    },
}

/// Where each image of a release is resolved, in the file's order. An image
/// that no service uses is left out.
pub fn origins(project: &Project, channel: &ChannelName) -> Vec<Origin> {
    let targets = targets_along(project, channel);
    let of = |image: &ImageKey| {
        targets.iter().find_map(|(environment, target)| {
            let mut here = project.services.iter();
            here.find_map(|service| {
                let spot = (*environment, *target, Some(channel));
                origin_at(project, service, image, spot)
            })
        })
    };
    project.images.keys().filter_map(of).collect()
}

/// Where an image that a service uses on a target lies; `None` when the service
/// is elsewhere, or does not use it.
pub fn origin_at(
    project: &Project,
    (key, service): (&ServiceName, &Service),
    image: &ImageKey,
    ((name, environment), target, channel): (Named<'_>, &Target, Option<&ChannelName>),
) -> Option<Origin> {
    if !service.goes_to(name, target) || !service.images().contains(&image) {
        return None;
    }
    let (id, read) = (target.id(), variable::Readings::new());
    let here = variable::Place {
        environment: name,
        target: &id,
        channel,
        service: Some(key),
    };
    let scope = variable::scope_at(project, (environment, target), here, &read);
    let place = place(project, service, image, scope)?;
    Some(Origin {
        image: image.clone(),
        target: id.clone(),
        agent: target.agent.clone(),
        account: target.account.clone(),
        region: target.region.clone(),
        cluster: target.cluster.clone(),
        place,
    })
}

type Named<'a> = (&'a EnvironmentName, &'a Environment);

/// The targets of a channel's lifecycle in its order, then all others.
fn targets_along<'a>(project: &'a Project, channel: &ChannelName) -> Vec<(Named<'a>, &'a Target)> {
    let lifecycle = project.channels.get(channel).map(|it| &it.lifecycle);
    let lifecycle = lifecycle.and_then(|name| project.lifecycles.get(name));
    let phases = lifecycle.into_iter().flat_map(|it| &it.phases);
    let along = phases.flat_map(|phase| &phase.environments);
    let all = along.chain(project.environments.keys());
    let environments = all.filter_map(|name| project.environments.get_key_value(name));
    environments
        .flat_map(|environment| {
            environment
                .1
                .targets
                .iter()
                .map(move |target| (environment, target))
        })
        .collect()
}

/// Where a service on a target has an image from; `None` for what is not known
/// here (a project that was parsed brings no such thing).
fn place(project: &Project, service: &Service, image: &ImageKey, scope: Scope<'_>) -> Option<Place> {
    match &project.images.get(image)?.repository {
        Repository::Named(template) => template.resolve(scope).ok().map(Place::Repository),
        Repository::Running => {
            let ServiceKind::Existing(existing) = &service.kind else {
                return None;
            };
            let mut containers = existing.containers.iter();
            let container = containers.find(|it| it.image.as_ref() == Some(image))?;
            Some(Place::Running {
                service: service.ecs_service(scope)?,
                container: container.name.resolve(scope).ok()?.parse().ok()?,
            })
        }
    }
}

/// The registry's host of `registry/repository`; `None` for short names, which
/// are Docker Hub's.
pub fn registry_of(repository: &str) -> Option<&str> {
    let (first, _) = repository.split_once('/')?;
    let is_host = first.contains(['.', ':']) || first == "localhost";
    is_host.then_some(first)
}

/// Whether a repository is in a private registry of Amazon ECR: an agent can
/// look there. <https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html>
pub fn is_ecr(repository: &str) -> bool {
    let Some(host) = registry_of(repository) else {
        return false;
    };
    let (account, rest) = host.split_at(host.find('.').unwrap_or(host.len()));
    account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && [".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips."]
            .iter()
            .any(|ecr| rest.starts_with(ecr))
}

impl ReleaseImage {
    /// How a target's own repository names it: by its digest, or by its tag in a
    /// release of an older program.
    pub fn reference(&self, repository: &str) -> String {
        match &self.digest {
            Some(digest) => format!("{repository}@{digest}"),
            None => format!("{repository}:{}", self.tag),
        }
    }
}
