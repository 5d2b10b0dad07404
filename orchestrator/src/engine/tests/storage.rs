//! What ails the database: told as what it is, and nothing lost when it is over.

use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use towline_proto::agent::v1::Verdict;

use super::{
    agent::id_of,
    world::{SHOP, World},
};
use crate::{
    engine::{DeploymentState, EngineError},
    store::Trouble,
};

/// More than the free pages of a small database hold.
const LARGE: usize = 400_000;

/// A connection of somebody else.
async fn stranger(world: &World) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(world.database());
    SqliteConnection::connect_with(&options)
        .await
        .expect("a connection")
}

/// Sets something of the connection that writes.
async fn set(world: &World, pragma: &str) {
    let mut tx = world.engine.0.store.begin().await.expect("a transaction");
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA {pragma}")))
        .execute(tx.connection())
        .await
        .expect("a pragma");
}

async fn large_release(world: &World, version: &str) -> Result<(), EngineError> {
    let notes = "n".repeat(LARGE);
    world.try_release_with(version, &notes).await.map(|_| ())
}

fn trouble(result: Result<(), EngineError>) -> Trouble {
    match result {
        Err(EngineError::Storage { trouble, message }) => {
            assert!(!message.is_empty() && !trouble.hint().is_empty());
            trouble
        }
        other => panic!("not a trouble of the database: {other:?}"),
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_keep_and_loses_no_verdict() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let id = id_of(&calls.next().await.update());
    dev.started(&id);
    world
        .event("1.0.0", 0, |event| event.kind == "operation_started")
        .await;

    set(&world, "max_page_count = 1").await;
    assert_eq!(trouble(large_release(&world, "1.1.0").await), Trouble::Full);
    // The connection that met the full disk is given up, and with it this limit.
    set(&world, "max_page_count = 1").await;
    dev.service_event(&id, &"w".repeat(LARGE));
    dev.finish(&id, Verdict::Succeeded, "completed");
    world.advance(Duration::from_secs(60)).await;
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
    large_release(&world, "1.1.0").await.expect("there is room again");
    world.stop().await;
}

#[tokio::test]
async fn a_lock_of_somebody_else_is_waited_for_and_then_told() {
    let world = World::new().await;
    world.apply(SHOP).await;
    set(&world, "busy_timeout = 50").await;
    let mut stranger = stranger(&world).await;
    let held = stranger
        .begin_with("BEGIN IMMEDIATE")
        .await
        .expect("the lock is free");
    assert_eq!(trouble(large_release(&world, "1.0.0").await), Trouble::Locked);
    drop(held);
    stranger.close().await.expect("a farewell");
    large_release(&world, "1.0.0").await.expect("the lock is free");
    world.stop().await;
}

#[tokio::test]
async fn a_corrupt_row_stops_its_project_and_no_other_until_it_is_mended() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    world.apply(SHOP).await;
    let other = SHOP
        .replace("project: shop", "project: other")
        .replace("service: orders", "service: parcels");
    world.apply(&other).await;
    world.release("1.0.0").await;
    let id = id_of(&calls.next().await.update());
    dev.started(&id);

    let mut stranger = stranger(&world).await;
    sqlx::query("UPDATE deployments SET doc = 'not JSON ' || doc")
        .execute(&mut stranger)
        .await
        .expect("it is written over");
    dev.finish(&id, Verdict::Succeeded, "completed");
    let refused = world.engine.release("shop", "1.0.0").await.map(|_| ());
    assert_eq!(trouble(refused), Trouble::Corrupt);

    // The other project goes on.
    world.release_of("other", "1.0.0").await;
    let request = calls.next().await.update();
    assert_eq!(request.service, "parcels");

    sqlx::query("UPDATE deployments SET doc = substr(doc, 10) WHERE doc LIKE 'not JSON %'")
        .execute(&mut stranger)
        .await
        .expect("it is mended");
    world.advance(Duration::from_secs(60)).await;
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
    drop(stranger);
    world.stop().await;
}
