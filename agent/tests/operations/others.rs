//! Other writers on a service, and earlier operations on it: what is theirs is not
//! taken for ours, and what they did is not overwritten.

use serde_json::json;
use towline_proto::agent::v1::Verdict;

use crate::world::{ACCOUNT, REGION, World, describe, finished, to_the_end, told, update_orders};

const FIRST: &str = "11111111-1111-4111-8111-111111111111";
const SECOND: &str = "22222222-2222-4222-8222-222222222222";

#[tokio::test]
async fn a_lost_update_is_not_judged_by_an_earlier_operations_roll_back() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.update_service(update_orders(FIRST, "1.3.0")).await).await;
    assert_eq!(finished(&events).reason, "rolled_back", "{:#?}", told(&events));

    let hold =
        json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "skip": 0, "when": "before"});
    let hold = world.sim_post("breakpoints", hold).await;
    let stream = client.update_service(update_orders(SECOND, "1.3.0")).await;
    world.wait_hit(&hold).await;
    world.release(&hold, "drop").await;
    let events = to_the_end(stream).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "unknown"),
        "{:#?}",
        told(&events)
    );
    assert_eq!(world.writes(SECOND).await, [""; 0]);
}

#[tokio::test]
async fn what_somebody_else_deployed_while_a_revision_was_registered_is_left_alone() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders(FIRST, "1.1.0");
    request.expected = describe(&mut client, "orders").await.expected;
    let hold = json!({"account": ACCOUNT, "region": REGION, "action": "RegisterTaskDefinition", "skip": 0, "when": "before"});
    let hold = world.sim_post("breakpoints", hold).await;
    let stream = client.update_service(request).await;
    world.wait_hit(&hold).await;
    // Long enough that what was decided on may have changed.
    world
        .seams
        .clock
        .sleep(std::time::Duration::from_millis(100))
        .await;
    world.force_deployment("orders").await;
    world.release(&hold, "continue").await;
    let events = to_the_end(stream).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "unexpected_state"),
        "{:#?}",
        told(&events)
    );
    assert_eq!(world.writes(FIRST).await, ["RegisterTaskDefinition"]);
}
