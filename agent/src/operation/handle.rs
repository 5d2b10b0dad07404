//! What a driver holds of its operation: it tells events, and asks whether it
//! may go on. Between any two actions a driver asks; a pause ends early when
//! someone cancels or the deadline comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use towline_agent_domain::{
    operation_id::OperationId,
    outside::{Answer, CallError},
};
use towline_link::seams::Clock;
use towline_proto::agent::v1::{
    Finding, Severity, Started, Step, StepChanged, StepState, operation_event::Event,
};

use super::{CancelMode, Ending, Operation};

/// The longest pause between two tries of a read that AWS did not answer.
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// The first pause between two tries of a read that AWS did not answer.
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// Why a driver may not simply go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    Cancel(CancelMode),
    Deadline,
}

/// A driver's side of an [`Operation`].
#[derive(Debug)]
pub struct Handle {
    pub(super) operation: Arc<Operation>,
    pub(super) clock: Clock,
    /// When the operation must end.
    pub(super) deadline: Timestamp,
    /// The driver has taken the cancel and is carrying it out.
    pub(super) cancel_taken: AtomicBool,
    /// The deadline has passed, and what is left to do is bounded otherwise.
    pub(super) past_deadline: AtomicBool,
    /// The driver can let go of what it takes back.
    pub(super) heeds_detach: AtomicBool,
    pub(super) started: AtomicBool,
}

impl Handle {
    pub fn id(&self) -> OperationId {
        self.operation.id
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    pub fn emit(&self, event: Event) {
        self.operation.log.append(event);
    }

    /// Tells the start, once; `reattached` says that an earlier send's work was found.
    pub fn started(&self, reattached: bool) {
        if !self.started.swap(true, Ordering::Relaxed) {
            let place = &self.operation.place;
            self.emit(Event::Started(Started {
                region: place.region.clone(),
                cluster: place.cluster.clone(),
                service: place.service.clone(),
                reattached,
                task: place.task.clone(),
            }));
        }
    }

    pub fn step(&self, step: Step, state: StepState, detail: impl Into<String>) {
        let detail = detail.into();
        tracing::info!(operation = %self.id(), step = step.as_str_name(), state = state.as_str_name(), "{detail}");
        self.emit(Event::StepChanged(StepChanged {
            step: step.into(),
            state: state.into(),
            detail,
        }));
    }

    pub fn finding(&self, severity: Severity, reason: &str, message: impl Into<String>, hint: &str) {
        self.emit(Event::Finding(Finding {
            severity: severity.into(),
            reason: reason.to_owned(),
            message: message.into(),
            hint: hint.to_owned(),
        }));
    }

    /// Why the driver may not go on; `None` when it may.
    pub fn interruption(&self) -> Option<Interruption> {
        let cancel = *self.operation.cancel.borrow();
        match cancel {
            Some(mode) if !self.cancel_taken.load(Ordering::Relaxed) => Some(Interruption::Cancel(mode)),
            _ if self.heeds_detach.load(Ordering::Relaxed) && *self.operation.detach.borrow() => {
                Some(Interruption::Cancel(CancelMode::Detach))
            }
            _ if self.is_too_late() => Some(Interruption::Deadline),
            _ => None,
        }
    }

    fn is_too_late(&self) -> bool {
        self.clock.now() >= self.deadline && !self.past_deadline.load(Ordering::Relaxed)
    }

    /// The deadline has been heeded: it interrupts no more. The caller bounds what it
    /// still does.
    pub(super) fn outlive_deadline(&self) {
        self.past_deadline.store(true, Ordering::Relaxed);
    }

    /// The driver carries the cancel out from here on: it no longer interrupts.
    pub fn take_cancel(&self) {
        self.cancel_taken.store(true, Ordering::Relaxed);
    }

    /// From here on what is taken back need not be followed: a detach still interrupts.
    pub fn heed_detach(&self) {
        self.heeds_detach.store(true, Ordering::Relaxed);
    }

    async fn until_too_late(&self) {
        match self.past_deadline.load(Ordering::Relaxed) {
            true => std::future::pending().await,
            false => self.clock.sleep_until(self.deadline).await,
        }
    }

    /// Waits, or less when there is an interruption; then says which.
    pub async fn pause(&self, duration: Duration) -> Option<Interruption> {
        match self.unless_interrupted(self.clock.sleep(duration)).await {
            Ok(()) => self.interruption(),
            Err(by) => Some(by),
        }
    }

    /// Waits for `future`, which an interruption ends.
    ///
    /// # Errors
    ///
    /// What interrupted it.
    pub async fn unless_interrupted<F: Future>(&self, future: F) -> Result<F::Output, Interruption> {
        let mut cancel = self.operation.cancel.subscribe();
        let mut detach = self.operation.detach.subscribe();
        let cancelled = async {
            if self.cancel_taken.load(Ordering::Relaxed) {
                let heeded = self.heeds_detach.load(Ordering::Relaxed);
                return match heeded && detach.wait_for(|asked| *asked).await.is_ok() {
                    true => Interruption::Cancel(CancelMode::Detach),
                    false => std::future::pending().await,
                };
            }
            let asked = cancel.wait_for(Option::is_some).await.ok().and_then(|mode| *mode);
            match asked {
                Some(mode) => Interruption::Cancel(mode),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            output = future => Ok(output),
            by = cancelled => Err(by),
            () = self.until_too_late() => Err(Interruption::Deadline),
        }
    }

    /// A read, tried again for as long as AWS is throttling or silent.
    ///
    /// # Errors
    ///
    /// AWS refuses, or still did not answer when the operation was interrupted.
    pub async fn read<T, F>(&self, what: &str, mut call: impl FnMut() -> F) -> Result<T, Ending>
    where
        F: Future<Output = Answer<T>>,
    {
        let mut wait = FIRST_RETRY;
        loop {
            // A call of the AWS SDK is a large future: on the heap it does not make that
            // of a whole operation larger than a thread's stack.
            let error = match Box::pin(call()).await {
                Ok(value) => return Ok(value),
                Err(error @ (CallError::Throttled { .. } | CallError::Unknown { .. })) => error,
                Err(error) => return Err(Ending::call(what, &error)),
            };
            tracing::warn!(operation = %self.id(), "cannot {what} now: {error}");
            match self.pause(wait).await {
                Some(Interruption::Deadline) => return Err(Ending::call(what, &error)),
                // A cancel is for the driver to carry out; it needs this answer for that.
                Some(Interruption::Cancel(_)) => self.clock.sleep(wait).await,
                None => {}
            }
            wait = (wait * 2).min(LONGEST_RETRY);
        }
    }
}
