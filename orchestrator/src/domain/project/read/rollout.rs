//! How a rollout goes, and what ends a bad one: `minimum_healthy_percent`,
//! `maximum_percent`, `circuit_breaker`, `alarms`; and `overrides`.

use indexmap::IndexMap;
use serde_json::Number;

use super::Reading;
use crate::domain::project::{
    check::{Allowed, Use, Wants},
    definition::{Alarms, CircuitBreaker, OverriddenResource, Rollout},
    patch::Patch,
    report::{self, Fields},
    template::Amount,
    yaml::{Kind, Node},
};

/// The members of a resource that a patch may have.
const PATCHED: [&str; 6] = [
    "Properties",
    "DependsOn",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
    "UpdatePolicy",
];

/// The properties by which the rest of the template, and Towline, know a resource.
fn fixed(resource: OverriddenResource) -> &'static [&'static str] {
    match resource {
        OverriddenResource::Service => &["ServiceName", "Cluster", "TaskDefinition", "Tags"],
        OverriddenResource::TaskDefinition => &["Family", "RequiresCompatibilities", "NetworkMode", "Tags"],
        OverriddenResource::LogGroup => &["LogGroupName"],
        OverriddenResource::ExecutionRole
        | OverriddenResource::TargetGroup
        | OverriddenResource::ListenerRule => &["Tags"],
    }
}

impl<'a> Reading<'a> {
    pub(super) fn rollout(&mut self, what: &str, fields: &Fields<'a>, desired: Option<&Amount>) -> Rollout {
        let minimum = self.optional_amount(fields, "minimum_healthy_percent", what, Allowed::Range(0, 100));
        let maximum = self.optional_amount(fields, "maximum_percent", what, Allowed::Range(100, 400));
        let at = fields
            .get("maximum_percent")
            .or_else(|| fields.get("minimum_healthy_percent"));
        if let Some(node) = at {
            self.uses.push(Use {
                at: node.at,
                wants: Wants::Rollout {
                    what: what.to_owned(),
                    desired: desired.cloned(),
                    minimum: minimum.clone(),
                    maximum: maximum.clone(),
                },
            });
        }
        Rollout {
            minimum_healthy_percent: minimum,
            maximum_percent: maximum,
            circuit_breaker: fields
                .get("circuit_breaker")
                .and_then(|node| self.circuit_breaker(what, node))
                .unwrap_or_default(),
            alarms: fields.get("alarms").and_then(|node| self.alarms(what, node)),
        }
    }

    fn circuit_breaker(&mut self, what: &str, node: &'a Node) -> Option<CircuitBreaker> {
        let what = format!("{what}: circuit_breaker");
        let known = [
            "enabled",
            "rollback",
            "threshold_percent",
            "threshold_count",
            "reset_on_healthy_task",
        ];
        let fields = Fields::of(node, &what, &known, &mut self.report)?;
        let read = CircuitBreaker {
            enabled: self.optional_boolean(&fields, "enabled", &what),
            rollback: self.optional_boolean(&fields, "rollback", &what),
            threshold_percent: self.optional_number(&fields, "threshold_percent", &what, 1, 100),
            threshold_count: self.optional_number(&fields, "threshold_count", &what, 1, 5000),
            reset_on_healthy_task: self.optional_boolean(&fields, "reset_on_healthy_task", &what),
        };
        if let (Some(node), Some(_)) = (fields.get("threshold_count"), read.threshold_percent) {
            self.report
                .error(
                    node.at,
                    format!("{what} has one threshold: threshold_percent or threshold_count"),
                )
                .hint("leave one of the two out");
        }
        if read.enabled == Some(false) {
            let said = [
                "rollback",
                "threshold_percent",
                "threshold_count",
                "reset_on_healthy_task",
            ];
            let without_effect = said
                .into_iter()
                .filter(|key| *key != "rollback" || read.rollback == Some(true));
            for (key, node) in without_effect.filter_map(|key| Some((key, fields.get(key)?))) {
                self.report.error(
                    node.at,
                    format!("{what}: {key} means nothing where it is not enabled"),
                );
            }
        }
        Some(read)
    }

    fn alarms(&mut self, what: &str, node: &'a Node) -> Option<Alarms> {
        let what = format!("{what}: alarms");
        let fields = Fields::of(node, &what, &["names", "rollback"], &mut self.report)?;
        let names = fields
            .need("names", &mut self.report)
            .and_then(|node| self.texts(node, &format!("{what}: names")));
        Some(Alarms {
            rollback: self.optional_boolean(&fields, "rollback", &what).unwrap_or(true),
            names: names?,
        })
    }

    pub(super) fn overrides(
        &mut self,
        what: &str,
        fields: &Fields<'a>,
    ) -> IndexMap<OverriddenResource, Patch> {
        let what = format!("{what}: overrides");
        let mut all = IndexMap::new();
        let Some(node) = fields.get("overrides") else {
            return all;
        };
        let known = OverriddenResource::WORDS.map(|(word, _)| word);
        let Some(patches) = Fields::of(node, &what, &known, &mut self.report) else {
            return all;
        };
        for (word, resource) in OverriddenResource::WORDS {
            let Some(node) = patches.get(word) else {
                continue;
            };
            let what = format!("{what}: {word}");
            if Fields::of(node, &what, &PATCHED, &mut self.report).is_some()
                && let Some(patch) = self.patch(&what, node)
            {
                all.insert(resource, patch);
            }
            if let Some(properties) = super::whole::field(node, "Properties") {
                self.check_properties(&format!("{what}: Properties"), resource, properties);
            }
        }
        all
    }

    fn check_properties(&mut self, what: &str, resource: OverriddenResource, node: &'a Node) {
        for entry in report::map(node, what, &mut self.report).unwrap_or_default() {
            if fixed(resource).contains(&entry.key.as_str()) {
                self.report.error(
                    entry.key_at,
                    format!(
                        "{what}: {} is not to be patched: the rest of the template stands on it",
                        entry.key
                    ),
                );
            }
        }
    }

    fn patch(&mut self, what: &str, node: &'a Node) -> Option<Patch> {
        if node.is_null() {
            return Some(Patch::Nothing);
        }
        match &node.kind {
            Kind::List(items) => items
                .iter()
                .map(|item| self.patch(what, item))
                .collect::<Option<_>>()
                .map(Patch::List),
            Kind::Map(entries) => entries
                .iter()
                .map(|entry| Some((entry.key.clone(), self.patch(what, &entry.value)?)))
                .collect::<Option<_>>()
                .map(Patch::Map),
            Kind::Scalar { text, quoted: false } if text == "true" || text == "false" => {
                Some(Patch::Switch(text == "true"))
            }
            Kind::Scalar { text, quoted } => match serde_json::from_str::<Number>(text) {
                Ok(number) if !quoted => Some(Patch::Number(number)),
                _ => self.template(node, what).map(Patch::Text),
            },
        }
    }
}
