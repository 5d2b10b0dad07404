//! The file, for people: in a stable order, with what differs beside it.

use std::collections::BTreeMap;

use super::{
    FoundCluster, Note, Reason,
    join::{Joined, JoinedService},
    repositories::JoinedImage,
};
use crate::domain::name::{EnvironmentName, ProjectName};

/// Lines longer than this are broken where they can be.
const WIDTH: usize = 100;
/// Of the same reason in the head of the file.
const MOST_NOTES: usize = 5;

pub fn definition(
    project: &ProjectName,
    clusters: &[FoundCluster],
    joined: &Joined,
    notes: &[Note],
) -> String {
    let mut file = File::default();
    head(&mut file, clusters, joined, notes);
    file.line(0, &format!("project: {project}"));
    file.gap();
    file.line(
        0,
        "# A container that is named under `services` gets the image of its key; a release",
    );
    file.line(0, "# chooses the tag of each key that has none here.");
    file.line(0, "images:");
    let environments = environments(clusters);
    let mut images: Vec<&JoinedImage> = joined.images.iter().collect();
    images.sort_by(|a, b| a.key.cmp(&b.key));
    for image in images {
        write_image(&mut file, image, &environments);
    }
    file.gap();
    file.line(0, "services:");
    for service in &joined.services {
        write_service(&mut file, service, joined, clusters, &environments);
    }
    file.gap();
    write_environments(&mut file, clusters, joined, &environments);
    file.gap();
    write_lifecycle(&mut file, &environments);
    file.text
}

/// The environments in their order, with their clusters.
type Environments<'a> = Vec<(&'a EnvironmentName, Vec<usize>)>;

fn environments(clusters: &[FoundCluster]) -> Environments<'_> {
    let mut all: Environments<'_> = Vec::new();
    for (at, cluster) in clusters.iter().enumerate() {
        match all.iter_mut().find(|(name, _)| **name == cluster.environment) {
            Some((_, clusters)) => clusters.push(at),
            None => all.push((&cluster.environment, vec![at])),
        }
    }
    all
}

fn head(file: &mut File, clusters: &[FoundCluster], joined: &Joined, notes: &[Note]) {
    let accounts: std::collections::BTreeSet<_> = clusters.iter().map(|it| &it.account).collect();
    let found: usize = joined.services.iter().map(|it| it.names.len()).sum();
    let counted = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    file.comment(
        0,
        &format!(
            "Imported from what runs: {} in {} of {}, as {} here.",
            counted(found, "ECS service"),
            counted(clusters.len(), "cluster"),
            counted(accounts.len(), "account"),
            counted(joined.services.len(), "service"),
        ),
    );
    file.comment(
        0,
        "Nothing changes before a release is deployed, and then nothing but the containers that are named here. Take out what you do not release; split the file where you release apart.",
    );
    let mut by_reason: BTreeMap<Reason, Vec<&Note>> = BTreeMap::new();
    // What stands beside its service is not said twice.
    let beside = [Reason::ContainerNotEverywhere, Reason::ImageByDigest];
    for note in notes.iter().filter(|note| !beside.contains(&note.reason)) {
        by_reason.entry(note.reason).or_default().push(note);
    }
    for notes in by_reason.values() {
        file.line(0, "#");
        for note in notes.iter().take(MOST_NOTES) {
            file.comment(0, &format!("Note: {}.", note.message));
        }
        if let Some(more) = notes.len().checked_sub(MOST_NOTES).filter(|more| *more > 0) {
            file.comment(0, &format!("Note: {more} more of this kind."));
        }
    }
}

fn write_image(file: &mut File, image: &JoinedImage, environments: &Environments<'_>) {
    let repository = quoted(&image.repository.written());
    let line = match &image.tag {
        Some(tag) => format!(
            "{}: {{ repository: {repository}, tag: {} }}",
            image.key,
            quoted(tag.as_str())
        ),
        None => format!("{}: {{ repository: {repository} }}", image.key),
    };
    let remark = match image.tag {
        Some(_) => "the same everywhere; without `tag` releases choose it".to_owned(),
        None => format!("runs {}", running(image, environments)),
    };
    file.remarked(1, &line, &remark);
}

