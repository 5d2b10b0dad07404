//! An orchestrator's directory: `towline.toml` and what lies beside it. Parsed
//! once into [`Config`]; nothing else reads it.
//!
//! ```text
//! towline.toml   this configuration
//! ca/            the CA's key (0600) and certificate
//! server/        the orchestrator's own key (0600) and certificate
//! towline.db     the database (0600)
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use towline_link::identity::TrustDomain;

use crate::{domain::plan::Limits, engine::RecordSettings, registry::RegistrySettings};

/// The name of the configuration file in an orchestrator's directory.
pub const FILE: &str = "towline.toml";

/// Why a directory is no orchestrator's.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "there is no orchestrator in {0}\nhint: `towline init --dir {0}` makes one, or name another directory with --dir"
    )]
    Missing(String),
    #[error("cannot read {file}: {error}")]
    Unreadable { file: String, error: io::Error },
    #[error(
        "{file} is not right: {reason}\nhint: `towline init --dir OTHER` shows what such a file looks like"
    )]
    Malformed { file: String, reason: String },
    #[error("cannot write {file}: {error}")]
    Unwritable { file: String, error: io::Error },
}

/// What `towline.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: String,
    public_address: String,
    trust_domain: TrustDomain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deployment_deadline_seconds: Option<u32>,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    registry: Registry,
    #[serde(default)]
    drift: Drift,
    #[serde(default)]
    notifications: Notifications,
}

/// How many operations run at the same time. 0: any number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitsSection {
    operations_per_agent: Option<u32>,
    operations: Option<u32>,
}

impl LimitsSection {
    fn limits(&self) -> Limits {
        let of = |said: Option<u32>, standard: Option<u32>| match said {
            None => standard,
            Some(0) => None,
            Some(limit) => Some(limit),
        };
        Limits {
            operations_per_agent: of(self.operations_per_agent, Limits::STANDARD.operations_per_agent),
            operations: of(self.operations, Limits::STANDARD.operations),
        }
    }
}

/// How often agents are asked what runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Drift {
    /// 0: never.
    every_seconds: Option<u32>,
}

/// How receivers are told what happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Notifications {
    give_up_days: Option<u16>,
    ca_file: Option<PathBuf>,
}

/// Registries that are none of ECR's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Registry {
    docker_config: Option<PathBuf>,
    insecure: Vec<String>,
}

/// An orchestrator's configuration, with its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub dir: PathBuf,
    /// host:port to listen on.
    pub listen: String,
    /// host:port under which agents and operators reach this orchestrator.
    pub public_address: String,
    pub trust_domain: TrustDomain,
    /// How long a deployment may run before it is `errored`; `None` for the
    /// engine's default.
    pub deployment_deadline: Option<Duration>,
    /// How many operations run at the same time.
    pub limits: Limits,
    /// How registries are asked that no agent looks into.
    pub registry: RegistrySettings,
    /// How drift is looked for, and receivers are told what happens.
    pub record: RecordSettings,
}

