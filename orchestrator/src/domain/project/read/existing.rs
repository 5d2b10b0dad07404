//! `kind: existing`: what changes of a service that someone else owns.

use jiff::SignedDuration;

use super::Reading;
use crate::domain::project::{
    definition::{
        Bake, BaseRevision, ExistingContainer, ExistingService, FileChanges, NamedChanges, OnFailure, WaitFor,
    },
    forms::Form,
    report::{self, Fields},
    template::{Template, Texts},
    yaml::{Entry, Kind, Node},
};

pub(super) const KEYS: [&str; 14] = [
    "kind",
    "after",
    "only_in",
    "service",
    "containers",
    "family",
    "base",
    "template_family",
    "tags",
    "on_failure",
    "wait_for",
    "timeout",
    "bake",
    // Told with what it is here.
    "force",
];

/// The most that an agent waits, and that AWS keeps an alarm's word for sure.
const LONGEST_BAKE: SignedDuration = SignedDuration::from_hours(24);
const LONGEST_TIMEOUT: SignedDuration = SignedDuration::from_hours(24 * 7);
/// What one request to an agent may name.
const MOST_ALARMS: usize = 50;
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html>
const MOST_FILES: usize = 10;

const BASES: [(&str, BaseRevision); 2] = [
    ("latest", BaseRevision::Latest),
    ("running", BaseRevision::Running),
];
const FAILURES: [(&str, OnFailure); 2] = [("leave", OnFailure::Leave), ("roll_back", OnFailure::RollBack)];
const WAITS: [(&str, WaitFor); 2] = [("verdict", WaitFor::Verdict), ("started", WaitFor::Started)];

impl<'a> Reading<'a> {
    pub(super) fn existing(
        &mut self,
        key: &'a str,
        what: &str,
        fields: &Fields<'a>,
    ) -> Option<ExistingService> {
        if let Some(node) = fields.get("force") {
            self.report
                .error(node.at, format!("{what}: force is no property of a service"))
                .hint("it is one of a deployment: towline promote VERSION --force");
        }
        let service = match fields.get("service") {
            Some(node) => self.formed(node, &format!("{what}: service"), Form::EcsName),
            None => key.parse().ok(),
        };
        let containers = self.containers_to_update(what, fields);
        let base = self.optional_word(fields, "base", what, &BASES);
        let template_family = self.optional_formed(fields, "template_family", what, Form::EcsName);
        if let (Some(_), Some(node)) = (base, fields.get("template_family")) {
            self.report
                .error(node.at, format!("{what} has one base: base or template_family"))
                .hint("leave one of the two out");
        }
        let tags = fields.get("tags");
        let tags = tags.and_then(|node| self.named_changes(&format!("{what}: tags"), node, Named::Tags));
        let wait_for = self.optional_word(fields, "wait_for", what, &WAITS);
        let bake = fields.get("bake").and_then(|node| self.bake(what, node));
        let on_failure = self.optional_word(fields, "on_failure", what, &FAILURES);
        if wait_for == Some(WaitFor::Started) {
            let rolls_back = on_failure == Some(OnFailure::RollBack);
            for (key, given) in [("bake", bake.is_some()), ("on_failure", rolls_back)] {
                if let Some(node) = fields.get(key).filter(|_| given) {
                    self.report.error(
                        node.at,
                        format!("{what}: {key} means nothing where nobody waits for the verdict"),
                    );
                }
            }
        }
        Some(ExistingService {
            family: self.optional_formed(fields, "family", what, Form::EcsName),
            base,
            template_family,
            tags: tags.unwrap_or_default(),
            on_failure,
            wait_for,
            timeout: self.optional_span(fields, "timeout", what, LONGEST_TIMEOUT),
            bake,
            service: service?,
            containers: containers?,
        })
    }

