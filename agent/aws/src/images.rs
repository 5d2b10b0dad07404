//! Amazon ECR: whether an image exists, and for which CPUs it was built.
//!
//! An index names its platforms. A plain manifest does not: its configuration
//! blob does, which ECR gives away by a signed URL. Where that cannot be read
//! (a network without a way to S3), the image is still known to exist.

use std::convert::Infallible;

use aws_config::BehaviorVersion;
use aws_sdk_ecr::types::ImageIdentifier;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use serde_json::Value;
use towline_agent_domain::image_reference::ImageReference;
use towline_agent_domain::observed::surroundings::ObservedImage;
use towline_agent_domain::outside::{Answer, CallError};
use towline_agent_domain::registry::account_and_region;

use crate::Aws;
use crate::call::{absent_as_none, answer};
use crate::observe::text;

/// What the registry may answer with.
pub(crate) const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A configuration larger than this, in bytes, is not fetched.
const LARGEST_CONFIGURATION: u64 = 1024 * 1024;

/// Where an image is, in the words of ECR's API.
struct Place<'a> {
    account: &'a str,
    region: &'a str,
    repository: &'a str,
}

impl Aws {
    pub(crate) async fn observed_image(&self, image: &ImageReference) -> Answer<Option<ObservedImage>> {
        let (account, region) = image.registry().and_then(account_and_region).ok_or_else(|| {
            let message = format!("{image} is not in Amazon ECR");
            CallError::Refused {
                code: "NotEcr".to_owned(),
                message,
            }
        })?;
        let place = Place {
            account,
            region,
            repository: image.repository(),
        };
        let call = self
            .inner
            .clients
            .ecr(region)
            .batch_get_image()
            .registry_id(account)
            .repository_name(place.repository)
            .image_ids(identifier(image))
            .set_accepted_media_types(Some(MANIFESTS.map(str::to_owned).to_vec()));
        let what = format!("repository {}", place.repository);
        // A repository that nobody made has no image either.
        let Some(found) = absent_as_none(answer(call.send().await, &what))? else {
            return Ok(None);
        };
        let Some(image) = found.images().first() else {
            return none_or_failure(found.failures());
        };
        let digest = text(image.image_id().and_then(|id| id.image_digest()));
        let manifest = image.image_manifest().unwrap_or_default();
        let architectures = match serde_json::from_str(manifest) {
            Ok(manifest) => self.architectures(&place, &manifest).await,
            Err(_) => Vec::new(),
        };
        Ok(Some(ObservedImage {
            digest,
            architectures,
        }))
    }

    /// What an image was built for; empty where that cannot be told.
    async fn architectures(&self, place: &Place<'_>, manifest: &Value) -> Vec<String> {
        let platforms = platforms(manifest);
        if !platforms.is_empty() {
            return platforms;
        }
        let size = manifest.pointer("/config/size").and_then(Value::as_u64);
        let layer = manifest.pointer("/config/digest").and_then(Value::as_str);
        match layer.filter(|_| size.is_some_and(|size| size <= LARGEST_CONFIGURATION)) {
            Some(layer) => {
                let configuration = self.configuration(place, layer).await;
                let built_for = configuration
                    .as_ref()
                    .and_then(|one| one.get("architecture")?.as_str());
                built_for.map(str::to_owned).into_iter().collect()
            }
            None => Vec::new(),
        }
    }

    async fn configuration(&self, place: &Place<'_>, digest: &str) -> Option<Value> {
        let call = self
            .inner
            .clients
            .ecr(place.region)
            .get_download_url_for_layer()
            .registry_id(place.account)
            .repository_name(place.repository)
            .layer_digest(digest);
        let given = call.send().await.ok()?;
        let blob = self.fetch(given.download_url()?).await?;
        serde_json::from_str(&blob).ok()
    }

    /// The body behind a signed URL.
    async fn fetch(&self, url: &str) -> Option<String> {
        // The origin is the operation's endpoint; what follows is its request's own.
        let start = url.find("://")? + 3;
        let path = start + url[start..].find('/')?;
        let operation = Operation::builder()
            .service_name("ecr-blobs")
            .operation_name("Get")
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&url[..path])
            .no_auth()
            .no_retry()
            .timeout_config(self.inner.clients.timeouts())
            .serializer(|path: String| Ok(HttpRequest::get(path)?))
            .deserializer(
                |response: &HttpResponse| -> Result<Option<String>, OrchestratorError<Infallible>> {
                    let body = response.body().bytes().filter(|_| response.status().is_success());
                    Ok(body.map(|body| String::from_utf8_lossy(body).into_owned()))
                },
            )
            .build();
        operation.invoke(url[path..].to_owned()).await.ok().flatten()
    }
}

/// The digest decides where there is one, as it does for ECS.
fn identifier(image: &ImageReference) -> ImageIdentifier {
    let id = ImageIdentifier::builder();
    match (image.digest(), image.tag()) {
        (Some(digest), _) => id.image_digest(digest),
        (None, Some(tag)) => id.image_tag(tag.as_str()),
        (None, None) => id.image_tag("latest"),
    }
    .build()
}

/// `None` when the failures say that there is no such image.
pub(crate) fn none_or_failure<T>(failures: &[aws_sdk_ecr::types::ImageFailure]) -> Answer<Option<T>> {
    let code = |failure: &aws_sdk_ecr::types::ImageFailure| {
        failure
            .failure_code()
            .map(|code| code.as_str().to_owned())
            .unwrap_or_default()
    };
    match failures.iter().find(|failure| code(failure) != "ImageNotFound") {
        Some(failure) => Err(CallError::Refused {
            code: code(failure),
            message: text(failure.failure_reason()),
        }),
        None => Ok(None),
    }
}

/// The architectures of an index; BuildKit's provenance, for `unknown`, is none.
fn platforms(manifest: &Value) -> Vec<String> {
    let listed = manifest.get("manifests").and_then(Value::as_array);
    let platforms = listed.into_iter().flatten().filter_map(|one| one.get("platform"));
    let mut architectures: Vec<String> = platforms
        .filter_map(|platform| platform.get("architecture")?.as_str())
        .filter(|architecture| *architecture != "unknown")
        .map(str::to_owned)
        .collect();
    architectures.sort();
    architectures.dedup();
    architectures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provenance_in_an_index_is_no_platform() {
        let index = serde_json::json!({"manifests": [
            {"platform": {"architecture": "arm64", "os": "linux"}},
            {"platform": {"architecture": "amd64", "os": "linux"}},
            {"platform": {"architecture": "unknown", "os": "unknown"}},
        ]});
        assert_eq!(platforms(&index), ["amd64", "arm64"]);
    }
}
