//! `services`: what Towline owns (`fargate`) and what it only updates (`existing`).

use super::{Reading, existing, fargate, whole, word};
use crate::domain::{
    name::{EcsServiceName, EnvironmentName, ServiceName, TargetId},
    project::{
        check::Reach,
        definition::{Service, ServiceKind, Whereabouts},
        limits::{self, Limit},
        report::{self, Fields},
        yaml::{Kind, Node},
    },
};

#[derive(Clone, Copy)]
enum KindWord {
    Fargate,
    Existing,
}

impl<'a> Reading<'a> {
    pub(super) fn service(&mut self, key: &'a str, node: &'a Node) -> Option<Service> {
        let what = format!("service {key}");
        let entries = report::map(node, &what, &mut self.report)?;
        let Some(kind) = entries.iter().find(|entry| entry.key == "kind") else {
            self.report
                .error(node.at, format!("{what} lacks kind"))
                .hint("`fargate`: Towline owns the service; `existing`: it only changes its images");
            return None;
        };
        let words = [("fargate", KindWord::Fargate), ("existing", KindWord::Existing)];
        let word = word(&kind.value, &format!("{what}: kind"), &words, &mut self.report)?;
        let (known, limits): (&[&str], &[&'static [Limit]]) = match word {
            KindWord::Fargate => (&fargate::KEYS, &[&limits::SERVICE, &limits::CONTAINER]),
            KindWord::Existing => (&existing::KEYS, &[]),
        };
        let fields = Fields::within(node, &what, known, limits, &mut self.report)?;
        let after = self.after(&what, fields.get("after"));
        let only_in = self.only_in(&what, &fields);
        let uses = self.uses.len();
        let kind = match word {
            KindWord::Fargate => self
                .fargate(key, &what, &fields)
                .map(|it| ServiceKind::Fargate(Box::new(it))),
            KindWord::Existing => self
                .existing(key, &what, &fields)
                .map(|it| ServiceKind::Existing(Box::new(it))),
        };
        self.reaches(uses, Reach::Service(key.to_owned()));
        Some(Service {
            after,
            only_in,
            kind: kind?,
        })
    }

    fn after(&mut self, what: &str, node: Option<&'a Node>) -> Vec<ServiceName> {
        let what = format!("{what}: after");
        let items = node
            .and_then(|node| report::list(node, &what, &mut self.report))
            .unwrap_or_default();
        items
            .iter()
            .filter_map(|item| self.reference(item, &what, "service", self.known.services))
            .collect()
    }

    pub(super) fn only_in(&mut self, what: &str, fields: &Fields<'a>) -> Vec<Whereabouts> {
        let what = format!("{what}: only_in");
        let Some(node) = fields.get("only_in") else {
            return Vec::new();
        };
        let items = report::list(node, &what, &mut self.report).unwrap_or_default();
        if items.is_empty() && matches!(node.kind, Kind::List(_)) {
            self.report
                .error(node.at, format!("{what} is empty: it would be nowhere"))
                .hint("leave only_in out for what is everywhere");
        }
        items
            .iter()
            .filter_map(|item| self.whereabouts(&what, item))
            .collect()
    }

    fn whereabouts(&mut self, what: &str, node: &'a Node) -> Option<Whereabouts> {
        let text = report::strict_text(node, what, &mut self.report)?;
        if !text.contains('/') {
            let name: EnvironmentName = self.reference(node, what, "environment", self.known.environments)?;
            return Some(Whereabouts::Environment(name));
        }
        let known = self.targets();
        if !known.iter().any(|target| target == text) {
            self.report
                .error(node.at, format!("{what}: there is no target {text:?}"))
                .one_of(text, known.iter().map(String::as_str));
            return None;
        }
        let target: TargetId = text.parse().ok()?;
        Some(Whereabouts::Target(target))
    }

    /// `account/region/cluster` of every target of the file.
    fn targets(&self) -> Vec<String> {
        let lists = self.known.environments.iter().filter_map(|entry| {
            match &whole::field(&entry.value, "targets")?.kind {
                Kind::List(targets) => Some(targets),
                _ => None,
            }
        });
        let id = |target| {
            let parts = ["account", "region", "cluster"].map(|key| whole::field(target, key));
            let [account, region, cluster] = parts.map(|node| node.and_then(whole::scalar));
            Some(format!("{}/{}/{}", account?, region?, cluster?))
        };
        lists.flatten().filter_map(id).collect()
    }

    pub(super) fn ecs_service(
        &mut self,
        key: &str,
        what: &str,
        fields: &Fields<'a>,
    ) -> Option<EcsServiceName> {
        match fields.get("service") {
            Some(node) => report::parsed(node, &format!("{what}: service"), &mut self.report),
            None => key.parse().ok(),
        }
    }
}
