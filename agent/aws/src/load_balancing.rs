//! Elastic Load Balancing: how targets are. Rollouts behind one target group share the
//! answer about it, and so do the looks of one round.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_elasticloadbalancingv2::{config, types::TargetHealthDescription};
use tokio::time::Instant;
use towline_agent_domain::observed::TargetHealth;
use towline_agent_domain::outside::{Answer, LoadBalancing};
use towline_agent_domain::rollout::budget::{Group, Purpose};
use towline_link::seams::Clock;

use crate::Aws;
use crate::call::answer;
use crate::observe;
use crate::together::Together;

/// By region and target group: when it was asked, and what it said.
type Answers = HashMap<(String, String), (Instant, Vec<TargetHealth>)>;

/// What is known of target groups.
#[derive(Debug)]
pub(crate) struct SeenTargets {
    clock: Clock,
    /// For how long an answer is good for others as well: less than a round.
    fresh: Duration,
    /// By region; one target group a call.
    asked: Together<String, Vec<TargetHealth>>,
    answers: Mutex<Answers>,
}

impl SeenTargets {
    /// `shortest`: the least time between two looks at one service that is followed.
    pub(crate) fn new(clock: Clock, shortest: Duration) -> Self {
        Self {
            clock,
            fresh: shortest / 2,
            asked: Together::new(clock, 1),
            answers: Mutex::default(),
        }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.instant();
        answers.retain(|_, (asked, _)| now.saturating_duration_since(*asked) < self.fresh);
        answers
    }
}

impl LoadBalancing for Aws {
    async fn target_health(&self, region: &str, target_group: &str) -> Answer<Vec<TargetHealth>> {
        let seen = &self.inner.seen_targets;
        let key = (region.to_owned(), target_group.to_owned());
        if let Some((_, health)) = seen.answers().get(&key) {
            return Ok(health.clone());
        }
        let asked = seen.clock.instant();
        let (aws, place) = (self.clone(), region.to_owned());
        let fetch = move |groups: Vec<String>| {
            let (aws, region) = (aws.clone(), place.clone());
            async move { aws.described_targets(&region, groups).await }
        };
        let group = vec![target_group.to_owned()];
        let mut found = seen.asked.ask(region.to_owned(), group, fetch).await?;
        let health = found.remove(target_group).unwrap_or_default();
        seen.answers().insert(key, (asked, health.clone()));
        Ok(health)
    }
}

impl Aws {
    /// Target group → its targets.
    async fn described_targets(
        &self,
        region: &str,
        groups: Vec<String>,
    ) -> Answer<Vec<(String, Vec<TargetHealth>)>> {
        let mut found = Vec::new();
        for group in groups {
            let call = self
                .inner
                .clients
                .load_balancing(region)
                .describe_target_health()
                .target_group_arn(&group);
            let sent = self
                .budgets()
                .read(region, Group::TargetReads, Purpose::Watching, || {
                    let once = config::Config::builder().retry_config(RetryConfig::disabled());
                    call.clone().customize().config_override(once).send()
                });
            let described = answer(sent.await, &format!("target group {group}"))?;
            let health = described.target_health_descriptions().iter().map(target);
            found.push((group, health.collect()));
        }
        Ok(found)
    }
}

fn target(description: &TargetHealthDescription) -> TargetHealth {
    let target = description.target();
    let health = description.target_health();
    TargetHealth {
        target: observe::text(target.and_then(|target| target.id())),
        port: target
            .and_then(|target| target.port())
            .and_then(|port| u32::try_from(port).ok())
            .unwrap_or(0),
        state: health
            .and_then(|h| h.state())
            .map(|state| state.as_str().to_owned())
            .unwrap_or_default(),
        reason: health
            .and_then(|h| h.reason())
            .map(|reason| reason.as_str().to_owned())
            .unwrap_or_default(),
    }
}
