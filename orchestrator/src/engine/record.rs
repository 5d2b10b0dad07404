//! What an orchestrator keeps beside its deployments, and does by itself for
//! it: looking for drift, telling receivers what happens.

use std::{path::PathBuf, time::Duration};

use super::Engine;

/// How the record is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// How often agents are asked what runs; `None` for never.
    pub drift_every: Option<Duration>,
    /// How long a notification is tried before it is given up on.
    pub give_up_after: Duration,
    /// Certificates (PEM) that receivers may show beside those that the machine trusts.
    pub ca_file: Option<PathBuf>,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self {
            drift_every: Some(Duration::from_secs(600)),
            give_up_after: Duration::from_secs(3 * 24 * 3600),
            ca_file: None,
        }
    }
}

impl Engine {
    /// Begins what goes on until the engine stops.
    pub(super) fn keep_record(&self) {
        if let Some(every) = self.0.record.drift_every {
            let (engine, stop) = (self.clone(), self.0.stop.clone());
            self.0
                .tasks
                .spawn(async move { engine.watch_drift(every, stop).await });
        }
        let (engine, stop) = (self.clone(), self.0.stop.clone());
        self.0.tasks.spawn(async move {
            if let Err(error) = engine.send_couriers().await {
                tracing::error!(
                    error = format!("{error:#}"),
                    "no notification is delivered before the next start"
                );
            }
            engine.fill_outbox(stop).await;
        });
    }
}