/// `1.2.0 in dev; 1.1.0 in prod`
fn running(image: &JoinedImage, environments: &Environments<'_>) -> String {
    let mut by_tags: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, clusters) in environments {
        let tags: std::collections::BTreeSet<&str> = clusters
            .iter()
            .filter_map(|at| image.running.get(at))
            .flatten()
            .map(String::as_str)
            .collect();
        let tags = tags.into_iter().collect::<Vec<_>>().join(" and ");
        match by_tags.iter_mut().find(|(known, _)| *known == tags) {
            _ if tags.is_empty() => {}
            Some((_, places)) => places.push(name.as_str()),
            None => by_tags.push((tags, vec![name.as_str()])),
        }
    }
    match by_tags.as_slice() {
        [(tags, _)] => tags.clone(),
        several => several
            .iter()
            .map(|(tags, places)| format!("{tags} in {}", places.join(", ")))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn write_service(
    file: &mut File,
    service: &JoinedService,
    joined: &Joined,
    clusters: &[FoundCluster],
    environments: &Environments<'_>,
) {
    file.line(1, &format!("{}:", service.key));
    for remark in &service.remarks {
        file.comment(2, &format!("Note: {remark}."));
    }
    file.line(2, "kind: existing");
    let name = service.name.written();
    if name != service.key.as_str() {
        file.line(2, &format!("service: {}", quoted(&name)));
    }
    if service.names.len() < clusters.len() {
        let places = places(service, clusters, environments);
        file.list(2, "only_in", &places);
    }
    let containers: Vec<String> = service
        .containers
        .iter()
        .filter_map(|(name, image)| {
            let image = joined.images.get(*image)?;
            Some(format!("{}: {}", quoted(&name.written()), image.key))
        })
        .collect();
    file.map(2, "containers", &containers);
}

fn places(
    service: &JoinedService,
    clusters: &[FoundCluster],
    environments: &Environments<'_>,
) -> Vec<String> {
    let mut places = Vec::new();
    for (name, all) in environments {
        let here: Vec<usize> = all
            .iter()
            .copied()
            .filter(|at| service.names.contains_key(at))
            .collect();
        if here.len() == all.len() {
            places.push(name.to_string());
        } else {
            let targets = here.iter().filter_map(|at| clusters.get(*at));
            places.extend(targets.map(|it| quoted(it.target().as_str())));
        }
    }
    places
}

fn write_environments(
    file: &mut File,
    clusters: &[FoundCluster],
    joined: &Joined,
    environments: &Environments<'_>,
) {
    file.line(0, "environments:");
    for (name, targets) in environments {
        file.line(1, &format!("{name}:"));
        file.line(2, "targets:");
        for at in targets {
            let Some(cluster) = clusters.get(*at) else {
                continue;
            };
            file.line(3, &format!("- agent: {}", cluster.agent));
            file.line(4, &format!("account: \"{}\"", cluster.account));
            file.line(4, &format!("region: {}", cluster.region));
            file.line(4, &format!("cluster: {}", quoted(cluster.cluster.as_str())));
            let values: Vec<_> = joined.values.of(*at).collect();
            if !values.is_empty() {
                file.line(4, "values:");
            }
            for (name, text) in values {
                file.line(5, &format!("{name}: {}", quoted(text)));
            }
        }
    }
}

fn write_lifecycle(file: &mut File, environments: &Environments<'_>) {
    file.line(0, "channels:");
    file.line(1, "stable: { lifecycle: standard }");
    file.gap();
    file.comment(
        0,
        "Each phase waits for `towline promote`. `automatic: true` starts one by itself once the one before has succeeded; `approvals: { role: approver, count: 1 }` asks another person first.",
    );
    file.line(0, "lifecycles:");
    file.line(1, "standard:");
    for (name, _) in environments {
        file.line(2, &format!("- {{ phase: {name}, environments: [{name}] }}"));
    }
}

#[derive(Default)]
struct File {
    text: String,
}

impl File {
    fn line(&mut self, depth: usize, text: &str) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A comment, broken between words.
    fn comment(&mut self, depth: usize, text: &str) {
        let mut line = "#".to_owned();
        for word in text.split(' ') {
            if line.len() > 1 && 2 * depth + line.len() + 1 + word.len() > WIDTH {
                self.line(depth, &line);
                line = "#".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(depth, &line);
    }

    /// A line with a remark behind it, or above it where it would be too long.
    fn remarked(&mut self, depth: usize, line: &str, remark: &str) {
        if 2 * depth + line.len() + remark.len() + 4 <= WIDTH {
            self.line(depth, &format!("{line}  # {remark}"));
        } else {
            self.comment(depth, remark);
            self.line(depth, line);
        }
    }

    fn list(&mut self, depth: usize, key: &str, items: &[String]) {
        let line = format!("{key}: [{}]", items.join(", "));
        if 2 * depth + line.len() <= WIDTH {
            return self.line(depth, &line);
        }
        self.line(depth, &format!("{key}:"));
        for item in items {
            self.line(depth + 1, &format!("- {item}"));
        }
    }

    fn map(&mut self, depth: usize, key: &str, entries: &[String]) {
        let line = format!("{key}: {{ {} }}", entries.join(", "));
        if 2 * depth + line.len() <= WIDTH {
            return self.line(depth, &line);
        }
        self.line(depth, &format!("{key}:"));
        for entry in entries {
            self.line(depth + 1, entry);
        }
    }
}

/// A scalar, quoted where YAML would read something else into it.
fn quoted(text: &str) -> String {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    let word = text.to_ascii_lowercase();
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&word.as_str());
    // A dash first would be an item of a list, a slash inside keeps a target a text.
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(inside) && !reserved;
    // A registry begins with an account: digits, but no number.
    let registry = text.contains(".dkr.ecr.") && text.bytes().all(inside);
    match plain || registry {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
