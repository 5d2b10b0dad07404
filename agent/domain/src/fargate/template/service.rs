//! The ECS service.

use serde::Serialize;
use serde_json::{Value, json};

use super::Making;
use super::document::Resource;
use crate::fargate::spec::{
    CapacityProvider, FargateService, Link, LoadBalancer, Rebalancing, TagPropagation,
};
use crate::fargate::validate::Target;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Service {
    #[serde(skip_serializing_if = "Option::is_none")]
    service_name: Option<String>,
    cluster: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduling_strategy: Option<String>,
    task_definition: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capacity_provider_strategy: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desired_count: Option<u32>,
    deployment_configuration: DeploymentConfiguration,
    network_configuration: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    load_balancers: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_grace_period_seconds: Option<u32>,
    #[serde(rename = "EnableECSManagedTags")]
    enable_ecs_managed_tags: bool,
    /// Left out for none: CloudFormation's schema has no word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    propagate_tags: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enable_execute_command: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability_zone_rebalancing: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeploymentConfiguration {
    minimum_healthy_percent: u32,
    maximum_percent: u32,
    deployment_circuit_breaker: CircuitBreaker,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarms: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CircuitBreaker {
    enable: bool,
    rollback: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold_configuration: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_on_healthy_task: Option<bool>,
}

impl Making<'_> {
    pub(super) fn ecs_service(&self) -> Resource<Service> {
        let spec = self.service.spec();
        let kept = self.choices.kept.get(Target::Service.as_str());
        let name = match kept {
            Some(kept) => kept.name.clone(),
            None => Some(spec.name.clone()),
        };
        let fixed = |property: &str| kept.and_then(|kept| kept.property(property)).cloned();
        Resource {
            r#type: "AWS::ECS::Service",
            deletion_policy: None,
            update_replace_policy: None,
            // ECS refuses a target group that no load balancer forwards to yet.
            depends_on: self.rules().map(|(link, _)| link.listener_rule.clone()).collect(),
            properties: Service {
                service_name: name,
                cluster: fixed("Cluster").unwrap_or_else(|| self.facts.cluster.clone()),
                scheduling_strategy: fixed("SchedulingStrategy"),
                task_definition: json!({ "Ref": self.names.task_definition }),
                launch_type: spec.capacity_providers.is_empty().then_some("FARGATE"),
                capacity_provider_strategy: spec.capacity_providers.iter().map(provider).collect(),
                platform_version: spec.platform_version.clone(),
                desired_count: spec.desired_count,
                deployment_configuration: deployment_configuration(spec),
                network_configuration: network(spec),
                load_balancers: spec
                    .load_balancers
                    .iter()
                    .enumerate()
                    .map(|(at, link)| self.load_balancer(at, link))
                    .collect(),
                health_check_grace_period_seconds: spec.health_check_grace_period,
                enable_ecs_managed_tags: spec.managed_tags.unwrap_or(true),
                propagate_tags: match spec.propagate_tags {
                    TagPropagation::Service => Some("SERVICE"),
                    TagPropagation::TaskDefinition => Some("TASK_DEFINITION"),
                    TagPropagation::None => None,
                },
                enable_execute_command: spec.execute_command,
                availability_zone_rebalancing: spec.availability_zone_rebalancing.map(
                    |choice| match choice {
                        Rebalancing::Enabled => "ENABLED",
                        Rebalancing::Disabled => "DISABLED",
                    },
                ),
            },
        }
    }

    fn load_balancer(&self, at: usize, link: &LoadBalancer) -> Value {
        let made = self.names.links.iter().find(|names| names.index == at);
        let group = match (&link.link, made) {
            (Link::TargetGroup(arn), _) => json!(arn),
            (Link::ListenerRule(_), Some(names)) => json!({ "Ref": names.target_group }),
            (Link::ListenerRule(_), None) => Value::Null,
        };
        json!({ "ContainerName": link.container, "ContainerPort": link.port, "TargetGroupArn": group })
    }
}

fn provider(provider: &CapacityProvider) -> Value {
    let mut value = json!({ "CapacityProvider": provider.name, "Weight": provider.weight });
    if provider.base > 0 {
        value["Base"] = json!(provider.base);
    }
    value
}

fn network(spec: &FargateService) -> Value {
    let public = if spec.network.assign_public_ip {
        "ENABLED"
    } else {
        "DISABLED"
    };
    let mut interface = json!({ "AssignPublicIp": public, "Subnets": spec.network.subnets });
    if !spec.network.security_groups.is_empty() {
        interface["SecurityGroups"] = json!(spec.network.security_groups);
    }
    json!({ "AwsvpcConfiguration": interface })
}

fn deployment_configuration(spec: &FargateService) -> DeploymentConfiguration {
    let rollout = &spec.rollout;
    let breaker = &rollout.circuit_breaker;
    // Without it a service that does not stabilise holds its stack for about three hours.
    let enable = breaker.enabled.unwrap_or(true);
    let threshold = match (breaker.threshold_percent, breaker.threshold_count) {
        (_, Some(count)) => Some(json!({ "Type": "COUNT", "Value": count })),
        (Some(percent), None) => Some(json!({ "Type": "UNBOUNDED_PERCENT", "Value": percent })),
        (None, None) => None,
    };
    DeploymentConfiguration {
        minimum_healthy_percent: rollout.minimum_healthy_percent.unwrap_or(100),
        maximum_percent: rollout.maximum_percent.unwrap_or(200),
        deployment_circuit_breaker: CircuitBreaker {
            enable,
            rollback: enable && breaker.rollback.unwrap_or(true),
            threshold_configuration: threshold,
            reset_on_healthy_task: breaker.reset_on_healthy_task,
        },
        alarms: rollout
            .alarms
            .as_ref()
            .map(|alarms| json!({ "AlarmNames": alarms.names, "Enable": true, "Rollback": alarms.rollback })),
    }
}
