//! The target group and the listener rule of a link that the stack makes.

use serde::Serialize;
use serde_json::{Value, json};

use super::document::Resource;
use super::names::LinkNames;
use super::{Making, TemplateError};
use crate::fargate::choices::RuleChoice;
use crate::fargate::spec::{Link, ListenerRule};
use crate::fargate::validate::Target;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetGroup {
    /// Only one that was taken over has a name: one with a name cannot be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    target_type: &'static str,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_version: Option<String>,
    port: u32,
    vpc_id: String,
    health_check_path: String,
    health_check_interval_seconds: u32,
    health_check_timeout_seconds: u32,
    healthy_threshold_count: u32,
    unhealthy_threshold_count: u32,
    matcher: Value,
    target_group_attributes: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Rule {
    listener_arn: String,
    priority: u32,
    conditions: Vec<Value>,
    actions: Vec<Value>,
}

impl<'a> Making<'a> {
    /// The links that the stack makes, with their names.
    pub(super) fn rules(&self) -> impl Iterator<Item = (&'a LinkNames, &'a ListenerRule)> + use<'a> {
        let links = &self.service.spec().load_balancers;
        self.names
            .links
            .iter()
            .filter_map(move |names| match &links.get(names.index)?.link {
                Link::ListenerRule(rule) => Some((names, rule)),
                Link::TargetGroup(_) => None,
            })
    }

    pub(super) fn target_group(&self, names: &LinkNames, rule: &ListenerRule) -> Resource<TargetGroup> {
        let link = self.service.spec().load_balancers.get(names.index);
        let check = &rule.health_check;
        let kept = self.choices.kept.get(Target::TargetGroup.as_str());
        let kept = kept.filter(|kept| kept.logical_id == names.target_group);
        // The port of a target group is only a default; ECS registers each task with its own.
        let port = kept.and_then(|kept| kept.property("Port")?.parse().ok());
        let grpc = rule.protocol_version.as_deref() == Some("GRPC");
        let matcher = match (grpc, &check.matcher) {
            (true, given) => json!({ "GrpcCode": given.as_deref().unwrap_or("12") }),
            (false, given) => json!({ "HttpCode": given.as_deref().unwrap_or("200") }),
        };
        Resource {
            r#type: "AWS::ElasticLoadBalancingV2::TargetGroup",
            deletion_policy: None,
            update_replace_policy: None,
            depends_on: Vec::new(),
            properties: TargetGroup {
                name: kept.and_then(|kept| kept.name.clone()),
                target_type: "ip",
                protocol: rule.protocol.clone().unwrap_or_else(|| "HTTP".to_owned()),
                protocol_version: rule.protocol_version.clone(),
                port: port.or(link.map(|link| link.port)).unwrap_or_default(),
                vpc_id: rule.vpc.clone(),
                health_check_path: check.path.clone().unwrap_or_else(|| "/".to_owned()),
                health_check_interval_seconds: check.interval.unwrap_or(10),
                health_check_timeout_seconds: check.timeout.unwrap_or(5),
                healthy_threshold_count: check.healthy_threshold.unwrap_or(2),
                unhealthy_threshold_count: check.unhealthy_threshold.unwrap_or(3),
                matcher,
                target_group_attributes: vec![json!({
                    "Key": "deregistration_delay.timeout_seconds",
                    "Value": rule.deregistration_delay.unwrap_or(30).to_string(),
                })],
            },
        }
    }

    pub(super) fn listener_rule(
        &self,
        names: &LinkNames,
        rule: &ListenerRule,
    ) -> Result<Resource<Rule>, TemplateError> {
        let Some(chosen) = self.chosen_rule(names, rule) else {
            return Err(TemplateError::PriorityOpen {
                listener: rule.listener.clone(),
            });
        };
        let condition = |field: &str, config: &str, values: &[String]| {
            (!values.is_empty()).then(|| json!({ "Field": field, config: { "Values": values } }))
        };
        let hosts = condition("host-header", "HostHeaderConfig", &rule.hosts);
        let paths = condition("path-pattern", "PathPatternConfig", &rule.paths);
        Ok(Resource {
            r#type: "AWS::ElasticLoadBalancingV2::ListenerRule",
            deletion_policy: None,
            update_replace_policy: None,
            depends_on: Vec::new(),
            properties: Rule {
                listener_arn: chosen.listener,
                priority: chosen.priority,
                conditions: hosts.into_iter().chain(paths).collect(),
                actions: vec![json!({ "Type": "forward", "TargetGroupArn": { "Ref": names.target_group } })],
            },
        })
    }

    /// The rule's place: what the service says, else what was chosen for this listener.
    pub(super) fn chosen_rule(&self, names: &LinkNames, rule: &ListenerRule) -> Option<RuleChoice> {
        self.choices.place_of(&names.listener_rule, rule)
    }
}
