//! What a container does once it is started: the behaviours of images, by
//! registry, repository and tag. An image that is not listed does not exist.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::world::SimTime;

/// What the processes of an image do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Runs until it is stopped; answers health checks.
    #[default]
    Ok,
    /// Exits with `exit_code`, `after_s` after its start.
    Crash,
    /// Built for another CPU: the kernel refuses to start it.
    ExecFormat,
    /// Runs, and fails every health check.
    Unhealthy,
    /// Killed by the kernel `after_s` after its start: exit code 137.
    OutOfMemory,
}

/// One image of a registry, as the seed and `POST /_sim/images` write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// `ecr`: in the registry of every account and region. Otherwise a host
    /// name such as `public.ecr.aws`; `docker.io` for references without one.
    #[serde(default = "Image::default_registry")]
    pub registry: String,
    pub repository: String,
    pub tag: String,
    #[serde(default)]
    pub behaviour: Behaviour,
    #[serde(default = "Image::default_exit_code")]
    pub exit_code: i32,
    /// Seconds from the start of the container until it ends.
    #[serde(default = "Image::default_after_s")]
    pub after_s: f64,
    /// What it writes to its log at its start.
    #[serde(default)]
    pub log: Vec<String>,
    /// Seconds from the start of the container until it answers health checks.
    #[serde(default)]
    pub ready_s: f64,
    /// Seconds from the start of the container after which it fails every health check.
    #[serde(default)]
    pub unhealthy_after_s: Option<f64>,
    /// Goes on after SIGTERM, until it is killed.
    #[serde(default)]
    pub ignores_sigterm: bool,
    /// MiB that it needs: with less it is killed, `after_s` after its start.
    #[serde(default)]
    pub needs_memory: Option<i64>,
    /// Seconds that its pull takes, when that is longer than the world's.
    #[serde(default)]
    pub pull_s: f64,
    /// The alarm whose metric it raises while it runs, from `alarm_after_s` on.
    #[serde(default)]
    pub alarm: Option<String>,
    #[serde(default)]
    pub alarm_after_s: f64,
    /// Protects its task from being scaled in for so many seconds, at its start.
    #[serde(default)]
    pub protects_s: f64,
    /// A crash that does not happen when the container has this environment variable or secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless_environment: Option<String>,
    /// What it does instead when its command says something else than to serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
    /// `ACCOUNT/REGION`: where it was pushed. In all other registries it is a replica,
    /// which arrives `replicates_s` later, or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicates_s: Option<f64>,
    /// The CPUs that it is built for, as OCI names them; more than one is an index.
    #[serde(default = "Image::default_architectures")]
    pub architectures: Vec<String>,
}

/// What an image does when its command (or entry point) has some words in it: it runs
/// for a while, and ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Words of its command: `migrate`.
    pub has: String,
    #[serde(default)]
    pub exit_code: i32,
    /// Seconds from its start until it ends.
    #[serde(default = "Image::default_after_s")]
    pub after_s: f64,
    /// What it writes, spread over the time that it runs.
    #[serde(default)]
    pub log: Vec<String>,
    /// It needs more memory than there is, and is killed at its end.
    #[serde(default)]
    pub out_of_memory: bool,
}

impl Image {
    fn default_registry() -> String {
        "ecr".to_owned()
    }

    fn default_architectures() -> Vec<String> {
        vec!["amd64".to_owned()]
    }

    fn default_exit_code() -> i32 {
        1
    }

    /// Before ECS hears that the container runs, so that the task never gets to RUNNING.
    fn default_after_s() -> f64 {
        0.5
    }

    /// Whether it holds something for a CPU, as ECS names it (X86_64, ARM64).
    pub fn is_for(&self, cpu: &str) -> bool {
        let wanted = if cpu == "ARM64" { "arm64" } else { "amd64" };
        self.architectures.iter().any(|built| built == wanted)
    }

    /// Several manifests under one name, of which the platform's own is pulled.
    pub fn is_index(&self) -> bool {
        self.architectures.len() > 1
    }

    /// The same content has the same digest in every registry.
    pub fn digest(&self) -> String {
        let content = Self {
            registry: String::new(),
            home: None,
            replicates_s: None,
            ..self.clone()
        };
        format!("sha256:{}", hex::encode(Sha256::digest(format!("{content:?}"))))
    }
}

/// An image reference, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub registry: String,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl Reference {
    /// Reads `[HOST/]REPOSITORY[:TAG][@DIGEST]`.
    pub fn parse(text: &str) -> Self {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        let (registry, rest) = match name.split_once('/') {
            Some((host, rest)) if host.contains('.') || host.contains(':') => (host, rest),
            _ => ("docker.io", name),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        }
    }

    /// The account and region of an ECR host.
    pub fn ecr_account(&self) -> Option<(&str, &str)> {
        let (account, rest) = self.registry.split_once(".dkr.ecr.")?;
        Some((account, rest.strip_suffix(".amazonaws.com")?))
    }
}

/// One repository: what was ever pushed, and what its tags are now.
#[derive(Clone, Debug, Default)]
struct Repository {
    by_digest: BTreeMap<String, Pushed>,
    tags: BTreeMap<String, String>,
}

/// An image, and since when it is where.
#[derive(Clone, Debug)]
struct Pushed {
    image: Image,
    at: SimTime,
}

impl Pushed {
    /// When it arrived in the registry of an account and region; `None`: not yet.
    fn arrived(&self, place: Option<(&str, &str)>, now: SimTime) -> Option<SimTime> {
        let (Some(home), Some((account, region))) = (&self.image.home, place) else {
            return Some(self.at);
        };
        if *home == format!("{account}/{region}") {
            return Some(self.at);
        }
        let arrival = self.at.plus_s(self.image.replicates_s?);
        (now >= arrival).then_some(arrival)
    }
}

