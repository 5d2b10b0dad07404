//! The command line: its words here, one file per verb beside. Standard output
//! is data, standard error is talk.

mod check;
mod completions;
mod join;
mod proxy;
mod serve;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use towline_link::seams::Seams;

pub use join::JoinArgs;

/// Where an agent's configuration and identity are when nothing else is said.
const DEFAULT_DIRECTORY: &str = "/etc/towline-agent";

/// Carries releases out in one AWS account, for an orchestrator.
#[derive(Debug, Parser)]
#[command(
    name = "towline-agent",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  towline-agent join tl1-… --serves eu-west-1/main     enrol with a token from `towline agent invite`
  towline-agent check                                  say everything that would keep it from working
  towline-agent serve                                  run, in the foreground, until SIGTERM")]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,

    #[command(flatten)]
    pub global: Global,
}

/// Options that every verb takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// The directory with agent.toml and the identity.
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_DIRECTORY, env = "TOWLINE_AGENT_DIR")]
    pub dir: PathBuf,

    /// An HTTP proxy that lets CONNECT through, for the way to the orchestrator.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "HTTPS_PROXY",
        hide_env_values = true
    )]
    pub https_proxy: Option<String>,

    /// Hosts and domains that are reached without the proxy.
    #[arg(
        long,
        global = true,
        value_name = "HOST",
        value_delimiter = ',',
        env = "NO_PROXY"
    )]
    pub no_proxy: Vec<String>,

    /// How log lines on standard error look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged: a level, or directives like `towline_link=debug,info`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        default_value = "info",
        env = "TOWLINE_LOG"
    )]
    pub log: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// What the agent is to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Enrol with a join token: fetch a certificate, write the configuration.
    Join(Box<JoinArgs>),
    /// Serve the orchestrator and the operators, until SIGTERM or SIGINT.
    #[command(after_help = "\
Example:
  towline-agent serve --dir /etc/towline-agent --log-format json

It reads DIR/agent.toml and DIR/identity, and takes AWS credentials where the AWS SDK finds them:
the environment, the task's or the instance's role.")]
    Serve,
    /// Look for everything that would keep the agent from working, and say all of it at once.
    #[command(after_help = "\
Example:
  towline-agent check && systemctl start towline-agent

Looks at the configuration, the certificate's end, the AWS credentials and their account, and at
every cluster that the configuration names. Changes nothing.")]
    Check,
    /// Print the completions of a shell.
    #[command(after_help = "\
Example:
  towline-agent completions bash > /etc/bash_completion.d/towline-agent")]
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Carries a verb out.
///
/// # Errors
///
/// For a person to read: what happened, to which thing, and a hint.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let seams = Seams::system();
    match cli.verb {
        Verb::Join(args) => join::run(&cli.global, *args, &seams).await,
        Verb::Serve => serve::run(&cli.global, seams).await,
        Verb::Check => check::run(&cli.global, &seams).await,
        Verb::Completions { shell } => completions::run(shell),
    }
}
