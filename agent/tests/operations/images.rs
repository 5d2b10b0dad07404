//! Images in ECR: what a tag names now, in which registry, and which tags there are.

use serde_json::json;
use tonic::{Code, Status};
use towline_link::status::Details;
use towline_proto::agent::v1::{ListImageTagsRequest, ResolveImageRequest, ResolveImageResponse};

use crate::world::{ACCOUNT, Client, REGION, World};

fn host(region: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com")
}

async fn resolve(client: &mut Client, image: &str) -> Result<ResolveImageResponse, Status> {
    let request = ResolveImageRequest {
        image: image.into(),
        ..Default::default()
    };
    client
        .resolve_image(request)
        .await
        .map(tonic::Response::into_inner)
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), Details::of(status).reason.unwrap_or_default())
}

#[tokio::test]
async fn a_tag_is_a_digest_and_a_moved_tag_is_told_from_it() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let tagged = format!("{}/shop/web:1.2.0", host(REGION));
    let before = resolve(&mut client, &tagged).await.unwrap();
    assert!(before.digest.starts_with("sha256:"));
    assert_eq!(
        before.image,
        format!("{}/shop/web@{}", host(REGION), before.digest)
    );
    assert_eq!(
        (before.tags.as_slice(), before.push_time.is_some()),
        (&["1.2.0".to_owned()][..], true)
    );
    let platforms: Vec<_> = before
        .platforms
        .iter()
        .map(|one| one.architecture.as_str())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"], "the provenance is no platform");
    let moved = json!({"repository": "shop/web", "tag": "1.2.0", "log": ["another one"]});
    world.sim_post("images", moved).await;
    let after = resolve(&mut client, &tagged).await.unwrap();
    assert_ne!(after.digest, before.digest);
    let pinned = resolve(&mut client, &format!("{tagged}@{}", before.digest))
        .await
        .unwrap();
    assert_eq!((pinned.digest, pinned.tag_digest), (before.digest, after.digest));
}

#[tokio::test]
async fn a_name_alone_is_in_the_agents_own_registry() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let request = ResolveImageRequest {
        region: REGION.into(),
        repository: "shop/orders".into(),
        tag: "1.0.0".into(),
        ..Default::default()
    };
    let resolved = client.resolve_image(request).await.unwrap().into_inner();
    assert_eq!(resolved.repository, format!("{}/shop/orders", host(REGION)));
    assert_eq!(
        (
            resolved.registry_account.as_str(),
            resolved.registry_region.as_str()
        ),
        (ACCOUNT, REGION)
    );
}

#[tokio::test]
async fn what_is_not_there_says_what_is_not_there() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    for (image, expected) in [
        (
            format!("{}/shop/web:9.9.9", host(REGION)),
            (Code::NotFound, "IMAGE_NOT_FOUND"),
        ),
        (
            format!("{}/no/such:1", host(REGION)),
            (Code::NotFound, "REPOSITORY_NOT_FOUND"),
        ),
        (
            "public.ecr.aws/datadog/agent:7".to_owned(),
            (Code::FailedPrecondition, "NOT_ECR"),
        ),
        ("nginx:1.27".to_owned(), (Code::FailedPrecondition, "NOT_ECR")),
        (
            format!("222222222222.dkr.ecr.{REGION}.amazonaws.com/shop/web:1.0.0"),
            (Code::FailedPrecondition, "ACCESS_DENIED"),
        ),
        ("web:-1".to_owned(), (Code::InvalidArgument, "INVALID_REQUEST")),
    ] {
        let status = resolve(&mut client, &image).await.unwrap_err();
        assert_eq!(
            reason(&status),
            (expected.0, expected.1.to_owned()),
            "{image}: {}",
            status.message()
        );
    }
    let unsaid = ResolveImageRequest {
        repository: "shop/web".into(),
        tag: "1.0.0".into(),
        ..Default::default()
    };
    let status = client.resolve_image(unsaid).await.unwrap_err();
    assert!(status.message().contains("region"), "{}", status.message());
}

/// The host of the registry says where to look, whichever region the agent serves.
#[tokio::test]
async fn a_replica_is_there_when_it_has_arrived() {
    let world = World::start(40.0).await;
    world.sim_post("clock", json!({"speed": 0})).await;
    let mut client = world.orchestrator().await;
    let image = json!({
        "repository": "shop/web", "tag": "2.0.0", "home": format!("{ACCOUNT}/{REGION}"), "replicates_s": 30.0,
    });
    world.sim_post("images", image).await;
    let here = resolve(&mut client, &format!("{}/shop/web:2.0.0", host(REGION)))
        .await
        .unwrap();
    let replica = format!("{}/shop/web@{}", host("eu-central-1"), here.digest);
    let status = resolve(&mut client, &replica).await.unwrap_err();
    assert_eq!(reason(&status).1, "IMAGE_NOT_FOUND");
    world.sim_post("clock", json!({"advance_ms": 31_000})).await;
    let there = resolve(&mut client, &replica).await.unwrap();
    assert_eq!(
        (there.digest, there.registry_region.as_str()),
        (here.digest, "eu-central-1")
    );
}

#[tokio::test]
async fn tags_come_newest_first_in_pages() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    world
        .sim_post("images", json!({"repository": "shop/web", "tag": "1.6.0"}))
        .await;
    let request = ListImageTagsRequest {
        region: REGION.into(),
        repository: "shop/web".into(),
        page_size: 3,
        ..Default::default()
    };
    let first = client
        .list_image_tags(request.clone())
        .await
        .unwrap()
        .into_inner();
    let names = |tags: &[towline_proto::agent::v1::ImageTag]| {
        tags.iter().map(|one| one.tag.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&first.tags), ["1.6.0", "1.5.0", "1.4.0"]);
    let next = ListImageTagsRequest {
        page_token: first.next_page_token,
        ..request.clone()
    };
    let second = client.list_image_tags(next).await.unwrap().into_inner();
    assert_eq!(names(&second.tags), ["1.3.0", "1.2.0", "1.1.0"]);
    let some = ListImageTagsRequest {
        prefix: "1.2".into(),
        page_size: 0,
        ..request.clone()
    };
    let some = client.list_image_tags(some).await.unwrap().into_inner();
    assert_eq!(
        (names(&some.tags), some.incomplete),
        (vec!["1.2.0".to_owned()], false)
    );
    let none = ListImageTagsRequest {
        repository: "no/such".into(),
        ..request
    };
    let status = client.list_image_tags(none).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::NotFound, "REPOSITORY_NOT_FOUND".to_owned())
    );
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_told_as_such() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let rules = json!([{"kind": "reset_before", "service": "ecr", "times": 1000}]);
    world.sim_post("faults", json!({"seed": 7, "rules": rules})).await;
    let status = resolve(&mut client, &format!("{}/shop/web:1.0.0", host(REGION)))
        .await
        .unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::Unavailable, "REGISTRY_UNREACHABLE".to_owned())
    );
}
