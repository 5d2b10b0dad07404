//! Amazon ECR: which images exist, since when, under which tags, and for which CPUs
//! they were built.
//!
//! One architecture is an OCI manifest whose configuration, a blob, names it;
//! several are an index. Blobs are served by the simulator itself, under
//! `/_sim/blobs/`.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    AwsError,
    images::{Image, Reference, Shown},
    wire::json::text,
    world::{CallContext, Region},
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// One action: the wire's JSON in, the wire's JSON out.
pub fn call(region: &mut Region, ctx: &CallContext, action: &str, input: &Value) -> Result<Value, AwsError> {
    match action {
        "BatchGetImage" => batch_get(region, ctx, input),
        "DescribeImages" => describe(region, ctx, input),
        "GetDownloadUrlForLayer" => download_url(region, ctx, input),
        _ => Err(AwsError::unknown_action(action)),
    }
}

/// The registry and the repository that a request names. Another account's
/// repositories let nobody in, as those do that have no policy.
fn repository(
    region: &Region,
    ctx: &CallContext,
    action: &str,
    input: &Value,
) -> Result<(String, String), AwsError> {
    let registry = text(input, "registryId").unwrap_or(&region.account).to_owned();
    let repository = text(input, "repositoryName").unwrap_or_default().to_owned();
    if registry != region.account {
        let resource = format!(
            "arn:{}:ecr:{}:{registry}:repository/{repository}",
            region.partition(),
            region.name
        );
        return Err(AwsError::client(
            "AccessDeniedException",
            format!(
                "User: {} is not authorized to perform: ecr:{action} on resource: {resource} because no resource-based policy allows the ecr:{action} action",
                ctx.caller_arn
            ),
        ));
    }
    if region.images.has_repository("ecr", &repository) {
        return Ok((registry, repository));
    }
    Err(AwsError::client(
        "RepositoryNotFoundException",
        format!(
            "The repository with name '{repository}' does not exist in the registry with id '{registry}'"
        ),
    ))
}

fn batch_get(region: &Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let (registry, repository) = repository(region, ctx, "BatchGetImage", input)?;
    let ids = input.get("imageIds").and_then(Value::as_array);
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in ids.into_iter().flatten() {
        let reference = Reference {
            registry: format!("{registry}.dkr.ecr.{}.amazonaws.com", region.name),
            repository: repository.clone(),
            tag: text(id, "imageTag").map(str::to_owned),
            digest: text(id, "imageDigest").map(str::to_owned),
        };
        let Some(image) = region.images.find(&reference) else {
            failures.push(json!({
                "imageId": id,
                "failureCode": "ImageNotFound",
                "failureReason": "Requested image not found",
            }));
            continue;
        };
        let mut found = json!({ "imageDigest": image.digest() });
        if let Some(tag) = &reference.tag {
            found["imageTag"] = json!(tag);
        }
        let (media_type, manifest) = manifest(&image);
        images.push(json!({
            "registryId": registry,
            "repositoryName": repository,
            "imageId": found,
            "imageManifest": manifest.to_string(),
            "imageManifestMediaType": media_type,
        }));
    }
    Ok(json!({ "images": images, "failures": failures }))
}

/// Images a page, unless the caller says.
const USUAL_PAGE: usize = 100;
const MOST_A_PAGE: usize = 1000;

