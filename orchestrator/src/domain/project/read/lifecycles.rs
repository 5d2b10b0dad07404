//! `lifecycles`: the way that a release goes.

use jiff::SignedDuration;

use super::{
    Reading,
    whole::{field, scalar},
    word,
};
use crate::domain::{
    name::{EnvironmentName, PhaseName},
    project::{
        definition::{ApprovalRule, ApproverRole, Lifecycle, Phase, Supersede},
        report::{self, Fields},
        yaml::{Kind, Node},
    },
};

/// The longest that a phase may soak.
const LONGEST_SOAK: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What nobody has approved in a quarter of a year nobody will.
const LONGEST_ASKED: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 90);

impl<'a> Reading<'a> {
    pub(super) fn lifecycle(&mut self, key: &'a str, node: &'a Node) -> Option<Lifecycle> {
        let what = format!("lifecycle {key}");
        if matches!(node.kind, Kind::List(_)) {
            return Some(Lifecycle {
                phases: self.phases(&what, node)?,
                supersede: Supersede::default(),
                keep: None,
                rollback_needs_approval: false,
            });
        }
        let known = ["phases", "supersede", "keep", "rollback_needs_approval"];
        let fields = Fields::of(node, &what, &known, &mut self.report)?;
        let words = [("none", Supersede::Nothing), ("queued", Supersede::Queued)];
        let supersede = self.optional_word(&fields, "supersede", &what, &words);
        let keep = self.optional_number(&fields, "keep", &what, 1, 100_000);
        let rollback_needs_approval = self.optional_boolean(&fields, "rollback_needs_approval", &what);
        let phases = fields.need("phases", &mut self.report);
        let phases = phases.and_then(|node| self.phases(&format!("{what}: phases"), node));
        Some(Lifecycle {
            phases: phases?,
            supersede: supersede.unwrap_or_default(),
            keep,
            rollback_needs_approval: rollback_needs_approval.unwrap_or(false),
        })
    }

    fn phases(&mut self, what: &str, node: &'a Node) -> Option<Vec<Phase>> {
        let items = report::list(node, what, &mut self.report)?;
        if items.is_empty() {
            self.report.error(node.at, format!("{what} has no phases"));
        }
        let mut seen = Seen::default();
        let phases = items.iter().filter_map(|item| self.phase(what, item, &mut seen));
        Some(phases.collect())
    }

    fn phase(&mut self, lifecycle: &str, node: &'a Node, seen: &mut Seen) -> Option<Phase> {
        let known = [
            "phase",
            "environments",
            "automatic",
            "approvals",
            "at_least",
            "optional",
            "soak",
        ];
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
        let (at_least, optional) = self.how_many(&what, &fields, &environments);
        let soak = self.optional_span(&fields, "soak", &what, LONGEST_SOAK);
        Some(Phase {
            name: name?,
            environments,
            automatic: automatic.unwrap_or(Some(false))?,
            approvals,
            at_least,
            optional,
            soak,
        })
    }

    /// `at_least` and `optional`, and that they fit together.
    fn how_many(
        &mut self,
        what: &str,
        fields: &Fields<'a>,
        environments: &[EnvironmentName],
    ) -> (Option<u32>, bool) {
        let optional = self.optional_boolean(fields, "optional", what).unwrap_or(false);
        let all = u32::try_from(environments.len()).unwrap_or(u32::MAX);
        let Some(node) = fields.get("at_least") else {
            return (None, optional);
        };
        let what = format!("{what}: at_least");
        let number = report::number(node, &what, 1..=u32::MAX, &mut self.report);
        if optional {
            self.report
                .error(
                    node.at,
                    format!("{what} means nothing where the phase is optional"),
                )
                .hint("leave one of the two out");
        }
        if let Some(number) = number.filter(|number| *number > all && all > 0) {
            self.report.error(
                node.at,
                format!("{what} is {number}, and the phase has {all} environments"),
            );
        }
        (number, optional)
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
        let fields = Fields::of(
            node,
            &what,
            &["role", "count", "not_author", "expires"],
            &mut self.report,
        )?;
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
        let not_author = self.optional_boolean(&fields, "not_author", &what);
        let expires = self.optional_span(&fields, "expires", &what, LONGEST_ASKED);
        Some(ApprovalRule {
            role: role?,
            count: count?,
            not_author: not_author.unwrap_or(false),
            expires: expires.unwrap_or(ApprovalRule::DEFAULT_EXPIRES),
        })
    }

    /// What is defined and never reached is probably a slip.
    pub(super) fn warn_of_unreached(&mut self) {
        let phases = self.known.lifecycles.iter().filter_map(|entry| {
            let phases = field(&entry.value, "phases").unwrap_or(&entry.value);
            match &phases.kind {
                Kind::List(phases) => Some(phases),
                _ => None,
            }
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
