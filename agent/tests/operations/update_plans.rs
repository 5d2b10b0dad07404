//! `PlanServiceUpdate`, and what `UpdateService` checks before its first write: the
//! plan that was approved, and what would not work.

use serde_json::{Value, json};
use tonic::Code;
use towline_link::status::Details;
use towline_proto::agent::v1::{
    BaseRevision, ContainerUpdate, NamedValues, PlanServiceUpdateRequest, ServiceUpdatePlan, Severity,
    UpdatePlanAction, UpdateServiceRequest, Verdict,
};

use crate::world::{ACCOUNT, CLUSTER, Client, REGION, World, finished, to_the_end, told, update_orders};

const FIRST: &str = "11111111-1111-4111-8111-111111111111";
const SECOND: &str = "22222222-2222-4222-8222-222222222222";

async fn plan(client: &mut Client, update: UpdateServiceRequest) -> ServiceUpdatePlan {
    let request = PlanServiceUpdateRequest { update: Some(update) };
    let answer = client.plan_service_update(request).await.expect("a plan");
    answer.into_inner().plan.expect("a plan")
}

fn lines(plan: &ServiceUpdatePlan) -> Vec<String> {
    plan.changes
        .iter()
        .map(|change| format!("{}: {} -> {}", change.path, change.before, change.after))
        .collect()
}

fn reasons(plan: &ServiceUpdatePlan, severity: Severity) -> Vec<&str> {
    let found = plan
        .findings
        .iter()
        .filter(|finding| finding.severity() == severity);
    found.map(|finding| finding.reason.as_str()).collect()
}

async fn json_of(world: &World, action: &str, body: &Value) -> Value {
    serde_json::from_str(&world.ecs(action, body).await).expect("JSON")
}

/// What a DescribeTaskDefinition says, tags included.
async fn definition(world: &World, reference: &str) -> Value {
    let body = json!({ "taskDefinition": reference, "include": ["TAGS"] });
    json_of(world, "DescribeTaskDefinition", &body).await
}

/// What to register for another revision like the latest.
async fn like_latest(world: &World) -> Value {
    let latest = definition(world, "orders").await;
    let mut copy = latest["taskDefinition"].clone();
    copy["tags"] = latest["tags"].clone();
    without_computed(&mut copy);
    copy
}

fn without_computed(definition: &mut Value) {
    let members = definition.as_object_mut().expect("an object");
    for computed in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ] {
        members.shift_remove(computed);
    }
}

#[tokio::test]
async fn a_plan_shows_the_change_writes_nothing_and_is_what_is_then_done() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut update = update_orders(FIRST, "1.1.0");
    update.containers[0].environment = Some(NamedValues {
        set: [("LEVEL".to_owned(), "debug".to_owned())].into(),
        ..Default::default()
    });
    let plan = plan(&mut client, update.clone()).await;
    assert_eq!(plan.action(), UpdatePlanAction::Register, "{plan:#?}");
    let mut lines = lines(&plan);
    lines.sort_by_key(|line| line.contains("environment"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("containerDefinitions[app].image: ") && lines[0].ends_with(":1.1.0\""));
    assert_eq!(
        lines[1],
        "containerDefinitions[app].environment[LEVEL]: \"info\" -> \"debug\""
    );
    assert_eq!(reasons(&plan, Severity::Error), [""; 0], "{:#?}", plan.findings);
    assert_eq!(
        reasons(&plan, Severity::Unknown),
        [""; 0],
        "everything could be asked"
    );
    let image = &plan.images[0];
    assert!(image.before_digest.starts_with("sha256:"), "{image:?}");
    assert!(image.after_digest.starts_with("sha256:"), "{image:?}");
    assert_ne!(image.before_digest, image.after_digest);
    assert!(world.all_writes().await.is_empty());

    update.plan_hash = plan.hash.clone();
    let events = to_the_end(client.update_service(update.clone()).await).await;
    assert_eq!(finished(&events).verdict(), Verdict::Succeeded, "{}", world.log());

    // The approval is of that change: of another one it is worth nothing.
    let mut other = update_orders(SECOND, "1.2.0");
    other.plan_hash = plan.hash;
    let events = to_the_end(client.update_service(other).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "plan_changed")
    );
    let shown = end.diagnosis.as_ref().expect("the difference is shown");
    assert!(
        shown.details.iter().any(|line| line.contains(":1.2.0")),
        "{shown:?}"
    );
    assert!(world.writes(SECOND).await.is_empty());
}

#[tokio::test]
async fn an_image_that_is_not_there_refuses_before_anything_is_written() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let update = update_orders(FIRST, "9.9.9");
    let plan = plan(&mut client, update.clone()).await;
    assert_eq!(plan.action(), UpdatePlanAction::Refused);
    assert_eq!(reasons(&plan, Severity::Error), ["image_missing"]);
    let events = to_the_end(client.update_service(update).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "preflight_failed"),
        "{:#?}",
        told(&events)
    );
    assert!(end.summary.contains(":9.9.9"), "{}", end.summary);
    assert!(world.writes(FIRST).await.is_empty());
}

