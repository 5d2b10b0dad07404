//! Credentials of registries, from a docker configuration file: `auths` with
//! `auth`, or `username` and `password`, or `registrytoken`. Programs that keep
//! credentials (`credsStore`, `credHelpers`) are not run.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

/// The keys that docker has for Docker Hub.
const DOCKER_HUB: [&str; 4] = [
    "https://index.docker.io/v1/",
    "index.docker.io",
    "docker.io",
    "registry-1.docker.io",
];

/// A docker configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct DockerConfig {
    #[serde(default)]
    auths: HashMap<String, Entry>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
    #[serde(default, rename = "credHelpers")]
    helpers: HashMap<String, String>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    #[serde(rename = "registrytoken")]
    token: String,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("credentials")
    }
}

/// Why credentials cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsFault {
    #[error("cannot read the docker configuration {file}: {why}")]
    File { file: String, why: String },
    #[error("the credentials for {registry} in {file} are kept by the program docker-credential-{program}")]
    Kept {
        registry: String,
        file: String,
        program: String,
    },
    #[error("the credentials for {registry} in {file} cannot be understood")]
    Unreadable { registry: String, file: String },
}

impl CredentialsFault {
    pub fn hint(&self) -> String {
        match self {
            Self::File { .. } => "[registry] docker_config of towline.toml names it".to_owned(),
            Self::Kept { .. } | Self::Unreadable { .. } => {
                "write `auth` (user:password in base64) for it under `auths`; no such program is run"
                    .to_owned()
            }
        }
    }
}

impl DockerConfig {
    /// Reads a file.
    pub async fn read(path: &Path) -> Result<Self, CredentialsFault> {
        let fault = |why: String| CredentialsFault::File {
            file: path.display().to_string(),
            why,
        };
        let text = tokio::fs::read(path)
            .await
            .map_err(|why| fault(why.to_string()))?;
        let config: Self = serde_json::from_slice(&text).map_err(|why| fault(why.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            ..config
        })
    }

    /// Whether it has something for a registry.
    pub fn has(&self, registry: &str) -> bool {
        self.entry(registry).is_some()
    }

    /// What a registry is told; nothing where there is nothing for it.
    pub fn auth(&self, registry: &str) -> Result<RegistryAuth, CredentialsFault> {
        let file = || self.path.display().to_string();
        let Some(entry) = self.entry(registry) else {
            return match self.helpers.get(registry) {
                Some(program) => Err(CredentialsFault::Kept {
                    registry: registry.to_owned(),
                    file: file(),
                    program: program.clone(),
                }),
                None => Ok(RegistryAuth::Anonymous),
            };
        };
        let basic = |user: &str, password: &str| RegistryAuth::Basic(user.to_owned(), password.to_owned());
        if !entry.token.is_empty() {
            return Ok(RegistryAuth::Bearer(entry.token.clone()));
        }
        if !entry.username.is_empty() {
            return Ok(basic(&entry.username, &entry.password));
        }
        if let (true, Some(program)) = (entry.auth.is_empty(), &self.store) {
            return Err(CredentialsFault::Kept {
                registry: registry.to_owned(),
                file: file(),
                program: program.clone(),
            });
        }
        let decoded = STANDARD.decode(&entry.auth).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        pair.map(|(user, password)| basic(user, password))
            .ok_or_else(|| CredentialsFault::Unreadable {
                registry: registry.to_owned(),
                file: file(),
            })
    }

    fn entry(&self, registry: &str) -> Option<&Entry> {
        let own = [
            registry.to_owned(),
            format!("https://{registry}"),
            format!("http://{registry}"),
        ];
        let found = own.iter().find_map(|key| self.auths.get(key));
        found.or_else(|| {
            let hub = DOCKER_HUB.contains(&registry);
            DOCKER_HUB
                .iter()
                .filter(|_| hub)
                .find_map(|key| self.auths.get(*key))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> DockerConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn each_registry_is_told_its_own() {
        let config = config(
            r#"{"auths": {
                "registry.example:5000": {"auth": "YW5uOnNlY3JldDpv"},
                "https://index.docker.io/v1/": {"username": "bob", "password": "p"},
                "tokens.example": {"registrytoken": "t"},
                "odd.example": {"auth": "?"}}}"#,
        );
        let basic =
            |user: &str, password: &str| Ok(RegistryAuth::Basic(user.to_owned(), password.to_owned()));
        assert_eq!(config.auth("registry.example:5000"), basic("ann", "secret:o"));
        assert_eq!(config.auth("index.docker.io"), basic("bob", "p"));
        assert_eq!(config.auth("docker.io"), basic("bob", "p"));
        assert_eq!(
            config.auth("tokens.example"),
            Ok(RegistryAuth::Bearer("t".to_owned()))
        );
        assert_eq!(config.auth("other.example"), Ok(RegistryAuth::Anonymous));
        assert!(matches!(
            config.auth("odd.example"),
            Err(CredentialsFault::Unreadable { .. })
        ));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn credentials_that_a_program_keeps_are_told_as_that() {
        let kept = config(
            r#"{"auths": {"a.example": {}}, "credsStore": "pass", "credHelpers": {"b.example": "gcloud"}}"#,
        );
        for (registry, program) in [
            ("a.example", "docker-credential-pass"),
            ("b.example", "docker-credential-gcloud"),
        ] {
            let fault = kept.auth(registry).unwrap_err().to_string();
            assert!(fault.contains(program), "{fault}");
        }
    }
}
