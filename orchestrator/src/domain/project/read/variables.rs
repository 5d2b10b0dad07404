//! `variables`: values by scope, and what can be told of them with the file's
//! places: scopes that name nothing, values that no place can choose between,
//! secrets that stand here instead of being referred to.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::{
    Reading,
    whole::{field, scalar},
};
use crate::domain::{
    name::TargetId,
    project::{
        definition::{Project, Repository, ServiceKind},
        forms::Form,
        report::{self, Fields},
        template::{BadTemplate, Scope, Source, Template, is_value_name},
        yaml::{Entry, Kind, Node, Place as At},
    },
    variable::{Place, Scoped, ScopedValue, VariableValue, Variables, places},
};

const KEYS: [&str; 8] = [
    "value",
    "ssm",
    "stack_output",
    "list",
    "environment",
    "target",
    "channel",
    "service",
];

impl<'a> Reading<'a> {
    pub(super) fn variables(&mut self, fields: &Fields<'a>) -> Variables {
        let Some(node) = fields.get("variables") else {
            return Variables::default();
        };
        let entries = report::map(node, "variables", &mut self.report).unwrap_or_default();
        let mut all = IndexMap::new();
        for entry in entries {
            if !is_value_name(&entry.key) {
                self.report
                    .error(
                        entry.key_at,
                        format!("variables: {:?} cannot be referred to", entry.key),
                    )
                    .hint("a letter first, then letters, digits, underscores and hyphens");
                continue;
            }
            let (values, at): (Vec<_>, Vec<_>) = self.values_of(entry).into_iter().unzip();
            self.variable_places.insert(entry.key.clone(), at);
            all.insert(entry.key.clone(), values);
        }
        Variables(all)
    }

    /// The values of one variable: the short form is one text, list or map for
    /// all places.
    fn values_of(&mut self, entry: &'a Entry) -> Vec<(ScopedValue, At)> {
        let what = format!("variable {}", entry.key);
        let node = &entry.value;
        let is_plain = |item: &Node| matches!(item.kind, Kind::Scalar { .. });
        match &node.kind {
            Kind::List(items) if items.is_empty() => {
                self.report.error(node.at, format!("{what} has no values"));
                Vec::new()
            }
            Kind::List(items) if !items.iter().all(is_plain) => items
                .iter()
                .filter_map(|item| self.scoped_value(&what, item))
                .collect(),
            Kind::Map(_) => self.scoped_value(&what, node).into_iter().collect(),
            Kind::List(_) | Kind::Scalar { .. } => {
                let value = self.plain_value(&what, node);
                let value = value.map(|value| scoped(Scoped::default(), value, node.at));
                value.into_iter().collect()
            }
        }
    }

    fn scoped_value(&mut self, what: &str, node: &'a Node) -> Option<(ScopedValue, At)> {
        let fields = Fields::of(node, format!("{what}: a value"), &KEYS, &mut self.report)?;
        let scope = self.scope_of(what, &fields);
        let value = self.one_value(what, node, &fields)?;
        Some(scoped(scope?, value, node.at))
    }

    /// Exactly one of the ways to say what it is.
    fn one_value(&mut self, what: &str, node: &'a Node, fields: &Fields<'a>) -> Option<VariableValue> {
        let list = self.optional_boolean(fields, "list", what).unwrap_or(false);
        let ways = ["value", "ssm", "stack_output"].map(|key| fields.get(key));
        match ways {
            [Some(value), None, None] => {
                if fields.get("list").is_some() {
                    self.report
                        .error(value.at, format!("{what}: list is for values that are read"))
                        .hint("a list here is written as one: value: [a, b]");
                }
                self.plain_value(what, value)
            }
            [None, Some(name), None] => {
                let name = self.value_template(name, &format!("{what}: ssm"))?;
                Some(VariableValue::Parameter { name, list })
            }
            [None, None, Some(output)] => {
                let what = format!("{what}: stack_output");
                let fields = Fields::of(output, &what, &["stack", "output"], &mut self.report)?;
                let [stack, output] = ["stack", "output"].map(|key| {
                    let node = fields.need(key, &mut self.report)?;
                    self.value_template(node, &format!("{what}: {key}"))
                });
                Some(VariableValue::StackOutput {
                    stack: stack?,
                    output: output?,
                    list,
                })
            }
            _ => {
                self.report
                    .error(
                        node.at,
                        format!("{what}: a value needs one of value, ssm and stack_output"),
                    )
                    .hint("such as { value: 20, environment: prod }");
                None
            }
        }
    }