#[tokio::test]
async fn nothing_to_do_is_found_in_at_most_three_reads() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.update_service(update_orders(FIRST, "0.9.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Unchanged,
        "{:#?}",
        told(&events)
    );
    assert_eq!(
        world.calls(FIRST).await,
        ["DescribeServices", "DescribeTaskDefinition"]
    );

    // LATEST is another one, and only the image differs from what runs: three reads.
    let mut other = like_latest(&world).await;
    let image = other["containerDefinitions"][0]["image"]
        .as_str()
        .expect("an image");
    other["containerDefinitions"][0]["image"] = json!(image.replace(":0.9.0", ":1.2.0"));
    json_of(&world, "RegisterTaskDefinition", &other).await;
    let events = to_the_end(client.update_service(update_orders(SECOND, "0.9.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Unchanged,
        "{:#?}",
        told(&events)
    );
    assert_eq!(
        world.calls(SECOND).await,
        [
            "DescribeServices",
            "DescribeTaskDefinition",
            "DescribeTaskDefinition"
        ]
    );
}

#[tokio::test]
async fn the_base_is_what_was_asked_for_and_a_family_that_is_not_there_is_named() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut other = like_latest(&world).await;
    other["memory"] = json!("2048");
    json_of(&world, "RegisterTaskDefinition", &other).await;
    other["family"] = json!("template");
    other["memory"] = json!("4096");
    json_of(&world, "RegisterTaskDefinition", &other).await;

    let mut update = update_orders(FIRST, "1.1.0");
    let from_latest = plan(&mut client, update.clone()).await;
    let base: Vec<_> = from_latest
        .base_changes
        .iter()
        .map(|change| (change.path.as_str(), change.after.as_str()))
        .collect();
    assert_eq!(base, [("memory", "\"2048\"")]);
    assert_eq!(from_latest.changes.len(), 2);

    update.base = BaseRevision::Running.into();
    let from_running = plan(&mut client, update.clone()).await;
    assert_eq!(
        (from_running.base_changes.len(), from_running.changes.len()),
        (0, 1)
    );
    assert_ne!(from_latest.hash, from_running.hash);

    update.base = BaseRevision::Unspecified.into();
    update.template_family = "template".to_owned();
    let from_template = plan(&mut client, update.clone()).await;
    assert!(
        from_template.base.ends_with("task-definition/template:1"),
        "{}",
        from_template.base
    );
    assert_eq!(from_template.base_changes[0].after, "\"4096\"");
    assert!(from_template.changes.iter().all(|change| change.path != "family"));

    for (template, family) in [("nowhere", ""), ("template", "nowhere")] {
        update.template_family = template.to_owned();
        update.family = family.to_owned();
        let request = PlanServiceUpdateRequest {
            update: Some(update.clone()),
        };
        let status = client
            .plan_service_update(request)
            .await
            .expect_err("no such family");
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(
            Details::of(&status).reason.as_deref(),
            Some("TASK_DEFINITION_UNUSABLE")
        );
        assert!(status.message().contains("nowhere"), "{}", status.message());
    }
}

#[tokio::test]
async fn members_that_nobody_knows_reach_ecs_as_they_were_found() {
    let world = World::start(40.0).await;
    // What nobody has invented yet is in none of AWS's models, against which the wire is checked.
    world.sim.record_wire(None).expect("no record");
    let mut client = world.orchestrator().await;
    let mut other = like_latest(&world).await;
    other["inventedTomorrow"] = json!({ "deep": [{ "x": 1.5, "y": null }, "é"] });
    other["containerDefinitions"][0]["alsoInvented"] = json!([true, { "z": [] }]);
    other["tags"] =
        json!([{ "key": "team", "value": "shop" }, { "key": "towline:content-hash", "value": "stale" }]);
    json_of(&world, "RegisterTaskDefinition", &other).await;
    let before = definition(&world, "orders").await;
    assert_eq!(
        before["taskDefinition"]["inventedTomorrow"], other["inventedTomorrow"],
        "the simulator keeps it"
    );

    let update = UpdateServiceRequest {
        containers: vec![ContainerUpdate {
            name: "app".to_owned(),
            tag: Some("1.1.0".to_owned()),
            ..Default::default()
        }],
        ..update_orders(FIRST, "1.1.0")
    };
    let events = to_the_end(client.update_service(update).await).await;
    assert_eq!(finished(&events).verdict(), Verdict::Succeeded, "{}", world.log());
    let after = definition(&world, "orders").await;
    let services = json_of(
        &world,
        "DescribeServices",
        &json!({ "cluster": CLUSTER, "services": ["orders"] }),
    )
    .await;
    assert_eq!(
        services["services"][0]["taskDefinition"], after["taskDefinition"]["taskDefinitionArn"],
        "it runs"
    );
    let [mut one, mut two] = [before, after].map(|answer| answer["taskDefinition"].clone());
    assert_ne!(
        one["containerDefinitions"][0]["image"],
        two["containerDefinitions"][0]["image"]
    );
    for definition in [&mut one, &mut two] {
        definition["containerDefinitions"][0]["image"] = json!("");
        without_computed(definition);
    }
    assert_eq!(
        one.to_string(),
        two.to_string(),
        "nothing but the image, in the same order"
    );
    let tags = after_tags(&world).await;
    assert_eq!(tags[0], json!({ "key": "team", "value": "shop" }));
    assert_eq!(tags.len(), 2);
    assert_ne!(tags[1]["value"], "stale", "Towline's own tag is renewed");
}

async fn after_tags(world: &World) -> Vec<Value> {
    let answer = definition(world, "orders").await;
    answer["tags"].as_array().expect("tags").clone()
}

#[tokio::test]
async fn who_deploys_while_the_agent_looks_ahead_is_not_run_over() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let hold =
        json!({"account": ACCOUNT, "region": REGION, "action": "BatchGetImage", "skip": 0, "when": "before"});
    let hold = world.sim_post("breakpoints", hold).await;
    let stream = client.update_service(update_orders(FIRST, "1.1.0")).await;
    world.wait_hit(&hold).await;
    world.force_deployment("orders").await;
    // Longer than one interval between two looks: from then on the agent looks again.
    world
        .seams
        .clock
        .sleep(std::time::Duration::from_millis(60))
        .await;
    world.release(&hold, "continue").await;
    let events = to_the_end(stream).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "unexpected_state")
    );
    assert!(!world.writes(FIRST).await.contains(&"UpdateService".to_owned()));
}

