//! `towline serve`: runs the orchestrator of a directory.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use towline_link::seams::Seams;
use tracing_subscriber::EnvFilter;

use super::{
    exit::{Exit, Fault},
    output::Console,
};
use crate::{config::Config, found, serve::Orchestrator, store::PlantedFaults};

/// Where an orchestrator is when nobody says otherwise.
pub const DEFAULT_DIR: &str = "towline";

/// Runs the orchestrator until SIGTERM or SIGINT.
///
/// When it is ready it says `serving on ADDRESS` on standard error and prints
/// `ready ADDRESS` on standard output. Deployments that were under way when it
/// last ended go on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline serve
  towline serve --dir /var/lib/towline --log-format json")]
pub struct Serve {
    /// The orchestrator's directory, as `towline init` made it.
    #[arg(long, value_name = "DIR", env = "TOWLINE_DIR", default_value = DEFAULT_DIR)]
    dir: PathBuf,
    /// What is logged to standard error: error, warn, info, debug, trace, or by
    /// module (`info,towline::engine=debug`).
    #[arg(long, value_name = "FILTER", env = "TOWLINE_LOG", default_value = "info")]
    log: String,
    /// How a line of the log looks.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
    /// Issue a new certificate to the orchestrator first, from its own CA.
    #[arg(long)]
    renew_certificate: bool,
    #[cfg(feature = "planted-faults")]
    #[command(flatten)]
    planted: Planted,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line a person can read.
    Text,
    /// One JSON object a line.
    Json,
}

/// Faults that the tests plant.
#[cfg(feature = "planted-faults")]
#[derive(Args, Debug)]
struct Planted {
    /// Die right before or right after the commit of this name.
    #[arg(long, hide = true, value_name = "COMMIT:before|after", value_parser = PlantedFaults::parse_crash)]
    planted_crash: Option<crate::store::CrashAt>,
    /// Write one line per commit to this file.
    #[arg(long, hide = true, value_name = "FILE")]
    planted_commit_log: Option<PathBuf>,
}

impl Serve {
    pub fn run(self, console: &mut Console) -> Result<Exit, Fault> {
        self.start_logging(console)?;
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Fault::local(format!("cannot start: {error}")))?
            .block_on(self.serve(console))
    }

    async fn serve(self, console: &mut Console) -> Result<Exit, Fault> {
        let seams = Seams::system();
        let config = Config::load(&self.dir)?;
        if self.renew_certificate {
            found::renew(&config, &[], &seams)?;
            tracing::info!("issued a new certificate to the orchestrator");
        }
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let orchestrator = Orchestrator::start(&config, seams, self.planted()).await?;
        console.talk(&format!("serving on {}", orchestrator.address()))?;
        console.data(&format!("ready {}", orchestrator.address()))?;
        let why = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = orchestrator.failed() => "a failure",
        };
        tracing::info!("stopping after {why}; what runs at agents goes on");
        orchestrator.stop().await?;
        tracing::info!("stopped");
        Ok(Exit::Done)
    }

    #[cfg(feature = "planted-faults")]
    fn planted(&self) -> PlantedFaults {
        PlantedFaults {
            crash_at: self.planted.planted_crash.clone(),
            commit_log: self.planted.planted_commit_log.clone(),
            ..PlantedFaults::default()
        }
    }

    #[cfg(not(feature = "planted-faults"))]
    fn planted(&self) -> PlantedFaults {
        PlantedFaults::default()
    }

    fn start_logging(&self, console: &Console) -> Result<(), Fault> {
        let filter = EnvFilter::try_new(&self.log).map_err(|error| {
            Fault::local(format!("--log {:?} is no filter: {error}", self.log))
                .hint("for example info, or info,towline::engine=debug")
        })?;
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(console.talk_color());
        let started = match self.log_format {
            LogFormat::Text => builder.try_init(),
            LogFormat::Json => builder.json().try_init(),
        };
        started.map_err(|error| Fault::local(format!("cannot log: {error}")))
    }
}
