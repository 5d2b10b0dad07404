//! Services of several clusters as one: by their names, by their names but for
//! a word of the stage, and container by container.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    FoundCluster, FoundContainer, FoundService, ImportedService, Note, Place, Reason,
    image::Reference,
    names::{self, Stem},
    repositories::{JoinedImage, Repositories},
    values::{PerTarget, Text, Values, common},
};
use crate::domain::name::{EcsServiceName, EnvironmentName, ServiceName};

/// All that the file says.
pub struct Joined {
    /// By key.
    pub services: Vec<JoinedService>,
    pub images: Vec<JoinedImage>,
    pub values: Values,
}

pub struct JoinedService {
    pub key: ServiceName,
    /// Its name in ECS.
    pub name: Text,
    /// By the clusters that it is in.
    pub names: BTreeMap<usize, EcsServiceName>,
    /// With the place of the image.
    pub containers: Vec<(Text, usize)>,
    /// What the file says beside it.
    pub remarks: Vec<String>,
}

impl JoinedService {
    pub fn told(&self, clusters: &[FoundCluster]) -> ImportedService {
        let places = self.names.iter().filter_map(|(at, name)| {
            let cluster = clusters.get(*at)?;
            Some(Place {
                environment: cluster.environment.clone(),
                target: cluster.target(),
                ecs_service: name.clone(),
            })
        });
        ImportedService {
            key: self.key.clone(),
            containers: self.containers.iter().map(|(name, _)| name.written()).collect(),
            places: places.collect(),
        }
    }
}

/// The services of one name, by their clusters.
type Group<'a> = BTreeMap<usize, &'a FoundService>;
/// One container of a group, by the clusters.
type Row<'a> = BTreeMap<usize, &'a FoundContainer>;

pub fn join(clusters: &[FoundCluster], notes: &mut Vec<Note>) -> Joined {
    let words: Vec<Vec<String>> = clusters
        .iter()
        .map(|it| names::stage_words(it.environment.as_str(), it.agent.as_str()))
        .collect();
    let mut joining = Joining {
        clusters,
        words: &words,
        values: Values::default(),
        keys: BTreeSet::new(),
        notes,
    };
    let mut cut = Vec::new();
    for (key, group) in groups(clusters, &words, joining.notes) {
        joining.cut(&key, group, &mut cut);
    }
    let rows = cut.iter().flat_map(|it| it.rows.iter().map(|(_, row)| row));
    let mut images = Repositories::of(rows, &mut joining.values, &words);
    let mut services: Vec<JoinedService> = cut
        .into_iter()
        .filter_map(|it| joining.service(it, &mut images))
        .collect();
    services.sort_by(|a, b| a.key.cmp(&b.key));
    Joined {
        services,
        images: images.finish(),
        values: joining.values,
    }
}

/// Services that belong together, by the name that they share.
fn groups<'a>(
    clusters: &'a [FoundCluster],
    words: &[Vec<String>],
    notes: &mut Vec<Note>,
) -> BTreeMap<String, Group<'a>> {
    let met = Met::of(clusters, words);
    let mut groups: BTreeMap<String, Group<'a>> = BTreeMap::new();
    let mut late: Vec<(usize, &FoundService, String)> = Vec::new();
    for (at, cluster) in clusters.iter().enumerate() {
        for service in &cluster.services {
            let name = service.name.as_str();
            match met.shared(name, words.get(at)) {
                None => drop(groups.entry(name.to_owned()).or_default().insert(at, service)),
                Some(plain) => late.push((at, service, plain)),
            }
        }
    }
    // Whole names come first: they hold the key where both are in one cluster.
    for (at, service, plain) in late {
        let group = groups.entry(plain.clone()).or_default();
        match group.get(&at) {
            None => drop(group.insert(at, service)),
            Some(other) => {
                let message = format!(
                    "{} stands alone: {} of the same cluster is joined as {plain} already",
                    service.name, other.name
                );
                notes.push(Note {
                    service: names::label(service.name.as_str()),
                    reason: Reason::NotJoined,
                    message,
                });
                groups
                    .entry(service.name.to_string())
                    .or_default()
                    .insert(at, service);
            }
        }
    }
    groups
}

