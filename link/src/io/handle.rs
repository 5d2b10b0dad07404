use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{EndReason, LinkEnd, LinkTiming};
use crate::seams::Clock;

/// What the log says about the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// A link is meant to stay: its loss is a warning.
    Matters,
    /// Callers of an API and of pages come and go.
    IsNormal,
}

/// A view of one connection: what it does, why it ended, and a switch that
/// ends it at once, whatever still holds its streams.
#[derive(Clone)]
pub struct LinkHandle(Arc<Monitor>);

struct Monitor {
    clock: Clock,
    label: String,
    loss: Loss,
    opened: Instant,
    activity: Mutex<Activity>,
    received: AtomicU64,
    quiet: AtomicBool,
    busy_changed: Notify,
    ended: CancellationToken,
    end: Mutex<Option<LinkEnd>>,
}

const OVERSLEPT: Duration = Duration::from_secs(2);

struct Activity {
    last_received: Instant,
    open_calls: usize,
    busy_since: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LinkHandle {
    pub(crate) fn new(clock: Clock, label: String, loss: Loss) -> Self {
        let opened = clock.instant();
        Self(Arc::new(Monitor {
            clock,
            label,
            loss,
            opened,
            activity: Mutex::new(Activity {
                last_received: opened,
                open_calls: 0,
                busy_since: opened,
            }),
            received: AtomicU64::new(0),
            quiet: AtomicBool::new(false),
            busy_changed: Notify::new(),
            ended: CancellationToken::new(),
            end: Mutex::new(None),
        }))
    }

    /// Ends the connection now; every stream on it ends with an error.
    pub fn kill(&self, why: &str) {
        self.finish(EndReason::Killed(why.to_owned()));
    }

    /// Waits for the end.
    pub async fn ended(&self) -> LinkEnd {
        self.0.ended.cancelled().await;
        self.end().unwrap_or(LinkEnd {
            reason: EndReason::Closed,
            uptime: self.uptime(),
        })
    }

    /// How the connection ended; `None` while it lives.
    pub fn end(&self) -> Option<LinkEnd> {
        lock(&self.0.end).clone()
    }

    /// How long the connection has lived.
    pub fn uptime(&self) -> Duration {
        self.0.clock.instant().duration_since(self.0.opened)
    }

    /// Bytes received so far, without TLS.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Calls that are open now.
    pub fn open_calls(&self) -> usize {
        lock(&self.0.activity).open_calls
    }

    /// Counts a call as open until the guard is dropped: the link is busy and
    /// its loss is found sooner.
    pub fn open_call(&self) -> OpenCall {
        let mut activity = lock(&self.0.activity);
        activity.open_calls += 1;
        if activity.open_calls == 1 {
            activity.busy_since = self.0.clock.instant();
            self.0.busy_changed.notify_one();
        }
        OpenCall(self.clone())
    }

    /// When the link counts as lost, if nothing arrives before.
    pub(crate) fn deadline(&self, timing: &LinkTiming) -> Instant {
        let activity = lock(&self.0.activity);
        let idle = activity.last_received + timing.idle_limit;
        if activity.open_calls == 0 {
            return idle;
        }
        let busy = activity.last_received.max(activity.busy_since) + timing.busy_limit;
        idle.min(busy)
    }

    /// When the link should be tried, if nothing arrives before.
    pub(crate) fn next_check(&self, timing: &LinkTiming, last_check: Instant) -> Instant {
        let activity = lock(&self.0.activity);
        let every = match activity.open_calls {
            0 => timing.idle_check,
            _ => timing.busy_check,
        };
        last_check + every
    }

    /// Wakes when the link becomes busy.
    pub(crate) async fn became_busy(&self) {
        self.0.busy_changed.notified().await;
    }

    /// Ends the link when its deadline has passed. Who looks much later than it
    /// `meant` to was asleep itself (a suspended machine, a starved process):
    /// that is no silence of the peer, whose bytes may lie unread.
    pub(crate) fn end_if_silent(&self, timing: &LinkTiming, meant: Instant) {
        let now = self.0.clock.instant();
        if now > meant + OVERSLEPT {
            lock(&self.0.activity).last_received = now;
        } else if now >= self.deadline(timing) {
            let last = lock(&self.0.activity).last_received;
            self.finish(EndReason::Silent(now.duration_since(last)));
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.0.clock
    }

    pub(crate) fn cancelled(&self) -> WaitForCancellationFutureOwned {
        self.0.ended.clone().cancelled_owned()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.0.ended.is_cancelled()
    }

    pub(crate) fn saw(&self, bytes: usize) {
        self.0.received.fetch_add(bytes as u64, Ordering::Relaxed);
        lock(&self.0.activity).last_received = self.0.clock.instant();
    }

    /// [`LinkHandle::kill`] without a warning in the log: this end is planned.
    pub fn close(&self, why: &str) {
        self.0.quiet.store(true, Ordering::Relaxed);
        self.kill(why);
    }

    /// Ends the connection; only the first reason counts.
    pub(crate) fn finish(&self, reason: EndReason) {
        let end = LinkEnd {
            reason,
            uptime: self.uptime(),
        };
        {
            let mut slot = lock(&self.0.end);
            if slot.is_some() {
                return;
            }
            *slot = Some(end.clone());
        }
        self.log(&end);
        self.0.ended.cancel();
    }

    fn log(&self, end: &LinkEnd) {
        let peer = &self.0.label;
        let uptime_ms = u64::try_from(end.uptime.as_millis()).unwrap_or(u64::MAX);
        let quiet = self.0.quiet.load(Ordering::Relaxed) || self.0.loss == Loss::IsNormal;
        if quiet {
            tracing::debug!(%peer, reason = %end.reason, uptime_ms, "connection ended");
        } else {
            tracing::warn!(%peer, reason = %end.reason, uptime_ms, "link lost");
        }
    }
}

impl fmt::Debug for LinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkHandle")
            .field("peer", &self.0.label)
            .field("uptime", &self.uptime())
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

/// Counts one call as open while it lives.
#[derive(Debug)]
pub struct OpenCall(LinkHandle);

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut activity = lock(&self.0.0.activity);
        activity.open_calls = activity.open_calls.saturating_sub(1);
    }
}
