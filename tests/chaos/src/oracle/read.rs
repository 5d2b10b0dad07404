//! The evidence: rows of the database, and the effect log.

use std::collections::BTreeMap;

use aws_sim::server::Effect;
use jiff::Timestamp;
use serde_json::Value;
use towline::{
    domain::deployment::{Deployment, Event},
    store::{Store, StoreSettings, deployments::deployment},
};

use crate::world::{ORCHESTRATOR, World};

/// A line of the event log.
#[derive(Clone, Debug)]
pub struct Line {
    pub cursor: i64,
    pub deployment: Option<String>,
    pub operation: Option<String>,
    pub kind: String,
    pub message: String,
    pub state: Option<String>,
    pub verdict: Option<String>,
    pub payload: Value,
    /// By the clock of the simulation, not by the orchestrator's.
    pub at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct DeploymentRow {
    pub id: String,
    pub release: i64,
    pub environment: String,
    pub state: String,
}

#[derive(Clone, Debug)]
pub struct OperationRow {
    pub id: String,
    pub deployment: String,
    pub ordinal: i64,
    pub service: String,
    pub target: String,
    /// What is sent.
    pub payload: String,
}

/// All that the checks look at.
#[derive(Debug)]
pub struct Evidence {
    pub lines: Vec<Line>,
    pub deployments: BTreeMap<String, DeploymentRow>,
    pub operations: BTreeMap<String, OperationRow>,
    pub releases: BTreeMap<i64, String>,
    pub effects: Vec<Effect>,
    /// Deployments whose stored state is not the fold of their events.
    pub unfolded: Vec<String>,
    /// By account and region: what the simulated AWS says of itself.
    pub accounts: BTreeMap<(String, String), Value>,
}

impl Evidence {
    /// `prod orders 333333333333/eu-west-1/main`
    pub fn label(&self, operation: &str) -> String {
        match self.operations.get(operation) {
            Some(row) => format!(
                "{} {} {}",
                self.environment(Some(&row.deployment)),
                row.service,
                row.target
            ),
            None => "?".to_owned(),
        }
    }

    pub fn environment(&self, deployment: Option<&str>) -> &str {
        deployment
            .and_then(|id| self.deployments.get(id))
            .map_or("", |row| row.environment.as_str())
    }

    pub fn of_deployment<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines
            .iter()
            .filter(move |line| line.deployment.as_deref() == Some(id))
    }

    pub fn of_operation<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines
            .iter()
            .filter(move |line| line.operation.as_deref() == Some(id))
    }

    /// The verdict that counts: what was learned late goes before what was given up.
    pub fn verdict(&self, operation: &str) -> Option<(String, String)> {
        let ends = self
            .of_operation(operation)
            .filter(|line| matches!(line.kind.as_str(), "operation_finished" | "late_truth"));
        let outcome = ends.last()?.payload.get("outcome")?.clone();
        let text = |name: &str| {
            outcome
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Some((text("verdict"), text("reason")))
    }
}

/// A row of `events`, in the order of the query.
type EventRow = (
    i64,
    Option<String>,
    Option<String>,
    String,
    String,
    Option<String>,
    Option<String>,
    String,
    i64,
);

pub async fn read(world: &World) -> anyhow::Result<Evidence> {
    let path = world.dir.join(ORCHESTRATOR).join("towline.db");
    let store = Store::open(&StoreSettings::at(path)).await?;
    let mut reader = store.reader().await?;
    let rows: Vec<EventRow> =
        sqlx::query_as("SELECT cursor, deployment, operation, kind, message, state, verdict, payload, at FROM events ORDER BY cursor")
            .fetch_all(&mut *reader)
            .await?;
    let mut lines = Vec::new();
    for (cursor, deployment, operation, kind, message, state, verdict, payload, at) in rows {
        lines.push(Line {
            cursor,
            deployment,
            operation,
            kind,
            message,
            state,
            verdict,
            payload: serde_json::from_str(&payload)?,
            at: world.true_time(Timestamp::from_microsecond(at)?),
        });
    }
    let rows: Vec<(String, i64, String, String)> =
        sqlx::query_as("SELECT id, release, environment, state FROM deployments ORDER BY number")
            .fetch_all(&mut *reader)
            .await?;
    let deployments: BTreeMap<_, _> = rows
        .into_iter()
        .map(|(id, release, environment, state)| {
            let row = DeploymentRow {
                id: id.clone(),
                release,
                environment,
                state,
            };
            (id, row)
        })
        .collect();
    let rows: Vec<(String, String, i64, String, String, String)> =
        sqlx::query_as("SELECT id, deployment, ordinal, service, target, payload FROM operations")
            .fetch_all(&mut *reader)
            .await?;
    let operations = rows
        .into_iter()
        .map(|(id, deployment, ordinal, service, target, payload)| {
            let row = OperationRow {
                id: id.clone(),
                deployment,
                ordinal,
                service,
                target,
                payload,
            };
            (id, row)
        })
        .collect();
    let releases: Vec<(i64, String)> = sqlx::query_as("SELECT number, version FROM releases")
        .fetch_all(&mut *reader)
        .await?;
    let mut unfolded = Vec::new();
    for id in deployments.keys() {
        let payloads = lines
            .iter()
            .filter(|line| line.deployment.as_deref() == Some(id.as_str()));
        let events: Vec<Event> = payloads
            .filter_map(|line| serde_json::from_value(line.payload.clone()).ok())
            .collect();
        let parsed = id.parse()?;
        let stored = deployment(&mut reader, parsed).await?;
        let stored = stored.map(|found| found.deployment);
        match Deployment::fold(parsed, &events) {
            Ok(folded) if Some(&folded) == stored.as_ref() => {}
            Ok(_) => unfolded.push(format!("{id} is stored as something else than its events say")),
            Err(error) => unfolded.push(format!("{id}: {error}")),
        }
    }
    drop(reader);
    store.close().await;
    let (effects, accounts) = aws(world).await?;
    Ok(Evidence {
        lines,
        deployments,
        operations,
        releases: releases.into_iter().collect(),
        effects,
        unfolded,
        accounts,
    })
}

async fn aws(world: &World) -> anyhow::Result<(Vec<Effect>, BTreeMap<(String, String), Value>)> {
    use http_body_util::BodyExt as _;
    let Some(handle) = world.cloud.handle() else {
        return Ok(Default::default());
    };
    let mut accounts = BTreeMap::new();
    for plan in crate::schedule::AGENTS {
        for region in plan.serves {
            let uri = format!("/_sim/state?account={}&region={region}", plan.account);
            let request = http::Request::builder().uri(uri).body(bytes::Bytes::new())?;
            if let Some(answer) = handle.answer(request).await {
                let body = answer.into_body().collect().await?.to_bytes();
                let place = (plan.account.to_owned(), (*region).to_owned());
                accounts.insert(place, serde_json::from_slice(&body)?);
            }
        }
    }
    Ok((handle.effects(0), accounts))
}
