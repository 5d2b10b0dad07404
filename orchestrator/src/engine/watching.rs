//! The log of a release as a stream: what has happened, then what happens.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;

use super::{Engine, EngineError, EventView, SettledView, WatchItem, commands::find_release};
use crate::{
    domain::{
        deployment::Deployment,
        plan::{self, ReleaseTrack},
    },
    store::{StoredRelease, deployments::deployments_of, events_after},
};

/// How many lines are read at once.
const CHUNK: u32 = 256;

struct Watch {
    engine: Engine,
    release: StoredRelease,
    track: ReleaseTrack,
    cursor: i64,
    read: VecDeque<EventView>,
    commits: watch::Receiver<u64>,
    ended: bool,
}

impl Engine {
    /// What happens to a release after a cursor (0: all), then live. Ends with
    /// `Settled` when nothing more happens by itself, or with an error.
    pub async fn watch_release(
        &self,
        project: &str,
        version: &str,
        after: i64,
    ) -> Result<BoxStream<'static, Result<WatchItem, EngineError>>, EngineError> {
        let mut reader = self.0.store.reader().await?;
        let stored = find_release(&mut reader, project, version).await?;
        let lifecycle = self.lifecycle_of(&mut reader, &stored.release).await?;
        drop(reader);
        let watch = Watch {
            engine: self.clone(),
            track: ReleaseTrack {
                version: stored.release.version.clone(),
                lifecycle,
                standing: stored.standing.clone(),
            },
            release: stored,
            cursor: after,
            read: VecDeque::new(),
            commits: self.0.store.commits(),
            ended: false,
        };
        Ok(stream::unfold(watch, |mut watch| async move {
            if watch.ended {
                return None;
            }
            let item = watch.next().await;
            watch.ended = !matches!(item, Ok(WatchItem::Event(_)));
            Some((item, watch))
        })
        .boxed())
    }
}

impl Watch {
    async fn next(&mut self) -> Result<WatchItem, EngineError> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.cursor = event.cursor;
                return Ok(WatchItem::Event(event));
            }
            // Seen before reading: a commit during the read wakes us at once.
            self.commits.borrow_and_update();
            if let Some(settled) = self.look().await? {
                return Ok(WatchItem::Settled(settled));
            }
            if self.read.is_empty() {
                tokio::select! {
                    _ = self.commits.changed() => {}
                    () = self.engine.0.stop.cancelled() => {
                        return Err(EngineError::Internal(anyhow::anyhow!("the orchestrator stops")));
                    }
                }
            }
        }
    }

    /// Reads on; when there is nothing more, says whether more can come. Both
    /// at one moment, so that no line is missed before the end.
    async fn look(&mut self) -> Result<Option<SettledView>, EngineError> {
        let mut view = self.engine.0.store.read().await?;
        self.read = events_after(&mut view, self.release.number, self.cursor, CHUNK)
            .await?
            .into();
        if !self.read.is_empty() {
            return Ok(None);
        }
        let release = &self.release.release;
        let now = find_release(&mut view, release.project.as_str(), release.version.as_str()).await?;
        self.track.standing = now.standing;
        let deployments = deployments_of(&mut view, self.release.number).await?;
        let deployments: Vec<&Deployment> = deployments.iter().map(|stored| &stored.deployment).collect();
        let settled = plan::settled(&self.track, &deployments, self.engine.now());
        Ok(settled.map(|settled| SettledView {
            cursor: self.cursor,
            state: settled.state,
            waiting_on: settled.waiting_on.map(|on| on.to_string()).unwrap_or_default(),
            outcome: settled.outcome,
        }))
    }
}
