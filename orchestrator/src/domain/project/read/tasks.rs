//! `tasks`: what is run once, before or after the services of a target.

use indexmap::IndexMap;
use jiff::SignedDuration;

use super::{Reading, word};
use crate::domain::{
    name::{ContainerName, ServiceName},
    project::{
        check::Reach,
        definition::{OneOffTask, Project, RunAt, ServiceKind},
        report::{self, Fields},
        yaml::{Node, Place},
    },
};

const KEYS: [&str; 7] = [
    "run",
    "like",
    "container",
    "command",
    "environment",
    "timeout",
    "only_in",
];
const RUNS: [(&str, RunAt); 2] = [("before", RunAt::Before), ("after", RunAt::After)];
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

impl<'a> Reading<'a> {
    pub(super) fn tasks(&mut self, fields: &Fields<'a>) -> IndexMap<ServiceName, OneOffTask> {
        let node = fields.get("tasks");
        let entries = node
            .and_then(|node| report::map(node, "tasks", &mut self.report))
            .unwrap_or_default();
        let mut tasks = IndexMap::new();
        for entry in entries {
            let name: Option<ServiceName> = self.key(entry);
            if self.known.services.iter().any(|it| it.key == entry.key) {
                self.report
                    .error(
                        entry.key_at,
                        format!("task {}: a service has this name already", entry.key),
                    )
                    .hint("events and tables tell the two apart by their names: choose another one");
            }
            let task = self.task(&entry.key, &entry.value);
            if let (Some(name), Some(task)) = (name, task) {
                tasks.insert(name, task);
            }
        }
        tasks
    }

    fn task(&mut self, key: &str, node: &'a Node) -> Option<OneOffTask> {
        let what = format!("task {key}");
        let fields = Fields::of(node, &what, &KEYS, &mut self.report)?;
        let run = fields.need("run", &mut self.report);
        let run = run.and_then(|node| word(node, &format!("{what}: run"), &RUNS, &mut self.report));
        let like = fields.need("like", &mut self.report);
        let like: Option<ServiceName> = like
            .and_then(|node| self.reference(node, &format!("{what}: like"), "service", self.known.services));
        let container = fields.need("container", &mut self.report);
        let container: Option<ContainerName> =
            container.and_then(|node| report::parsed(node, &format!("{what}: container"), &mut self.report));
        let uses = self.uses.len();
        let command = self.templates(fields.get("command"), &format!("{what}: command"));
        let environment = self.template_map(fields.get("environment"), &format!("{what}: environment"));
        self.reaches(uses, Reach::Task(key.to_owned()));
        let timeout = self.optional_span(&fields, "timeout", &what, LONGEST);
        let only_in = self.only_in(&what, &fields);
        Some(OneOffTask {
            run: run?,
            like: like?,
            container: container?,
            command,
            environment,
            timeout,
            only_in,
        })
    }

    /// What a task's service has to bring along, and where it is run at all.
    pub(super) fn check_tasks(&mut self, project: &Project) {
        for (name, task) in &project.tasks {
            let entry = self.known.tasks.iter().find(|entry| entry.key == name.as_str());
            let at = entry.map_or(Place::START, |entry| entry.key_at);
            let Some(service) = project.services.get(&task.like) else {
                continue;
            };
            if let ServiceKind::Fargate(fargate) = &service.kind
                && !fargate.containers.iter().any(|it| it.name == task.container)
            {
                let known = fargate.containers.iter().map(|it| it.name.as_str());
                self.report
                    .error(
                        at,
                        format!(
                            "task {name}: service {} has no container {}",
                            task.like, task.container
                        ),
                    )
                    .one_of(task.container.as_str(), known);
            }
            // An environment that could not be read is not to blame.
            if self.report.has_errors() {
                continue;
            }
            let mut places = project
                .environments
                .iter()
                .flat_map(|(name, it)| it.targets.iter().map(move |target| (name, target)));
            if !places.any(|(environment, target)| {
                task.goes_to(environment, target) && service.goes_to(environment, target)
            }) {
                self.report
                    .error(
                        at,
                        format!(
                            "task {name} is run nowhere: service {} is not where it is",
                            task.like
                        ),
                    )
                    .hint("its only_in has to name places that the service goes to");
            }
        }
    }
}
