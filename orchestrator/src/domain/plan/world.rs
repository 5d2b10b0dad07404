//! A small world around the planner: agents that answer, go and come back, a
//! process that restarts, people who promote, approve and cancel, a clock that
//! jumps. Whatever is done to it, it checks the promises with every event.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Connectivity, Decision, ReleaseTrack, Snapshot, decide, settled, world_checks::check_order};
use crate::domain::{
    approval::OperationPlan,
    deployment::{
        Author, CancelMode, Deployment, DeploymentState, Event, EventKind, IllegalTransition, Manner,
        Operation, Outcome, Verdict,
    },
    lifecycle::{NextStop, NoPromotion, Standing},
    name::{DeploymentId, EnvironmentName, OperationId, PlanHash},
    operation,
    project::{self, Lifecycle, Project},
    release::{Release, choose_images},
};

pub const SHOP: &str = include_str!("../../../../examples/shop/towline.yaml");

fn outcome(verdict: Verdict, reason: &str) -> Outcome {
    Outcome {
        verdict,
        reason: reason.to_owned(),
        summary: String::new(),
        hint: String::new(),
        diagnosis: Vec::new(),
        outputs: BTreeMap::new(),
    }
}

/// Everything that the engine would keep, and the agents.
pub struct World {
    pub project: Project,
    pub releases: Vec<Release>,
    pub snapshot: Snapshot,
    pub(super) logs: BTreeMap<DeploymentId, Vec<Event>>,
    /// What every operation would send.
    pub(super) planned: BTreeMap<OperationId, operation::PlannedOperation>,
    pub now: Timestamp,
    /// What agents plan: another number, another plan.
    pub plans: u32,
}

impl World {
    pub fn new(versions: &[&str]) -> Self {
        let project = project::parse(SHOP, "towline.yaml").unwrap();
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut world = Self {
            project,
            releases: Vec::new(),
            snapshot: Snapshot::default(),
            logs: BTreeMap::new(),
            planned: BTreeMap::new(),
            now,
            plans: 1,
        };
        for agent in ["dev", "staging", "prod"] {
            world
                .snapshot
                .agents
                .insert(agent.parse().unwrap(), Connectivity::Connected { since: now });
        }
        versions.iter().for_each(|version| world.release(version));
        world
    }

    pub fn lifecycle(&self) -> Lifecycle {
        self.project.lifecycles["standard"].clone()
    }

    pub fn release(&mut self, version: &str) {
        let chosen = [
            ("web".to_owned(), version.to_owned()),
            ("orders".to_owned(), version.to_owned()),
        ];
        let channel = "stable".parse().unwrap();
        let images = choose_images(&self.project, &channel, &chosen).unwrap();
        self.releases.push(Release {
            project: self.project.name.clone(),
            version: version.parse().unwrap(),
            channel,
            images,
            project_version: 1,
            notes: String::new(),
            build_url: String::new(),
            commit: String::new(),
            created: self.now,
            created_by: "ann".to_owned(),
        });
        let track = ReleaseTrack {
            version: version.parse().unwrap(),
            lifecycle: self.lifecycle(),
            standing: Standing::default(),
        };
        self.snapshot.releases.push(track);
    }

    pub fn create(&mut self, release: usize, stop: &NextStop, by: Author) -> DeploymentId {
        let release = &self.releases[release];
        let id = DeploymentId(Uuid::from_u128(self.logs.len() as u128 + 1));
        let planned = operation::plan(
            &self.project,
            release,
            &stop.environment,
            id,
            &operation::Terms::default(),
        )
        .unwrap();
        let created = EventKind::DeploymentCreated {
            project: release.project.clone(),
            release: release.version.clone(),
            environment: stop.environment.clone(),
            phase: stop.phase.clone(),
            by,
            time_limit: self.project.environments[&stop.environment].deadline,
            approval_rule: stop.approvals.clone(),
            force: false,
            manner: Manner {
                failures: self.project.environments[&stop.environment].failures.clone(),
                ..Manner::default()
            },
            authors: Some(vec![release.created_by.clone()]),
            operations: planned.iter().map(operation::PlannedOperation::slot).collect(),
        }
        .at(self.now);
        self.check_turn(&release.version.clone(), stop);
        self.snapshot
            .deployments
            .push(Deployment::create(id, &created).unwrap());
        self.logs.insert(id, vec![created]);
        self.planned.extend(planned.into_iter().map(|it| (it.id, it)));
        id
    }

    /// Never a phase before its turn.
    pub fn check_turn(&self, release: &crate::domain::name::ReleaseVersion, stop: &NextStop) {
        let lifecycle = self.lifecycle();
        let index = lifecycle
            .phases
            .iter()
            .position(|phase| phase.name == stop.phase)
            .unwrap();
        let Some(before) = index.checked_sub(1) else {
            return;
        };
        for environment in &lifecycle.phases[before].environments {
            let mut of = self.snapshot.deployments.iter().rev();
            let newest = of.find(|it| it.release == *release && it.environment == *environment);
            assert_eq!(
                newest.map(|it| it.state),
                Some(DeploymentState::Succeeded),
                "{environment} before {}",
                stop.phase
            );
        }
    }

