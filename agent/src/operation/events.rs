//! The events of one operation: an append-only log in memory that any number of
//! watchers read from any place in it. A watcher that is slow, goes away or
//! comes late never holds the operation up and never misses an event.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{Stream, stream};
use tokio::sync::watch;
use towline_agent_domain::operation_id::OperationId;
use towline_link::seams::Clock;
use towline_proto::agent::v1::{Finding, Finished, OperationEvent, Severity, operation_event::Event};

use crate::time::to_proto;

/// So many events, and no details are kept any more: what a service tells that
/// crashes for hours would fill the memory. Steps, findings and the end still are.
const MOST_DETAILS: usize = 2_000;

/// Sequences start at 1 and have no gaps; nothing follows a `Finished` event.
#[derive(Debug)]
pub struct EventLog {
    operation_id: OperationId,
    incarnation: Arc<str>,
    clock: Clock,
    entries: Mutex<Vec<OperationEvent>>,
    /// Details were left out, and that was said.
    cut: AtomicBool,
    last: watch::Sender<u64>,
}

impl EventLog {
    pub(super) fn new(operation_id: OperationId, incarnation: Arc<str>, clock: Clock) -> Self {
        Self {
            operation_id,
            incarnation,
            clock,
            entries: Mutex::new(Vec::new()),
            cut: AtomicBool::new(false),
            last: watch::Sender::new(0),
        }
    }

    /// Appends an event and wakes the watchers. After the end it does nothing.
    pub(super) fn append(&self, event: Event) {
        let mut entries = self.entries();
        if finished_of(&entries).is_some() {
            return;
        }
        let event = match is_detail(&event) && entries.len() >= MOST_DETAILS {
            true if self.cut.swap(true, Ordering::Relaxed) => return,
            true => details_end(),
            false => event,
        };
        let sequence = entries.len() as u64 + 1;
        entries.push(OperationEvent {
            operation_id: self.operation_id.to_string(),
            incarnation: self.incarnation.to_string(),
            sequence,
            time: Some(to_proto(self.clock.now())),
            event: Some(event),
        });
        self.last.send_replace(sequence);
    }

    /// The sequence number of the newest event; 0 when there is none.
    pub fn last_sequence(&self) -> u64 {
        *self.last.borrow()
    }

    /// How the operation ended, once it has.
    pub fn finished(&self) -> Option<Finished> {
        finished_of(&self.entries()).cloned()
    }

    /// The events after a sequence number, then live; ends after `Finished`.
    pub fn watch(self: Arc<Self>, after: u64) -> impl Stream<Item = OperationEvent> + Send + 'static {
        let reader = Reader {
            last: self.last.subscribe(),
            next: usize::try_from(after).unwrap_or(usize::MAX),
            log: self,
        };
        stream::unfold(reader, |mut reader| async move {
            let event = reader.next().await?;
            Some((event, reader))
        })
    }

    fn entries(&self) -> MutexGuard<'_, Vec<OperationEvent>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Reader {
    log: Arc<EventLog>,
    last: watch::Receiver<u64>,
    next: usize,
}

impl Reader {
    async fn next(&mut self) -> Option<OperationEvent> {
        loop {
            self.last.mark_unchanged();
            {
                let entries = self.log.entries();
                if let Some(event) = entries.get(self.next) {
                    self.next += 1;
                    return Some(event.clone());
                }
                if finished_of(&entries).is_some() {
                    return None;
                }
            }
            self.last.changed().await.ok()?;
        }
    }
}

fn is_detail(event: &Event) -> bool {
    match event {
        Event::StackResource(_)
        | Event::Rollout(_)
        | Event::ServiceEvent(_)
        | Event::TaskStopped(_)
        | Event::LogLine(_) => true,
        Event::Started(_) | Event::StepChanged(_) | Event::Finding(_) | Event::Finished(_) => false,
    }
}

fn details_end() -> Event {
    Event::Finding(Finding {
        severity: Severity::Warning.into(),
        reason: "details_left_out".to_owned(),
        message: format!(
            "more than {MOST_DETAILS} events: from here on only steps, findings and the end are told"
        ),
        hint: "the ECS console shows the service's events and tasks".to_owned(),
    })
}

fn finished_of(entries: &[OperationEvent]) -> Option<&Finished> {
    match entries.last()?.event.as_ref()? {
        Event::Finished(finished) => Some(finished),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use towline_proto::agent::v1::{ServiceEvent, Started};

    use super::*;

    fn log() -> Arc<EventLog> {
        Arc::new(EventLog::new(
            OperationId::from_uuid(uuid::Uuid::from_u128(7)),
            "inc".into(),
            Clock::system(),
        ))
    }

    fn finding(message: &str) -> Event {
        Event::Finding(Finding {
            message: message.into(),
            ..Finding::default()
        })
    }

    #[tokio::test]
    async fn a_late_watcher_gets_all_and_an_early_one_gets_each_as_it_happens() {
        let log = log();
        let mut early = Box::pin(Arc::clone(&log).watch(0));
        log.append(Event::Started(Started::default()));
        assert_eq!(early.next().await.map(|e| e.sequence), Some(1));
        log.append(finding("a"));
        log.append(Event::Finished(Finished::default()));
        assert_eq!(early.map(|e| e.sequence).collect::<Vec<_>>().await, [2, 3]);
        let late: Vec<_> = Arc::clone(&log).watch(0).map(|e| e.sequence).collect().await;
        assert_eq!(late, [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_watcher_resumes_after_what_it_has_seen() {
        let log = log();
        for text in ["a", "b", "c"] {
            log.append(finding(text));
        }
        log.append(Event::Finished(Finished::default()));
        let seen: Vec<_> = Arc::clone(&log).watch(2).map(|e| e.sequence).collect().await;
        assert_eq!(seen, [3, 4]);
        assert_eq!(Arc::clone(&log).watch(99).count().await, 0);
    }

    #[tokio::test]
    async fn a_service_that_tells_without_end_fills_no_memory_and_loses_no_verdict() {
        let log = log();
        for _ in 0..2 * MOST_DETAILS {
            log.append(Event::ServiceEvent(ServiceEvent::default()));
        }
        log.append(finding("still told"));
        log.append(Event::Finished(Finished::default()));
        let told: Vec<_> = Arc::clone(&log).watch(0).collect().await;
        assert_eq!(told.len(), MOST_DETAILS + 3);
        let reason = |event: &OperationEvent| match &event.event {
            Some(Event::Finding(finding)) => finding.reason.clone(),
            _ => String::new(),
        };
        assert_eq!(reason(&told[MOST_DETAILS]), "details_left_out");
        assert!(log.finished().is_some());
    }

    #[tokio::test]
    async fn nothing_follows_the_end() {
        let log = log();
        log.append(Event::Finished(Finished::default()));
        log.append(finding("too late"));
        assert_eq!(log.last_sequence(), 1);
    }
}
