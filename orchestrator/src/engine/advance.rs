//! Load, decide, record: what is stored of a project is carried as far as it
//! goes without anybody else, inside one transaction; what then has to be asked
//! of agents comes back and is acted on after the commit.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Engine, EngineError, bent};
use crate::{
    domain::{
        deployment::{Author, Deployment, EventKind, Manner},
        lifecycle::NextStop,
        name::{AgentName, DeploymentId, OperationId, ReleaseVersion},
        operation::{self, Terms},
        plan::{self, Decision, ReleaseTrack, Snapshot, Subject, Waiting},
        project::{Lifecycle, Project},
        release::Release,
    },
    store::{
        CommitPoint, StoredDeployment, StoredRelease, WriteTx,
        deployments::{deployments_of, open_deployments},
        project_version,
        releases::{moving_releases, release},
    },
};

/// More rounds than any project needs: something decides the same for ever.
const TOO_MANY_ROUNDS: usize = 10_000;

/// What is known of a project, with its places in the store.
pub(super) struct Known {
    pub snapshot: Snapshot,
    releases: Vec<StoredRelease>,
}

/// How far a project came.
pub(super) struct Advanced {
    pub project: String,
    /// Something was recorded: the transaction has to be committed.
    pub recorded: bool,
    /// What agents have to be asked.
    acts: Vec<Decision>,
    /// The agents of the operations that begin.
    agents: BTreeMap<OperationId, AgentName>,
    /// What waits for its turn, since limits leave no room.
    waiting: Vec<Waiting>,
    /// When to decide again at the latest.
    until: Option<Timestamp>,
}

impl Engine {
    /// Carries a project as far as it goes. Nothing is true before the commit.
    pub(super) async fn advance(&self, tx: &mut WriteTx, project: &str) -> Result<Advanced, EngineError> {
        let (mut recorded, mut ended) = (false, false);
        for _ in 0..TOO_MANY_ROUNDS {
            let now = self.now();
            let known = self.known(tx.connection(), project, None).await?;
            let decisions = bent::decide(&known.snapshot, now);
            if self.record_decisions(tx, &known, &decisions, now).await? {
                recorded = true;
                ended |= decisions
                    .iter()
                    .any(|decision| matches!(decision, Decision::FinishDeployment { .. }));
                continue;
            }
            rest(tx, &known, &decisions).await?;
            if ended {
                self.sort_out_releases(tx, project, false).await?;
            }
            return Ok(Advanced {
                project: project.to_owned(),
                recorded,
                until: next_look(&known.snapshot, &decisions, now),
                waiting: plan::waiting(&known.snapshot, &decisions),
                agents: known.agents_of(&decisions),
                acts: decisions,
            });
        }
        Err(anyhow::anyhow!("project {project} does not come to rest: this is a fault of towline").into())
    }

    /// One round of the run loop for one project.
    pub(super) async fn pass(&self, project: &str) -> Result<(), EngineError> {
        let mut tx = self.0.store.begin().await?;
        let advanced = self.advance(&mut tx, project).await?;
        if advanced.recorded {
            self.0.store.commit(tx, CommitPoint::DecisionsRecorded).await?;
        } else {
            drop(tx);
        }
        self.act(advanced);
        Ok(())
    }

    /// Commits with all that follows from it by itself, then acts.
    pub(super) async fn commit_and_act(
        &self,
        mut tx: WriteTx,
        project: &str,
        point: CommitPoint,
    ) -> Result<(), EngineError> {
        // When the caller is dropped during the commit, the run loop acts.
        let mut unseen = Unseen {
            engine: self,
            project,
            acted: false,
        };
        let advanced = self.advance(&mut tx, project).await?;
        self.0.store.commit(tx, point).await?;
        self.act(advanced);
        unseen.acted = true;
        Ok(())
    }

    fn act(&self, advanced: Advanced) {
        let Advanced {
            project,
            acts,
            until,
            mut agents,
            waiting,
            ..
        } = advanced;
        self.set_timer(&project, until);
        for act in acts {
            match act {
                Decision::Dispatch { operation, .. } => {
                    if let Some(agent) = agents.remove(&operation) {
                        self.take_turn(operation, agent);
                    }
                    self.operate(&project, operation, super::Approach::First)
                }
                Decision::Reattach { operation, .. } => {
                    self.operate(&project, operation, super::Approach::Again)
                }
                Decision::LearnTruth { operation, .. } => {
                    self.operate(&project, operation, super::Approach::Learn)
                }
                Decision::RequestCancel { operation, mode, .. } => {
                    self.request_cancel(&project, operation, mode)
                }
                Decision::MakePlan { deployment } => self.make_plan(&project, deployment),
                // Recorded before, or nothing to do.
                Decision::CreateNextDeployment { .. }
                | Decision::RequestPlan { .. }
                | Decision::AwaitApproval { .. }
                | Decision::GiveUpStart { .. }
                | Decision::StartDeployment { .. }
                | Decision::ExpireOperation { .. }
                | Decision::SkipRemaining { .. }
                | Decision::AskForIntervention { .. }
                | Decision::ExpireIntervention { .. }
                | Decision::Resume { .. }
                | Decision::BeginRollBack { .. }
                | Decision::FinishDeployment { .. }
                | Decision::Wait { .. } => {}
            }
        }
        self.note_waiting(&project, waiting);
    }