impl Config {
    /// Reads `towline.toml` in a directory.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let file = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ConfigError::Missing(dir.display().to_string()),
            _ => ConfigError::Unreadable {
                file: file.clone(),
                error,
            },
        })?;
        Self::parse(dir, &text).map_err(|error| ConfigError::Malformed {
            file,
            reason: error.to_string().trim_end().to_owned(),
        })
    }

    fn parse(dir: &Path, text: &str) -> Result<Self, toml::de::Error> {
        let file: File = toml::from_str(text)?;
        Ok(Self {
            dir: dir.to_owned(),
            listen: file.listen,
            public_address: file.public_address,
            trust_domain: file.trust_domain,
            deployment_deadline: file
                .deployment_deadline_seconds
                .map(|seconds| Duration::from_secs(seconds.into())),
            limits: file.limits.limits(),
            registry: RegistrySettings {
                // A path that is not absolute is one of this directory.
                docker_config: file.registry.docker_config.map(|path| dir.join(path)),
                insecure: file.registry.insecure,
            },
            record: record(dir, &file.drift, file.notifications),
        })
    }

    /// Writes `towline.toml`, with what each line means.
    pub fn save(&self) -> Result<(), ConfigError> {
        let path = self.dir.join(FILE);
        fs::write(&path, self.text()).map_err(|error| ConfigError::Unwritable {
            file: path.display().to_string(),
            error,
        })
    }

    fn text(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let deadline = match self.deployment_deadline {
            Some(deadline) => format!("deployment_deadline_seconds = {}", deadline.as_secs()),
            None => "# deployment_deadline_seconds = 3600".to_owned(),
        };
        let docker_config = match &self.registry.docker_config {
            Some(path) => format!("docker_config = {}", quoted(&path.display().to_string())),
            None => "# docker_config = \"/home/towline/.docker/config.json\"".to_owned(),
        };
        let insecure = toml::Value::from(self.registry.insecure.clone());
        format!(
            "# The orchestrator. Restart `towline serve` after a change.\n\n\
             # The one port for API, links, enrolment and pages.\n\
             listen = {}\n\n\
             # How agents and operators reach that port; it goes into join tokens.\n\
             public_address = {}\n\n\
             # The first part of every identity; fixed by the CA.\n\
             trust_domain = {}\n\n\
             # A deployment that runs longer is errored.\n\
             {deadline}\n\n\
             # How many operations run at the same time, at each agent and in all; 0 for\n\
             # any number. The others wait for their turn, the oldest first.\n\
             [limits]\n\
             operations_per_agent = {}\n\
             operations = {}\n\n\
             # Registries that are none of Amazon ECR's. Credentials come from a docker\n\
             # configuration file; registries without TLS are named as host:port.\n\
             [registry]\n\
             {docker_config}\n\
             insecure = {insecure}\n\n\
             {}",
            quoted(&self.listen),
            quoted(&self.public_address),
            quoted(self.trust_domain.as_str()),
            self.limits.operations_per_agent.unwrap_or(0),
            self.limits.operations.unwrap_or(0),
            self.record_text(),
        )
    }

    fn record_text(&self) -> String {
        let every = self.record.drift_every.map_or(0, |every| every.as_secs());
        let days = self.record.give_up_after.as_secs() / DAY;
        let ca_file = match &self.record.ca_file {
            Some(path) => format!("ca_file = {}", toml::Value::from(path.display().to_string())),
            None => "# ca_file = \"/etc/towline/receivers.pem\"".to_owned(),
        };
        format!(
            "# How often agents are asked whether what was released still runs; 0 for never.\n\
             [drift]\n\
             every_seconds = {every}\n\n\
             # How long a notification is tried, and certificates (PEM) that receivers may\n\
             # have beside those that this machine trusts.\n\
             [notifications]\n\
             give_up_days = {days}\n\
             {ca_file}\n"
        )
    }

    pub fn ca_dir(&self) -> PathBuf {
        self.dir.join("ca")
    }

    pub fn credentials_dir(&self) -> PathBuf {
        self.dir.join("server")
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join("towline.db")
    }
}

const DAY: u64 = 24 * 3600;

fn record(dir: &Path, drift: &Drift, notifications: Notifications) -> RecordSettings {
    let usual = RecordSettings::default();
    RecordSettings {
        drift_every: match drift.every_seconds {
            None => usual.drift_every,
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds.into())),
        },
        give_up_after: notifications.give_up_days.map_or(usual.give_up_after, |days| {
            Duration::from_secs(DAY * u64::from(days.max(1)))
        }),
        // A path that is not absolute is one of this directory.
        ca_file: notifications.ca_file.map(|path| dir.join(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            dir: dir.path().to_owned(),
            listen: "0.0.0.0:7443".to_owned(),
            public_address: "towline.example.com:7443".to_owned(),
            trust_domain: "towline".parse().unwrap(),
            deployment_deadline: None,
            limits: Limits::STANDARD,
            registry: RegistrySettings::default(),
            record: RecordSettings::default(),
        };
        config.save().unwrap();
        assert_eq!(Config::load(dir.path()).unwrap(), config);
        config.deployment_deadline = Some(Duration::from_secs(90));
        config.registry = RegistrySettings {
            docker_config: Some("/etc/towline/docker.json".into()),
            insecure: vec!["127.0.0.1:5000".to_owned()],
        };
        config.save().unwrap();
        assert_eq!(Config::load(dir.path()).unwrap(), config);
    }

    #[test]
    fn a_wrong_key_is_named_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join(FILE),
            "listen = 'a:1'\npublic_address = 'a:1'\ntrust_domain = 'towline'\nlisten_on = 3\n",
        )
        .unwrap();
        let error = Config::load(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("towline.toml is not right") && error.contains("listen_on"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_without_an_orchestrator_says_how_to_make_one() {
        let error = Config::load(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("towline init --dir /nowhere"), "{error}");
    }
}
