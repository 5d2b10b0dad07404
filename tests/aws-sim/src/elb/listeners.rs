//! Listeners, and the rules by which they forward: what attaches a target group
//! to a load balancer.

use super::Elb;
use crate::AwsError;

#[derive(Clone, Debug)]
pub struct Listener {
    pub arn: String,
    /// The ARN of its load balancer.
    pub load_balancer: String,
    pub port: i64,
    /// HTTP, HTTPS, TCP ...
    pub protocol: String,
    /// Where what no rule matches goes; answered with 404 when there is none.
    pub target_group: Option<String>,
    /// By priority, lowest first.
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub arn: String,
    /// 1 to 50,000; unique in its listener.
    pub priority: i64,
    pub conditions: Vec<Condition>,
    /// What it forwards to.
    pub target_groups: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Condition {
    /// host-header, path-pattern ...
    pub field: String,
    pub values: Vec<String>,
}

impl Listener {
    /// The ARN that all of its rules' ARNs begin with.
    pub fn rule_arn(&self, id: &str) -> String {
        format!("{}/{id}", self.arn.replace(":listener/", ":listener-rule/"))
    }

    pub(super) fn default_rule_arn(&self) -> String {
        self.rule_arn("9683b2d02a6cabee")
    }
}

impl Elb {
    /// Adds a rule to a listener; one of its ARN is replaced.
    ///
    /// # Errors
    /// `ListenerNotFound`, `TargetGroupNotFound`, `PriorityInUse`.
    pub fn put_rule(&mut self, listener: &str, rule: Rule) -> Result<(), AwsError> {
        if let Some(unknown) = rule
            .target_groups
            .iter()
            .find(|arn| !self.target_groups.contains_key(*arn))
        {
            return Err(AwsError::client(
                "TargetGroupNotFound",
                format!("Target groups '{unknown}' not found"),
            ));
        }
        let listener = self.listeners.get_mut(listener).ok_or_else(no_listener)?;
        let others = || listener.rules.iter().filter(|other| other.arn != rule.arn);
        if others().any(|other| other.priority == rule.priority) {
            return Err(AwsError::client(
                "PriorityInUse",
                format!("Priority '{}' is currently in use", rule.priority),
            ));
        }
        listener.rules.retain(|other| other.arn != rule.arn);
        let at = listener
            .rules
            .partition_point(|other| other.priority < rule.priority);
        listener.rules.insert(at, rule);
        self.attach();
        Ok(())
    }

    /// Removes a rule; whether there was one.
    pub fn remove_rule(&mut self, arn: &str) -> bool {
        let mut removed = false;
        for listener in self.listeners.values_mut() {
            let before = listener.rules.len();
            listener.rules.retain(|rule| rule.arn != arn);
            removed |= listener.rules.len() < before;
        }
        self.attach();
        removed
    }

    /// Writes down at every target group which load balancer uses it.
    pub fn attach(&mut self) {
        for group in self.target_groups.values_mut() {
            let uses = |listener: &&Listener| {
                let by_rule = listener.rules.iter().flat_map(|rule| &rule.target_groups);
                listener
                    .target_group
                    .iter()
                    .chain(by_rule)
                    .any(|arn| *arn == group.arn)
            };
            group.load_balancer = self
                .listeners
                .values()
                .find(uses)
                .map(|listener| listener.load_balancer.clone());
        }
    }
}

pub(super) fn no_listener() -> AwsError {
    AwsError::client("ListenerNotFound", "One or more listeners not found")
}

pub(super) fn no_rule() -> AwsError {
    AwsError::client("RuleNotFound", "One or more rules not found")
}
