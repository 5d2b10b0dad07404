//! The command line: one file per verb, and how things are shown. Start with
//! [`Cli`] (what can be typed) and [`run`] (what then happens).
//!
//! Standard output carries data (tables, or JSON with `--output json`);
//! everything said to the person goes to standard error. Client verbs use
//! nothing but the orchestrator's API, over one connection made with the
//! operator's own certificate. A verb that starts something waits for its end
//! and answers with the exit code of the verdict ([`exit::Exit`]).

pub mod exit;

mod agent;
mod apply;
mod approve;
mod approved;
mod audit;
mod backup;
mod block;
mod cancel;
mod choose;
mod completions;
mod connection;
mod context;
mod course;
mod create;
mod deployment;
mod deployments;
mod events;
mod follow;
mod freeze;
mod import;
mod init;
mod join;
mod notification;
mod operator;
mod output;
mod preview;
mod promote;
mod redeploy;
mod reject;
mod release;
mod rollback;
mod schema;
mod serve;
mod service;
mod show;
mod status;
mod table;
mod valid_for;
mod variables;
mod watch;
mod when;
mod yaml;

use std::{future::Future, path::PathBuf};

use clap::{Args, ColorChoice, CommandFactory as _, Parser, Subcommand};
use towline_link::seams::Seams;

use self::{
    connection::Api,
    exit::{Exit, Fault},
    output::{Console, Format},
};

/// Carries a release of container images through many AWS accounts.
#[derive(Debug, Parser)]
#[command(
    name = "towline",
    version,
    arg_required_else_help = true,
    after_help = exit::HELP,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The file that says which orchestrator, and with which certificate
    /// [default: ~/.config/towline/cli.toml].
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TOWLINE_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,

    /// Tables for people, or JSON for scripts: the API's messages with the field
    /// names of the .proto files, and enums as words (`"awaiting_approval"`).
    #[arg(long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,

    /// When to use colours; NO_COLOR is respected.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Init(init::Init),
    Serve(serve::Serve),
    Join(join::Join),
    Agent(agent::Agent),
    Operator(operator::Operator),
    Apply(apply::Apply),
    Import(import::Import),
    Schema(schema::Schema),
    Service(service::Service),
    Release(release::Release),
    Promote(promote::Promote),
    Approve(approve::Approve),
    Reject(reject::Reject),
    Deployment(deployment::Deployment),
    Redeploy(redeploy::Redeploy),
    Rollback(rollback::Rollback),
    Cancel(cancel::Cancel),
    Freeze(freeze::Freeze),
    Watch(watch::Watch),
    Status(status::Status),
    Variables(variables::Variables),
    Audit(audit::Audit),
    Notification(notification::Notification),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Completions(completions::Completions),
    Version(Version),
}

/// Prints the version of this program.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline version")]
pub struct Version {}

/// Does what was asked, says what went wrong, and answers with the exit code.
pub fn run(cli: Cli) -> Exit {
    let Cli { global, verb } = cli;
    let mut console = Console::of_process(global.output, global.color);
    match dispatch(&global, verb, &mut console) {
        Ok(exit) => exit,
        Err(fault) => {
            console.fault(&fault);
            fault.exit
        }
    }
}

fn dispatch(global: &Global, verb: Verb, console: &mut Console) -> Result<Exit, Fault> {
    match verb {
        Verb::Init(verb) => verb.run(global, console),
        Verb::Serve(verb) => verb.run(console),
        Verb::Join(verb) => alone(verb.run(global, console)),
        Verb::Agent(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Operator(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Apply(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Import(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Schema(verb) => verb.run(console),
        Verb::Service(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Release(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Promote(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Approve(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Reject(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Redeploy(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Rollback(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Deployment(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Variables(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Cancel(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Freeze(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Watch(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Status(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Audit(verb) => verb.run(global, console),
        Verb::Backup(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Restore(verb) => verb.run(console),
        Verb::Notification(verb) => with_api(global, async |api| verb.run(api, console).await),
        Verb::Completions(verb) => verb.run(Cli::command(), console),
        Verb::Version(_) => {
            console.data(&format!("towline {}", env!("CARGO_PKG_VERSION")))?;
            Ok(Exit::Done)
        }
    }
}

/// Runs one client verb on a single thread: it starts fast and needs no more.
fn with_api(global: &Global, verb: impl AsyncFnOnce(&mut Api) -> Result<Exit, Fault>) -> Result<Exit, Fault> {
    alone(async {
        let mut api = Api::connect(global, Seams::system()).await?;
        verb(&mut api).await
    })
}

fn alone(future: impl Future<Output = Result<Exit, Fault>>) -> Result<Exit, Fault> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::local(format!("cannot start: {error}")))?
        .block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;

    fn leaves(command: &Command, path: &str, found: &mut Vec<(String, String)>) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            command
                .get_subcommands()
                .for_each(|sub| leaves(sub, &path, found));
        } else {
            let help = command.get_after_help().map(ToString::to_string);
            found.push((path, help.unwrap_or_default()));
        }
    }

    #[test]
    fn every_verb_shows_an_example_that_can_be_typed() {
        Cli::command().debug_assert();
        let mut verbs = Vec::new();
        leaves(&Cli::command(), "", &mut verbs);
        assert!(verbs.len() >= 18, "{verbs:?}");
        for (path, help) in verbs {
            let typed = help.lines().find(|line| line.starts_with("  towline"));
            let typed = typed.unwrap_or_else(|| panic!("{path} has no example"));
            let plain = typed.split(['|', '>']).next().unwrap_or_default();
            let words = plain.split_whitespace().filter(|word| !word.contains('"'));
            let parsed = Cli::try_parse_from(words);
            assert!(parsed.is_ok(), "{typed}: {}", parsed.err().unwrap());
        }
    }

    #[test]
    fn a_deployment_is_named_one_way() {
        let parse = |words: &[&str]| Cli::try_parse_from(words);
        assert!(parse(&["towline", "approve"]).is_err());
        assert!(parse(&["towline", "approve", "d-1", "--release", "1.0.0"]).is_err());
        assert!(parse(&["towline", "approve", "d-1", "--environment", "prod"]).is_err());
        assert!(parse(&["towline", "cancel", "--release", "1.0.0", "--environment", "prod"]).is_ok());
    }
}
