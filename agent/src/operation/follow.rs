//! Following one service's rollout: every look at the service is told as events
//! ([`tell`]) and judged by [`towline_agent_domain::rollout::follow`]. What is
//! expensive is read only when something died, or when the judge asks for it
//! ([`reads`]). Start with [`Follower::run`].

mod motion;
mod reads;
mod tell;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use towline_agent_domain::{
    observed::{ClusterRef, Deployment, ObservedService, ServiceDeployment, StoppedTask, TaskDefinitionArn},
    outside::Account,
    rollout::{
        diagnosis::ContainerLog,
        follow::{self, Evidence, OurDeployment, Progress, RolloutJudgement, RolloutView},
        pace,
        targets::Targets,
    },
    verdict::Reason,
};

use super::{Ending, Handle, Interruption, Surroundings, evidence::DeadLogs};
use motion::Motion;
use reads::Targeted;
use tell::Told;

/// How following came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    Succeeded { deployment_id: String },
    Ended { reason: Reason, summary: String },
    Interrupted { by: Interruption, at: Progress },
}

/// The eyes on one service during one operation.
pub(super) struct Follower<'a, A> {
    surroundings: &'a Surroundings<A>,
    handle: &'a Handle,
    at: &'a ClusterRef,
    service: &'a str,
    /// What of the service is this operation's.
    pub(super) ours: OurDeployment,
    /// AWS's time from which on what happens counts; known once our deployment was seen.
    since: Option<Timestamp>,
    /// What happened before this is no news, even where the deployment is older.
    since_floor: Option<Timestamp>,
    misses: u32,
    missing_since: Option<Instant>,
    presumed_gone: bool,
    /// What our tasks died of before the first look counts as well.
    looks_back: bool,
    /// An earlier incarnation of the agent worked on it.
    resumed: bool,
    /// When this incarnation began to work on it.
    began: Instant,
    /// The rollout completed with healthy targets; ECS watches over these now.
    trusts_targets: bool,
    stopped: Vec<StoppedTask>,
    motion: Motion,
    told: Told,
    last: Option<ObservedService>,
    logs: DeadLogs,
}

impl<'a, A: Account> Follower<'a, A> {
    pub(super) fn new(
        surroundings: &'a Surroundings<A>,
        handle: &'a Handle,
        at: &'a ClusterRef,
        service: &'a str,
        ours: OurDeployment,
    ) -> Self {
        Self {
            surroundings,
            handle,
            at,
            service,
            ours,
            since: None,
            since_floor: None,
            misses: 0,
            missing_since: None,
            presumed_gone: false,
            looks_back: false,
            resumed: false,
            began: handle.clock().instant(),
            trusts_targets: false,
            stopped: Vec::new(),
            motion: Motion::starting_at(handle.clock().instant()),
            told: Told::default(),
            last: None,
            logs: DeadLogs::default(),
        }
    }

    /// Our deployment is known to be gone already: no need to wait for it to show.
    pub(super) fn presume_gone(&mut self) {
        self.misses = follow::MISSES_BEFORE_GONE;
        self.presumed_gone = true;
    }

    /// Our deployment began before the first look, which will not show what happened since.
    pub(super) fn look_back(&mut self) {
        self.looks_back = true;
    }

    /// An earlier send of the operation may have written what does not show yet.
    pub(super) fn resume(&mut self) {
        self.resumed = true;
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Whether a write of an earlier incarnation may still land, if none does for so long.
    pub(super) fn may_land_yet(&self, within: Duration) -> bool {
        let worked = self.handle.clock().instant().duration_since(self.began);
        self.resumed && worked < within
    }

    /// Nothing was changed: what the service shows already is no news of this operation.
    pub(super) fn skip_the_past(&mut self) {
        self.told.skip_the_past();
    }

    /// From now on only a task that dies puts the targets in doubt.
    pub(super) fn trust_targets(&mut self) {
        self.trusts_targets = true;
    }

    /// AWS's time from which on what happens counts.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    pub(super) fn surroundings(&self) -> &'a Surroundings<A> {
        self.surroundings
    }

