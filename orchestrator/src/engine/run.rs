//! The run loop: woken by commands, by agents that come and go, and by the
//! next moment at which time alone changes something. It asks nobody in between.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError, lock};
use crate::store::releases::projects_in_motion;

/// When a project is looked at again whose round failed (the disk is full, ...).
const AFTER_A_FAULT: Duration = Duration::from_secs(2);

/// The time of day may jump while a sleep goes on (a machine that was
/// suspended, a clock that was set): no deadline is missed by more than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Engine {
    /// The run loop: returns when `stop` is cancelled and what ran has been let
    /// go (it is re-attached at the next start), or with the error that ends it.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), EngineError> {
        let mut changes = self.0.fleet.changes();
        let fleet = self.0.fleet.clone();
        let fleet_stop = self.0.stop.clone();
        self.0.tasks.spawn(async move { fleet.run(fleet_stop).await });
        self.keep_record();
        let mut again = self.wake_all().await;
        loop {
            for project in self.due() {
                self.look_at(&project).await;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.0.wake.notified() => {}
                _ = changes.changed() => again = self.wake_all().await,
                () = self.0.freezes_changed.notified() => again = self.wake_all().await,
                () = self.0.seams.clock.sleep_until(again.unwrap_or(Timestamp::MAX)), if again.is_some() => {
                    again = self.wake_all().await;
                }
                () = self.next_timer() => {}
            }
        }
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        Ok(())
    }

    /// Makes the run loop look at a project.
    pub(super) fn wake(&self, project: &str) {
        lock(&self.0.dirty).insert(project.to_owned());
        self.0.wake.notify_one();
    }

    pub(super) fn set_timer(&self, project: &str, at: Option<Timestamp>) {
        let mut timers = lock(&self.0.timers);
        let earlier = at.is_some_and(|at| timers.values().all(|other| at < *other));
        match at {
            Some(at) => timers.insert(project.to_owned(), at),
            None => timers.remove(project),
        };
        drop(timers);
        if earlier {
            self.0.wake.notify_one();
        }
    }

    async fn look_at(&self, project: &str) {
        if let Err(error) = self.pass(project).await {
            tracing::error!(
                project,
                error = format!("{error:#}"),
                "cannot go on with a project; tries again"
            );
            let again = self.now().saturating_add(AFTER_A_FAULT).ok();
            self.set_timer(project, again);
        }
    }

    /// Makes the run loop look at whatever moves. Where that cannot be read now,
    /// it says when to try again: a disk that fails for a moment ends nothing.
    async fn wake_all(&self) -> Option<Timestamp> {
        match self.moving().await {
            Ok(moving) => {
                lock(&self.0.dirty).extend(moving);
                self.0.wake.notify_one();
                None
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "cannot read what moves; tries again"
                );
                self.now().saturating_add(AFTER_A_FAULT).ok()
            }
        }
    }

    async fn moving(&self) -> Result<Vec<String>, EngineError> {
        Ok(projects_in_motion(&mut *self.0.store.reader().await?).await?)
    }

    /// The projects to look at now; they are then clean.
    fn due(&self) -> Vec<String> {
        let now = self.now();
        let mut due = std::mem::take(&mut *lock(&self.0.dirty));
        lock(&self.0.timers).retain(|project, at| {
            let later = *at > now;
            if !later {
                due.insert(project.clone());
            }
            later
        });
        due.into_iter().collect()
    }

    async fn next_timer(&self) {
        let next = lock(&self.0.timers).values().min().copied();
        let Some(at) = next else {
            return std::future::pending().await;
        };
        tokio::select! {
            () = self.0.seams.clock.sleep_until(at) => {}
            () = self.0.seams.clock.sleep(LONGEST_SLEEP) => {}
        }
    }
}