    fn containers_to_update(&mut self, what: &str, fields: &Fields<'a>) -> Option<Vec<ExistingContainer>> {
        let node = fields.need("containers", &mut self.report)?;
        let entries = report::map(node, &format!("{what}: containers"), &mut self.report)?;
        if entries.is_empty() {
            self.report.error(
                node.at,
                format!("{what}: containers is empty: there would be nothing to update"),
            );
        }
        Some(
            entries
                .iter()
                .filter_map(|entry| self.container_to_update(what, entry))
                .collect(),
        )
    }

    fn container_to_update(&mut self, service: &str, entry: &'a Entry) -> Option<ExistingContainer> {
        let what = format!("{service}: container {}", entry.key);
        let name = self.container_name(entry);
        let node = &entry.value;
        if let Kind::Scalar { .. } = &node.kind {
            let image = self.reference(node, &what, "image", self.known.images);
            return Some(ExistingContainer {
                name: name?,
                image: Some(image?),
                environment: NamedChanges::default(),
                secrets: NamedChanges::default(),
                environment_files: FileChanges::default(),
            });
        }
        let known = ["image", "environment", "secrets", "environment_files"];
        let fields = Fields::of(node, &what, &known, &mut self.report)?;
        let count = self.report.count();
        let image = fields
            .get("image")
            .and_then(|node| self.reference(node, &format!("{what}: image"), "image", self.known.images));
        let [environment, secrets] =
            [("environment", Named::Variables), ("secrets", Named::Secrets)].map(|(key, named)| {
                let node = fields.get(key);
                node.and_then(|node| self.named_changes(&format!("{what}: {key}"), node, named))
                    .unwrap_or_default()
            });
        let files = fields.get("environment_files");
        let environment_files = files
            .and_then(|node| self.file_changes(&format!("{what}: environment_files"), node))
            .unwrap_or_default();
        self.set_in_both(&what, &fields, &environment, &secrets);
        let nothing =
            image.is_none() && environment.is_empty() && secrets.is_empty() && environment_files.is_empty();
        if nothing && self.report.count() == count {
            self.report
                .error(entry.key_at, format!("{what}: nothing of it changes"))
                .hint("`app: IMAGE` gives it a new image; a container that is not named stays as it is");
        }
        Some(ExistingContainer {
            name: name?,
            image,
            environment,
            secrets,
            environment_files,
        })
    }

    /// The key may have holes: accounts may call one container by different names.
    fn container_name(&mut self, entry: &Entry) -> Option<Template> {
        if !entry.key.contains("${") {
            let name = self.key::<crate::domain::name::ContainerName>(entry)?;
            return name.as_str().parse().ok();
        }
        let node = Node {
            kind: Kind::Scalar {
                text: entry.key.clone(),
                quoted: true,
            },
            at: entry.key_at,
        };
        self.formed(&node, "a container's name", Form::EcsName)
    }

