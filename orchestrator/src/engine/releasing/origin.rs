//! Asks where an image is resolved: the target's agent where the registry is
//! Amazon ECR, else the registry itself.

use std::time::Duration;

use jiff::Timestamp;
use tonic::{Code, Status};
use towline_link::status::{Details, is_link_lost};
use towline_proto::agent::v1 as agent;

use crate::{
    domain::{
        name::{Digest, Tag},
        release::{FoundTag, Origin, Place, ReleaseImage, is_ecr, registry_of},
    },
    engine::{Engine, EngineError},
    registry::RegistryError,
};

/// How long an agent may take to look into a registry.
pub(in crate::engine) const PATIENCE: Duration = Duration::from_secs(60);
/// How many pages of tags are asked for.
const MOST_PAGES: usize = 20;

/// Why something is not known of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Trouble {
    pub message: String,
    pub hint: String,
    /// The same question may be answered later.
    pub passes: bool,
    /// It is certain that it is not there.
    pub missing: bool,
    /// The agent has no say here; the registry itself may be asked.
    ask_registry: bool,
}

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Present {
    pub digest: Digest,
    pub pushed: Option<Timestamp>,
    /// What the tag names there, where it was asked together with a digest and is
    /// not gone.
    pub tag_digest: Option<Digest>,
}

impl Engine {
    /// What the tag names now, in the repository of its origin.
    pub(in crate::engine) async fn resolve(
        &self,
        origin: &Origin,
        tag: &Tag,
    ) -> Result<ReleaseImage, Trouble> {
        let repository = self.repository_of(origin).await?;
        let present = self.look(origin, &repository, tag, None).await?;
        Ok(ReleaseImage {
            tag: tag.clone(),
            digest: Some(present.digest),
            repository,
            pushed: present.pushed,
        })
    }

    /// The repository of an origin, and its tags.
    pub(super) async fn tags(&self, origin: &Origin) -> Result<(String, Vec<FoundTag>), Trouble> {
        let repository = self.repository_of(origin).await?;
        if !is_ecr(&repository) {
            let tags = self.registry_tags(&repository).await?;
            return Ok((repository, tags));
        }
        match self.agent_tags(origin, &repository).await {
            Err(why) if self.registry_may_tell(&why, &repository).await => {
                let tags = self.registry_tags(&repository).await?;
                Ok((repository, tags))
            }
            answer => answer.map(|tags| (repository, tags)),
        }
    }

    /// Whether an image is in a repository: of a digest where there is one, else
    /// of a tag.
    pub(in crate::engine) async fn look(
        &self,
        origin: &Origin,
        repository: &str,
        tag: &Tag,
        digest: Option<&Digest>,
    ) -> Result<Present, Trouble> {
        if is_ecr(repository) {
            match self.look_through_agent(origin, repository, tag, digest).await {
                Err(why) if self.registry_may_tell(&why, repository).await => {}
                answer => return answer,
            }
        }
        let registries = &self.0.registries;
        let Some(digest) = digest else {
            let digest = registries.digest(repository, tag).await.map_err(of_registry)?;
            return Ok(Present {
                digest,
                pushed: None,
                tag_digest: None,
            });
        };
        if !registries.has(repository, digest).await.map_err(of_registry)? {
            return Err(of_registry(RegistryError::NotFound(format!(
                "{repository}@{digest}"
            ))));
        }
        Ok(Present {
            digest: digest.clone(),
            pushed: None,
            tag_digest: registries.digest(repository, tag).await.ok(),
        })
    }

    /// `registry/repository`; of an image that keeps the running one, what runs.
    pub(in crate::engine) async fn repository_of(&self, origin: &Origin) -> Result<String, Trouble> {
        let (service, container) = match &origin.place {
            Place::Repository(repository) => return Ok(repository.clone()),
            Place::Running { service, container } => (service, container),
        };
        let request = agent::DescribeServiceRequest {
            region: origin.region.to_string(),
            cluster: origin.cluster.to_string(),
            account: origin.account.to_string(),
            service: service.to_string(),
            ..agent::DescribeServiceRequest::default()
        };
        let mut client = self.client(&origin.agent).map_err(|why| absent(&why))?;
        let asked = client.describe_service(request);
        let told = self.answer(origin, self.0.seams.clock.timeout(PATIENCE, asked).await)?;
        let running = told.service.unwrap_or_default().containers;
        let image = running.into_iter().find(|it| it.name == container.as_str());
        let image = image.map(|it| it.image).filter(|image| !image.is_empty());
        let image = image.ok_or_else(|| Trouble {
            message: format!(
                "service {service} on {} runs no container {container}, whose repository it is to keep",
                origin.target
            ),
            hint: "name the repository in the project file, or create the service first".to_owned(),
            passes: false,
            missing: false,
            ask_registry: false,
        })?;
        Ok(without_tag(&image).to_owned())
    }