/// In which environments a name is met, whole or without its word of the stage.
#[derive(Default)]
struct Met<'a> {
    whole: HashMap<&'a str, BTreeSet<&'a EnvironmentName>>,
    plain: HashMap<String, BTreeSet<&'a EnvironmentName>>,
}

impl<'a> Met<'a> {
    fn of(clusters: &'a [FoundCluster], words: &[Vec<String>]) -> Self {
        let mut met = Self::default();
        for (at, cluster) in clusters.iter().enumerate() {
            for service in &cluster.services {
                let name = service.name.as_str();
                met.whole.entry(name).or_default().insert(&cluster.environment);
                let forms = [Some(name.to_owned()), plain(name, words.get(at))];
                for form in forms.into_iter().flatten() {
                    met.plain.entry(form).or_default().insert(&cluster.environment);
                }
            }
        }
        met
    }

    /// The name without its word of the stage, where several environments share
    /// that and do not share the whole name.
    fn shared(&self, name: &str, words: Option<&Vec<String>>) -> Option<String> {
        let several = |met: Option<&BTreeSet<&EnvironmentName>>| met.is_some_and(|met| met.len() > 1);
        let plain = plain(name, words).filter(|plain| several(self.plain.get(plain)));
        plain.filter(|_| !several(self.whole.get(name)))
    }
}

fn plain(name: &str, words: Option<&Vec<String>>) -> Option<String> {
    let plain = Stem::of(name, words?)?.plain();
    (!plain.is_empty()).then_some(plain)
}

/// A service of the file, before its names and images are written.
struct Cut<'a> {
    key: ServiceName,
    group: Group<'a>,
    /// The containers that are in all of its clusters, with what each is called.
    rows: Vec<(String, Row<'a>)>,
    remarks: Vec<String>,
}

struct Joining<'a, 'n> {
    clusters: &'a [FoundCluster],
    words: &'n [Vec<String>],
    values: Values,
    keys: BTreeSet<String>,
    notes: &'n mut Vec<Note>,
}