    pub fn record(&mut self, id: DeploymentId, event: Event) -> Result<(), IllegalTransition> {
        let stored = self
            .snapshot
            .deployments
            .iter_mut()
            .find(|it| it.id == id)
            .unwrap();
        let next = stored.apply(&event)?;
        if stored.state.is_terminal() {
            assert_eq!(next.state, stored.state, "terminal stays terminal");
        }
        if next.state == DeploymentState::Running && stored.state != DeploymentState::Running {
            let given = u32::try_from(next.approvals.len()).unwrap();
            assert!(
                given >= next.approval_rule.as_ref().map_or(0, |rule| rule.count),
                "never without its approvals"
            );
            if next.is_bound() {
                let plan = next.plan.as_ref().expect("never without its plan");
                let seen =
                    |it: &crate::domain::deployment::Approval| it.plan_hash.as_ref() == Some(&plan.hash);
                assert!(
                    next.approvals.iter().all(seen),
                    "never another plan than was approved"
                );
                assert!(plan.is_fresh(self.now), "never without a second look");
            }
        }
        if let EventKind::OperationIntended { operation, .. } = &event.kind {
            check_order(stored, *operation);
            let slot = &stored.operation(*operation).unwrap().slot;
            assert!(
                !stored.is_bound() || slot.plan.is_some() || slot.is_roll_back(),
                "never without its plan's hash"
            );
        }
        *stored = next;
        self.logs.get_mut(&id).unwrap().push(event);
        for environment in self.project.environments.keys() {
            let running = |it: &&Deployment| it.environment == *environment && it.state.is_under_way();
            assert!(
                self.snapshot.deployments.iter().filter(running).count() <= 1,
                "two deployments in {environment}"
            );
        }
        Ok(())
    }

    /// Decides until nothing more is recorded; acts as an engine would.
    pub fn settle(&mut self) -> Vec<Decision> {
        for _ in 0..200 {
            let decisions = decide(&self.snapshot, self.now);
            assert_eq!(decisions, decide(&self.snapshot, self.now), "deterministic");
            if !self.carry_out(&decisions) {
                return decisions;
            }
        }
        panic!("the planner does not come to rest");
    }

    pub fn carry_out(&mut self, decisions: &[Decision]) -> bool {
        let mut changed = false;
        for decision in decisions {
            for (id, event) in decision.events(self.now) {
                self.record(id, event).expect("a decision is legal");
                changed = true;
            }
            match decision {
                Decision::CreateNextDeployment { release, stop } => {
                    let index = self
                        .releases
                        .iter()
                        .position(|it| it.version == *release)
                        .unwrap();
                    self.create(index, stop, Author::Lifecycle);
                    changed = true;
                }
                Decision::BeginRollBack { deployment, deadline } => {
                    self.begin_roll_back(*deployment, *deadline);
                    changed = true;
                }
                Decision::MakePlan { deployment } => {
                    self.plan(*deployment);
                    changed = true;
                }
                Decision::Dispatch {
                    deployment,
                    operation,
                } => {
                    let intended = EventKind::OperationIntended {
                        operation: *operation,
                        expected: None,
                    };
                    self.record(*deployment, intended.at(self.now))
                        .expect("a dispatch is legal");
                    self.snapshot.attached.insert(*operation);
                    changed = true;
                }
                Decision::Reattach {
                    deployment,
                    operation,
                } => {
                    let again = EventKind::OperationReattached {
                        operation: *operation,
                    };
                    self.record(*deployment, again.at(self.now))
                        .expect("a re-attachment is legal");
                    self.snapshot.attached.insert(*operation);
                    changed = true;
                }
                Decision::RequestCancel {
                    deployment,
                    operation,
                    ..
                } => {
                    let confirmed = EventKind::CancelConfirmed {
                        operation: *operation,
                    };
                    self.record(*deployment, confirmed.at(self.now))
                        .expect("a confirmation is legal");
                    changed = true;
                }
                Decision::LearnTruth {
                    deployment,
                    operation,
                } => {
                    let truth = EventKind::LateTruth {
                        operation: *operation,
                        outcome: outcome(Verdict::Succeeded, "completed"),
                    };
                    self.record(*deployment, truth.at(self.now))
                        .expect("a late truth is legal");
                    changed = true;
                }
                _ => {}
            }
        }
        changed
    }

