//! `towline-agent serve`.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use towline_link::seams::Seams;

use super::{Global, proxy::proxy_for};
use crate::{config::Config, serve::Agent};

pub(super) async fn run(global: &Global, seams: Seams) -> anyhow::Result<ExitCode> {
    let config = Config::load(&global.dir)?;
    let proxy = config
        .orchestrator
        .as_deref()
        .and_then(|address| proxy_for(address, global));
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let (name, orchestrator, served) = (
        config.name.clone(),
        config.orchestrator.clone(),
        config.aws.served(),
    );
    let starting = Agent { config, seams, proxy }.start();
    let running = tokio::select! {
        running = starting => running?,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
    };
    if let Some(address) = running.listen_address() {
        tracing::info!(agent = %name, "listening on {address}");
    }
    if let Some(address) = orchestrator {
        tracing::info!(agent = %name, "dialling the orchestrator at {address}");
    }
    tracing::info!(agent = %name, incarnation = running.operations().incarnation(), "serving {served}");
    let why = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(agent = %name, "{why}: stopping");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}
