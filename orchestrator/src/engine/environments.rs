//! What an environment runs, once more, and back to what it ran before.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::{Caller, DeploymentView, Engine, EngineError, Fault, advance::Site, commands};
use crate::{
    domain::{
        deployment::{Author, Deployment, Origin},
        lifecycle::NextStop,
        name::{DeploymentId, EnvironmentName, ReleaseVersion},
        operation::{self, Terms},
        project::{Lifecycle, Phase},
        return_to::{self, Back, NoWayBack},
        waiting_on::WaitingOn,
    },
    store::{
        CommitPoint, StoredRelease, WriteTx,
        deployments::{cells, deployments_before},
        history::payloads_of,
    },
};

/// As far back as a rollback looks.
const PAST: u32 = 500;

/// What is deployed once more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redeployment {
    pub project: String,
    pub environment: String,
    /// Start new ECS deployments also where nothing changed.
    pub force: bool,
    pub note: String,
}

/// What is put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollback {
    pub project: String,
    pub environment: String,
    /// Empty: the release before.
    pub version: String,
    pub note: String,
}

impl Engine {
    /// Deploys what an environment runs into it once more.
    pub async fn redeploy(
        &self,
        caller: &Caller,
        asked: &Redeployment,
    ) -> Result<DeploymentView, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let environment = self
            .environment(&mut tx, &asked.project, &asked.environment)
            .await?;
        let version = running(tx.connection(), &asked.project, &environment).await?;
        let release = commands::find_release(tx.connection(), &asked.project, &version).await?;
        let lifecycle = self.lifecycle_of(tx.connection(), &release.release).await?;
        let phase = phase_of(&lifecycle, &environment);
        let phase = phase.ok_or_else(|| EngineError::NotReady {
            waiting_on: format!(
                "nothing: environment {environment} is in no phase of the release's lifecycle"
            ),
            hint: "a newer release can be promoted there".to_owned(),
        })?;
        let stop = NextStop {
            phase: phase.name.clone(),
            environment,
            approvals: phase.approvals.clone(),
        };
        let terms = Terms::made(Origin::Redeployment, asked.force, &asked.note);
        let by = Author::Operator(caller.operator.to_string());
        let created = self
            .create_deployment(&mut tx, &release, &stop, by, &terms)
            .await?;
        self.commit_and_act(tx, &asked.project, CommitPoint::DeploymentCreated)
            .await?;
        self.deployment(&created.deployment.id.to_string()).await
    }

    /// Puts an environment back to what it ran before, from what was recorded.
    pub async fn roll_back(&self, caller: &Caller, asked: &Rollback) -> Result<DeploymentView, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let environment = self
            .environment(&mut tx, &asked.project, &asked.environment)
            .await?;
        let version: Option<ReleaseVersion> = match asked.version.as_str() {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|why| EngineError::invalid("version", format!("{why}")))?,
            ),
        };
        let of = (asked.project.as_str(), "", environment.as_str());
        let mut past = deployments_before(tx.connection(), of, i64::MAX, PAST).await?;
        past.reverse();
        let past: Vec<&Deployment> = past.iter().map(|stored| &stored.deployment).collect();
        let back = return_to::before(&environment, &past, version.as_ref()).map_err(no_way_back)?;
        let release =
            commands::find_release(tx.connection(), &asked.project, back.to.release.as_str()).await?;
        may_return(&release)?;
        let stop = self.stop_of(tx.connection(), &release, &back).await?;
        let project = self.project_of(tx.connection(), &release.release).await?;
        let id = DeploymentId(self.0.seams.random.uuid());
        let payloads = payloads_of(tx.connection(), back.to.id).await?;
        let planned = operation::recorded(back.to, &payloads, id);
        let origin = Origin::Rollback {
            from: back.from.clone(),
        };
        let terms = Terms::made(origin, false, &asked.note);
        let site = Site {
            release: &release.release,
            number: release.number,
            stop: &stop,
            id,
        };
        let by = Author::Operator(caller.operator.to_string());
        self.store_deployment(&mut tx, &site, &project, (by, &terms), &planned)
            .await?;
        self.commit_and_act(tx, &asked.project, CommitPoint::DeploymentCreated)
            .await?;
        self.deployment(&id.to_string()).await
    }

    /// Where a rollback goes: no phase order counts, and approvals only where the
    /// lifecycle says so.
    async fn stop_of(
        &self,
        connection: &mut SqliteConnection,
        release: &StoredRelease,
        back: &Back<'_>,
    ) -> Result<NextStop, EngineError> {
        let lifecycle = self.lifecycle_of(connection, &release.release).await?;
        let phase = phase_of(&lifecycle, &back.to.environment);
        let asks = phase.filter(|_| lifecycle.rollback_needs_approval);
        Ok(NextStop {
            phase: phase.map_or_else(|| back.to.phase.clone(), |phase| phase.name.clone()),
            environment: back.to.environment.clone(),
            approvals: asks.and_then(|phase| phase.approvals.clone()),
        })
    }

    /// An environment of the project's newest version, or of one before.
    async fn environment(
        &self,
        tx: &mut WriteTx,
        project: &str,
        environment: &str,
    ) -> Result<EnvironmentName, EngineError> {
        let newest = tx.newest_version(project).await?;
        let newest = newest.ok_or_else(|| commands::no_project(project))?;
        let known = newest
            .parsed
            .environments
            .keys()
            .find(|it| it.as_str() == environment);
        known.cloned().ok_or_else(|| {
            let there: Vec<&str> = newest.parsed.environments.keys().map(|it| it.as_str()).collect();
            EngineError::NotFound {
                what: "environment",
                name: format!("{environment} in project {project}"),
                hint: format!("its environments: {}", there.join(", ")),
            }
        })
    }
}

