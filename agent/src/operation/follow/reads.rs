//! What following reads beside the service itself.

use std::time::Duration;

use towline_agent_domain::{
    observed::{
        ObservedService, RolloutState, ServiceDeployment, ServiceDeploymentStatus, StoppedTask, TargetHealth,
    },
    outside::{Account, CallError},
    rollout::{crash_loop, follow, pace::Outlook},
};
use towline_proto::agent::v1::operation_event::Event;

use super::{super::Ending, Follower};
use crate::wire;

/// Our tasks' targets, and the health in each linked target group.
pub(super) type Targeted = (Vec<String>, Vec<(String, Vec<TargetHealth>)>);

/// While all tasks run and ECS does not call the rollout complete, their targets are
/// read every so many usual intervals: for people to see what it waits for.
const TARGETS_EVERY: u32 = 10;

impl<A: Account> Follower<'_, A> {
    pub(in super::super) async fn read_service(&self) -> Result<Option<ObservedService>, Ending> {
        let what = format!("describe service {}", self.service);
        let aws = &self.surroundings.aws;
        self.handle
            .read(&what, || aws.service(self.at, self.service))
            .await
    }

    /// The service as the poller's next round sees it.
    pub(in super::super) async fn read_next_service(&self) -> Result<Option<ObservedService>, Ending> {
        let what = format!("describe service {}", self.service);
        let aws = &self.surroundings.aws;
        // That ours does not show is believed after several looks: they must not all
        // fall into one moment in which ECS lags.
        let outlook = match self.told.waits_to_see_ours() {
            true => Outlook::Unhurried,
            false => Outlook::AsItStands,
        };
        self.handle
            .read(&what, || aws.next_look(self.at, self.service, outlook))
            .await
    }

    /// The same for whoever is in no hurry.
    pub(super) async fn read_unhurried(&self) -> Result<Option<ObservedService>, Ending> {
        let what = format!("describe service {}", self.service);
        let aws = &self.surroundings.aws;
        self.handle
            .read(&what, || aws.next_look(self.at, self.service, Outlook::Unhurried))
            .await
    }

    pub(in super::super) async fn read_records(&mut self) -> Result<Vec<ServiceDeployment>, Ending> {
        let what = format!("list the deployments of service {}", self.service);
        let aws = &self.surroundings.aws;
        let records = self
            .handle
            .read(&what, || {
                aws.next_service_deployments(self.at, self.service, &self.ours.task_definition)
            })
            .await?;
        let ours = records
            .iter()
            .find(|record| record.task_definition.as_ref() == Some(&self.ours.task_definition));
        if let Some(ours) = ours {
            self.since.get_or_insert(ours.created);
        }
        Ok(records)
    }

    /// For how long the rollout has been complete that an earlier incarnation of the agent
    /// began, where ECS says so. Zero for one that was followed from its start.
    pub(in super::super) async fn complete_for(&self) -> Duration {
        if !self.is_resumed() {
            return Duration::ZERO;
        }
        // Best effort: without an answer the time begins anew.
        let clock = self.handle.clock();
        let listed = clock.timeout(self.surroundings.timing.settle, self.list_records());
        let records = listed.await.and_then(Result::ok).unwrap_or_default();
        let ours = records
            .iter()
            .find(|record| record.task_definition.as_ref() == Some(&self.ours.task_definition));
        let ours = ours.filter(|record| record.status == ServiceDeploymentStatus::Successful);
        ours.and_then(|record| record.finished_ago?.try_into().ok())
            .unwrap_or_default()
    }

    /// All records as ECS lists them now, newer ones than ours included.
    pub(in super::super) async fn list_records(&self) -> Result<Vec<ServiceDeployment>, Ending> {
        let what = format!("list the deployments of service {}", self.service);
        let aws = &self.surroundings.aws;
        self.handle
            .read(&what, || aws.service_deployments(self.at, self.service))
            .await
    }

    pub(super) async fn read_targets(&self, service: Option<&ObservedService>) -> Result<Targeted, Ending> {
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

    /// All our tasks run, and the load balancer is what is waited for.
    pub(super) fn targets_are_due(&mut self, service: &ObservedService) -> bool {
        let waits = service.primary().is_some_and(|primary| {
            follow::is_ours(primary, &self.ours)
                && primary.rollout == RolloutState::InProgress
                && primary.running > 0
                && primary.running >= primary.desired
        });
        let timing = self.surroundings.timing;
        waits
            && !service.load_balancers.is_empty()
            && self
                .motion
                .targets_due(self.handle.clock().instant(), timing.poll * TARGETS_EVERY)
    }

    /// Reads the logs of dead containers that are not read yet. True: another
    /// look may find more.
    pub(in super::super) async fn read_logs(&mut self) -> bool {
        let (surroundings, handle, region) = (self.surroundings, self.handle, &self.at.region);
        let revision = &self.ours.task_definition;
        self.logs
            .gather(surroundings, handle, revision, region, &self.stopped)
            .await
    }

    /// Reads the stopped tasks of our revision, and tells each once.
    pub(in super::super) async fn read_stopped(&mut self) -> Result<(), Ending> {
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
        let since = self.since.or(self.since_floor);
        let ours = stopped.into_iter().filter(|task| {
            task.task_definition == *revision
                && since.is_none_or(|since| task.stopped.is_none_or(|stopped| stopped >= since))
        });
        let mut new: Vec<StoppedTask> = ours.filter(|task| self.told.is_new_task(&task.id)).collect();
        for task in new.iter().rev() {
            self.handle.emit(Event::TaskStopped(wire::stopped_task(task)));
        }
        if new.iter().any(crash_loop::died) {
            self.motion.died(self.handle.clock().instant());
        }
        new.append(&mut self.stopped);
        self.stopped = new;
        Ok(())
    }
}