    async fn look_through_agent(
        &self,
        origin: &Origin,
        repository: &str,
        tag: &Tag,
        digest: Option<&Digest>,
    ) -> Result<Present, Trouble> {
        let request = agent::ResolveImageRequest {
            account: origin.account.to_string(),
            repository: repository.to_owned(),
            tag: tag.to_string(),
            digest: digest.map(ToString::to_string).unwrap_or_default(),
            ..agent::ResolveImageRequest::default()
        };
        let mut client = self.client(&origin.agent).map_err(|why| absent(&why))?;
        let asked = client.resolve_image(request);
        let told = self.answer(origin, self.0.seams.clock.timeout(PATIENCE, asked).await)?;
        let found = told.digest.parse().map_err(|why| Trouble {
            message: format!("agent {}: {why}", origin.agent),
            hint: String::new(),
            passes: false,
            missing: false,
            ask_registry: false,
        })?;
        Ok(Present {
            digest: found,
            pushed: told.push_time.and_then(of_wire),
            tag_digest: told.tag_digest.parse().ok(),
        })
    }

    async fn agent_tags(&self, origin: &Origin, repository: &str) -> Result<Vec<FoundTag>, Trouble> {
        let mut tags = Vec::new();
        let mut client = self.client(&origin.agent).map_err(|why| absent(&why))?;
        let mut request = agent::ListImageTagsRequest {
            account: origin.account.to_string(),
            repository: repository.to_owned(),
            page_size: 1000,
            ..agent::ListImageTagsRequest::default()
        };
        for _ in 0..MOST_PAGES {
            let asked = client.list_image_tags(request.clone());
            let page = self.answer(origin, self.0.seams.clock.timeout(PATIENCE, asked).await)?;
            tags.extend(page.tags.into_iter().filter_map(|tag| {
                Some(FoundTag {
                    tag: tag.tag.parse().ok()?,
                    digest: tag.digest.parse().ok(),
                    pushed: tag.push_time.and_then(of_wire),
                })
            }));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        Ok(tags)
    }

    async fn registry_tags(&self, repository: &str) -> Result<Vec<FoundTag>, Trouble> {
        let tags = self.0.registries.tags(repository).await.map_err(of_registry)?;
        let found = |tag| FoundTag {
            tag,
            digest: None,
            pushed: None,
        };
        Ok(tags.into_iter().map(found).collect())
    }

    /// Whether the registry itself may answer what the agent could not.
    async fn registry_may_tell(&self, why: &Trouble, repository: &str) -> bool {
        let registry = registry_of(repository).unwrap_or_default();
        why.ask_registry && self.0.registries.knows(registry).await
    }

    fn answer<T>(
        &self,
        origin: &Origin,
        answer: Option<Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Trouble> {
        match answer {
            Some(Ok(answer)) => Ok(answer.into_inner()),
            Some(Err(status)) => Err(of_status(origin, &status)),
            None => Err(Trouble {
                message: format!(
                    "agent {} did not answer within {} s",
                    origin.agent,
                    PATIENCE.as_secs()
                ),
                hint: "see its log: it may wait for AWS".to_owned(),
                passes: true,
                missing: false,
                ask_registry: false,
            }),
        }
    }
}

fn of_status(origin: &Origin, status: &Status) -> Trouble {
    let details = Details::of(status);
    let code = status.code();
    let reason = details.reason.as_deref().unwrap_or_default();
    let old = code == Code::Unimplemented;
    Trouble {
        message: match old {
            true => format!("agent {} is too old to look into registries", origin.agent),
            false => format!("agent {}: {}", origin.agent, status.message()),
        },
        hint: match (old, details.hint) {
            (true, _) => "bring the agent to the orchestrator's version".to_owned(),
            (_, Some(hint)) => hint,
            _ => String::new(),
        },
        passes: is_link_lost(status)
            || matches!(
                code,
                Code::Unavailable
                    | Code::ResourceExhausted
                    | Code::DeadlineExceeded
                    | Code::Cancelled
                    | Code::Unknown
            ),
        missing: code == Code::NotFound && matches!(reason, "REPOSITORY_NOT_FOUND" | "IMAGE_NOT_FOUND"),
        ask_registry: old || matches!(reason, "NOT_ECR" | "ACCESS_DENIED"),
    }
}

fn of_registry(error: RegistryError) -> Trouble {
    Trouble {
        hint: error.hint(),
        passes: matches!(error, RegistryError::Unreachable { .. }),
        missing: matches!(error, RegistryError::NotFound(_)),
        message: error.to_string(),
        ask_registry: false,
    }
}

/// The agent cannot be asked.
fn absent(why: &EngineError) -> Trouble {
    let (message, hint) = match why {
        EngineError::NotReady { waiting_on, hint } => (waiting_on.clone(), hint.clone()),
        other => (other.to_string(), other.hint().unwrap_or_default().to_owned()),
    };
    Trouble {
        message,
        hint,
        passes: true,
        missing: false,
        ask_registry: false,
    }
}

/// A reference without its tag and digest.
pub(in crate::engine) fn without_tag(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before a slash stands before a port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

fn of_wire(at: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}
