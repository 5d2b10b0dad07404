//! `services`: what Towline owns (`fargate`) and what it only updates (`existing`).

use indexmap::IndexMap;

use super::{Reading, fargate, word};
use crate::domain::{
    name::{ContainerName, EcsServiceName, ServiceName},
    project::{
        definition::{ExistingService, Service, ServiceKind},
        limits::{self, Limit},
        report::{self, Fields},
        yaml::Node,
    },
};

const EXISTING_KEYS: [&str; 4] = ["kind", "after", "service", "containers"];

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
            KindWord::Existing => (&EXISTING_KEYS, &[]),
        };
        let fields = Fields::within(node, &what, known, limits, &mut self.report)?;
        let after = self.after(&what, fields.get("after"));
        let kind = match word {
            KindWord::Fargate => self
                .fargate(key, &what, &fields)
                .map(|it| ServiceKind::Fargate(Box::new(it))),
            KindWord::Existing => self.existing(key, &what, &fields).map(ServiceKind::Existing),
        };
        Some(Service { after, kind: kind? })
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

    fn existing(&mut self, key: &str, what: &str, fields: &Fields<'a>) -> Option<ExistingService> {
        let service = self.ecs_service(key, what, fields);
        let node = fields.need("containers", &mut self.report)?;
        let entries = report::map(node, &format!("{what}: containers"), &mut self.report)?;
        if entries.is_empty() {
            self.report.error(
                node.at,
                format!("{what}: containers is empty: there would be nothing to update"),
            );
        }
        let mut containers: IndexMap<ContainerName, _> = IndexMap::new();
        for entry in entries {
            let name = self.key(entry);
            let at = format!("{what}: container {}", entry.key);
            let image = self.reference(&entry.value, &at, "image", self.known.images);
            if let (Some(name), Some(image)) = (name, image) {
                containers.insert(name, image);
            }
        }
        Some(ExistingService {
            service: service?,
            containers,
        })
    }
}
