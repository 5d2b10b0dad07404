//! What lists cost when there is a long history: a hundred thousand releases,
//! each with a deployment that has ended, written into the database directly.

use std::{path::Path, time::Instant};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use towline_proto::orchestrator::v1::{
    GetReleaseRequest, GetStatusRequest, ListDeploymentsRequest, ListReleasesRequest,
    deployment_service_client::DeploymentServiceClient, project_service_client::ProjectServiceClient,
    release_service_client::ReleaseServiceClient,
};
use towline_tests::world::World;

use super::fleet::Fleet;
use crate::percentile;

const RELEASES: i64 = 100_000;
const ROUNDS: usize = 50;
/// What a list may take, by the aim.
const AIM_MS: f64 = 50.0;

/// Copies of the newest release and of its deployment, so many times.
const GROW: [&str; 3] = [
    "CREATE TEMP TABLE numbers AS
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n",
    "INSERT INTO releases (project, version, project_version, doc, at_rest)
     SELECT r.project, '9.0.' || i, r.project_version, json_set(r.doc, '$.version', '9.0.' || i), 1
     FROM numbers, (SELECT * FROM releases WHERE project = $1 ORDER BY number LIMIT 1) r",
    "INSERT INTO deployments (id, release, project, environment, state, doc, open)
     SELECT n.id, n.number, d.project, d.environment, d.state,
            json_set(d.doc, '$.id', n.id, '$.release', n.version), 0
     FROM (SELECT number, version, lower(printf('%08x-0000-4000-8000-%012x', number, number)) AS id
           FROM releases WHERE project = $1 AND version LIKE '9.0.%') n,
          (SELECT * FROM deployments WHERE project = $1 ORDER BY number LIMIT 1) d",
];

/// Grows the history of a project that has one release, and asks for lists.
pub fn run(world: &mut World, fleet: &mut Fleet, project: &str) {
    world.kill_orchestrator();
    let database = world.path().join("orchestrator/towline.db");
    fleet.runtime.block_on(grow(&database, project));
    world.start_orchestrator();
    fleet.reconnect(world);

    let channel = fleet.channel();
    let releases = || ReleaseServiceClient::new(channel.clone());
    let list = |token: String| ListReleasesRequest {
        project: project.to_owned(),
        page_size: 50,
        page_token: token,
        ..Default::default()
    };
    let first = fleet
        .runtime
        .block_on(releases().list_releases(list(String::new())))
        .expect("a list")
        .into_inner();
    println!(
        "{RELEASES} releases, each with a deployment (aim: {AIM_MS} ms), {ROUNDS} calls each, p50 and p99:"
    );
    measure(fleet, "releases, the first page", async || {
        releases().list_releases(list(String::new())).await.is_ok()
    });
    measure(fleet, "releases, the next page", async || {
        let token = first.next_page_token.clone();
        releases().list_releases(list(token)).await.is_ok()
    });
    measure(fleet, "one release with its deployments", async || {
        let request = GetReleaseRequest {
            project: project.to_owned(),
            version: "9.0.77".to_owned(),
        };
        releases().get_release(request).await.is_ok()
    });
    measure(fleet, "deployments, the first page", async || {
        let request = ListDeploymentsRequest {
            project: project.to_owned(),
            page_size: 50,
            ..Default::default()
        };
        let answer = DeploymentServiceClient::new(channel.clone())
            .list_deployments(request)
            .await;
        answer.is_ok()
    });
    measure(fleet, "deployments of one release", async || {
        let request = ListDeploymentsRequest {
            project: project.to_owned(),
            release: "9.0.5".to_owned(),
            page_size: 50,
            ..Default::default()
        };
        let answer = DeploymentServiceClient::new(channel.clone())
            .list_deployments(request)
            .await;
        answer.is_ok()
    });
    measure(fleet, "the status of the project", async || {
        let request = GetStatusRequest {
            project: project.to_owned(),
        };
        ProjectServiceClient::new(channel.clone())
            .get_status(request)
            .await
            .is_ok()
    });
    created(fleet, project);
}

fn measure(fleet: &Fleet, what: &str, call: impl AsyncFn() -> bool) {
    let mut millis: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            assert!(fleet.runtime.block_on(call()), "{what}: refused");
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    told(what, &mut millis);
}

/// A release and its deployment on top of the history.
fn created(fleet: &mut Fleet, project: &str) {
    let mut millis: Vec<f64> = (0..10)
        .map(|_| {
            let start = Instant::now();
            fleet.release(vec![project.to_owned()]);
            let took = fleet.arrived(1).duration_since(start);
            fleet.finish(vec![project.to_owned()]);
            took.as_secs_f64() * 1000.0
        })
        .collect();
    told("release created -> its agent called", &mut millis);
}

fn told(what: &str, millis: &mut [f64]) {
    millis.sort_by(f64::total_cmp);
    let (middle, worst) = (percentile(millis, 50), percentile(millis, 99));
    let verdict = if worst <= AIM_MS { "met" } else { "NOT MET" };
    println!("  {what:<36} {middle:>7.1} ms {worst:>7.1} ms  {verdict}");
}

async fn grow(database: &Path, project: &str) {
    let options = SqliteConnectOptions::new().filename(database).foreign_keys(true);
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .expect("the database opens");
    let [numbers, releases, deployments] = GROW;
    for (statement, number) in [(numbers, Some(RELEASES)), (releases, None), (deployments, None)] {
        let query = sqlx::query(statement);
        let query = match number {
            Some(number) => query.bind(number),
            None => query.bind(project),
        };
        query.execute(&mut connection).await.expect("rows are written");
    }
    connection.close().await.expect("a farewell");
}
