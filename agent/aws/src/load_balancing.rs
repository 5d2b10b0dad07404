//! Elastic Load Balancing: how targets are.

use aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription;
use towline_agent_domain::observed::TargetHealth;
use towline_agent_domain::outside::{Answer, LoadBalancing};

use crate::Aws;
use crate::call::answer;
use crate::observe;

impl LoadBalancing for Aws {
    async fn target_health(&self, region: &str, target_group: &str) -> Answer<Vec<TargetHealth>> {
        let call = self
            .inner
            .clients
            .load_balancing(region)
            .describe_target_health()
            .target_group_arn(target_group);
        let described = answer(call.send().await, &format!("target group {target_group}"))?;
        Ok(described
            .target_health_descriptions()
            .iter()
            .map(target)
            .collect())
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