    fn plain_value(&mut self, what: &str, node: &'a Node) -> Option<VariableValue> {
        let Kind::List(items) = &node.kind else {
            return self.value_template(node, what).map(VariableValue::Text);
        };
        if items.is_empty() {
            self.report.error(node.at, format!("{what} is an empty list"));
        }
        let items = items.iter().map(|item| self.value_template(item, what));
        items.collect::<Option<_>>().map(VariableValue::List)
    }

    /// A text whose holes are of environment and target alone.
    fn value_template(&mut self, node: &Node, what: &str) -> Option<Template> {
        let parsed = report::text(node, what, &mut self.report)?.parse::<Template>();
        match parsed {
            Ok(template) if template.holes().any(|(from, _)| from == Source::Variable) => {
                self.report
                    .error(node.at, format!("{what} cannot refer to another variable"))
                    .hint("${environment.NAME} and ${target.NAME} can stand here");
                None
            }
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

    fn scope_of(&mut self, what: &str, fields: &Fields<'a>) -> Option<Scoped> {
        let (environments, channels) = (self.known.environments, self.known.channels);
        let services = self.known.services;
        let faults = self.report.count();
        let scope = Scoped {
            environment: fields.get("environment").and_then(|node| {
                self.reference(node, &format!("{what}: environment"), "environment", environments)
            }),
            target: fields.get("target").and_then(|node| self.target_of(what, node)),
            channel: fields
                .get("channel")
                .and_then(|node| self.reference(node, &format!("{what}: channel"), "channel", channels)),
            service: fields
                .get("service")
                .and_then(|node| self.reference(node, &format!("{what}: service"), "service", services)),
        };
        (self.report.count() == faults).then_some(scope)
    }

    fn target_of(&mut self, what: &str, node: &'a Node) -> Option<TargetId> {
        let what = format!("{what}: target");
        let id: TargetId = report::parsed(node, &what, &mut self.report)?;
        let known = self.target_ids();
        if known.iter().any(|there| there == id.as_str()) {
            return Some(id);
        }
        self.report
            .error(node.at, format!("{what}: there is no target {id}"))
            .one_of(id.as_str(), known.iter().map(String::as_str));
        None
    }

    /// The ids of all targets of the file, as far as they can be read.
    fn target_ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for environment in self.known.environments {
            let Some(Kind::List(targets)) = field(&environment.value, "targets").map(|node| &node.kind)
            else {
                continue;
            };
            ids.extend(targets.iter().filter_map(|target| {
                let parts = ["account", "region", "cluster"].map(|key| field(target, key).and_then(scalar));
                let parts: Option<Vec<&str>> = parts.into_iter().collect();
                parts.map(|parts| parts.join("/"))
            }));
        }
        ids
    }

    /// What only the project as a whole can show of its variables.
    pub(super) fn check_variables_of_project(&mut self, project: &Project) {
        if project.variables.is_empty() {
            return;
        }
        self.check_ties(project);
        self.check_values(project);
        self.check_secret_names(project);
        self.check_names_are_known(project);
    }

    fn variable_at(&self, name: &str, index: usize) -> At {
        let at = self.variable_places.get(name).and_then(|all| all.get(index));
        at.copied().unwrap_or(At::START)
    }

    fn check_ties(&mut self, project: &Project) {
        for tie in project.variables.ties(project) {
            let (first, second) = tie.values;
            let index = project
                .variables
                .values(tie.name)
                .iter()
                .position(|value| std::ptr::eq(value, second));
            let at = self.variable_at(tie.name, index.unwrap_or_default());
            let message = format!(
                "variable {}: lines {} and {} are equally specific, and both match {}",
                tie.name, first.line, second.line, tie.place
            );
            let hint = format!(
                "({}) and ({}): name one scope more in one of them",
                first.scope, second.scope
            );
            self.report.error(at, message).hint(hint);
        }
    }

    /// Every value can be filled wherever it matches, and matches somewhere.
    fn check_values(&mut self, project: &Project) {
        let all = places(project);
        for (name, values) in &project.variables.0 {
            for (index, value) in values.iter().enumerate() {
                let at = self.variable_at(name, index);
                let mut matched = false;
                let mut told = BTreeSet::new();
                for (environment, target, service, channel) in &all {
                    let place = Place {
                        environment,
                        target,
                        channel: Some(channel),
                        service: Some(service),
                    };
                    if !value.scope.matches(&place) {
                        continue;
                    }
                    matched = true;
                    if let Some(why) = unfilled(project, &place, value)
                        && told.insert((why.clone(), target.clone()))
                    {
                        self.report.error(
                            at,
                            format!("variable {name}: {why} on target {target} ({environment})"),
                        );
                    }
                }
                if !matched {
                    self.report
                        .warning(at, format!("variable {name}: this value counts nowhere"))
                        .hint(format!(
                            "no release reaches a place that is all of: {}",
                            value.scope
                        ));
                }
            }
        }
    }

    /// A variable that has the name of a secret is a reference to it.
    fn check_secret_names(&mut self, project: &Project) {
        let secrets = secret_names(project);
        for (name, values) in &project.variables.0 {
            if !secrets.contains(name.as_str()) {
                continue;
            }
            for (index, value) in values.iter().enumerate() {
                let VariableValue::Text(text) = &value.value else {
                    continue;
                };
                let open = text.holes().next().is_some();
                if open || Form::SecretReference.fault(text.as_str()).is_none() {
                    continue;
                }
                let at = self.variable_at(name, index);
                self.report
                    .error(
                        at,
                        format!("variable {name} has the name of a secret, and is no reference to one"),
                    )
                    .hint("write the ARN of the secret or parameter; the value of a secret never goes here");
            }
        }
    }

    /// What Towline must know before it asks an agent is not read by one.
    fn check_names_are_known(&mut self, project: &Project) {
        let read: BTreeSet<&str> = project.variables.read_by_agents().collect();
        let reads = |template: &Template| {
            let mut holes = template.holes();
            holes
                .find(|(from, name)| *from == Source::Variable && read.contains(name))
                .map(|(_, name)| name.to_owned())
        };
        let mut faults: Vec<(At, String, String)> = Vec::new();
        for (key, service) in &project.services {
            let ServiceKind::Existing(existing) = &service.kind else {
                continue;
            };
            let entry = self.known.services.iter().find(|it| it.key == key.as_str());
            let node = entry.and_then(|entry| field(&entry.value, "service"));
            if let (Some(name), Some(node)) = (reads(&existing.service), node) {
                faults.push((node.at, format!("service {key}: service"), name));
            }
        }
        for (key, image) in &project.images {
            let Repository::Named(repository) = &image.repository else {
                continue;
            };
            let entry = self.known.images.iter().find(|it| it.key == key.as_str());
            let node = entry.and_then(|entry| field(&entry.value, "repository"));
            if let (Some(name), Some(node)) = (reads(repository), node) {
                faults.push((node.at, format!("image {key}: repository"), name));
            }
        }
        for (at, what, name) in faults {
            self.report
                .error(
                    at,
                    format!(
                        "{what} must be known before an agent is asked, and variable {name} is read by one"
                    ),
                )
                .hint("use a value of the environment or target, or a variable that stands in the file");
        }
    }
}

fn scoped(scope: Scoped, value: VariableValue, at: At) -> (ScopedValue, At) {
    let line = u32::try_from(at.line).unwrap_or(u32::MAX);
    (ScopedValue { scope, value, line }, at)
}

/// The first hole of a value that the place does not fill.
fn unfilled(project: &Project, place: &Place<'_>, value: &ScopedValue) -> Option<String> {
    let environment = project.environments.get(place.environment)?;
    let target = environment.targets.iter().find(|it| it.id() == *place.target)?;
    let scope = Scope {
        environment: &environment.values,
        target: &target.values,
        variables: None,
    };
    let mut templates = value.value.templates().into_iter();
    templates.find_map(|template| template.resolve(scope).err().map(|why| why.to_string()))
}

/// The names that containers know secrets by.
fn secret_names(project: &Project) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for service in project.services.values() {
        match &service.kind {
            ServiceKind::Fargate(fargate) => {
                let all = fargate.containers.iter().flat_map(|it| it.secrets.keys());
                names.extend(all.map(String::as_str));
            }
            ServiceKind::Existing(existing) => {
                let all = existing.containers.iter().flat_map(|it| it.secrets.set.keys());
                names.extend(all.map(String::as_str));
            }
        }
    }
    names
}
