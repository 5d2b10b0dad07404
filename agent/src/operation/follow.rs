//! Following one service's rollout: every look at the service is told as events
//! and judged by [`towline_agent_domain::rollout::follow`]. What is expensive is
//! read only when something moved, or when the judge asks for it.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use towline_agent_domain::{
    observed::{ClusterRef, ObservedService, ServiceDeployment, StoppedTask, TargetHealth},
    outside::{Account, CallError},
    rollout::{
        diagnosis::ContainerLog,
        follow::{self, Evidence, OurDeployment, Phase, Progress, RolloutJudgement, RolloutView},
        targets::Targets,
    },
    verdict::Reason,
};
use towline_proto::agent::v1::{self as proto, Severity, operation_event::Event};

use super::{Ending, Handle, Interruption, Surroundings, evidence::DeadLogs};
use crate::wire;

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
    misses: u32,
    /// Events that the first look shows are of earlier rollouts.
    skips_the_past: bool,
    stopped: Vec<StoppedTask>,
    told_tasks: HashSet<String>,
    told_events: HashSet<String>,
    told_rollout: Option<proto::Rollout>,
    told_phase: Option<Phase>,
    last: Option<ObservedService>,
    logs: DeadLogs,
}

type Targeted = (Vec<String>, Vec<(String, Vec<TargetHealth>)>);

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
            misses: 0,
            skips_the_past: false,
            stopped: Vec::new(),
            told_tasks: HashSet::new(),
            told_events: HashSet::new(),
            told_rollout: None,
            told_phase: None,
            last: None,
            logs: DeadLogs::default(),
        }
    }

    /// Our deployment is known to be gone already: no need to wait for it to show.
    pub(super) fn presume_gone(&mut self) {
        self.misses = follow::MISSES_BEFORE_GONE;
    }

    /// Nothing was changed: what the service shows already is no news of this operation.
    pub(super) fn skip_the_past(&mut self) {
        self.skips_the_past = true;
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

    /// Reads the logs of dead containers that are not read yet. True: another
    /// look may find more.
    pub(super) async fn read_logs(&mut self) -> bool {
        let (surroundings, handle, region) = (self.surroundings, self.handle, &self.at.region);
        let revision = &self.ours.task_definition;
        self.logs
            .gather(surroundings, handle, revision, region, &self.stopped)
            .await
    }

    /// The service as it was last seen.
    pub(super) fn last(&self) -> Option<&ObservedService> {
        self.last.as_ref()
    }

    /// Looks again and again until there is a verdict or an interruption.
    pub(super) async fn run(&mut self) -> Result<Followed, Ending> {
        let mut service = self.read_service().await?;
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

    /// Tells what is new of the service, and judges nothing.
    pub(super) async fn note(&mut self, service: Option<ObservedService>) -> Result<(), Ending> {
        if let Some(service) = &service {
            self.notice_start(service);
            if self.tell(service) {
                self.read_stopped().await?;
            }
        }
        self.read_logs().await;
        self.last = service;
        Ok(())
    }

    /// Tells what is new of the service, and judges it.
    pub(super) async fn see(&mut self, service: Option<ObservedService>) -> Result<RolloutJudgement, Ending> {
        let shows_ours = follow::shows_ours(service.as_ref(), &self.ours);
        self.misses = if shows_ours {
            0
        } else {
            self.misses.saturating_add(1)
        };
        let mut moved = false;
        if let Some(service) = &service {
            self.notice_start(service);
            moved = self.tell(service);
        }
        if moved {
            self.read_stopped().await?;
        }
        self.read_logs().await;
        let judgement = self.judge(service.as_ref()).await?;
        self.last = service;
        self.tell_phase(&judgement);
        Ok(judgement)
    }

    async fn judge(&mut self, service: Option<&ObservedService>) -> Result<RolloutJudgement, Ending> {
        let mut records: Option<Vec<ServiceDeployment>> = None;
        let mut targets: Option<Targeted> = None;
        // Each kind of evidence is asked for at most once: three rounds see the end.
        for _ in 0..3 {
            let view = RolloutView {
                service,
                ours: &self.ours,
                misses: self.misses,
                service_deployments: records.as_deref(),
                stopped: &self.stopped,
                targets: match &targets {
                    Some((ours, groups)) => Targets::Read { ours, groups },
                    None => Targets::NotRead,
                },
            };
            match follow::judge(&view, self.surroundings.judge_options()) {
                RolloutJudgement::Needs(Evidence::ServiceDeployments) => {
                    records = Some(self.read_records().await?);
                }
                RolloutJudgement::Needs(Evidence::Targets) => {
                    targets = Some(self.read_targets(service).await?)
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

    pub(super) async fn read_service(&self) -> Result<Option<ObservedService>, Ending> {
        let what = format!("describe service {}", self.service);
        let aws = &self.surroundings.aws;
        self.handle
            .read(&what, || aws.service(self.at, self.service))
            .await
    }

    /// The service as the poller's next round sees it.
    pub(super) async fn read_next_service(&self) -> Result<Option<ObservedService>, Ending> {
        let what = format!("describe service {}", self.service);
        let aws = &self.surroundings.aws;
        self.handle
            .read(&what, || aws.next_service(self.at, self.service))
            .await
    }

    pub(super) async fn read_records(&mut self) -> Result<Vec<ServiceDeployment>, Ending> {
        let what = format!("list the deployments of service {}", self.service);
        let aws = &self.surroundings.aws;
        let records = self
            .handle
            .read(&what, || aws.service_deployments(self.at, self.service))
            .await?;
        let ours = records
            .iter()
            .find(|record| record.task_definition.as_ref() == Some(&self.ours.task_definition));
        if let Some(ours) = ours {
            self.since.get_or_insert(ours.created);
        }
        Ok(records)
    }

    async fn read_targets(&self, service: Option<&ObservedService>) -> Result<Targeted, Ending> {
        let aws = &self.surroundings.aws;
        let revision = &self.ours.task_definition;
        let what = format!("list the tasks of {revision}");
        let ours = self
            .handle
            .read(&what, || aws.running_target_ids(self.at, self.service, revision))
            .await?;
        let mut groups: Vec<(String, Vec<TargetHealth>)> = Vec::new();
        for link in service
            .map(|service| service.load_balancers.as_slice())
            .unwrap_or_default()
        {
            let group = &link.target_group;
            if group.is_empty() || groups.iter().any(|(known, _)| known == group) {
                continue;
            }
            let what = format!("read the health of the targets in {group}");
            let health = self
                .handle
                .read(&what, || aws.target_health(&self.at.region, group))
                .await?;
            groups.push((group.clone(), health));
        }
        Ok((ours, groups))
    }

    fn notice_start(&mut self, service: &ObservedService) {
        let ours = service
            .deployments
            .iter()
            .find(|d| follow::is_ours(d, &self.ours));
        if let Some(ours) = ours {
            self.since.get_or_insert(ours.created);
            // A stack's service has no known id before it is seen; from then on it is pinned.
            self.ours.id.get_or_insert_with(|| ours.id.clone());
        }
    }

    /// Tells what is new of the service; says whether anything was.
    pub(super) fn tell(&mut self, service: &ObservedService) -> bool {
        let rollout = wire::rollout(service, self.ours.id.as_deref());
        let mut moved = false;
        if self.told_rollout.as_ref() != Some(&rollout) {
            self.handle.emit(Event::Rollout(rollout.clone()));
            self.told_rollout = Some(rollout);
            moved = true;
        }
        let Some(since) = self.since else { return moved };
        if std::mem::take(&mut self.skips_the_past) {
            let past = service.events.iter().map(|event| event.id.clone());
            self.told_events.extend(past);
        }
        for event in service.events.iter().rev().filter(|event| event.at >= since) {
            if self.told_events.insert(event.id.clone()) {
                self.handle.emit(Event::ServiceEvent(wire::service_event(event)));
                moved = true;
            }
        }
        moved
    }

    fn tell_phase(&mut self, judgement: &RolloutJudgement) {
        let RolloutJudgement::InProgress(progress) = judgement else {
            return;
        };
        if self.told_phase.as_ref() == Some(&progress.phase) {
            return;
        }
        match &progress.phase {
            Phase::Targets { unhealthy } => self.handle.finding(
                Severity::Info,
                "waiting_for_targets",
                format!(
                    "all tasks run; the load balancer waits for {}",
                    unhealthy.join(", ")
                ),
                "",
            ),
            Phase::RollingBack => self.handle.finding(
                Severity::Warning,
                "rolling_back",
                format!("ECS puts back what ran before {}", self.ours.task_definition),
                "",
            ),
            Phase::NotSeenYet | Phase::Replacing => {}
        }
        self.told_phase = Some(progress.phase.clone());
    }

    /// Reads the stopped tasks of our revision, and tells each once.
    pub(super) async fn read_stopped(&mut self) -> Result<(), Ending> {
        let what = format!("list the stopped tasks of service {}", self.service);
        let aws = &self.surroundings.aws;
        let stopped = self
            .handle
            .read(&what, || async {
                match aws.stopped(self.at, self.service).await {
                    // A service that was taken back leaves none to ask for.
                    Err(CallError::Missing { .. }) => Ok(Vec::new()),
                    answer => answer,
                }
            })
            .await?;
        let revision = &self.ours.task_definition;
        let since = self.since;
        let ours = stopped.into_iter().filter(|task| {
            task.task_definition == *revision
                && since.is_none_or(|since| task.stopped.is_none_or(|stopped| stopped >= since))
        });
        let mut new: Vec<StoppedTask> = ours.filter(|task| !self.told_tasks.contains(&task.id)).collect();
        for task in new.iter().rev() {
            self.told_tasks.insert(task.id.clone());
            self.handle.emit(Event::TaskStopped(wire::stopped_task(task)));
        }
        new.append(&mut self.stopped);
        self.stopped = new;
        Ok(())
    }
}

fn unanswerable(evidence: Evidence) -> Ending {
    Ending::new(
        Reason::Unknown,
        format!("the rollout cannot be judged: {evidence:?} was read and did not decide it"),
    )
    .hint("look at the service's deployments in ECS, and report this")
}