/// The one release that runs in an environment.
async fn running(
    connection: &mut SqliteConnection,
    project: &str,
    environment: &EnvironmentName,
) -> Result<String, EngineError> {
    let cells = cells(connection, project).await?;
    let here = cells
        .into_iter()
        .filter(|it| it.environment == environment.as_str());
    let releases: BTreeSet<String> = here.filter_map(|it| it.good_release).collect();
    let all: Vec<&str> = releases.iter().map(String::as_str).collect();
    match all[..] {
        [only] => Ok(only.to_owned()),
        [] => Err(EngineError::NotReady {
            waiting_on: format!("a first deployment: nothing was deployed into {environment} with success"),
            hint: format!("`towline promote VERSION --to {environment}` deploys a release"),
        }),
        _ => Err(EngineError::Conflict {
            reason: "several_releases",
            message: format!("{environment} runs several releases: {}", all.join(", ")),
            hint: format!("choose one of them: towline promote VERSION --to {environment}"),
        }),
    }
}

fn phase_of<'a>(lifecycle: &'a Lifecycle, environment: &EnvironmentName) -> Option<&'a Phase> {
    let mut phases = lifecycle.phases.iter();
    phases.find(|phase| phase.environments.contains(environment))
}

/// A release that was blocked goes nowhere, also not back.
fn may_return(release: &StoredRelease) -> Result<(), EngineError> {
    let Some(block) = &release.standing.blocked else {
        return Ok(());
    };
    let on = WaitingOn::ReleaseBlocked {
        by: block.by.clone(),
        because: block.because.clone(),
        at: block.at,
    };
    let version = &release.release.version;
    Err(EngineError::NotReady {
        waiting_on: on.to_string(),
        hint: format!("`towline release unblock {version}`, or another one: towline rollback --to VERSION"),
    })
}

fn no_way_back(why: NoWayBack) -> EngineError {
    let message = why.to_string();
    match why {
        NoWayBack::NothingThere { environment } | NoWayBack::NothingBefore { environment, .. } => {
            EngineError::NotReady {
                waiting_on: format!("a release to go back to: {message}"),
                hint: format!("`towline status` shows what runs in {environment}"),
            }
        }
        NoWayBack::NeverThere { there, .. } => {
            let there: Vec<&str> = there.iter().map(ReleaseVersion::as_str).collect();
            let fault = Fault::of("version", message);
            EngineError::Invalid {
                faults: vec![match there.is_empty() {
                    true => fault,
                    false => fault.hint(format!("these were: {}", there.join(", "))),
                }],
            }
        }
        NoWayBack::ThereNow { environment, .. } => EngineError::Conflict {
            reason: "runs_already",
            message,
            hint: format!("`towline redeploy --environment {environment}` deploys it once more"),
        },
        NoWayBack::UnderWay { deployment, .. } => EngineError::Conflict {
            reason: "deployment_active",
            message,
            hint: format!("it is deployment {deployment}: watch it, or cancel it"),
        },
    }
}
