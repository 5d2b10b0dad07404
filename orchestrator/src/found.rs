//! Making an orchestrator: its CA, its certificate, its database and its first
//! admin. Start with [`found`]; [`renew`] issues a new certificate later.
//!
//! What always holds: the directory appears as a whole, or not at all.

use std::{
    ffi::OsStr,
    fs, io,
    net::IpAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use towline_link::{
    ca::{Ca, LEAF_VALIDITY, certificate_request},
    credentials::Credentials,
    identity::{Identity, OperatorName, TrustDomain},
    seams::Seams,
};

use crate::{
    config::Config,
    domain::plan::Limits,
    engine::{Engine, RecordSettings},
    registry::RegistrySettings,
    store::StoreSettings,
};

/// What a new orchestrator is made of.
#[derive(Clone, Debug)]
pub struct Founding {
    pub dir: PathBuf,
    /// host:port to listen on.
    pub listen: String,
    /// Names and IP addresses by which it is reached; the first is the one that
    /// goes into join tokens.
    pub names: Vec<String>,
    pub trust_domain: TrustDomain,
    pub admin: OperatorName,
}

/// What was made.
pub struct Founded {
    pub config: Config,
    pub ca_fingerprint: String,
    /// The names in the orchestrator's certificate.
    pub names: Vec<String>,
    /// The first admin's, not stored yet.
    pub admin: Credentials,
}

/// Makes the directory with everything in it.
pub async fn found(founding: &Founding, seams: &Seams) -> anyhow::Result<Founded> {
    let (host, port) = host_and_port(&founding.listen)?;
    let names = certificate_names(host, &founding.names);
    let Some(public_host) = founding.names.first().cloned().or_else(|| reachable(host)) else {
        bail!(
            "nobody can be told to reach {}, which means all of this machine's addresses\nhint: add --name HOST, the name or address by which agents and operators reach it",
            founding.listen
        );
    };
    refuse_existing(&founding.dir)?;
    let partial = Partial::make(&founding.dir)?;
    let config = Config {
        dir: partial.path.clone(),
        listen: founding.listen.clone(),
        public_address: join_host_and_port(&public_host, port),
        trust_domain: founding.trust_domain.clone(),
        deployment_deadline: None,
        limits: Limits::STANDARD,
        registry: RegistrySettings::default(),
        record: RecordSettings::default(),
    };
    let ca = Ca::create(founding.trust_domain.clone(), seams.clock.now())?;
    make_dir(&config.ca_dir())?;
    ca.save(&config.ca_dir())?;
    issue(&ca, &Identity::Orchestrator, &names, seams)?.save(&config.credentials_dir())?;
    Engine::found(StoreSettings::at(config.database()), seams, &founding.admin).await?;
    let admin = issue(&ca, &Identity::Operator(founding.admin.clone()), &[], seams)?;
    config.save()?;
    partial.put_in_place()?;
    Ok(Founded {
        config: Config {
            dir: founding.dir.clone(),
            ..config
        },
        ca_fingerprint: ca.fingerprint().to_string(),
        names,
        admin,
    })
}

/// Issues a new certificate to an orchestrator that exists.
pub fn renew(config: &Config, names: &[String], seams: &Seams) -> anyhow::Result<()> {
    let (host, _) = host_and_port(&config.listen)?;
    let (public_host, _) = host_and_port(&config.public_address)?;
    let mut all = vec![public_host.to_owned()];
    all.extend(names.iter().cloned());
    let ca = Ca::load(&config.ca_dir())?;
    let names = certificate_names(host, &all);
    issue(&ca, &Identity::Orchestrator, &names, seams)?.save(&config.credentials_dir())?;
    Ok(())
}

fn issue(ca: &Ca, identity: &Identity, names: &[String], seams: &Seams) -> anyhow::Result<Credentials> {
    let now = seams.clock.now();
    let request = certificate_request()?;
    let chain = ca.issue(&request.request_pem, identity, names, now, LEAF_VALIDITY)?;
    let place = "the new certificate";
    Ok(Credentials::from_pem(
        place,
        &request.key_pem,
        &chain,
        ca.certificate_pem(),
        now,
    )?)
}

/// Where an orchestrator is put together, inside the directory that it will be
/// in: that may be a volume of its own. Removed unless it is put in place.
struct Partial {
    dir: PathBuf,
    path: PathBuf,
    made_dir: bool,
    placed: bool,
}

/// The directory of a [`Partial`].
const PARTIAL: &str = ".partial";

impl Partial {
    fn make(dir: &Path) -> anyhow::Result<Self> {
        let partial = Self {
            dir: dir.to_owned(),
            path: dir.join(PARTIAL),
            made_dir: !dir.exists(),
            placed: false,
        };
        // Left behind by an `init` that was killed: it was never an orchestrator.
        match fs::remove_dir_all(&partial.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", partial.path.display()));
            }
            _ => {}
        }
        make_dir(&partial.path)?;
        Ok(partial)
    }

    /// Moves everything into the directory, `towline.toml` last: without that
    /// file it is no orchestrator.
    fn put_in_place(mut self) -> anyhow::Result<()> {
        let move_up = |name: &OsStr| {
            let (from, to) = (self.path.join(name), self.dir.join(name));
            fs::rename(&from, &to)
                .with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
        };
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name != crate::config::FILE {
                move_up(&name)?;
            }
        }
        move_up(crate::config::FILE.as_ref())?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let gone = if self.made_dir && !self.placed {
            fs::remove_dir_all(&self.dir)
        } else {
            fs::remove_dir_all(&self.path)
        };
        if let Err(error) = gone {
            tracing::warn!("{} is left behind: {error}", self.path.display());
        }
    }
}