/// An image as DescribeImages shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub image: Image,
    pub digest: String,
    pub tags: Vec<String>,
    pub pushed: SimTime,
}

/// Repositories by registry and name.
type Listed = BTreeMap<(String, String), Repository>;

/// All registries of the simulated world.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    listed: Arc<Mutex<Listed>>,
    address: Arc<OnceLock<String>>,
    now: Arc<AtomicI64>,
}

impl Registry {
    /// Says once where blobs can be fetched, as `http://127.0.0.1:PORT`.
    pub fn serve_at(&self, address: &str) {
        self.address.get_or_init(|| address.to_owned());
    }

    /// Where blobs can be fetched; nowhere for a world without a server.
    pub fn address(&self) -> &str {
        self.address
            .get()
            .map_or("http://aws-sim.invalid", String::as_str)
    }

    /// Whether anything was ever pushed to a repository.
    pub fn has_repository(&self, registry: &str, repository: &str) -> bool {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.contains_key(&(registry.to_owned(), repository.to_owned()))
    }

    /// Says what time it is, for pushes and replicas.
    pub fn set_now(&self, now: SimTime) {
        self.now.store(now.0, Ordering::Relaxed);
    }

    fn now(&self) -> SimTime {
        SimTime(self.now.load(Ordering::Relaxed))
    }

    /// Puts a tag on the image of a digest, or takes it away. False when there is no
    /// such image, or no such tag.
    pub fn set_tag(&self, registry: &str, repository: &str, tag: &str, digest: Option<&str>) -> bool {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (registry.to_owned(), repository.to_owned());
        let Some(repository) = listed.get_mut(&key) else {
            return false;
        };
        match digest {
            Some(digest) if repository.by_digest.contains_key(digest) => {
                repository.tags.insert(tag.to_owned(), digest.to_owned());
                true
            }
            Some(_) => false,
            None => repository.tags.remove(tag).is_some(),
        }
    }

    /// The images of a repository of ECR in the registry of an account and region.
    pub fn shown(&self, account: &str, region: &str, repository: &str) -> Vec<Shown> {
        let now = self.now();
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = listed.get(&("ecr".to_owned(), repository.to_owned()));
        let found = found.into_iter().flat_map(|repository| {
            repository.by_digest.iter().filter_map(|(digest, pushed)| {
                let arrived = pushed.arrived(Some((account, region)), now)?;
                let tags = repository.tags.iter();
                let tags = tags.filter(|(_, named)| *named == digest);
                Some(Shown {
                    image: pushed.image.clone(),
                    digest: digest.clone(),
                    tags: tags.map(|(tag, _)| tag.clone()).collect(),
                    pushed: arrived,
                })
            })
        });
        found.collect()
    }

    /// Pushes an image; its tag moves to it, an older one stays by its digest.
    pub fn add(&self, image: Image) {
        let at = self.now();
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let repository = listed
            .entry((image.registry.clone(), image.repository.clone()))
            .or_default();
        let digest = image.digest();
        repository.tags.insert(image.tag.clone(), digest.clone());
        // Pushing what is there already moves its tag, and nothing else.
        repository.by_digest.entry(digest).or_insert(Pushed { image, at });
    }

    /// The image that a reference names.
    pub fn find(&self, reference: &Reference) -> Option<Image> {
        let registry = match reference.ecr_account() {
            Some(_) => "ecr",
            None => reference.registry.as_str(),
        };
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let repository = listed.get(&(registry.to_owned(), reference.repository.clone()))?;
        let digest = match &reference.digest {
            Some(digest) => digest,
            None => repository
                .tags
                .get(reference.tag.as_deref().unwrap_or("latest"))?,
        };
        let pushed = repository.by_digest.get(digest)?;
        pushed.arrived(reference.ecr_account(), self.now())?;
        Some(pushed.image.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart_as_docker_does() {
        let full = Reference::parse("111111111111.dkr.ecr.eu-west-1.amazonaws.com/shop/web:1.0.0");
        assert_eq!(full.ecr_account(), Some(("111111111111", "eu-west-1")));
        assert_eq!(
            (full.repository.as_str(), full.tag.as_deref()),
            ("shop/web", Some("1.0.0"))
        );
        let short = Reference::parse("nginx");
        assert_eq!(
            (short.registry.as_str(), short.repository.as_str(), short.tag),
            ("docker.io", "nginx", None)
        );
        let pinned = Reference::parse("localhost:5000/a@sha256:00");
        assert_eq!(
            (pinned.registry.as_str(), pinned.digest.as_deref()),
            ("localhost:5000", Some("sha256:00"))
        );
    }

    #[test]
    fn a_replica_arrives_when_it_arrives() {
        let registry = Registry::default();
        registry.set_now(SimTime(0));
        let image: Image = serde_json::from_value(serde_json::json!({
            "repository": "shop/web", "tag": "2.0.0", "home": "111111111111/eu-west-1", "replicates_s": 30.0,
        }))
        .unwrap();
        registry.add(image);
        let there = |region: &str| {
            let host = format!("111111111111.dkr.ecr.{region}.amazonaws.com/shop/web:2.0.0");
            registry.find(&Reference::parse(&host)).is_some()
        };
        assert!(there("eu-west-1") && !there("eu-central-1"));
        registry.set_now(SimTime(30_000));
        assert!(there("eu-central-1"));
        assert_eq!(
            registry.shown("111111111111", "eu-central-1", "shop/web")[0].pushed,
            SimTime(30_000)
        );
    }
}