    /// True when something was recorded.
    async fn record_decisions(
        &self,
        tx: &mut WriteTx,
        known: &Known,
        decisions: &[Decision],
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        let mut recorded = false;
        for decision in decisions {
            if let Decision::CreateNextDeployment { release, stop } = decision {
                let release = known
                    .release(release)
                    .with_context(|| format!("decided about release {release}, which was not asked about"))?;
                self.create_deployment(tx, release, stop, Author::Lifecycle, &Terms::default())
                    .await?;
                recorded = true;
            }
            if let Decision::BeginRollBack { deployment, deadline } = decision {
                self.begin_roll_back(tx, *deployment, *deadline).await?;
                recorded = true;
            }
            if let Decision::ExpireOperation { operation, .. } = decision {
                self.offer_room(&known.agent_of(*operation).into_iter().collect());
            }
            for (deployment, event) in decision.events(now) {
                tx.record(deployment, &[event]).await?;
                recorded = true;
            }
        }
        Ok(recorded)
    }

    /// Creates a deployment with all its operations filled in.
    pub(super) async fn create_deployment(
        &self,
        tx: &mut WriteTx,
        release: &StoredRelease,
        stop: &NextStop,
        by: Author,
        terms: &Terms,
    ) -> Result<StoredDeployment, EngineError> {
        let number = release.number;
        let release = &release.release;
        let project = self.project_of(tx.connection(), release).await?;
        let id = DeploymentId(self.0.seams.random.uuid());
        let planned = operation::plan(&project, release, &stop.environment, id, terms)
            .map_err(|faults| cannot_plan(release, stop, &faults))?;
        let (planned, stop) = (bent::planned(planned), &bent::stop(stop));
        let at = Site {
            release,
            stop,
            number,
            id,
        };
        self.store_deployment(tx, &at, &project, (by, terms), &planned)
            .await
    }

    /// Stores a new deployment with the operations that it consists of.
    pub(super) async fn store_deployment(
        &self,
        tx: &mut WriteTx,
        at: &Site<'_>,
        project: &Project,
        (by, terms): (Author, &Terms),
        planned: &[operation::PlannedOperation],
    ) -> Result<StoredDeployment, EngineError> {
        let Site {
            release,
            stop,
            number,
            id,
        } = *at;
        let environment = project.environments.get(&stop.environment);
        let environment = environment.with_context(|| format!("no environment {}", stop.environment))?;
        let own_limit = environment.deadline;
        let mut authors = vec![release.created_by.clone()];
        if let Author::Operator(name) = &by
            && !authors.contains(name)
        {
            authors.push(name.clone());
        }
        let created = EventKind::DeploymentCreated {
            authors: Some(authors),
            project: release.project.clone(),
            release: release.version.clone(),
            environment: stop.environment.clone(),
            phase: stop.phase.clone(),
            by,
            time_limit: bent::time_limit(self.0.longest.map_or(own_limit, |longest| own_limit.min(longest))),
            approval_rule: stop.approvals.clone(),
            force: terms.force,
            manner: Manner {
                origin: terms.origin.clone(),
                note: terms.note.clone(),
                failures: environment.failures.clone(),
            },
            operations: planned.iter().map(operation::PlannedOperation::slot).collect(),
        };
        Ok(tx
            .create_deployment(number, id, &created.at(self.now()), planned)
            .await?)
    }

