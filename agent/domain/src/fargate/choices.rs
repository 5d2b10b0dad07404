//! What a stack's template takes from the account once and then keeps: whether its
//! log group was there before, the priorities of listener rules, and the logical
//! ids and names of an adopted stack. They stand in the template's metadata, so
//! that the next release finds them in the same call as the fingerprint.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fargate::ValidService;
use crate::fargate::name::log_group_name;
use crate::fargate::spec::ListenerRule;
use crate::fargate::template::Names;
use crate::fargate::validate::Target;
use crate::observed::surroundings::Listener;

/// The choices of one stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Choices {
    /// Absent: not decided yet; a log group is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group: Option<LogGroupChoice>,
    /// By the rule's logical id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, RuleChoice>,
    /// Resources of an adopted stack, by their role in it: `service`,
    /// `task_definition`, `log_group`, `execution_role`, `target_group`, `listener_rule`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, Kept>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogGroupChoice {
    /// The stack makes it.
    Made,
    /// A group of that name was there before, and is used.
    Used,
}

/// The place of a listener rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuleChoice {
    pub listener: String,
    pub priority: u32,
}

/// What an adopted resource keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Kept {
    pub logical_id: String,
    /// Its name; `None` where the template leaves the name to CloudFormation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Further properties that cannot change, as the stack has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

impl Kept {
    /// A property that cannot change.
    pub(crate) fn property(&self, name: &str) -> Option<&String> {
        self.properties.get(name)
    }
}

/// What must be read before the template of a service can be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenChoices {
    /// Whether this log group exists.
    pub log_group: Option<String>,
    /// ARNs of listeners whose rules decide a priority.
    pub listeners: Vec<String>,
}

impl OpenChoices {
    pub fn is_empty(&self) -> bool {
        self.log_group.is_none() && self.listeners.is_empty()
    }
}

/// A listener has no priority left, or is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error("listener {listener} has no free priority left (1 to 50000 are taken)")]
    NoPriorityFree { listener: String },
    #[error("listener {listener} does not exist, or its rules cannot be read")]
    ListenerUnknown { listener: String },
}

impl Choices {
    /// The choices in the template metadata of a stack that is there. One that
    /// Towline made and that says nothing of its log group has made it.
    pub fn found(metadata: Option<&Value>) -> Self {
        let Some(towline) = metadata.and_then(|metadata| metadata.get("Towline")) else {
            return Self::default();
        };
        let read = |choices: &Value| serde_json::from_value(choices.clone()).ok();
        towline.get("Choices").and_then(read).unwrap_or(Self {
            log_group: Some(LogGroupChoice::Made),
            ..Self::default()
        })
    }

    /// What is still open for this service.
    pub fn open(&self, service: &ValidService, cluster: &str) -> OpenChoices {
        let spec = service.spec();
        let asks = self.log_group.is_none() && spec.log_group.is_none() && service.logs_into_default_group();
        let kept = self.kept.contains_key(Target::LogGroup.as_str());
        let mut listeners: Vec<String> = self
            .rules_of(service)
            .into_iter()
            .filter(|(name, rule)| self.place_of(name, rule).is_none())
            .map(|(_, rule)| rule.listener.clone())
            .collect();
        listeners.sort();
        listeners.dedup();
        OpenChoices {
            log_group: (asks && !kept).then(|| log_group_name(cluster, &spec.name)),
            listeners,
        }
    }

    /// Decides what is open, by what was read. `log_group_exists`: a group of the
    /// name that [`Choices::open`] gives exists and is not the stack's own.
    ///
    /// # Errors
    /// When a listener has no free priority, or was not read.
    pub fn decided(
        mut self,
        service: &ValidService,
        cluster: &str,
        log_group_exists: bool,
        listeners: &[Listener],
    ) -> Result<Self, ChoiceError> {
        if self.open(service, cluster).log_group.is_some() {
            self.log_group = Some(if log_group_exists {
                LogGroupChoice::Used
            } else {
                LogGroupChoice::Made
            });
        }
        let rules = self.rules_of(service);
        // What is asked for by number is not free for those that take what is left.
        let mut taken: Vec<(String, u32)> = rules
            .iter()
            .filter_map(|(name, rule)| self.place_of(name, rule))
            .map(|place| (place.listener, place.priority))
            .collect();
        for (name, rule) in rules {
            if self.place_of(&name, rule).is_some() {
                continue;
            }
            let known = listeners.iter().find(|listener| listener.arn == rule.listener);
            let Some(known) = known else {
                return Err(ChoiceError::ListenerUnknown {
                    listener: rule.listener.clone(),
                });
            };
            let ours = taken
                .iter()
                .filter(|(listener, _)| *listener == rule.listener)
                .map(|(_, p)| *p);
            let there = known.rules.iter().filter_map(|rule| rule.priority);
            let Some(priority) = next_free(&ours.chain(there).collect()) else {
                return Err(ChoiceError::NoPriorityFree {
                    listener: rule.listener.clone(),
                });
            };
            taken.push((rule.listener.clone(), priority));
            self.rules.insert(
                name,
                RuleChoice {
                    listener: rule.listener.clone(),
                    priority,
                },
            );
        }
        Ok(self)
    }

    /// Where a rule stands: what the service says, else what was chosen on this listener.
    pub(crate) fn place_of(&self, logical_id: &str, rule: &ListenerRule) -> Option<RuleChoice> {
        let chosen = self
            .rules
            .get(logical_id)
            .filter(|chosen| chosen.listener == rule.listener);
        let priority = rule.priority.or(chosen.map(|chosen| chosen.priority))?;
        Some(RuleChoice {
            listener: rule.listener.clone(),
            priority,
        })
    }

    /// The rules that the service's stack makes, with their logical ids.
    fn rules_of<'s>(&self, service: &'s ValidService) -> Vec<(String, &'s ListenerRule)> {
        let names = Names::of(service, self);
        let links = &service.spec().load_balancers;
        let rule = |names: crate::fargate::template::LinkNames| {
            Some((names.listener_rule, links.get(names.index)?.listener_rule()?))
        };
        names.links.into_iter().filter_map(rule).collect()
    }
}

/// The highest priority of a listener's rule.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html>
pub const HIGHEST_PRIORITY: u32 = 50_000;

/// The next free priority after the highest that is taken, so that a new rule does
/// not come before older ones; the lowest free one where the end is reached.
fn next_free(taken: &BTreeSet<u32>) -> Option<u32> {
    let after_last = taken.last().map_or(1, |last| last.saturating_add(1));
    if after_last <= HIGHEST_PRIORITY {
        return Some(after_last);
    }
    (1..=HIGHEST_PRIORITY).find(|priority| !taken.contains(priority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_free_priority_comes_after_the_others_while_there_is_room() {
        assert_eq!(next_free(&BTreeSet::new()), Some(1));
        assert_eq!(next_free(&BTreeSet::from([1, 10])), Some(11));
        assert_eq!(next_free(&BTreeSet::from([1, 2, 50_000])), Some(3));
        assert_eq!(next_free(&(1..=50_000).collect()), None);
    }

    #[test]
    fn a_stack_of_an_older_template_has_made_its_log_group() {
        let old = serde_json::json!({ "Towline": { "Fingerprint": "x" } });
        assert_eq!(Choices::found(Some(&old)).log_group, Some(LogGroupChoice::Made));
        assert_eq!(Choices::found(None), Choices::default());
    }
}