    fn named_changes(&mut self, what: &str, node: &'a Node, named: Named) -> Option<NamedChanges> {
        let known: &[&str] = match named {
            Named::Tags => &["set", "remove"],
            Named::Variables | Named::Secrets => &["set", "remove", "replace"],
        };
        let fields = Fields::of(node, what, known, &mut self.report)?;
        let set = fields.get("set");
        let changes = NamedChanges {
            set: self.template_map(set, &format!("{what}: set")),
            remove: self.names_to_remove(what, &fields),
            replace: named != Named::Tags && self.optional_boolean(&fields, "replace", what).unwrap_or(false),
        };
        let entries = set.and_then(|node| match &node.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        });
        for entry in entries.into_iter().flatten() {
            if let Some(why) = named.key_fault(&entry.key) {
                self.report.error(entry.key_at, format!("{what}: {why}"));
            }
            if changes.remove.contains(&entry.key) {
                self.report.error(
                    entry.key_at,
                    format!("{what}: {} is both set and removed", entry.key),
                );
            }
            if let (Named::Secrets, Some(template)) = (named, changes.set.get(&entry.key)) {
                let texts = Texts::Items(vec![template.clone()]);
                self.has_form(
                    &entry.value,
                    &format!("{what}: {}", entry.key),
                    texts,
                    Form::SecretReference,
                );
            }
        }
        if changes.replace
            && let Some(node) = fields.get("remove")
        {
            self.report.error(
                node.at,
                format!("{what}: remove means nothing beside replace: what is set is all that is left"),
            );
        }
        Some(changes)
    }

    fn names_to_remove(&mut self, what: &str, fields: &Fields<'a>) -> Vec<String> {
        let what = format!("{what}: remove");
        let mut names: Vec<String> = Vec::new();
        let node = fields.get("remove");
        let items = node
            .and_then(|node| report::list(node, &what, &mut self.report))
            .unwrap_or_default();
        for item in items {
            match report::text(item, &what, &mut self.report) {
                Some("") => drop(self.report.error(item.at, format!("{what}: a name is empty"))),
                Some(name) if names.iter().any(|known| known == name) => {
                    self.report.error(item.at, format!("{what} names {name} twice"));
                }
                Some(name) => names.push(name.to_owned()),
                None => {}
            }
        }
        names
    }

    fn set_in_both(
        &mut self,
        what: &str,
        fields: &Fields<'a>,
        environment: &NamedChanges,
        secrets: &NamedChanges,
    ) {
        let Some(node) = fields
            .get("secrets")
            .and_then(|node| super::whole::field(node, "set"))
        else {
            return;
        };
        for entry in report::map(node, what, &mut self.report).unwrap_or_default() {
            if environment.set.contains_key(&entry.key) && secrets.set.contains_key(&entry.key) {
                self.report.error(
                    entry.key_at,
                    format!("{what}: {} is set both in environment and in secrets", entry.key),
                );
            }
        }
    }

    fn file_changes(&mut self, what: &str, node: &'a Node) -> Option<FileChanges> {
        let fields = Fields::of(node, what, &["add", "remove", "replace"], &mut self.report)?;
        let [add, remove] = ["add", "remove"].map(|key| {
            let node = fields.get(key)?;
            self.formed_texts(node, &format!("{what}: {key}"), Form::EnvironmentFile)
        });
        if let (Some(Texts::Items(files)), Some(node)) = (&add, fields.get("add"))
            && files.len() > MOST_FILES
        {
            self.report.error(
                node.at,
                format!("{what}: a container has at most {MOST_FILES} environment files"),
            );
        }
        let replace = self.optional_boolean(&fields, "replace", what).unwrap_or(false);
        if replace && let Some(node) = fields.get("remove") {
            self.report.error(
                node.at,
                format!("{what}: remove means nothing beside replace: what is added is all that is left"),
            );
        }
        Some(FileChanges { add, remove, replace })
    }

    fn bake(&mut self, what: &str, node: &'a Node) -> Option<Bake> {
        let what = format!("{what}: bake");
        let fields = Fields::of(node, &what, &["time", "alarms"], &mut self.report)?;
        fields.need("time", &mut self.report);
        let time = self.optional_span(&fields, "time", &what, LONGEST_BAKE);
        let alarms = self.optional_texts(&fields, "alarms", &what);
        if let (Some(Texts::Items(items)), Some(node)) = (&alarms, fields.get("alarms"))
            && items.len() > MOST_ALARMS
        {
            self.report.error(
                node.at,
                format!(
                    "{what}: at most {MOST_ALARMS} alarms, and there are {}",
                    items.len()
                ),
            );
        }
        Some(Bake { time: time?, alarms })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Variables,
    Secrets,
    Tags,
}

impl Named {
    /// What is wrong with a name that is set; that it is empty is told elsewhere.
    fn key_fault(self, key: &str) -> Option<String> {
        match self {
            Self::Variables | Self::Secrets if key.contains('=') => Some(format!(
                "{key:?} is no name for a variable: it has an equals sign"
            )),
            Self::Variables | Self::Secrets => None,
            Self::Tags if key.starts_with("aws:") || key.starts_with("towline:") => Some(format!(
                "{key} cannot be set: AWS and Towline keep such tags themselves"
            )),
            // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
            Self::Tags if key.chars().count() > 128 => {
                Some("a tag's key has at most 128 characters".to_owned())
            }
            Self::Tags => None,
        }
    }
}
