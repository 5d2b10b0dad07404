//! From the tree to a [`Project`], one file per part of it. Everything that is
//! wrong is reported; a part that is wrong is left out, and the reading goes on.

mod balancing;
mod channels;
mod container;
mod containers;
mod environments;
mod existing;
mod failing;
mod fargate;
mod images;
mod keys;
mod lifecycles;
mod optional;
mod rollout;
mod services;
mod storage;
mod tasks;
mod tmpfs;
mod variables;
mod whole;

use std::str::FromStr;

use indexmap::IndexMap;

use super::{
    check::{Reach, Use, Wants},
    definition::Project,
    report::{self, Fields, Report},
    template::{BadTemplate, Template},
    used,
    yaml::{Entry, Kind, Node},
};

/// What the readers share: the faults, the names that may be referred to, and
/// the places where values are used.
pub struct Reading<'a> {
    pub report: Report,
    known: Known<'a>,
    pub uses: Vec<Use>,
    /// Where those of them that are not everywhere have to be filled.
    reaches: Vec<(std::ops::Range<usize>, Reach)>,
    /// Where the values of each variable stand.
    variable_places: std::collections::HashMap<String, Vec<super::yaml::Place>>,
}

/// The keys of the file's own maps, read before anything refers to them.
#[derive(Default)]
struct Known<'a> {
    images: &'a [Entry],
    services: &'a [Entry],
    tasks: &'a [Entry],
    environments: &'a [Entry],
    channels: &'a [Entry],
    lifecycles: &'a [Entry],
}

const KEYS: [&str; 8] = [
    "project",
    "images",
    "services",
    "tasks",
    "environments",
    "channels",
    "lifecycles",
    "variables",
];

/// The project, and its faults; `None` when one of them is an error.
pub fn project(root: &Node, report: Report) -> (Option<Project>, Report) {
    let known = Known {
        images: entries(root, "images"),
        services: entries(root, "services"),
        tasks: entries(root, "tasks"),
        environments: entries(root, "environments"),
        channels: entries(root, "channels"),
        lifecycles: entries(root, "lifecycles"),
    };
    let mut reading = Reading {
        report,
        known,
        uses: Vec::new(),
        reaches: Vec::new(),
        variable_places: std::collections::HashMap::new(),
    };
    let project = reading.project(root);
    if let Some(project) = &project {
        reading.check_services_of_targets(project);
        reading.check_tasks(project);
        reading.check_variables_of_project(project);
        used::uses_on_targets(project, &reading.uses, &reading.reaches, &mut reading.report);
    }
    (project.filter(|_| !reading.report.has_errors()), reading.report)
}

/// The entries of a map at the top, or none: for references only.
fn entries<'a>(root: &'a Node, key: &str) -> &'a [Entry] {
    let Kind::Map(top) = &root.kind else { return &[] };
    match top
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.value.kind)
    {
        Some(Kind::Map(entries)) => entries,
        _ => &[],
    }
}

impl<'a> Reading<'a> {
    fn project(&mut self, root: &'a Node) -> Option<Project> {
        let fields = Fields::of(root, "the project file", &KEYS, &mut self.report)?;
        let name = fields.need("project", &mut self.report);
        let name = name.and_then(|node| report::parsed(node, "project", &mut self.report));
        let images = self.section(&fields, "images", Self::image);
        let services = self.section(&fields, "services", Self::service);
        let tasks = self.tasks(&fields);
        let environments = self.section(&fields, "environments", Self::environment);
        let channels = self.section(&fields, "channels", Self::channel);
        let lifecycles = self.section(&fields, "lifecycles", Self::lifecycle);
        let variables = self.variables(&fields);
        self.check_claims();
        self.check_order_of_services();
        self.warn_of_unreached();
        Some(Project {
            name: name?,
            images: images?,
            services: services?,
            tasks,
            environments: environments?,
            channels: channels?,
            lifecycles: lifecycles?,
            variables,
        })
    }

