//! Whether the load balancer agrees. Judged once, when all tasks run, by the
//! targets of our own tasks: old ones may still be draining.

use crate::observed::{LinkedTargetGroup, TargetHealth};

/// What was read of the load balancer's side.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    NotRead,
    /// They were healthy when the rollout completed, and ECS stops a task whose
    /// target is not: no need to read them again.
    Trusted,
    Read {
        /// What `Tasks::running_target_ids` says of our revision.
        ours: &'a [String],
        /// The health of every target group that the service is linked to, by its ARN.
        groups: &'a [(String, Vec<TargetHealth>)],
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetsState {
    NotRead,
    Healthy,
    /// Who is missing, in words: `10.0.1.7:8080 is initial (Elb.RegistrationInProgress)`.
    Waiting {
        unhealthy: Vec<String>,
    },
}

impl Targets<'_> {
    /// Whether in every linked group every running task of ours is healthy.
    pub fn state(&self, linked: &[LinkedTargetGroup], running: u32) -> TargetsState {
        let (ours, groups) = match self {
            Self::NotRead => return TargetsState::NotRead,
            Self::Trusted => return TargetsState::Healthy,
            Self::Read { ours, groups } => (ours, groups),
        };
        let mut unhealthy = Vec::new();
        if (ours.len() as u64) < u64::from(running) {
            unhealthy.push(format!(
                "{} of {running} running tasks show an address",
                ours.len()
            ));
        }
        for link in linked {
            let health = groups.iter().find(|(group, _)| *group == link.target_group);
            let health = health.map_or(&[][..], |(_, health)| health);
            let mut ids: Vec<&String> = ours.iter().collect();
            ids.sort_unstable();
            for of_one in ids.chunk_by(|a, b| a == b) {
                unhealthy.extend(
                    of_one
                        .first()
                        .and_then(|id| complaint(link, id, of_one.len(), health)),
                );
            }
        }
        if unhealthy.is_empty() {
            TargetsState::Healthy
        } else {
            TargetsState::Waiting { unhealthy }
        }
    }
}

/// How our tasks' targets are in one target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetCount {
    /// The target group's ARN.
    pub target_group: String,
    pub healthy: u32,
    /// Those of our tasks that it knows.
    pub total: u32,
}

/// The health of our tasks' targets, group by group; the targets of other tasks,
/// also on the same instance, are as far as can be told left out.
pub fn counts(ours: &[String], groups: &[(String, Vec<TargetHealth>)]) -> Vec<TargetCount> {
    let of_group = |(group, health): &(String, Vec<TargetHealth>)| {
        let known = |target: &&TargetHealth| ours.contains(&target.target) && target.state != "draining";
        let total = health.iter().filter(known).count().min(ours.len());
        let healthy = health
            .iter()
            .filter(known)
            .filter(|t| t.state == "healthy")
            .count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        TargetCount {
            target_group: group.clone(),
            healthy: number(healthy.min(total)),
            total: number(total),
        }
    };
    groups.iter().map(of_group).collect()
}

/// An instance hosts as many tasks of ours as its id is there, and has one entry
/// for each of their host ports; those of other tasks are draining.
fn complaint(link: &LinkedTargetGroup, id: &str, tasks: usize, health: &[TargetHealth]) -> Option<String> {
    let of_task = || health.iter().filter(|target| target.target == id);
    if of_task().filter(|target| target.state == "healthy").count() >= tasks {
        return None;
    }
    match of_task().find(|target| !matches!(target.state.as_str(), "draining" | "healthy")) {
        Some(target) if target.reason.is_empty() => Some(format!("{id}:{} is {}", target.port, target.state)),
        Some(target) => Some(format!(
            "{id}:{} is {} ({})",
            target.port, target.state, target.reason
        )),
        None => Some(format!("{id}:{} is not registered", link.port)),
    }
}
