use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;

use super::{CommitPoint, NewEvent, ProjectVersion, Store, StoreError, StoreSettings, events_after};
use crate::domain::{
    project,
    release::{Release, choose_channel},
};

const PROJECT: &str = r#"
project: shop
images:
  orders: { repository: running }
services:
  orders: { kind: existing, service: orders, containers: { app: orders } }
environments:
  dev: { targets: [{ agent: dev, account: "111111111111", region: eu-west-1, cluster: main }] }
channels:
  stable: { lifecycle: standard }
lifecycles:
  standard: [{ phase: dev, environments: [dev] }]
"#;

fn file() -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("towline.db");
    (dir, path)
}

async fn open(path: &std::path::Path) -> Result<Store, StoreError> {
    Store::open(&StoreSettings::at(path)).await
}

/// Stores a project and a release of it; the release's number.
async fn with_release(store: &Store) -> i64 {
    let parsed = project::parse(PROJECT, "towline.yaml").expect("a good project");
    let at = "2026-11-24T12:00:00Z".parse().expect("a time");
    let release = Release {
        project: parsed.name.clone(),
        version: "1.0.0".parse().expect("a version"),
        channel: choose_channel(&parsed, None).expect("a channel"),
        images: Default::default(),
        project_version: 1,
        notes: String::new(),
        build_url: String::new(),
        commit: String::new(),
        created: at,
        created_by: "ann".to_owned(),
    };
    let version = ProjectVersion {
        project: "shop".to_owned(),
        version: 1,
        definition: PROJECT.to_owned(),
        parsed,
        applied_at: at,
        applied_by: "ann".to_owned(),
    };
    let mut tx = store.begin().await.expect("a transaction");
    tx.put_version(&version).await.expect("a version");
    let number = tx.put_release(&release).await.expect("a release").number;
    tx.append(&NewEvent {
        release: number,
        deployment: None,
        operation: None,
        kind: "release_created",
        message: "made for a test".to_owned(),
        state: None,
        verdict: None,
        payload: serde_json::Value::Null,
        at,
    })
    .await
    .expect("a line");
    store
        .commit(tx, CommitPoint::ReleaseCreated)
        .await
        .expect("a commit");
    number
}

#[tokio::test]
async fn only_the_owner_may_read_the_database_and_its_side_files() {
    let (dir, path) = file();
    let store = open(&path).await.expect("a store");
    with_release(&store).await;
    for entry in std::fs::read_dir(dir.path()).expect("a listing") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn each_start_has_a_higher_epoch() {
    let (_dir, path) = file();
    let store = open(&path).await.expect("a store");
    let first = store.epoch();
    store.close().await;
    drop(store);
    assert!(open(&path).await.expect("a store").epoch() > first);
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone() {
    let (_dir, path) = file();
    let store = open(&path).await.expect("a store");
    let mut tx = store.begin().await.expect("a transaction");
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, x'00', 0)",
    )
    .execute(tx.connection())
    .await
    .expect("a row");
    let point = super::CommitPoint::EpochRaised;
    store.commit(tx, point).await.expect("a commit");
    store.close().await;
    drop(store);
    let error = open(&path).await.map(|_| ()).expect_err("refused");
    assert!(
        matches!(
            error,
            StoreError::NewerSchema {
                found: 9999,
                known: 5..,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("hint: "), "{error}");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_no_trace_and_the_log_only_grows() {
    let (_dir, path) = file();
    let store = open(&path).await.expect("a store");
    let release = with_release(&store).await;
    let mut tx = store.begin().await.expect("a transaction");
    sqlx::query("UPDATE releases SET at_rest = 1")
        .execute(tx.connection())
        .await
        .expect("an update");
    let erased = sqlx::query("DELETE FROM events").execute(tx.connection()).await;
    assert!(erased.is_err(), "a line of the log was erased");
    drop(tx);
    let mut reader = store.reader().await.expect("a reader");
    let moving = super::releases::moving_releases(&mut reader, "shop")
        .await
        .expect("releases");
    assert_eq!(moving.len(), 1);
    let lines = events_after(&mut reader, release, 0, 10).await.expect("lines");
    assert_eq!(lines.len(), 1);
}

#[cfg(feature = "planted-faults")]
#[test]
fn a_planted_death_names_its_commit() {
    let at = super::PlantedFaults::parse_crash("operation_intended@2:after").expect("a place");
    assert_eq!(
        (at.commit.as_str(), at.side),
        ("operation_intended@2", super::Side::After)
    );
    assert!(super::PlantedFaults::parse_crash("operation_intended@2").is_err());
}