    pub(super) fn handle(&self) -> &'a Handle {
        self.handle
    }

    pub(super) fn at(&self) -> &'a ClusterRef {
        self.at
    }

    pub(super) fn service(&self) -> &'a str {
        self.service
    }

    /// The stopped tasks of our revision since the start, newest first.
    pub(super) fn stopped(&self) -> &[StoppedTask] {
        &self.stopped
    }

    /// The last lines of dead containers, as far as they were read.
    pub(super) fn logs(&self) -> &[ContainerLog] {
        self.logs.read()
    }

    /// The service as it was last seen.
    pub(super) fn last(&self) -> Option<&ObservedService> {
        self.last.as_ref()
    }

    /// Our deployment as it was last seen.
    pub(super) fn deployment(&self) -> Option<&Deployment> {
        let deployments = &self.last.as_ref()?.deployments;
        deployments.iter().find(|d| follow::is_ours(d, &self.ours))
    }

    /// Looks again and again until there is a verdict or an interruption.
    pub(super) async fn run(&mut self) -> Result<Followed, Ending> {
        let mut service = self.read_service().await?;
        // Who said stop before it was looked at is heeded, however far it has come since.
        if let Some(by @ Interruption::Cancel(_)) = self.handle.interruption() {
            self.note(service).await?;
            let at = Progress::NOT_SEEN;
            return Ok(Followed::Interrupted { by, at });
        }
        loop {
            let progress = match self.see(service).await? {
                RolloutJudgement::Succeeded { deployment_id } => {
                    return Ok(Followed::Succeeded { deployment_id });
                }
                RolloutJudgement::Ended { reason, summary } => {
                    return Ok(Followed::Ended { reason, summary });
                }
                RolloutJudgement::InProgress(progress) => progress,
                RolloutJudgement::Needs(evidence) => return Err(unanswerable(evidence)),
            };
            let handle = self.handle;
            service = match handle.unless_interrupted(self.read_next_service()).await {
                Ok(service) => service?,
                Err(by) => return Ok(Followed::Interrupted { by, at: progress }),
            };
        }
    }

    /// One look at the service now: told, and judged.
    pub(super) async fn look(&mut self) -> Result<RolloutJudgement, Ending> {
        let service = self.read_service().await?;
        self.see(service).await
    }

    /// The service as the poller's next round sees it. `None`: an interruption, or the
    /// end of `patience`, came before it.
    pub(super) async fn next_within(
        &self,
        patience: Duration,
    ) -> Result<Option<Option<ObservedService>>, Ending> {
        let (handle, clock) = (self.handle, self.handle.clock());
        tokio::select! {
            seen = handle.unless_interrupted(self.read_next_service()) => seen.ok().transpose(),
            () = clock.sleep(patience) => Ok(None),
        }
    }

    /// The next look where nothing is in a hurry, after `patience` at the latest.
    /// `None`: an interruption came before it.
    pub(super) async fn look_unhurried(
        &mut self,
        patience: Duration,
    ) -> Result<Option<RolloutJudgement>, Ending> {
        let (handle, clock) = (self.handle, self.handle.clock());
        let next = async {
            tokio::select! {
                service = self.read_unhurried() => service,
                () = clock.sleep(patience) => self.read_service().await,
            }
        };
        match handle.unless_interrupted(next).await {
            Ok(service) => self.see(service?).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Eyes on another deployment of the same service, to which what was told already is no news.
    pub(super) fn turned_to(&self, ours: OurDeployment) -> Self {
        let mut turned = Self::new(self.surroundings, self.handle, self.at, self.service, ours);
        turned.since_floor = self.since;
        turned.told = self.told.known();
        turned
    }

    /// What a deployment of the service runs.
    pub(super) fn running_revision(&self, deployment_id: &str) -> TaskDefinitionArn {
        let seen = self.last.as_ref().and_then(|service| {
            let deployment = service.deployments.iter().find(|d| d.id == deployment_id)?;
            Some(deployment.task_definition.clone())
        });
        seen.unwrap_or_else(|| self.ours.task_definition.clone())
    }

    /// Tells what is new of the service, and judges nothing.
    pub(super) async fn note(&mut self, service: Option<ObservedService>) -> Result<(), Ending> {
        if let Some(service) = &service {
            self.take_in(service).await?;
        }
        self.last = service;
        Ok(())
    }

    /// Tells what is new of the service, and judges it.
    pub(super) async fn see(&mut self, service: Option<ObservedService>) -> Result<RolloutJudgement, Ending> {
        let shows_ours = follow::shows_ours(service.as_ref(), &self.ours);
        self.count_miss(shows_ours);
        if let Some(service) = &service {
            self.take_in(service).await?;
        }
        let judgement = self.judge(service.as_ref()).await?;
        self.last = service;
        self.tell_phase(&judgement);
        Ok(judgement)
    }

    /// Something is gone when it is missing often enough, and for as long as AWS may
    /// show what was before a write.
    fn count_miss(&mut self, shows_ours: bool) {
        if shows_ours {
            (self.misses, self.missing_since) = (0, None);
            return;
        }
        let now = self.handle.clock().instant();
        let missing = now.duration_since(*self.missing_since.get_or_insert(now));
        let next = self.misses.saturating_add(1);
        let may_lag = !self.presumed_gone && missing < self.surroundings.timing.settle;
        self.misses = match may_lag {
            true => next.min(follow::MISSES_BEFORE_GONE - 1),
            false => next,
        };
    }

    /// What one look shows: its start, its news, and what died.
    async fn take_in(&mut self, service: &ObservedService) -> Result<(), Ending> {
        self.notice_start(service);
        let now = self.handle.clock().instant();
        self.motion.see(service, now);
        let died = pace::shows_failures(self.last.as_ref(), service);
        if died || std::mem::take(&mut self.looks_back) {
            self.read_stopped().await?;
        }
        let targets = match self.targets_are_due(service) {
            true => Some(self.read_targets(Some(service)).await?),
            false => None,
        };
        self.tell(service, targets.as_ref());
        self.read_logs().await;
        self.tell_outlook(service);
        Ok(())
    }

    async fn judge(&mut self, service: Option<&ObservedService>) -> Result<RolloutJudgement, Ending> {
        let mut records: Option<Vec<ServiceDeployment>> = None;
        let mut targets: Option<Targeted> = None;
        let now = self.handle.clock().instant();
        let timing = self.surroundings.timing;
        // Each kind of evidence is asked for at most once: three rounds see the end.
        for _ in 0..3 {
            let view = RolloutView {
                service,
                ours: &self.ours,
                misses: self.misses,
                service_deployments: records.as_deref(),
                stopped: &self.stopped,
                logs: self.logs.read(),
                targets: match &targets {
                    Some((ours, groups)) => Targets::Read { ours, groups },
                    None if self.trusts_targets => Targets::Trusted,
                    None => Targets::NotRead,
                },
                stillness: self.motion.stillness(now, timing.stuck),
                calm: self.motion.is_calm(now, timing.settle),
            };
            match follow::judge(&view, self.surroundings.judge_options()) {
                RolloutJudgement::Needs(Evidence::ServiceDeployments) => {
                    records = Some(self.read_records().await?);
                }
                RolloutJudgement::Needs(Evidence::Targets) => {
                    let read = self.read_targets(service).await?;
                    self.tell_targets(service, &read);
                    targets = Some(read);
                }
                RolloutJudgement::Ended { reason, summary } => {
                    // Why it failed is in the stopped tasks, the late ones included.
                    self.read_stopped().await?;
                    return Ok(RolloutJudgement::Ended { reason, summary });
                }
                judged => return Ok(judged),
            }
        }
        Err(unanswerable(Evidence::ServiceDeployments))
    }

    fn notice_start(&mut self, service: &ObservedService) {
        let ours = service
            .deployments
            .iter()
            .find(|d| follow::is_ours(d, &self.ours));
        if let Some(ours) = ours {
            let start = self
                .since_floor
                .map_or(ours.created, |floor| floor.max(ours.created));
            self.since.get_or_insert(start);
            // A stack's service has no known id before it is seen; from then on it is pinned.
            self.ours.id.get_or_insert_with(|| ours.id.clone());
        }
    }
}

fn unanswerable(evidence: Evidence) -> Ending {
    Ending::new(
        Reason::Unknown,
        format!("the rollout cannot be judged: {evidence:?} was read and did not decide it"),
    )
    .hint("look at the service's deployments in ECS, and report this")
}
