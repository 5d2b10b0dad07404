//! The images of a file: one for each repository, whichever services use it,
//! and wherever each target has it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    FoundContainer,
    image::{Reference, is_own},
    names,
    values::{PerTarget, Text, Values, common},
};
use crate::domain::name::{ImageKey, ServiceName, Tag};

/// The value that names a target's registry.
const REGISTRY: &str = "registry";

pub struct JoinedImage {
    pub key: ImageKey,
    pub repository: Text,
    /// The same everywhere, and somebody else's: it is not chosen by releases.
    pub tag: Option<Tag>,
    /// The tags that run, by cluster.
    pub running: BTreeMap<usize, BTreeSet<String>>,
}

/// The images found so far.
pub struct Repositories(Vec<Found>);

struct Found {
    /// Names that fit it, the best first.
    names: Vec<String>,
    repository: Text,
    running: BTreeMap<usize, BTreeSet<String>>,
    /// It is in a registry of the user's, or all that a service consists of.
    own: bool,
}

impl Repositories {
    /// Looks at all containers first: the registries that most of them have are
    /// the targets' `registry`.
    pub fn of<'r>(
        rows: impl Iterator<Item = &'r BTreeMap<usize, &'r FoundContainer>>,
        values: &mut Values,
        _words: &[Vec<String>],
    ) -> Self {
        let mut counts: BTreeMap<PerTarget, usize> = BTreeMap::new();
        for row in rows {
            let registries = registries(row);
            let distinct: BTreeSet<&String> = registries.values().collect();
            if distinct.len() > 1 && !registries.values().any(String::is_empty) {
                *counts.entry(registries).or_default() += 1;
            }
        }
        let mut counts: Vec<(PerTarget, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(registries, count)| std::cmp::Reverse(registries.len() * count));
        for (registries, _) in counts {
            values.share(REGISTRY, &registries);
        }
        Self(Vec::new())
    }

    /// The place of the image that a container runs. `alone`: the service has no
    /// other container.
    pub fn place(
        &mut self,
        values: &mut Values,
        words: &[Vec<String>],
        service: &ServiceName,
        row: &BTreeMap<usize, &FoundContainer>,
        alone: bool,
    ) -> usize {
        let references: BTreeMap<usize, Reference> = row
            .iter()
            .map(|(at, it)| (*at, Reference::of(&it.image)))
            .collect();
        let own = alone || references.values().any(|it| is_own(&it.registry));
        let names = candidates(service, references.values().next());
        let repository = repository(values, words, &references, names.first());
        let known = self.0.iter().position(|it| it.repository == repository);
        let place = known.unwrap_or_else(|| {
            self.0.push(Found {
                names,
                repository,
                running: BTreeMap::new(),
                own: false,
            });
            self.0.len() - 1
        });
        if let Some(found) = self.0.get_mut(place) {
            found.own |= own;
            for (at, reference) in references {
                let tags = found.running.entry(at).or_default();
                tags.insert(reference.tag.unwrap_or_else(|| "a digest".to_owned()));
            }
        }
        place
    }

    pub fn finish(self) -> Vec<JoinedImage> {
        let mut taken = BTreeSet::new();
        let mut images = Vec::new();
        for found in self.0 {
            let free = found.names.iter().find(|name| !taken.contains(*name)).cloned();
            let last = found.names.last().map_or("image", String::as_str);
            let name = free.unwrap_or_else(|| names::free(last, "-", |name| taken.contains(name)));
            taken.insert(name.clone());
            let tags: BTreeSet<&String> = found.running.values().flatten().collect();
            let fixed = match (found.own, tags.first()) {
                (false, Some(tag)) if tags.len() == 1 => tag.parse().ok(),
                _ => None,
            };
            // A label is a key: `names::label` made it.
            let Ok(key) = name.parse() else { continue };
            images.push(JoinedImage {
                key,
                repository: found.repository,
                tag: fixed,
                running: found.running,
            });
        }
        images
    }
}

fn registries(row: &BTreeMap<usize, &FoundContainer>) -> PerTarget {
    row.iter()
        .map(|(at, it)| (*at, Reference::of(&it.image).registry))
        .collect()
}

/// `web` of `shop/web`, then `shop-web`, then with the service's key.
fn candidates(service: &ServiceName, reference: Option<&Reference>) -> Vec<String> {
    let path = reference.map_or("image", |it| it.path.as_str());
    let last = path.rsplit('/').next().unwrap_or(path);
    vec![
        names::label(last),
        names::label(path),
        names::label(&format!("{service}-{last}")),
    ]
}

fn repository(
    values: &mut Values,
    words: &[Vec<String>],
    references: &BTreeMap<usize, Reference>,
    name: Option<&String>,
) -> Text {
    let registries: PerTarget = references
        .iter()
        .map(|(at, it)| (*at, it.registry.clone()))
        .collect();
    let paths: PerTarget = references.iter().map(|(at, it)| (*at, it.path.clone())).collect();
    let registry = match values.with(REGISTRY, &registries) {
        Some(name) => Some(Text::value(name).and("/")),
        None => {
            let distinct: BTreeSet<&String> = registries.values().collect();
            match distinct.first().filter(|_| distinct.len() == 1) {
                Some(none) if none.is_empty() => Some(Text::default()),
                Some(same) => Some(Text::literal(&format!("{same}/"))),
                None => None,
            }
        }
    };
    if let Some(registry) = registry
        && let Some(path) = common(values, &paths, words)
    {
        return registry.then(path);
    }
    let whole = references.iter().map(|(at, it)| (*at, it.repository())).collect();
    let base = names::value_name(&format!("{}_repository", name.map_or("image", String::as_str)));
    Text::value(&values.share(&base, &whole))
}