    /// What is known of a project. A release at rest is added when it is named.
    pub(super) async fn known(
        &self,
        connection: &mut SqliteConnection,
        project: &str,
        also: Option<&str>,
    ) -> Result<Known, EngineError> {
        let mut releases = moving_releases(connection, project).await?;
        if let Some(version) = also
            && !releases
                .iter()
                .any(|known| known.release.version.as_str() == version)
        {
            releases.extend(release(connection, project, version).await?);
            releases.sort_by_key(|release| release.number);
        }
        let mut deployments = open_deployments(connection, project).await?;
        let mut tracks = Vec::with_capacity(releases.len());
        for release in &releases {
            deployments.extend(deployments_of(connection, release.number).await?);
            tracks.push(ReleaseTrack {
                version: release.release.version.clone(),
                lifecycle: self.lifecycle_of(connection, &release.release).await?,
                standing: release.standing.clone(),
            });
        }
        let freezes = match project.parse() {
            Ok(project) => self.freezes_of(connection, &project).await?,
            Err(_) => Vec::new(),
        };
        deployments.sort_by_key(|deployment| deployment.number);
        deployments.dedup_by_key(|deployment| deployment.number);
        Ok(Known {
            snapshot: Snapshot {
                releases: tracks,
                deployments: deployments.into_iter().map(|stored| stored.deployment).collect(),
                agents: self.0.fleet.connectivity(),
                attached: self.attached(),
                planning: self.planning(),
                freezes,
                load: self.load(connection, project).await?,
                replicas: self.missing_replicas(),
            },
            releases,
        })
    }

    /// The definition that a release snapshotted.
    pub(super) async fn project_of(
        &self,
        connection: &mut SqliteConnection,
        release: &Release,
    ) -> Result<Arc<Project>, EngineError> {
        let key = (release.project.to_string(), release.project_version);
        if let Some(project) = super::lock(&self.0.projects).get(&key) {
            return Ok(project.clone());
        }
        let version = project_version(connection, &key.0, key.1)
            .await?
            .with_context(|| format!("version {} of project {} is gone", key.1, key.0))?;
        let project = Arc::new(version.parsed);
        super::lock(&self.0.projects).insert(key, project.clone());
        Ok(project)
    }

    pub(super) async fn lifecycle_of(
        &self,
        connection: &mut SqliteConnection,
        release: &Release,
    ) -> Result<Lifecycle, EngineError> {
        let project = self.project_of(connection, release).await?;
        let lifecycle = project
            .channels
            .get(&release.channel)
            .and_then(|channel| project.lifecycles.get(&channel.lifecycle));
        Ok(lifecycle.cloned().with_context(|| {
            format!(
                "channel {} of project {} is gone",
                release.channel, release.project
            )
        })?)
    }
}

/// What is deployed where, under which id.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub release: &'a Release,
    /// The release's.
    pub number: i64,
    pub stop: &'a NextStop,
    pub id: DeploymentId,
}

/// A commit that nobody has acted on.
struct Unseen<'a> {
    engine: &'a Engine,
    project: &'a str,
    acted: bool,
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        if !self.acted {
            self.engine.wake(self.project);
        }
    }
}

impl Known {
    pub fn release(&self, version: &ReleaseVersion) -> Option<&StoredRelease> {
        self.releases
            .iter()
            .find(|known| known.release.version == *version)
    }

    fn agent_of(&self, id: OperationId) -> Option<AgentName> {
        let mut deployments = self.snapshot.deployments.iter();
        deployments.find_map(|it| Some(it.operation(id)?.slot.agent.clone()))
    }

    /// The agents of the operations that begin.
    fn agents_of(&self, decisions: &[Decision]) -> BTreeMap<OperationId, AgentName> {
        let begin = decisions.iter().filter_map(|decision| match decision {
            Decision::Dispatch { operation, .. } => Some(*operation),
            _ => None,
        });
        begin.filter_map(|id| Some((id, self.agent_of(id)?))).collect()
    }

    fn deployments_of(&self, version: &ReleaseVersion) -> impl Iterator<Item = &Deployment> {
        self.snapshot
            .deployments
            .iter()
            .filter(move |deployment| deployment.release == *version)
    }
}

/// Releases of which nothing more comes by itself need no look before the next command.
async fn rest(tx: &mut WriteTx, known: &Known, decisions: &[Decision]) -> Result<(), EngineError> {
    for release in &known.releases {
        let version = &release.release.version;
        let moves = known.deployments_of(version).any(|d| !d.state.is_terminal());
        let later = decisions.iter().any(|decision| {
            matches!(decision, Decision::Wait { subject: Subject::Release(waits), until: Some(_), .. } if waits == version)
        });
        if !moves && !later {
            tx.set_at_rest(release.number, true).await?;
        }
    }
    Ok(())
}

/// The next moment at which time alone changes what is decided.
fn next_look(snapshot: &Snapshot, decisions: &[Decision], now: Timestamp) -> Option<Timestamp> {
    let waits = decisions.iter().filter_map(|decision| match decision {
        Decision::Wait { until, .. } => *until,
        _ => None,
    });
    waits
        .chain(plan::next_wake(snapshot, now))
        .filter(|at| *at > now)
        .min()
}

fn cannot_plan(release: &Release, stop: &NextStop, faults: &[operation::PlanFault]) -> EngineError {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(
        "release {} cannot be planned for environment {}: {}",
        release.version,
        stop.environment,
        faults.join("; ")
    )
    .into()
}
