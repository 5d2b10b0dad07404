//! What runs where: after each deployment, and on a timer, agents are asked
//! what runs in the cells of a project, and that is compared with what was
//! released there (`domain::drift`). A change of the answer is a line in the log
//! of events, once; nothing is ever done about a drift.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use towline_link::channel::LinkChannel;
use towline_proto::agent::v1::{self as agent, agent_service_client::AgentServiceClient};

use super::{CellStatus, Engine, EngineError, wire};
use crate::{
    domain::{
        deployment::OperationState,
        drift::{self, Baseline, Drift, Found, FoundStack, Released, Running},
        operation::Payload,
        plan::absence_of,
    },
    store::{
        CommitPoint, NewEvent, ProjectVersion, StoredOperation, WriteTx,
        deployments::{CellRow, cells, open_deployments, operation},
        drift::{CellKey, DriftRow, drift_of, newest_cursor, projects_with_ends, release_of},
    },
};

/// How long an agent may take to say what runs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Cells of one project that are asked about at once: agents answer ten services
/// with one call to ECS.
const AT_ONCE: usize = 20;
/// Agents get so long to connect before the first look.
const FIRST_LOOK: Duration = Duration::from_secs(15);
/// Ends that come together are looked at together.
const PAUSE: Duration = Duration::from_secs(1);

/// One cell to look at.
struct Look {
    cell: CellKey,
    good: StoredOperation,
}

/// What was found in a cell, or why nothing was.
type Seen = Result<Found, String>;

