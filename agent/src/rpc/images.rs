//! Images in ECR: what a tag names now, and which tags there are.

use tonic::{Code, Status};
use towline_agent_domain::{
    image_reference::{ImageError, ImageReference},
    observed::registry::{ListedTag, Looked, Platform, ResolvedImage},
    outside::{Account, CallError, WantedImage},
    registry::{EcrRepository, NoRepository, OwnRegistry},
};
use towline_link::status::Fault;
use towline_proto::agent::v1 as proto;

use super::{Agent, USUAL_PAGE, failure, page, violations::Violations};
use crate::time::to_proto;

/// Tags on one page.
const MOST_TAGS: i32 = 1000;

impl<A: Account> Agent<A> {
    /// What the reference names now.
    pub(super) async fn resolve_image(
        &self,
        request: proto::ResolveImageRequest,
    ) -> Result<proto::ResolveImageResponse, Status> {
        self.check_account(&request.account)?;
        let (repository, wanted) = self.wanted_image(&request)?;
        let looked = self.surroundings.aws.resolve(&repository, &wanted).await;
        let name = repository.full_name();
        match looked.map_err(|error| unreadable(&name, &error))? {
            Looked::Found(image) => Ok(resolved(&repository, image)),
            Looked::NoRepository => Err(no_repository(&repository)),
            Looked::NoImage => Err(no_image(&name, &wanted)),
        }
    }

    /// The repository and the image of a request, or all that is wrong with it.
    fn wanted_image(
        &self,
        request: &proto::ResolveImageRequest,
    ) -> Result<(EcrRepository, WantedImage), Status> {
        let mut violations = Violations::default();
        let whole = !request.image.is_empty();
        if whole && !(request.repository.is_empty() && request.tag.is_empty() && request.digest.is_empty()) {
            violations.add(
                "image",
                "is the whole reference: give it, or repository, tag and digest",
            );
        }
        if !whole {
            violations.demand("image", &request.repository, "\"registry/shop/web:1.0.0\"");
            if request.tag.is_empty() && request.digest.is_empty() {
                violations.add("tag", "give a tag or a digest of the repository");
            }
        }
        let wanted = match whole {
            true => {
                parsed::<ImageReference>("image", &request.image, &mut violations).map(|image| WantedImage {
                    tag: image.tag().cloned(),
                    digest: image.digest().and_then(|digest| digest.parse().ok()),
                })
            }
            false => Some(WantedImage {
                tag: parsed("tag", &request.tag, &mut violations),
                digest: parsed("digest", &request.digest, &mut violations),
            }),
        };
        let (field, text) = match whole {
            true => ("image", name_of(&request.image)),
            false => ("repository", request.repository.as_str()),
        };
        let repository = self.repository(field, text, &request.region, violations)?;
        match wanted {
            Some(wanted) => Ok((repository, wanted)),
            None => Err(Status::internal("a checked request lacks its image")),
        }
    }

    fn repository(
        &self,
        field: &str,
        text: &str,
        region: &str,
        mut violations: Violations,
    ) -> Result<EcrRepository, Status> {
        let own = OwnRegistry {
            account: &self.surroundings.account_id,
            partition: &self.surroundings.partition,
            region,
        };
        let named = match text {
            "" => None,
            text => match named(field, text, own) {
                Ok(repository) => Some(repository),
                Err(NoRepository::OtherRegistry { .. }) if violations.is_empty() => {
                    return Err(not_ecr(text));
                }
                Err(error) => {
                    violations.add(field, error.to_string());
                    None
                }
            },
        };
        if let Some(repository) = &named {
            if repository.region.is_empty() {
                violations.add("region", "is missing; a repository without a registry needs one");
            } else if !region.is_empty() && repository.region != region {
                let of_host = &repository.region;
                violations.add(
                    "region",
                    format!("is {region:?}, and the registry is in {of_host}"),
                );
            }
        }
        violations.check()?;
        named.ok_or_else(|| Status::internal("a checked request lacks its repository"))
    }

    /// The tags of a repository, newest first.
    pub(super) async fn list_image_tags(
        &self,
        request: proto::ListImageTagsRequest,
    ) -> Result<proto::ListImageTagsResponse, Status> {
        self.check_account(&request.account)?;
        let mut violations = Violations::default();
        violations.demand("repository", &request.repository, "\"shop/web\"");
        if request.page_size > MOST_TAGS {
            violations.add("page_size", format!("is more than {MOST_TAGS}"));
        }
        let repository = self.repository("repository", &request.repository, &request.region, violations)?;
        let listed = self.surroundings.aws.tags(&repository).await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(CallError::Missing { .. }) => return Err(no_repository(&repository)),
            Err(error) => return Err(unreadable(&repository.full_name(), &error)),
        };
        let mut tags = listed.tags;
        tags.retain(|tag| tag.tag.starts_with(&request.prefix));
        tags.sort_by(|a, b| b.pushed.cmp(&a.pushed).then_with(|| a.tag.cmp(&b.tag)));
        let size = match request.page_size {
            ..=0 => i32::try_from(USUAL_PAGE).unwrap_or(MOST_TAGS),
            size => size,
        };
        let page = page(tags.iter().map(|tag| tag.tag.clone()), &request.page_token, size)?;
        let shown = tags.get(page.range).unwrap_or_default();
        Ok(proto::ListImageTagsResponse {
            tags: shown.iter().map(tag).collect(),
            next_page_token: page.next_token,
            repository: repository.full_name(),
            incomplete: listed.incomplete,
        })
    }
}

