//! What a container does once it is started: the behaviours of images, by
//! registry, repository and tag. An image that is not listed does not exist.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

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
    /// A crash that does not happen when the container has this environment variable or secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless_environment: Option<String>,
}

impl Image {
    fn default_registry() -> String {
        "ecr".to_owned()
    }

    fn default_exit_code() -> i32 {
        1
    }

    /// Before ECS hears that the container runs, so that the task never gets to RUNNING.
    fn default_after_s() -> f64 {
        0.5
    }

    /// The same content has the same digest in every registry.
    pub fn digest(&self) -> String {
        let content = format!("{}:{}:{:?}", self.repository, self.tag, self.behaviour);
        format!("sha256:{}", hex::encode(Sha256::digest(content)))
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

/// Images by registry and repository.
type Listed = BTreeMap<(String, String), Vec<Image>>;

/// All registries of the simulated world.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<Listed>>);

impl Registry {
    /// Adds an image, in place of one of the same name.
    pub fn add(&self, image: Image) {
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = images
            .entry((image.registry.clone(), image.repository.clone()))
            .or_default();
        listed.retain(|other| other.tag != image.tag);
        listed.push(image);
    }

    /// The image that a reference names.
    pub fn find(&self, reference: &Reference) -> Option<Image> {
        let registry = match reference.ecr_account() {
            Some(_) => "ecr",
            None => reference.registry.as_str(),
        };
        let images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = images.get(&(registry.to_owned(), reference.repository.clone()))?;
        let wanted = reference.tag.as_deref().unwrap_or("latest");
        listed
            .iter()
            .find(|image| match &reference.digest {
                Some(digest) => image.digest() == *digest,
                None => image.tag == wanted,
            })
            .cloned()
    }
}