impl Engine {
    /// Looks at all projects every so often, and at one after its deployments.
    pub(super) async fn watch_drift(&self, every: Duration, stop: CancellationToken) {
        let clock = self.0.seams.clock;
        let mut commits = self.0.store.commits();
        let newest = async { Ok::<_, EngineError>(newest_cursor(&mut *self.0.store.reader().await?).await?) };
        let mut cursor = newest.await.ok();
        let mut next = self.now().saturating_add(FIRST_LOOK.min(every)).ok();
        loop {
            let due = async {
                match next {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = due => {
                    next = self.now().saturating_add(every).ok();
                    self.look_at_all().await;
                }
                changed = commits.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if self.look_at_ended(&mut cursor).await {
                        clock.sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    async fn look_at_all(&self) {
        match self.0.store.newest_versions("", u32::MAX).await {
            Ok(versions) => {
                for version in versions {
                    self.look_for_drift(&version).await;
                }
            }
            Err(error) => tracing::error!(?error, "the projects cannot be read to look for drift"),
        }
    }

    /// The projects in which a deployment has ended; true when there was one.
    async fn look_at_ended(&self, cursor: &mut Option<i64>) -> bool {
        let ended = async {
            let mut connection = self.0.store.reader().await?;
            let newest = newest_cursor(&mut connection).await?;
            let Some(after) = cursor.replace(newest).filter(|after| *after < newest) else {
                return Ok(Vec::new());
            };
            let names = projects_with_ends(&mut connection, after).await?;
            drop(connection);
            let mut versions = Vec::new();
            for name in names {
                versions.extend(self.0.store.newest_version(&name).await?);
            }
            Ok::<_, EngineError>(versions)
        };
        match ended.await {
            Ok(versions) => {
                for version in &versions {
                    self.look_for_drift(version).await;
                }
                !versions.is_empty()
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "cannot look for drift");
                false
            }
        }
    }

    async fn look_for_drift(&self, version: &ProjectVersion) {
        if let Err(error) = self.check_drift(version).await {
            tracing::error!(
                project = version.project,
                error = format!("{error:#}"),
                "cannot look for drift"
            );
        }
    }

    /// Asks about every cell of a project's newest version, and stores what was found.
    pub(super) async fn check_drift(&self, version: &ProjectVersion) -> Result<(), EngineError> {
        let looks = self.cells_at_rest(version).await?;
        if looks.is_empty() {
            return Ok(());
        }
        let asked = looks.into_iter().map(|look| async {
            let seen = self.see(&look.good).await;
            (look, seen)
        });
        let seen: Vec<(Look, Seen)> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        self.note_drift(&version.project, seen).await
    }

    /// Cells that something was released into, and in which nothing happens now.
    async fn cells_at_rest(&self, version: &ProjectVersion) -> Result<Vec<Look>, EngineError> {
        let mut view = self.0.store.read().await?;
        let busy = busy_cells(&mut view, &version.project).await?;
        let mut known = BTreeSet::new();
        for environment in &version.parsed.environments {
            let cells = super::queries::cells_of(version, environment);
            known.extend(cells.into_iter().map(|(service, target)| CellKey {
                project: version.project.clone(),
                environment: environment.0.to_string(),
                service,
                target,
            }));
        }
        let mut looks = Vec::new();
        for row in cells(&mut view, &version.project).await? {
            let cell = CellKey {
                project: version.project.clone(),
                environment: row.environment,
                service: row.service,
                target: row.target,
            };
            let Some(good) = row
                .good_operation
                .filter(|_| known.contains(&cell) && !busy.contains(&cell))
            else {
                continue;
            };
            let good = match good.parse() {
                Ok(id) => operation(&mut view, id).await?,
                Err(_) => None,
            };
            looks.extend(good.map(|good| Look { cell, good }));
        }
        Ok(looks)
    }

    /// What runs in a cell, as its agent says it.
    async fn see(&self, good: &StoredOperation) -> Seen {
        let name = &good.planned.agent;
        if let Some(absence) = absence_of(&self.0.fleet.connectivity(), name) {
            let words = absence.to_string();
            return Err(words.split(", hint: ").next().unwrap_or_default().to_owned());
        }
        let client = name
            .as_str()
            .parse()
            .ok()
            .and_then(|name| self.0.fleet.client(&name));
        let Some(mut client): Option<AgentServiceClient<LinkChannel>> = client else {
            return Err(format!("agent {name} has no link"));
        };
        let asked = client.describe_service(wire::describe(&good.planned));
        match self.0.seams.clock.timeout(PATIENCE, asked).await {
            Some(Ok(answer)) => Ok(found(answer.into_inner())),
            Some(Err(status)) => Err(problem(name.as_str(), &status)),
            None => Err(format!("agent {name} does not say what runs")),
        }
    }

    /// Stores what was found, and appends what changed to the log of events.
    async fn note_drift(&self, project: &str, seen: Vec<(Look, Seen)>) -> Result<(), EngineError> {
        let mut tx = self.0.store.begin().await?;
        let busy = busy_cells(tx.connection(), project).await?;
        let good: BTreeMap<CellKey, Option<String>> = cells(tx.connection(), project)
            .await?
            .into_iter()
            .map(|row| {
                let cell = CellKey {
                    project: project.to_owned(),
                    environment: row.environment,
                    service: row.service,
                    target: row.target,
                };
                (cell, row.good_operation)
            })
            .collect();
        let before: BTreeMap<CellKey, DriftRow> = drift_of(tx.connection(), project)
            .await?
            .into_iter()
            .map(|row| (row.cell.clone(), row))
            .collect();
        let now = self.now();
        for (look, seen) in seen {
            let id = look.good.planned.id.to_string();
            // Something was released meanwhile: what was seen is of no use.
            let moved = good
                .get(&look.cell)
                .is_none_or(|good| good.as_deref() != Some(&id));
            if moved || busy.contains(&look.cell) {
                continue;
            }
            let old = before.get(&look.cell);
            let new = next_row(&look, old, seen, now);
            note_change(&mut tx, &look, old, &new, now).await?;
            tx.put_drift(&new).await?;
        }
        self.0.store.commit(tx, CommitPoint::DriftNoted).await?;
        Ok(())
    }
}

/// Adds to a cell of the grid what the checks found, as far as they are about
/// what it shows.
pub(super) fn show(cell: &mut CellStatus, row: &CellRow, checks: &[DriftRow]) {
    let check = checks.iter().find(|check| {
        let of = &check.cell;
        of.environment == row.environment && of.service == row.service && of.target == row.target
    });
    let Some(check) = check else {
        return;
    };
    cell.checked_at = check.checked_at;
    if row.good_operation.as_ref() == Some(&check.good_operation) {
        cell.drift = check.drift.clone().zip(check.since);
        cell.check_problem = check.problem.clone();
    }
}

/// Cells in which an operation may be at work.
async fn busy_cells(
    connection: &mut sqlx::SqliteConnection,
    project: &str,
) -> Result<BTreeSet<CellKey>, EngineError> {
    let mut busy = BTreeSet::new();
    for stored in open_deployments(connection, project).await? {
        let deployment = stored.deployment;
        for operation in &deployment.operations {
            if operation.state.is_out() || operation.is_open_question() {
                busy.insert(CellKey {
                    project: project.to_owned(),
                    environment: deployment.environment.to_string(),
                    service: operation.slot.service.to_string(),
                    target: operation.slot.target.to_string(),
                });
            }
        }
    }
    Ok(busy)
}

/// What is stored of a cell after a look.
fn next_row(look: &Look, old: Option<&DriftRow>, seen: Seen, now: Timestamp) -> DriftRow {
    let id = look.good.planned.id.to_string();
    let same = old.filter(|old| old.good_operation == id);
    let found = match seen {
        Ok(found) => found,
        Err(problem) => {
            return DriftRow {
                cell: look.cell.clone(),
                good_operation: id,
                drift: old.and_then(|old| old.drift.clone()),
                since: old.and_then(|old| old.since),
                baseline: same.and_then(|old| old.baseline.clone()),
                checked_at: old.and_then(|old| old.checked_at),
                problem,
            };
        }
    };
    let baseline = same.and_then(|old| old.baseline.clone());
    let drift = drift::compare(&released(&look.good), &found, baseline.as_ref());
    let before = old.and_then(|old| old.drift.as_ref());
    DriftRow {
        cell: look.cell.clone(),
        good_operation: id,
        since: match &drift {
            Some(drift) if before == Some(drift) => old.and_then(|old| old.since),
            Some(_) => Some(now),
            None => None,
        },
        drift,
        baseline: baseline.or_else(|| Some(first_seen(&found))),
        checked_at: Some(now),
        problem: String::new(),
    }
}

fn first_seen(found: &Found) -> Baseline {
    Baseline {
        stack: match found {
            Found::Running(running) => running.stack.clone(),
            Found::Gone => None,
        },
    }
}

/// Appends that a drift came, became another one, or went.
async fn note_change(
    tx: &mut WriteTx,
    look: &Look,
    old: Option<&DriftRow>,
    new: &DriftRow,
    now: Timestamp,
) -> Result<(), EngineError> {
    let before = old.and_then(|old| old.drift.as_ref());
    let (kind, message) = match (&new.drift, before) {
        (Some(drift), before) if before != Some(drift) => {
            ("drift_found", format!("drift: {}", drift.message()))
        }
        (None, Some(_)) => ("drift_gone", "runs what was released".to_owned()),
        _ => return Ok(()),
    };
    let operation = look.good.planned.id.to_string();
    let Some(release) = release_of(tx.connection(), &operation).await? else {
        return Ok(());
    };
    let payload = serde_json::to_value(Noted {
        kind,
        at: now,
        drift: new.drift.as_ref(),
    });
    tx.append(&NewEvent {
        release,
        deployment: None,
        operation: Some(operation),
        kind,
        message,
        state: None,
        verdict: None,
        payload: payload.map_err(|error| EngineError::Internal(error.into()))?,
        at: now,
    })
    .await?;
    Ok(())
}

#[derive(serde::Serialize)]
struct Noted<'a> {
    kind: &'static str,
    at: Timestamp,
    drift: Option<&'a Drift>,
}

/// What an operation put into its cell.
fn released(good: &StoredOperation) -> Released {
    let outputs = match (&good.operation.late_truth, &good.operation.state) {
        (Some(truth), _) => Some(&truth.outputs),
        (None, OperationState::Ended { outcome, .. }) => Some(&outcome.outputs),
        _ => None,
    };
    let output = |key: &str| outputs.and_then(|outputs| outputs.get(key).cloned());
    let images = good.planned.payload.images().into_iter();
    Released {
        revision: output("task_definition").unwrap_or_default(),
        images: images
            .map(|(container, image)| (container.to_string(), image))
            .collect(),
        stack: match &good.planned.payload {
            Payload::Fargate(_) => Some(output("stack_id").unwrap_or_default()),
            _ => None,
        },
    }
}

fn found(answer: agent::DescribeServiceResponse) -> Found {
    let Some(service) = answer.service.filter(|service| service.status == "ACTIVE") else {
        return Found::Gone;
    };
    let primary = service
        .deployments
        .iter()
        .find(|deployment| deployment.status == "PRIMARY");
    let deployed_at = primary.and_then(|primary| moment(primary.create_time.as_ref()));
    Found::Running(Box::new(Running {
        revision: service.task_definition,
        images: service
            .containers
            .into_iter()
            .map(|container| (container.name, container.image))
            .collect(),
        registered_by: service.task_definition_registered_by,
        registered_at: moment(service.task_definition_register_time.as_ref()),
        deployed_at,
        stack: answer.stack.map(|stack| FoundStack {
            updated_at: moment(stack.update_time.as_ref()),
            id: stack.id,
            status: stack.status,
        }),
    }))
}

fn moment(wire: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    wire.and_then(|wire| Timestamp::new(wire.seconds, wire.nanos).ok())
}

fn problem(agent: &str, status: &Status) -> String {
    match status.code() {
        Code::NotFound => format!("agent {agent}: {}", status.message()),
        _ => format!("agent {agent} cannot say what runs: {}", status.message()),
    }
}