impl<'a> Joining<'a, '_> {
    /// A group as one service; as several where no container is in all of its clusters.
    fn cut(&mut self, name: &str, group: Group<'a>, all: &mut Vec<Cut<'a>>) {
        let rows = self.rows(&group);
        if !rows.is_empty() || group.len() < 2 {
            return all.extend(self.one(name, group, rows));
        }
        let mut sets: Vec<(BTreeSet<&str>, Group<'a>)> = Vec::new();
        for (at, service) in group {
            let set: BTreeSet<&str> = service.containers.iter().map(|it| it.name.as_str()).collect();
            match sets.iter_mut().find(|(known, _)| *known == set) {
                Some((_, group)) => drop(group.insert(at, service)),
                None => sets.push((set, BTreeMap::from([(at, service)]))),
            }
        }
        let several = sets.len();
        for (_, group) in sets {
            let rows = self.rows(&group);
            let places = self.places(&group.keys().copied().collect());
            let Some(mut cut) = self.one(name, group, rows) else {
                continue;
            };
            let message = format!(
                "{name} has other containers elsewhere and became {several} services; this one is in {places}"
            );
            cut.remarks.push(message.clone());
            self.note(cut.key.as_str(), Reason::NotJoined, message);
            all.push(cut);
        }
    }

    fn one(&mut self, name: &str, group: Group<'a>, rows: Vec<(String, Row<'a>)>) -> Option<Cut<'a>> {
        let key = names::free(&names::label(name), "-", |key| self.keys.contains(key));
        self.keys.insert(key.clone());
        let mut remarks = Vec::new();
        let named: BTreeSet<(usize, &str)> = rows
            .iter()
            .flat_map(|(_, row)| row.iter().map(|(at, it)| (*at, it.name.as_str())))
            .collect();
        let mut others: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (at, service) in &group {
            let containers = service.containers.iter().map(|it| it.name.as_str());
            for container in containers.filter(|it| !named.contains(&(*at, *it))) {
                others.entry(container).or_default().insert(*at);
            }
        }
        for (container, places) in others {
            let message = format!(
                "container {container} is only in {}: it stays as it is",
                self.places(&places)
            );
            remarks.push(message.clone());
            self.note(&key, Reason::ContainerNotEverywhere, message);
        }
        Some(Cut {
            key: key.parse().ok()?,
            group,
            rows,
            remarks,
        })
    }

    /// The containers that all of the group's services have.
    fn rows(&self, group: &Group<'a>) -> Vec<(String, Row<'a>)> {
        let everywhere = |name: &str| {
            group
                .values()
                .all(|service| service.containers.iter().any(|it| it.name.as_str() == name))
        };
        let mut rows: Vec<(String, Row<'a>)> = Vec::new();
        for (at, service) in group {
            for container in &service.containers {
                let name = container.name.as_str();
                let plain = self.words.get(*at).and_then(|words| Stem::of(name, words));
                let plain = plain.filter(|_| !everywhere(name)).map(|stem| stem.plain());
                let plain = plain.unwrap_or_else(|| name.to_owned());
                match rows.iter_mut().find(|(known, _)| *known == plain) {
                    Some((_, row)) => drop(row.entry(*at).or_insert(container)),
                    None => rows.push((plain, BTreeMap::from([(*at, container)]))),
                }
            }
        }
        rows.retain(|(_, row)| row.len() == group.len());
        // One container each is the same one, whatever it is called.
        if rows.is_empty() && group.values().all(|service| service.containers.len() == 1) {
            let only = group
                .iter()
                .filter_map(|(at, it)| Some((*at, it.containers.first()?)));
            rows.push(("app".to_owned(), only.collect()));
        }
        rows
    }

    fn service(&mut self, cut: Cut<'a>, images: &mut Repositories) -> Option<JoinedService> {
        let Cut {
            key,
            group,
            rows,
            mut remarks,
        } = cut;
        let texts = group.iter().map(|(at, it)| (*at, it.name.to_string())).collect();
        let name = self.text(&texts, &format!("{key}_service"));
        let alone = group.values().all(|service| service.containers.len() == 1);
        let mut containers = Vec::new();
        for (called, row) in rows {
            let texts = row.iter().map(|(at, it)| (*at, it.name.to_string())).collect();
            if !alone && pinned_by_others(&row) {
                let message =
                    format!("container {called} runs a digest of somebody else's image: it stays as it is");
                remarks.push(message.clone());
                self.note(key.as_str(), Reason::ImageByDigest, message);
                continue;
            }
            let image = images.place(&mut self.values, self.words, &key, &row, alone);
            containers.push((self.text(&texts, &format!("{key}_{called}_container")), image));
        }
        (!containers.is_empty()).then(|| JoinedService {
            key,
            name,
            names: group.into_iter().map(|(at, it)| (at, it.name.clone())).collect(),
            containers,
            remarks,
        })
    }

    /// A text that may differ between targets: then it is a value of theirs.
    fn text(&mut self, texts: &PerTarget, otherwise: &str) -> Text {
        common(&mut self.values, texts, self.words)
            .unwrap_or_else(|| Text::value(&self.values.share(&names::value_name(otherwise), texts)))
    }

    /// "dev, 333333333333/eu-west-1/main": whole environments by their names.
    fn places(&self, places: &BTreeSet<usize>) -> String {
        let mut told: Vec<String> = Vec::new();
        for at in places {
            let Some(cluster) = self.clusters.get(*at) else {
                continue;
            };
            let mut same = self.clusters.iter().enumerate();
            let whole =
                same.all(|(at, other)| other.environment != cluster.environment || places.contains(&at));
            let name = match whole {
                true => cluster.environment.to_string(),
                false => cluster.target().to_string(),
            };
            if !told.contains(&name) {
                told.push(name);
            }
        }
        told.join(", ")
    }

    fn note(&mut self, service: &str, reason: Reason, message: String) {
        self.notes.push(Note {
            service: service.to_owned(),
            reason,
            message,
        });
    }
}

/// A tag is what a release chooses: an image that somebody else publishes and
/// that is named by digest has none.
fn pinned_by_others(row: &Row<'_>) -> bool {
    row.values().any(|it| {
        let reference = Reference::of(&it.image);
        reference.tag.is_none() && !super::image::is_own(&reference.registry)
    })
}
