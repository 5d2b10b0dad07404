//! `towline-agent join TOKEN`: enrol, and write what `serve` needs. Everything
//! that can go wrong on this machine is looked at before the token is used up.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow, bail};
use towline_link::{
    join::{self, Enrolled, JoinKind, JoinToken},
    seams::Seams,
};
use towline_proto::orchestrator::v1::AgentMode;

use super::{Global, proxy::proxy_for, serve};
use crate::config::{Config, Draft, FILE_NAME, Listen, ServedRegion};

/// Where a listening agent listens when `--listen` does not say.
const DEFAULT_LISTEN: &str = "0.0.0.0:8444";
/// The identity's directory inside the agent's.
const IDENTITY: &str = "identity";

/// What `join` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  towline-agent join tl1-… --serves eu-west-1/main --serves eu-central-1/main
  towline-agent join tl1-… --region eu-west-1 --cluster main --account 111111111111 --serve
  towline-agent join tl1-… --serves eu-west-1/main --listen 0.0.0.0:8444 --listen-name agent.dev.example.com

It writes DIR/identity/{key,cert,ca}.pem, and DIR/agent.toml when there is none.")]
pub struct JoinArgs {
    /// The one-time token that `towline agent invite NAME` printed.
    token: String,

    /// A cluster that the agent serves; repeatable.
    #[arg(long, value_name = "REGION/CLUSTER", value_parser = region_and_cluster)]
    serves: Vec<(String, String)>,

    /// The region of --cluster.
    #[arg(long, requires = "cluster")]
    region: Option<String>,

    /// A cluster in --region; repeatable.
    #[arg(long, requires = "region")]
    cluster: Vec<String>,

    /// Refuse to work with the credentials of another AWS account.
    #[arg(long, value_name = "12 DIGITS")]
    account: Option<String>,

    /// Where a listening agent listens; 0.0.0.0:8444 when the token is for one.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// A DNS name or IP address by which a listening agent is called; repeatable.
    #[arg(long, value_name = "NAME")]
    listen_name: Vec<String>,

    /// Another endpoint for all AWS services, for a simulator.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// Replace an identity that is there.
    #[arg(long)]
    force: bool,

    /// Serve when joined.
    #[arg(long)]
    serve: bool,
}