    /// The agents say what a deployment would do, as things are now.
    pub fn plan(&mut self, id: DeploymentId) {
        let known = self.snapshot.deployments.iter().find(|it| it.id == id).unwrap();
        let hash: PlanHash = format!("p{}", self.plans).parse().unwrap();
        let events = if known.plan.as_ref().is_some_and(|plan| plan.hash == hash) {
            vec![EventKind::PlanConfirmed { hash }]
        } else {
            let voided = known.approvals.iter().map(|approval| EventKind::ApprovalVoided {
                operator: approval.operator.clone(),
                why: "it has changed".to_owned(),
            });
            let operations = known.operations.iter().map(|it| OperationPlan {
                operation: it.slot.id,
                hash: hash.clone(),
                summary: String::new(),
                findings: Vec::new(),
            });
            let planned = EventKind::DeploymentPlanned {
                hash: hash.clone(),
                operations: operations.collect(),
            };
            voided.chain([planned]).collect()
        };
        for kind in events {
            self.record(id, kind.at(self.now)).expect("a plan is legal");
        }
    }

    pub fn open_operations(&self) -> Vec<(DeploymentId, OperationId)> {
        let attached = |it: &&Operation| self.snapshot.attached.contains(&it.slot.id) && it.state.is_out();
        let deployments = self.snapshot.deployments.iter();
        deployments
            .flat_map(|d| d.operations.iter().filter(attached).map(|it| (d.id, it.slot.id)))
            .collect()
    }

    pub fn answer(&mut self, id: DeploymentId, operation: OperationId, verdict: Verdict) {
        let finished = EventKind::OperationFinished {
            operation,
            outcome: outcome(verdict, "told"),
        };
        self.record(id, finished.at(self.now))
            .expect("an answer is legal");
        self.snapshot.attached.remove(&operation);
    }

    pub fn agent(&mut self, name: &str, up: bool) {
        let since = self.now;
        let state = match up {
            true => Connectivity::Connected { since },
            false => Connectivity::Offline {
                since,
                reason: "link closed".to_owned(),
            },
        };
        self.snapshot.agents.insert(name.parse().unwrap(), state);
        if !up {
            let deployments = self.snapshot.deployments.iter().flat_map(|it| &it.operations);
            let lost: Vec<_> = deployments
                .filter(|it| it.slot.agent.as_str() == name)
                .map(|it| it.slot.id)
                .collect();
            lost.iter().for_each(|id| {
                self.snapshot.attached.remove(id);
            });
        }
    }

    pub fn promote(
        &mut self,
        release: usize,
        environment: Option<&str>,
    ) -> Result<DeploymentId, NoPromotion> {
        let version = self.releases[release].version.clone();
        let environment: Option<EnvironmentName> = environment.map(|name| name.parse().unwrap());
        let of: Vec<&Deployment> = self
            .snapshot
            .deployments
            .iter()
            .filter(|it| it.release == version)
            .collect();
        let track = self.track(release);
        let stop = track.journey(&of, self.now).promote(environment.as_ref())?;
        Ok(self.create(release, &stop, Author::Operator("ann".to_owned())))
    }

    pub fn approve(&mut self, id: DeploymentId, who: &str) -> Result<(), IllegalTransition> {
        let known = self.snapshot.deployments.iter().find(|it| it.id == id).unwrap();
        let approved = EventKind::Approved {
            operator: who.to_owned(),
            note: String::new(),
            plan_hash: known.plan.as_ref().map(|plan| plan.hash.clone()),
        };
        self.record(id, approved.at(self.now))
    }

    pub fn cancel(&mut self, id: DeploymentId) -> Result<(), IllegalTransition> {
        let (operator, note) = ("ann".to_owned(), String::new());
        self.record(
            id,
            EventKind::CancelRequested {
                operator,
                note,
                mode: CancelMode::RollBack,
            }
            .at(self.now),
        )
    }

    pub fn state(&self, id: DeploymentId) -> DeploymentState {
        self.snapshot
            .deployments
            .iter()
            .find(|it| it.id == id)
            .unwrap()
            .state
    }

    pub fn newest(&self, environment: &str) -> &Deployment {
        self.snapshot
            .deployments
            .iter()
            .rev()
            .find(|it| it.environment.as_str() == environment)
            .unwrap()
    }

    /// Answers all that is out, and what follows, with one verdict.
    pub fn run(&mut self, verdict: Verdict) -> Vec<Decision> {
        for _ in 0..50 {
            let decisions = self.settle();
            let open = self.open_operations();
            if open.is_empty() {
                return decisions;
            }
            open.into_iter()
                .for_each(|(id, operation)| self.answer(id, operation, verdict));
        }
        panic!("it never ends");
    }

    pub fn pass(&mut self, time: SignedDuration) {
        self.now = self.now.checked_add(time).unwrap();
    }

    pub fn settled(&self, release: usize) -> Option<super::Settled> {
        let version = &self.releases[release].version;
        let of: Vec<&Deployment> = self
            .snapshot
            .deployments
            .iter()
            .filter(|it| it.release == *version)
            .collect();
        settled(self.track(release), &of, self.now)
    }

    pub fn track(&self, release: usize) -> &ReleaseTrack {
        let version = &self.releases[release].version;
        let mut tracks = self.snapshot.releases.iter();
        tracks.find(|it| it.version == *version).unwrap()
    }

    pub fn log(&self, id: DeploymentId) -> &[Event] {
        &self.logs[&id]
    }
}