/// A whole reference says its registry; a repository without one is the agent's own.
fn named(field: &str, text: &str, own: OwnRegistry<'_>) -> Result<EcrRepository, NoRepository> {
    match field {
        "image" => EcrRepository::of(&text.parse()?),
        _ => EcrRepository::named(text, own),
    }
}

/// A reference without tag and digest.
fn name_of(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

/// `None` for an empty text, and for one that leaves a violation behind.
fn parsed<T: std::str::FromStr<Err = ImageError>>(
    field: &str,
    text: &str,
    violations: &mut Violations,
) -> Option<T> {
    match text {
        "" => None,
        text => match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                violations.add(field, error.to_string());
                None
            }
        },
    }
}

fn resolved(repository: &EcrRepository, image: ResolvedImage) -> proto::ResolveImageResponse {
    let full_name = repository.full_name();
    proto::ResolveImageResponse {
        image: format!("{full_name}@{}", image.digest),
        digest: image.digest,
        repository: full_name,
        registry_account: repository.account.clone(),
        registry_region: repository.region.clone(),
        media_type: image.media_type,
        platforms: image.platforms.into_iter().map(platform).collect(),
        push_time: image.pushed.map(to_proto),
        tags: image.tags,
        tag_digest: image.tag_digest.unwrap_or_default(),
    }
}

fn platform(of: Platform) -> proto::ImagePlatform {
    proto::ImagePlatform {
        os: of.os,
        architecture: of.architecture,
        variant: of.variant,
        digest: of.digest,
    }
}

fn tag(listed: &ListedTag) -> proto::ImageTag {
    proto::ImageTag {
        tag: listed.tag.clone(),
        digest: listed.digest.clone(),
        push_time: listed.pushed.map(to_proto),
        media_type: listed.media_type.clone(),
    }
}

fn not_ecr(name: &str) -> Status {
    let host = name.split_once('/').map_or("docker.io", |(host, _)| host);
    let host = if host.contains(['.', ':']) {
        host
    } else {
        "docker.io"
    };
    Fault::new(
        Code::FailedPrecondition,
        "NOT_ECR",
        format!("{name} is in the registry {host}, which is none of Amazon ECR's"),
    )
    .hint("an agent asks ECR alone; ask that registry directly")
    .metadata("registry", host)
    .into_status()
}

fn no_repository(repository: &EcrRepository) -> Status {
    let name = repository.full_name();
    Fault::new(
        Code::NotFound,
        "REPOSITORY_NOT_FOUND",
        format!("there is no repository {name}"),
    )
    .hint(
        "compare its name, account and region with ECR; replication makes a repository with its first image",
    )
    .metadata("repository", name)
    .into_status()
}

fn no_image(repository: &str, wanted: &WantedImage) -> Status {
    let what = match (&wanted.digest, &wanted.tag) {
        (Some(digest), _) => format!("digest {digest}"),
        (None, Some(tag)) => format!("tag {tag}"),
        (None, None) => "tag latest".to_owned(),
    };
    Fault::new(
        Code::NotFound,
        "IMAGE_NOT_FOUND",
        format!("{repository} has no {what}"),
    )
    .hint("push it, or wait for its replica; a lifecycle policy may have expired it")
    .metadata("repository", repository)
    .into_status()
}

/// What keeps the agent from looking.
fn unreadable(repository: &str, error: &CallError) -> Status {
    match error {
        CallError::Unknown { message } => Fault::new(
            Code::Unavailable,
            "REGISTRY_UNREACHABLE",
            format!("ECR does not answer about {repository}: {message}"),
        )
        .hint("try again; the agent's log has more")
        .into_status(),
        CallError::Denied { message } => Fault::new(
            Code::FailedPrecondition,
            "ACCESS_DENIED",
            format!("the agent may not look into {repository}: {message}"),
        )
        .hint("its role needs ecr:BatchGetImage and ecr:DescribeImages; another account's repository must allow it as well")
        .into_status(),
        error => failure::status(&format!("look into {repository}"), error),
    }
}
