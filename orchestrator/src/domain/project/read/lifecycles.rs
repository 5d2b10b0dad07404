//! `channels` and `lifecycles`: the way that a release goes.

use super::{
    Reading,
    whole::{field, scalar},
    word,
};
use crate::domain::{
    name::{ImageKey, PhaseName},
    project::{
        definition::{ApprovalRule, ApproverRole, Channel, Lifecycle, Phase},
        report::{self, Fields},
        yaml::{Entry, Kind, Node},
    },
};

impl<'a> Reading<'a> {
    pub(super) fn channel(&mut self, key: &'a str, node: &'a Node) -> Option<Channel> {
        let what = format!("channel {key}");
        let fields = Fields::of(node, &what, &["lifecycle", "rules"], &mut self.report)?;
        let lifecycle = fields.need("lifecycle", &mut self.report);
        let lifecycle = lifecycle.and_then(|node| {
            self.reference(
                node,
                &format!("{what}: lifecycle"),
                "lifecycle",
                self.known.lifecycles,
            )
        });
        let node = fields.get("rules");
        let entries = node
            .and_then(|node| report::map(node, &format!("{what}: rules"), &mut self.report))
            .unwrap_or_default();
        let rules = entries
            .iter()
            .filter_map(|entry| self.rule(&what, entry))
            .collect();
        Some(Channel {
            lifecycle: lifecycle?,
            rules,
        })
    }

    fn rule(&mut self, what: &str, entry: &'a Entry) -> Option<(ImageKey, semver::VersionReq)> {
        let what = format!("{what}: rule for {}", entry.key);
        let images = self.known.images;
        if !images.iter().any(|image| image.key == entry.key) {
            self.report
                .error(entry.key_at, format!("{what}: there is no image {:?}", entry.key))
                .one_of(&entry.key, images.iter().map(|image| image.key.as_str()));
        }
        let text = report::strict_text(&entry.value, &what, &mut self.report)?;
        match text.parse() {
            Ok(rule) => Some((entry.key.parse().ok()?, rule)),
            Err(fault) => {
                self.report
                    .error(
                        entry.value.at,
                        format!("{what}: {text:?} is not a version range: {fault}"),
                    )
                    .hint("such as \">=1.2.0, <2\" or \"^1.4\"");
                None
            }
        }
    }

    pub(super) fn lifecycle(&mut self, key: &'a str, node: &'a Node) -> Option<Lifecycle> {
        let what = format!("lifecycle {key}");
        let items = report::list(node, &what, &mut self.report)?;
        if items.is_empty() {
            self.report.error(node.at, format!("{what} has no phases"));
        }
        let mut seen = Seen::default();
        let phases = items
            .iter()
            .filter_map(|item| self.phase(&what, item, &mut seen))
            .collect();
        Some(Lifecycle { phases })
    }

    fn phase(&mut self, lifecycle: &str, node: &'a Node, seen: &mut Seen) -> Option<Phase> {
        let known = ["phase", "environments", "automatic", "approvals"];
        let fields = Fields::of(node, format!("{lifecycle}: a phase"), &known, &mut self.report)?;
        let name_node = fields.need("phase", &mut self.report);
        let name: Option<PhaseName> =
            name_node.and_then(|node| report::parsed(node, &format!("{lifecycle}: phase"), &mut self.report));
        let what = match &name {
            Some(name) => format!("{lifecycle}: phase {name}"),
            None => format!("{lifecycle}: a phase"),
        };
        if let (Some(name), Some(node)) = (&name, name_node)
            && !seen.add(format!("phase {name}"))
        {
            self.report.error(node.at, format!("{what} is here twice"));
        }
        let environments = self.phase_environments(&what, &fields, seen);
        let automatic = fields.get("automatic");
        let automatic =
            automatic.map(|node| report::boolean(node, &format!("{what}: automatic"), &mut self.report));
        let approvals = match fields.get("approvals") {
            Some(node) => Some(self.approvals(&what, node)?),
            None => None,
        };
        Some(Phase {
            name: name?,
            environments,
            automatic: automatic.unwrap_or(Some(false))?,
            approvals,
        })
    }

    fn phase_environments<T: std::str::FromStr>(
        &mut self,
        what: &str,
        fields: &Fields<'a>,
        seen: &mut Seen,
    ) -> Vec<T> {
        let what = format!("{what}: environments");
        let Some(node) = fields.need("environments", &mut self.report) else {
            return Vec::new();
        };
        let items = report::list(node, &what, &mut self.report).unwrap_or_default();
        if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
            self.report.error(node.at, format!("{what} is empty"));
        }
        let mut environments = Vec::new();
        for item in items {
            let known = self.known.environments;
            let Some(name) = self.reference(item, &what, "environment", known) else {
                continue;
            };
            let text = report::text(item, &what, &mut self.report).unwrap_or_default();
            if !seen.add(format!("environment {text}")) {
                self.report
                    .error(item.at, format!("{what}: {text} is in this lifecycle already"));
            }
            environments.push(name);
        }
        environments
    }

    fn approvals(&mut self, what: &str, node: &'a Node) -> Option<ApprovalRule> {
        let what = format!("{what}: approvals");
        let fields = Fields::of(node, &what, &["role", "count"], &mut self.report)?;
        let role = fields.need("role", &mut self.report).and_then(|node| {
            let words = [
                ("approver", ApproverRole::Approver),
                ("admin", ApproverRole::Admin),
            ];
            word(node, &format!("{what}: role"), &words, &mut self.report)
        });
        let count = match fields.get("count") {
            Some(node) => report::number(node, &format!("{what}: count"), 1..=100, &mut self.report),
            None => Some(1),
        };
        Some(ApprovalRule {
            role: role?,
            count: count?,
        })
    }

    /// What is defined and never reached is probably a slip.
    pub(super) fn warn_of_unreached(&mut self) {
        let phases = self
            .known
            .lifecycles
            .iter()
            .filter_map(|entry| match &entry.value.kind {
                Kind::List(phases) => Some(phases),
                _ => None,
            });
        let lists = phases
            .flatten()
            .filter_map(|phase| field(phase, "environments"))
            .filter_map(|it| match &it.kind {
                Kind::List(names) => Some(names),
                _ => None,
            });
        let reached: Vec<&str> = lists.flatten().filter_map(scalar).collect();
        for entry in self
            .known
            .environments
            .iter()
            .filter(|entry| !reached.contains(&entry.key.as_str()))
        {
            self.report
                .warning(
                    entry.key_at,
                    format!("environment {} is in no phase of any lifecycle", entry.key),
                )
                .hint("no release will ever reach it");
        }
    }
}

/// What a lifecycle holds already.
#[derive(Default)]
struct Seen(std::collections::BTreeSet<String>);

impl Seen {
    fn add(&mut self, what: String) -> bool {
        self.0.insert(what)
    }
}
