//! `environments`: ordered targets and their values.

use indexmap::IndexMap;
use jiff::SignedDuration;

use super::Reading;
use crate::domain::project::{
    definition::{Environment, Target},
    report::{self, Fields},
    template::{Value, is_value_name},
    yaml::{Kind, Node},
};

const TARGET_KEYS: [&str; 5] = ["agent", "account", "region", "cluster", "values"];
const KEYS: [&str; 7] = [
    "values",
    "targets",
    "waves",
    "deadline",
    "stop_at",
    "on_failure",
    "guided",
];
/// Longer than this nobody means, and AWS's own stacks give up after 3 h each.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 7);

impl<'a> Reading<'a> {
    pub(super) fn environment(&mut self, key: &'a str, node: &'a Node) -> Option<Environment> {
        let what = format!("environment {key}");
        let fields = Fields::of(node, &what, &KEYS, &mut self.report)?;
        let values = self.values(&what, fields.get("values"));
        let failures = self.failures(&what, &fields);
        let deadline = self.optional_span(&fields, "deadline", &what, LONGEST);
        let node = fields.need("targets", &mut self.report)?;
        let items = report::list(node, &format!("{what}: targets"), &mut self.report)?;
        if items.is_empty() {
            self.report.error(node.at, format!("{what} has no targets"));
        }
        let before = self.report.count();
        let targets: Vec<Target> = items.iter().filter_map(|item| self.target(&what, item)).collect();
        // What names targets that could not be read is not to blame.
        let waves = match self.report.count() == before {
            true => self.waves(&what, fields.get("waves"), &targets),
            false => None,
        };
        Some(Environment {
            values,
            targets,
            waves: waves?,
            deadline: deadline.unwrap_or(Environment::DEFAULT_DEADLINE),
            failures,
        })
    }

    fn target(&mut self, environment: &str, node: &'a Node) -> Option<Target> {
        let what = format!("{environment}: a target");
        let fields = Fields::of(node, &what, &TARGET_KEYS, &mut self.report)?;
        let [agent, account, region, cluster] =
            ["agent", "account", "region", "cluster"].map(|key| fields.need(key, &mut self.report));
        let values = self.values(&what, fields.get("values"));
        let agent = agent.and_then(|node| report::parsed(node, &format!("{what}: agent"), &mut self.report));
        let account =
            account.and_then(|node| report::parsed(node, &format!("{what}: account"), &mut self.report));
        let region =
            region.and_then(|node| report::parsed(node, &format!("{what}: region"), &mut self.report));
        let cluster =
            cluster.and_then(|node| report::parsed(node, &format!("{what}: cluster"), &mut self.report));
        Some(Target {
            agent: agent?,
            account: account?,
            region: region?,
            cluster: cluster?,
            values,
        })
    }

    fn values(&mut self, what: &str, node: Option<&'a Node>) -> IndexMap<String, Value> {
        let what = format!("{what}: values");
        let entries = node
            .and_then(|node| report::map(node, &what, &mut self.report))
            .unwrap_or_default();
        let mut values = IndexMap::new();
        for entry in entries {
            if !is_value_name(&entry.key) {
                self.report
                    .error(
                        entry.key_at,
                        format!("{what}: {:?} cannot be referred to", entry.key),
                    )
                    .hint("a letter first, then letters, digits, underscores and hyphens");
            }
            if let Some(value) = self.value(&format!("{what}: {}", entry.key), &entry.value) {
                values.insert(entry.key.clone(), value);
            }
        }
        values
    }

    fn value(&mut self, what: &str, node: &'a Node) -> Option<Value> {
        if let Kind::List(items) = &node.kind {
            if items.is_empty() {
                self.report.error(node.at, format!("{what} is an empty list"));
            }
            return Some(Value::List(
                items.iter().filter_map(|item| self.literal(what, item)).collect(),
            ));
        }
        self.literal(what, node).map(Value::Text)
    }

    /// Values are literal: they are what holes are filled with.
    fn literal(&mut self, what: &str, node: &Node) -> Option<String> {
        let text = report::text(node, what, &mut self.report)?;
        if text.contains("${") {
            self.report
                .error(node.at, format!("{what}: a value cannot refer to another value"));
            return None;
        }
        Some(text.to_owned())
    }
}