#[tokio::test]
async fn environment_secrets_and_tags_change_as_asked_and_only_once() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let secret = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-password-a1b2c3");
    let ask = |id: &str, from: &str| {
        let mut update = update_orders(id, "1.1.0");
        let one = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
        update.containers[0].environment = Some(NamedValues {
            set: one("DB_PASSWORD", "none"),
            remove: vec!["QUEUE".to_owned()],
            replace: false,
        });
        update.containers[0].secrets = Some(NamedValues {
            set: one("LEVEL", from),
            ..Default::default()
        });
        update.tags = one("team", "orders");
        update.remove_tags = vec!["ManagedBy".to_owned()];
        update
    };
    let gone = secret.replace("db-password", "nobody");
    let events = to_the_end(client.update_service(ask(SECOND, &gone)).await).await;
    let end = finished(&events);
    assert_eq!(end.reason, "preflight_failed", "{:#?}", told(&events));
    assert!(end.summary.contains("nobody"), "{}", end.summary);

    let events = to_the_end(client.update_service(ask(FIRST, &secret)).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}",
        told(&events)
    );
    let after = definition(&world, "orders").await;
    let app = &after["taskDefinition"]["containerDefinitions"][0];
    assert_eq!(
        app["environment"],
        json!([{ "name": "DB_PASSWORD", "value": "none" }])
    );
    assert_eq!(app["secrets"], json!([{ "name": "LEVEL", "valueFrom": secret }]));
    let tags = after["tags"].as_array().expect("tags");
    assert_eq!(tags[0], json!({ "key": "team", "value": "orders" }));
    assert_eq!(tags.len(), 2, "Terraform's is gone, Towline's is there: {tags:?}");

    let again = "33333333-3333-4333-8333-333333333333";
    let events = to_the_end(client.update_service(ask(again, &secret)).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Unchanged,
        "{:#?}",
        told(&events)
    );
    assert!(world.writes(again).await.is_empty() && world.writes(SECOND).await.is_empty());
}

#[tokio::test]
async fn a_forced_deployment_of_an_inactive_revision_registers_its_content_again() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    json_of(
        &world,
        "DeregisterTaskDefinition",
        &json!({ "taskDefinition": "orders:1" }),
    )
    .await;
    let mut update = update_orders(FIRST, "");
    update.containers.clear();
    update.base = BaseRevision::Running.into();
    update.force = true;
    let plan = plan(&mut client, update.clone()).await;
    assert_eq!(plan.action(), UpdatePlanAction::Register, "{plan:#?}");
    assert!(plan.changes.is_empty());
    assert!(
        reasons(&plan, Severity::Info).contains(&"rollback_target_inactive"),
        "{plan:#?}"
    );
    let events = to_the_end(client.update_service(update).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}",
        told(&events)
    );
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService"]
    );
}
