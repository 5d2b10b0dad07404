//! Log lines on standard error.

use anyhow::{Context as _, anyhow};
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt as _};

use crate::cli::LogFormat;

/// Starts logging; once per process.
///
/// # Errors
///
/// `filter` is no filter.
pub fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow!(
            "cannot read the log filter {filter:?}: {error}
hint: a level (info), or target=level,… (towline_link=debug,info)"
        )
    })?;
    let lines = fmt::Subscriber::builder()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let started = match format {
        LogFormat::Text => lines.finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    started.context("logging was started twice")
}