fn describe(region: &Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let (registry, repository) = repository(region, ctx, "DescribeImages", input)?;
    let mut images = region.images.shown(&registry, &region.name, &repository);
    let ids = input.get("imageIds").and_then(Value::as_array);
    if let Some(ids) = ids.filter(|ids| !ids.is_empty()) {
        let is = |shown: &Shown, id: &Value| match (text(id, "imageDigest"), text(id, "imageTag")) {
            (Some(digest), _) => shown.digest == digest,
            (None, Some(tag)) => shown.tags.iter().any(|one| one == tag),
            (None, None) => false,
        };
        if let Some(missing) = ids.iter().find(|id| !images.iter().any(|shown| is(shown, id))) {
            let word = |member: &str| text(missing, member).unwrap_or("null").to_owned();
            return Err(AwsError::client(
                "ImageNotFoundException",
                format!(
                    "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with name '{repository}' in the registry with id '{registry}'",
                    word("imageDigest"),
                    word("imageTag")
                ),
            ));
        }
        images.retain(|shown| ids.iter().any(|id| is(shown, id)));
    }
    match input.get("filter").and_then(|filter| text(filter, "tagStatus")) {
        Some("TAGGED") => images.retain(|shown| !shown.tags.is_empty()),
        Some("UNTAGGED") => images.retain(|shown| shown.tags.is_empty()),
        _ => {}
    }
    let start = text(input, "nextToken")
        .and_then(|token| token.parse::<usize>().ok())
        .unwrap_or(0)
        .min(images.len());
    let size = input.get("maxResults").and_then(Value::as_u64);
    let size = size.and_then(|size| usize::try_from(size).ok());
    let end = (start + size.unwrap_or(USUAL_PAGE).clamp(1, MOST_A_PAGE)).min(images.len());
    let details: Vec<Value> = images[start..end]
        .iter()
        .map(|shown| detail(&registry, &repository, shown))
        .collect();
    let mut answer = json!({ "imageDetails": details });
    if end < images.len() {
        answer["nextToken"] = json!(end.to_string());
    }
    Ok(answer)
}

fn detail(registry: &str, repository: &str, shown: &Shown) -> Value {
    let (media_type, _) = manifest(&shown.image);
    let mut detail = json!({
        "registryId": registry,
        "repositoryName": repository,
        "imageDigest": shown.digest,
        "imageSizeInBytes": 12_345_678,
        "imagePushedAt": shown.pushed.epoch_seconds(),
        "imageManifestMediaType": media_type,
    });
    if !shown.tags.is_empty() {
        detail["imageTags"] = json!(shown.tags);
    }
    detail
}

/// The media type and the manifest of an image.
fn manifest(image: &Image) -> (&'static str, Value) {
    if let [only] = &image.architectures[..] {
        let config = config(only);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_of(&config),
                "size": config.len(),
            },
            "layers": [],
        });
        return (MANIFEST, manifest);
    }
    let of = |architecture: &str, os: &str| {
        let own = digest_of(&format!("{} {architecture}", image.digest()));
        json!({
            "mediaType": MANIFEST,
            "digest": own,
            "size": 1234,
            "platform": {"architecture": architecture, "os": os},
        })
    };
    let built = image.architectures.iter().map(|one| of(one, "linux"));
    // What BuildKit adds: the provenance, for no platform at all.
    let manifests: Vec<Value> = built.chain([of("unknown", "unknown")]).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    (INDEX, index)
}

fn config(architecture: &str) -> String {
    json!({ "architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []} })
        .to_string()
}

fn digest_of(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// Architectures that an image may be built for; their configurations are the blobs that there are.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// What stands for the signature of a download URL.
pub const SIGNED: &str = "X-Amz-Expires=3600&X-Amz-Signature=0";

/// The blob of a digest.
pub fn blob(digest: &str) -> Option<String> {
    ARCHITECTURES
        .iter()
        .map(|architecture| config(architecture))
        .find(|config| digest_of(config) == digest)
}

fn download_url(region: &Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    repository(region, ctx, "GetDownloadUrlForLayer", input)?;
    let digest = text(input, "layerDigest").unwrap_or_default();
    if blob(digest).is_none() {
        return Err(AwsError::client(
            "LayersNotFoundException",
            format!("The layer with digest '{digest}' does not exist"),
        ));
    }
    // Signed for a while, as S3's are; without its query it opens nothing.
    let url = format!("{}/_sim/blobs/{digest}?{SIGNED}", region.images.address());
    Ok(json!({ "downloadUrl": url, "layerDigest": digest }))
}