    /// A map at the top: every entry that is right, in order.
    fn section<K, V>(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        read: fn(&mut Self, &'a str, &'a Node) -> Option<V>,
    ) -> Option<IndexMap<K, V>>
    where
        K: FromStr + std::hash::Hash + Eq,
        K::Err: std::fmt::Display,
    {
        let node = fields.need(key, &mut self.report)?;
        let entries = report::map(node, key, &mut self.report)?;
        if entries.is_empty() {
            self.report
                .error(node.at, format!("{key} is empty: it needs at least one entry"));
        }
        let mut section = IndexMap::new();
        for entry in entries {
            let name = self.key(entry);
            let value = read(self, &entry.key, &entry.value);
            if let (Some(name), Some(value)) = (name, value) {
                section.insert(name, value);
            }
        }
        Some(section)
    }

    /// A key that is a name.
    fn key<K>(&mut self, entry: &Entry) -> Option<K>
    where
        K: FromStr,
        K::Err: std::fmt::Display,
    {
        match entry.key.parse() {
            Ok(name) => Some(name),
            Err(fault) => {
                let fault: K::Err = fault;
                self.report.error(entry.key_at, fault.to_string());
                None
            }
        }
    }

    /// The uses since `from` are of this reach.
    fn reaches(&mut self, from: usize, reach: Reach) {
        self.reaches.push((from..self.uses.len(), reach));
    }

    /// A text with holes, which every target must be able to fill.
    fn template(&mut self, node: &Node, what: &str) -> Option<Template> {
        let template = self.unchecked_template(node, what)?;
        self.uses.push(Use {
            at: node.at,
            wants: Wants::Text(template.clone()),
        });
        Some(template)
    }

    /// A text with holes; numbers and booleans are texts here.
    fn unchecked_template(&mut self, node: &Node, what: &str) -> Option<Template> {
        match report::text(node, what, &mut self.report)?.parse() {
            Ok(template) => Some(template),
            Err(fault) => {
                let fault: BadTemplate = fault;
                self.report
                    .error(node.at, format!("{what}: {fault}"))
                    .hint("a literal ${ is written $${");
                None
            }
        }
    }

    /// A template that may be left out.
    fn optional_template(&mut self, fields: &Fields<'a>, key: &str, what: &str) -> Option<Template> {
        fields
            .get(key)
            .and_then(|node| self.template(node, &format!("{what}: {key}")))
    }

    /// A list of templates that may be left out.
    fn templates(&mut self, node: Option<&Node>, what: &str) -> Vec<Template> {
        let items = node
            .and_then(|node| report::list(node, what, &mut self.report))
            .unwrap_or_default();
        items
            .iter()
            .filter_map(|item| self.template(item, what))
            .collect()
    }

    /// A map of texts with holes that may be left out.
    fn template_map(&mut self, node: Option<&'a Node>, what: &str) -> IndexMap<String, Template> {
        let entries = node
            .and_then(|node| report::map(node, what, &mut self.report))
            .unwrap_or_default();
        let mut all = IndexMap::new();
        for entry in entries {
            if entry.key.is_empty() {
                self.report
                    .error(entry.key_at, format!("{what}: a name is empty"));
            }
            if let Some(template) = self.template(&entry.value, &format!("{what}: {}", entry.key)) {
                all.insert(entry.key.clone(), template);
            }
        }
        all
    }

    /// A name of something else in the file: known there, or a fault.
    fn reference<T: FromStr>(&mut self, node: &Node, what: &str, thing: &str, known: &[Entry]) -> Option<T> {
        let name = report::text(node, what, &mut self.report)?;
        if !known.iter().any(|entry| entry.key == name) {
            self.report
                .error(node.at, format!("{what}: there is no {thing} {name:?}"))
                .one_of(name, known.iter().map(|entry| entry.key.as_str()));
            return None;
        }
        name.parse().ok()
    }
}

/// One of a few words.
fn word<T: Copy>(node: &Node, what: &str, words: &[(&str, T)], report: &mut Report) -> Option<T> {
    let text = report::text(node, what, report)?;
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    if found.is_none() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        report
            .error(node.at, format!("{what} cannot be {text:?}"))
            .one_of(text, all);
    }
    found
}