fn refuse_existing(dir: &Path) -> anyhow::Result<()> {
    match fs::read_dir(dir) {
        Ok(entries) => match entries.flatten().find(|entry| entry.file_name() != PARTIAL) {
            None => Ok(()),
            Some(_) if dir.join(crate::config::FILE).exists() => bail!(
                "there is an orchestrator in {} already; it stays as it is\nhint: `towline serve --dir {0}` runs it; another one needs another --dir",
                dir.display()
            ),
            Some(_) => bail!(
                "{} is not empty; it stays as it is\nhint: name a directory that is empty or does not exist: --dir DIR",
                dir.display()
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot look into {}", dir.display())),
    }
}

fn make_dir(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

fn host_and_port(address: &str) -> anyhow::Result<(&str, u16)> {
    address
        .rsplit_once(':')
        .and_then(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some((host, port.parse().ok()?)).filter(|_| !host.is_empty())
        })
        .with_context(|| format!("{address:?} is no HOST:PORT\nhint: for example 127.0.0.1:7443"))
}

fn join_host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>()
        .is_ok_and(|address| address.is_unspecified())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn reachable(host: &str) -> Option<String> {
    (!is_unspecified(host)).then(|| host.to_owned())
}

/// What the orchestrator's certificate is good for, besides its identity: gRPC
/// clients and browsers look at these names.
fn certificate_names(host: &str, given: &[String]) -> Vec<String> {
    let mut names = given.to_vec();
    names.extend(reachable(host));
    if is_unspecified(host) || is_loopback(host) {
        names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpcurl_on_the_same_machine_finds_its_name_in_the_certificate() {
        assert_eq!(certificate_names("127.0.0.1", &[]), ["127.0.0.1", "localhost"]);
        assert_eq!(
            certificate_names("0.0.0.0", &["towline.example".to_owned()]),
            ["towline.example", "localhost", "127.0.0.1"]
        );
        assert_eq!(certificate_names("10.0.0.7", &[]), ["10.0.0.7"]);
    }

    #[test]
    fn a_directory_that_holds_anything_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        refuse_existing(dir.path()).unwrap();
        refuse_existing(&dir.path().join("new")).unwrap();
        fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        assert!(
            refuse_existing(dir.path())
                .unwrap_err()
                .to_string()
                .contains("is not empty")
        );
        fs::write(dir.path().join(crate::config::FILE), "").unwrap();
        let error = refuse_existing(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("there is an orchestrator") && error.contains("hint: `towline serve"),
            "{error}"
        );
    }

    #[test]
    fn addresses_keep_their_brackets() {
        assert_eq!(host_and_port("[::1]:7443").unwrap(), ("::1", 7443));
        assert_eq!(join_host_and_port("::1", 7443), "[::1]:7443");
        assert!(host_and_port("localhost").is_err());
        assert!(host_and_port(":7443").is_err());
    }
}