pub(super) async fn run(global: &Global, args: JoinArgs, seams: &Seams) -> anyhow::Result<ExitCode> {
    let token: JoinToken = args.token.parse()?;
    let files = Files::prepare(&global.dir, &args, &token)?;
    let proxy = proxy_for(&token.orchestrator, global);
    let enrolled = join::enrol(seams, &token, &args.listen_name, proxy.as_deref())
        .await
        .with_context(|| format!("cannot join as agent {} at {}", token.name, token.orchestrator))?;
    enrolled.credentials.save(&files.identity)?;
    tracing::info!(
        identity = %enrolled.credentials.identity(),
        expires = %enrolled.credentials.expires(),
        "enrolled; the identity is in {}",
        files.identity.display()
    );
    if files.config_exists {
        tracing::info!("{} was there and stays as it is", files.config.display());
    } else {
        write_new(&files.config, &draft(&args, &token, &enrolled, &files.regions))?;
        tracing::info!("wrote {}", files.config.display());
    }
    if args.serve {
        return serve::run(global, seams.clone()).await;
    }
    tracing::info!(
        "next: towline-agent check --dir {0} && towline-agent serve --dir {0}",
        global.dir.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// What will be written, checked beforehand.
#[derive(Debug)]
struct Files {
    identity: PathBuf,
    config: PathBuf,
    config_exists: bool,
    regions: Vec<ServedRegion>,
}

impl Files {
    fn prepare(dir: &Path, args: &JoinArgs, token: &JoinToken) -> anyhow::Result<Self> {
        if token.kind != JoinKind::Agent {
            bail!(
                "this token is for operator {}, not for an agent\nhint: an operator runs `towline join TOKEN`",
                token.name
            );
        }
        let config = dir.join(FILE_NAME);
        let config_exists = config.exists();
        let regions = args.regions();
        let identity = if config_exists {
            let known = Config::load(dir)?;
            if known.name.as_str() != token.name {
                bail!(
                    "{} is the configuration of agent {}, and the token is for agent {}\nhint: give the other agent its own --dir",
                    config.display(),
                    known.name,
                    token.name
                );
            }
            known.identity
        } else {
            if regions.is_empty() {
                bail!(
                    "nothing says which clusters the agent serves\nhint: add --serves REGION/CLUSTER, for example --serves eu-west-1/main"
                );
            }
            dir.join(IDENTITY)
        };
        if identity.join("key.pem").exists() && !args.force {
            bail!(
                "there is an identity in {} already\nhint: --force replaces it; another agent needs another --dir",
                identity.display()
            );
        }
        make_writable(&identity)?;
        Ok(Self {
            identity,
            config,
            config_exists,
            regions,
        })
    }
}

impl JoinArgs {
    fn regions(&self) -> Vec<ServedRegion> {
        let from_pair = self
            .region
            .iter()
            .flat_map(|region| self.cluster.iter().map(move |c| (region.clone(), c.clone())));
        let mut regions: Vec<ServedRegion> = Vec::new();
        for (name, cluster) in self.serves.iter().cloned().chain(from_pair) {
            match regions.iter_mut().find(|region| region.name == name) {
                Some(region) if region.clusters.contains(&cluster) => {}
                Some(region) => region.clusters.push(cluster),
                None => regions.push(ServedRegion {
                    name,
                    clusters: vec![cluster],
                    template_bucket: None,
                }),
            }
        }
        regions
    }
}

fn draft(args: &JoinArgs, token: &JoinToken, enrolled: &Enrolled, regions: &[ServedRegion]) -> String {
    let listens = args.listen.is_some() || enrolled.mode == AgentMode::Listening;
    let listen = listens.then(|| Listen {
        address: args.listen.clone().unwrap_or_else(|| DEFAULT_LISTEN.to_owned()),
        names: args.listen_name.clone(),
    });
    let polls = enrolled.mode != AgentMode::Listening;
    Draft {
        name: &enrolled.name,
        account: args.account.as_deref(),
        orchestrator: polls.then_some(token.orchestrator.as_str()),
        listen: listen.as_ref(),
        endpoint_url: args.endpoint_url.as_deref(),
        regions,
    }
    .render()
}

fn region_and_cluster(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((region, cluster)) if !region.is_empty() && !cluster.is_empty() && !cluster.contains('/') => {
            Ok((region.to_owned(), cluster.to_owned()))
        }
        _ => Err("it reads REGION/CLUSTER, for example eu-west-1/main".to_owned()),
    }
}

/// Makes the directory and proves that files can be made in it.
fn make_writable(dir: &Path) -> anyhow::Result<()> {
    let hint = "hint: run as the agent's user, or name another directory with --dir";
    let failed = |what: &str, error: io::Error| anyhow!("cannot {what} {}: {error}\n{hint}", dir.display());
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| failed("make", error))?;
    let probe = dir.join(".probe");
    fs::write(&probe, b"").map_err(|error| failed("write in", error))?;
    fs::remove_file(&probe).map_err(|error| failed("clean up in", error))
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn args(line: &str) -> JoinArgs {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        match cli.verb {
            Verb::Join(args) => *args,
            _ => panic!("not join"),
        }
    }

    #[test]
    fn clusters_are_gathered_by_region() {
        let args = args(
            "towline-agent join tl1-x --serves a/one --serves b/two --serves a/three --region b --cluster four",
        );
        let regions = args.regions();
        let shown: Vec<_> = regions
            .iter()
            .map(|r| format!("{}:{}", r.name, r.clusters.join("+")))
            .collect();
        assert_eq!(shown, ["a:one+three", "b:two+four"]);
    }

    #[test]
    fn a_cluster_without_its_region_is_a_usage_error() {
        assert!(Cli::try_parse_from(["towline-agent", "join", "tl1-x", "--cluster", "main"]).is_err());
        assert!(Cli::try_parse_from(["towline-agent", "join", "tl1-x", "--serves", "main"]).is_err());
    }
}
