//! Amazon ECR: what a tag names now, and which tags there are.

use aws_sdk_ecr::types::{DescribeImagesFilter, ImageDetail, ImageIdentifier, TagStatus};
use serde_json::Value;
use towline_agent_domain::observed::registry::{ListedTag, ListedTags, Looked, Platform, ResolvedImage};
use towline_agent_domain::outside::{Answer, Registries, WantedImage};
use towline_agent_domain::registry::EcrRepository;

use crate::Aws;
use crate::call::{absent_as_none, answer};
use crate::images::{MANIFESTS, none_or_failure};
use crate::observe::{text, time};

/// DescribeImages answers with at most 1000 images a call.
/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html>
const IMAGES_A_CALL: i32 = 1000;
/// Pages that are looked through.
const MOST_PAGES: usize = 10;

/// What a reference without tag and digest means.
const USUAL_TAG: &str = "latest";

impl Registries for Aws {
    async fn resolve(
        &self,
        repository: &EcrRepository,
        image: &WantedImage,
    ) -> Answer<Looked<ResolvedImage>> {
        let by_tag = image.tag.as_ref().map(|tag| tag.as_str());
        let found = match &image.digest {
            Some(digest) => {
                let id = ImageIdentifier::builder().image_digest(digest.as_str());
                self.manifest(repository, id.build()).await
            }
            None => {
                let id = ImageIdentifier::builder().image_tag(by_tag.unwrap_or(USUAL_TAG));
                self.manifest(repository, id.build()).await
            }
        };
        let Some(found) = absent_as_none(found)? else {
            return Ok(Looked::NoRepository);
        };
        let Some(mut resolved) = found else {
            return Ok(Looked::NoImage);
        };
        if let (Some(_), Some(tag)) = (&image.digest, by_tag) {
            let id = ImageIdentifier::builder().image_tag(tag).build();
            let named = self.manifest(repository, id).await?;
            resolved.tag_digest = named.map(|named| named.digest);
        }
        self.add_details(repository, &mut resolved).await;
        Ok(Looked::Found(resolved))
    }

    async fn tags(&self, repository: &EcrRepository) -> Answer<ListedTags> {
        let ecr = self.inner.clients.ecr(&repository.region);
        let filter = DescribeImagesFilter::builder()
            .tag_status(TagStatus::Tagged)
            .build();
        let call = ecr
            .describe_images()
            .registry_id(&repository.account)
            .repository_name(&repository.name)
            .filter(filter)
            .max_results(IMAGES_A_CALL);
        let mut listed = ListedTags::default();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let page = call.clone().set_next_token(next).send().await;
            let page = answer(page, &format!("repository {}", repository.name))?;
            listed.tags.extend(page.image_details().iter().flat_map(tags_of));
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(listed);
            }
        }
        listed.incomplete = true;
        Ok(listed)
    }
}

impl Aws {
    /// BatchGetImage: it needs no more rights than a pull does, which other accounts'
    /// repositories give away sooner than any other. `Missing`: there is no such
    /// repository; `None`: no such image in it.
    async fn manifest(
        &self,
        repository: &EcrRepository,
        id: ImageIdentifier,
    ) -> Answer<Option<ResolvedImage>> {
        let call = self
            .inner
            .clients
            .ecr(&repository.region)
            .batch_get_image()
            .registry_id(&repository.account)
            .repository_name(&repository.name)
            .image_ids(id)
            .set_accepted_media_types(Some(MANIFESTS.map(str::to_owned).to_vec()));
        let found = answer(call.send().await, &format!("repository {}", repository.name))?;
        let Some(image) = found.images().first() else {
            return none_or_failure(found.failures());
        };
        let manifest = serde_json::from_str(image.image_manifest().unwrap_or_default());
        Ok(Some(ResolvedImage {
            digest: text(image.image_id().and_then(|id| id.image_digest())),
            media_type: text(image.image_manifest_media_type()),
            platforms: manifest.as_ref().map(platforms).unwrap_or_default(),
            ..ResolvedImage::default()
        }))
    }

    /// When it was pushed, and all its tags. An image is known without them: who may
    /// pull need not be allowed to look further.
    async fn add_details(&self, repository: &EcrRepository, resolved: &mut ResolvedImage) {
        let id = ImageIdentifier::builder().image_digest(&resolved.digest).build();
        let call = self
            .inner
            .clients
            .ecr(&repository.region)
            .describe_images()
            .registry_id(&repository.account)
            .repository_name(&repository.name)
            .image_ids(id);
        match answer(call.send().await, &format!("repository {}", repository.name)) {
            Ok(described) => {
                let details = described.image_details().first();
                resolved.pushed = details
                    .and_then(|one| one.image_pushed_at())
                    .map(|at| time(Some(at)));
                resolved.tags = details.map(|one| one.image_tags().to_vec()).unwrap_or_default();
                resolved.tags.sort();
            }
            Err(error) => {
                tracing::debug!(
                    repository = repository.full_name(),
                    "cannot describe images: {error}"
                );
            }
        }
    }
}

fn tags_of(image: &ImageDetail) -> Vec<ListedTag> {
    let listed = image.image_tags().iter().map(|tag| ListedTag {
        tag: tag.clone(),
        digest: text(image.image_digest()),
        pushed: image.image_pushed_at().map(|at| time(Some(at))),
        media_type: text(image.image_manifest_media_type()),
    });
    listed.collect()
}

/// The images of an index; BuildKit's provenance, for `unknown`, is none.
fn platforms(manifest: &Value) -> Vec<Platform> {
    let member = |of: &Value, name: &str| {
        of.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let listed = manifest.get("manifests").and_then(Value::as_array);
    let platforms = listed.into_iter().flatten().filter_map(|one| {
        let platform = one.get("platform")?;
        Some(Platform {
            os: member(platform, "os"),
            architecture: member(platform, "architecture"),
            variant: member(platform, "variant"),
            digest: member(one, "digest"),
        })
    });
    platforms
        .filter(|platform| platform.architecture != "unknown")
        .collect()
}
