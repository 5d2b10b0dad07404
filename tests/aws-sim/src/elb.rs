//! Elastic Load Balancing v2: load balancers, target groups, and the health of
//! what is registered in them.
//!
//! Targets come and go with ECS tasks; their health follows from what the
//! task's containers do. A target group is attached to a load balancer by a
//! listener that forwards to it: [`listeners`] keeps both in step. The answers
//! are in [`reads`].

pub mod listeners;
mod reads;

use std::collections::BTreeMap;

pub use listeners::{Condition, Listener, Rule};
pub use reads::call;

use crate::world::{Region, SimTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

impl TargetState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
        }
    }

    fn reason(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Healthy => None,
            Self::Initial => Some(("Elb.InitialHealthChecking", "Initial health checks in progress")),
            Self::Unhealthy => Some((
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [503]",
            )),
            Self::Draining => Some((
                "Target.DeregistrationInProgress",
                "Target deregistration is in progress",
            )),
        }
    }
}

/// One registered target.
#[derive(Clone, Debug)]
pub struct Target {
    pub task: String,
    pub container: String,
    pub zone: String,
    pub state: TargetState,
    /// Since when the checks answer as they do now.
    pub since: SimTime,
    /// What the checks answer.
    pub answers: bool,
}

#[derive(Clone, Debug)]
pub struct TargetGroup {
    pub name: String,
    pub arn: String,
    pub vpc: String,
    /// HTTP, HTTPS, TCP ...
    pub protocol: String,
    /// HTTP1, HTTP2 or GRPC; of groups of application load balancers.
    pub protocol_version: String,
    pub port: i64,
    pub target_type: String,
    pub path: String,
    pub interval_s: f64,
    pub healthy: u32,
    pub unhealthy: u32,
    pub deregistration_delay_s: f64,
    /// For how long a new target gets less than its share.
    pub slow_start_s: u32,
    /// That of the listener that forwards to it.
    pub load_balancer: Option<String>,
    /// By id (IP address or instance) and port.
    pub targets: BTreeMap<(String, i64), Target>,
}

#[derive(Clone, Debug)]
pub struct LoadBalancer {
    pub name: String,
    pub arn: String,
    /// `application` or `network`.
    pub kind: String,
    pub vpc: String,
    /// Subnet and zone.
    pub subnets: Vec<(String, String)>,
    pub security_groups: Vec<String>,
    pub created: SimTime,
}

/// The load balancers of one account and region.
#[derive(Clone, Debug, Default)]
pub struct Elb {
    pub load_balancers: Vec<LoadBalancer>,
    /// By ARN.
    pub listeners: BTreeMap<String, Listener>,
    /// By ARN.
    pub target_groups: BTreeMap<String, TargetGroup>,
}

impl TargetGroup {
    /// Of an application load balancer.
    pub fn speaks_http(&self) -> bool {
        self.protocol.starts_with("HTTP")
    }
}

impl Elb {
    /// The states of a task's targets, with the ARN of their group and their port.
    pub fn targets_of<'a>(
        &'a self,
        task: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, i64, TargetState)> {
        self.target_groups.values().flat_map(move |group| {
            group
                .targets
                .iter()
                .filter(move |(_, target)| target.task == task)
                .map(|((id, port), target)| (group.arn.as_str(), id.as_str(), *port, target.state))
        })
    }

    /// Starts draining a task's targets; how many, and for how many seconds at most.
    pub fn deregister(&mut self, task: &str, now: SimTime) -> (usize, f64) {
        let mut count = 0;
        let mut longest: f64 = 0.0;
        for group in self.target_groups.values_mut() {
            for target in group.targets.values_mut() {
                if target.task == task && target.state != TargetState::Draining {
                    target.state = TargetState::Draining;
                    target.since = now;
                    count += 1;
                    longest = longest.max(group.deregistration_delay_s);
                }
            }
        }
        (count, longest)
    }
}

/// Moves the health of every target on to `now`.
pub fn step(region: &mut Region, now: SimTime) {
    let tasks = &region.ecs.tasks;
    for group in region.elb.target_groups.values_mut() {
        let delay = group.deregistration_delay_s;
        group
            .targets
            .retain(|_, target| target.state != TargetState::Draining || now < target.since.plus_s(delay));
        for target in group.targets.values_mut() {
            let answers = tasks
                .get(&target.task)
                .is_some_and(|task| task.answers_checks(&target.container, now));
            if answers != target.answers {
                target.answers = answers;
                target.since = now;
            }
            let needed = f64::from(if answers { group.healthy } else { group.unhealthy });
            if target.state != TargetState::Draining && now >= target.since.plus_s(needed * group.interval_s)
            {
                target.state = if answers {
                    TargetState::Healthy
                } else {
                    TargetState::Unhealthy
                };
            }
        }
    }
}
