//! Registries that no agent looks into: every registry but Amazon ECR, over the
//! OCI distribution API. Start with [`Registries`]: which digest a tag names,
//! whether a digest is there, which tags there are.
//!
//! What always holds: nothing is written to a registry; credentials come from a
//! docker configuration file and go only to the registry that they are for; one
//! that is not spoken to over TLS is named in the configuration.

mod credentials;

use std::{path::PathBuf, sync::Arc, time::Duration};

use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    errors::{OciDistributionError, OciErrorCode},
    secrets::RegistryAuth,
};
use towline_link::seams::Clock;

use crate::domain::name::{Digest, Tag};

pub use credentials::{CredentialsFault, DockerConfig};

/// How long a registry may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many tags are asked for at once, and how many are looked at.
const PAGE: usize = 1000;
const MOST_TAGS: usize = 20_000;

/// How registries are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// A docker configuration file (`~/.docker/config.json`) with credentials.
    pub docker_config: Option<PathBuf>,
    /// host:port of registries without TLS.
    pub insecure: Vec<String>,
}

/// The registries. A handle: clones share the settings.
#[derive(Clone)]
pub struct Registries(Arc<Inner>);

struct Inner {
    settings: RegistrySettings,
    clock: Clock,
}

/// Why a registry did not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error("{0} is not there")]
    NotFound(String),
    #[error("registry {registry} does not let us look at {repository}: {why}")]
    Denied {
        registry: String,
        repository: String,
        why: String,
    },
    #[error("registry {registry} cannot be asked: {why}")]
    Unreachable { registry: String, why: String },
    #[error("{0} is no repository")]
    Malformed(String),
    #[error(transparent)]
    Credentials(#[from] CredentialsFault),
}

impl RegistryError {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound(_) => "push it there, or choose another tag".to_owned(),
            Self::Denied { registry, .. } => format!(
                "give credentials for {registry} in the file that [registry] docker_config of towline.toml names"
            ),
            Self::Unreachable { registry, .. } => {
                format!(
                    "see that the orchestrator reaches {registry}; one without TLS is named in [registry] insecure of towline.toml"
                )
            }
            Self::Malformed(_) => "such as registry.example.com/shop/web".to_owned(),
            Self::Credentials(fault) => fault.hint(),
        }
    }
}

impl Registries {
    pub fn new(settings: RegistrySettings, clock: Clock) -> Self {
        Self(Arc::new(Inner { settings, clock }))
    }

    /// The digest that a tag names now.
    pub async fn digest(&self, repository: &str, tag: &Tag) -> Result<Digest, RegistryError> {
        let reference = reference(repository, |name| format!("{name}:{tag}"))?;
        self.manifest(repository, &reference).await
    }

    /// Whether a digest is there.
    pub async fn has(&self, repository: &str, digest: &Digest) -> Result<bool, RegistryError> {
        let reference = reference(repository, |name| format!("{name}@{digest}"))?;
        match self.manifest(repository, &reference).await {
            Ok(_) => Ok(true),
            Err(RegistryError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All tags of a repository, in no order that means anything.
    pub async fn tags(&self, repository: &str) -> Result<Vec<Tag>, RegistryError> {
        let reference = reference(repository, str::to_owned)?;
        let (client, auth) = self.client(&reference).await?;
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = tags.last().map(String::as_str);
            let asked = client.list_tags(&reference, &auth, Some(PAGE), last);
            let page = self.patiently(repository, &reference, asked).await?.tags;
            let full = page.len() >= PAGE && tags.len() < MOST_TAGS;
            tags.extend(page);
            if !full {
                return Ok(tags.iter().filter_map(|tag| tag.parse().ok()).collect());
            }
        }
    }

    /// Whether there are credentials of our own for a registry.
    pub async fn knows(&self, registry: &str) -> bool {
        match self.docker_config().await {
            Ok(Some(config)) => config.has(registry),
            _ => false,
        }
    }

    async fn manifest(&self, repository: &str, reference: &Reference) -> Result<Digest, RegistryError> {
        let (client, auth) = self.client(reference).await?;
        let asked = client.fetch_manifest_digest(reference, &auth);
        let digest = self.patiently(repository, reference, asked).await?;
        digest.parse().map_err(|_| RegistryError::Unreachable {
            registry: reference.registry().to_owned(),
            why: format!("it answered with the digest {digest:?}, which is none of SHA-256"),
        })
    }

    /// A client of its own for each question: one that is kept would go on with
    /// the credentials that it was given first.
    async fn client(&self, reference: &Reference) -> Result<(Client, RegistryAuth), RegistryError> {
        let auth = match self.docker_config().await? {
            Some(config) => config.auth(reference.registry())?,
            None => RegistryAuth::Anonymous,
        };
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(self.0.settings.insecure.clone()),
            connect_timeout: Some(Duration::from_secs(10)),
            read_timeout: Some(PATIENCE),
            user_agent: concat!("towline/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client =
            Client::try_from(config).map_err(|error| told(reference.repository(), reference, &error))?;
        Ok((client, auth))
    }

    /// Read anew at each question: it is short, and passwords in it change.
    async fn docker_config(&self) -> Result<Option<DockerConfig>, CredentialsFault> {
        match &self.0.settings.docker_config {
            Some(path) => DockerConfig::read(path).await.map(Some),
            None => Ok(None),
        }
    }

    async fn patiently<T>(
        &self,
        repository: &str,
        reference: &Reference,
        asked: impl Future<Output = Result<T, OciDistributionError>>,
    ) -> Result<T, RegistryError> {
        match self.0.clock.timeout(PATIENCE, asked).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(told(repository, reference, &error)),
            None => Err(RegistryError::Unreachable {
                registry: reference.registry().to_owned(),
                why: format!("no answer within {} s", PATIENCE.as_secs()),
            }),
        }
    }
}

fn reference(repository: &str, with: impl Fn(&str) -> String) -> Result<Reference, RegistryError> {
    with(repository)
        .parse()
        .map_err(|_| RegistryError::Malformed(repository.to_owned()))
}

fn told(repository: &str, reference: &Reference, error: &OciDistributionError) -> RegistryError {
    use OciDistributionError as Oci;
    let registry = reference.registry().to_owned();
    let denied = |why: String| RegistryError::Denied {
        registry: registry.clone(),
        repository: repository.to_owned(),
        why,
    };
    match error {
        Oci::ImageManifestNotFoundError(_) | Oci::ServerError { code: 404, .. } => {
            RegistryError::NotFound(reference.whole())
        }
        Oci::RegistryError { envelope, .. } => {
            let code = |codes: &[OciErrorCode]| envelope.errors.iter().any(|it| codes.contains(&it.code));
            if code(&[
                OciErrorCode::ManifestUnknown,
                OciErrorCode::NameUnknown,
                OciErrorCode::NotFound,
            ]) {
                return RegistryError::NotFound(reference.whole());
            }
            if code(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                return denied("access is denied".to_owned());
            }
            RegistryError::Unreachable {
                registry,
                why: envelope.to_string(),
            }
        }
        Oci::UnauthorizedError { .. } => denied("it wants other credentials".to_owned()),
        Oci::AuthenticationFailure(why) => denied(why.clone()),
        error => RegistryError::Unreachable {
            registry,
            why: chain(error),
        },
    }
}

/// An error with its causes: reqwest's own words alone say little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(why) = cause {
        let why_text = why.to_string();
        if !text.contains(&why_text) {
            text.push_str(": ");
            text.push_str(&why_text);
        }
        cause = why.source();
    }
    text
}
