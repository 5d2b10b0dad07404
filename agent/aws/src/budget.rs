//! The door that every call to ECS goes through, and every read of CloudFormation, of
//! targets' health, of alarms and of logs: it waits here for its turn, as
//! [`towline_agent_domain::rollout::budget`] decides, so that the agent is not the one
//! that has AWS throttle an account. The SDK's own retries are off for them: each would
//! be a call that nobody counted.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::sync::Notify;
use tokio::time::Instant;
use towline_agent_domain::rollout::budget::{Budget, Group, Purpose, Ticket, Turn};
use towline_link::seams::Clock;

use crate::call;
use crate::operation;

/// For how long a throttled read is tried again here. Whoever asked then decides
/// whether to go on, and hears of a cancel or a deadline.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a read without an answer is sent, the first time included.
const ATTEMPTS: u32 = 3;
/// The first pause before a read without an answer is sent again; the next is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long a turn to write is kept for an operation that took one ahead.
const KEPT: Duration = Duration::from_secs(30);
/// Shorter waits are no news.
const TELLING: Duration = Duration::from_millis(50);

type Sent<T, E> = Result<T, SdkError<E, HttpResponse>>;

/// The budgets of all regions of the account.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    clock: Clock,
    since: Instant,
    regions: Arc<Mutex<HashMap<String, Arc<Region>>>>,
}

#[derive(Debug, Default)]
struct Region {
    budget: Mutex<Budget>,
    /// Somebody left the line without a call.
    shorter: Notify,
    kept: Mutex<Vec<KeptTurn>>,
}

/// A turn that an operation took ahead of its write.
#[derive(Debug)]
struct KeptTurn {
    group: Group,
    operation: String,
    until: Instant,
}

impl Budgets {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            since: clock.instant(),
            regions: Arc::default(),
        }
    }

    /// A read: sent when it is its turn, and again when AWS throttles it or says nothing.
    pub(crate) async fn read<T, E, F>(
        &self,
        region: &str,
        group: Group,
        purpose: Purpose,
        mut send: impl FnMut() -> F,
    ) -> Sent<T, E>
    where
        F: Future<Output = Sent<T, E>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let began = self.now();
        let mut place = self.join(region, group, purpose);
        let mut attempts = 0;
        loop {
            self.turn(&mut place).await;
            let sent = self.now();
            let answer = Box::pin(send()).await;
            attempts += 1;
            match &answer {
                Err(error) if call::is_throttle(error) => {
                    let rest = self.throttled(&place, region, sent);
                    if self.now() + rest > began + PATIENCE {
                        return answer;
                    }
                }
                Err(error) if call::is_passing(error) => {
                    if attempts >= ATTEMPTS {
                        return answer;
                    }
                    tracing::debug!(region, ?group, "AWS gave no answer; asking again: {error}");
                    self.clock.sleep(FIRST_PAUSE * attempts).await;
                }
                _ => {
                    self.taken(&place, sent);
                    return answer;
                }
            }
            self.rejoin(&mut place);
        }
    }

    /// A write: sent when it is its turn, and never again.
    pub(crate) async fn write<T, E, F>(&self, region: &str, group: Group, send: F) -> Sent<T, E>
    where
        F: Future<Output = Sent<T, E>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let mut place = self.join(region, group, Purpose::Acting);
        if place.region.take_kept(group, self.clock.instant()) {
            place.leave();
        } else {
            self.turn(&mut place).await;
        }
        let sent = self.now();
        let answer = Box::pin(send).await;
        match &answer {
            Err(error) if call::is_throttle(error) => drop(self.throttled(&place, region, sent)),
            Err(error) if call::is_passing(error) => {}
            _ => self.taken(&place, sent),
        }
        answer
    }

    /// Waits for a turn to write, and keeps it for the next such write of the caller's operation.
    pub(crate) async fn turn_to_write(&self, region: &str, group: Group) {
        // Without an operation there is nobody to keep it for.
        let Some(operation) = operation::current() else {
            return;
        };
        let mut place = self.join(region, group, Purpose::Acting);
        self.turn(&mut place).await;
        let until = self.clock.instant() + KEPT;
        lock(&place.region.kept).push(KeptTurn {
            group,
            operation,
            until,
        });
    }

    fn now(&self) -> Duration {
        self.clock.instant().duration_since(self.since)
    }

    fn join(&self, region: &str, group: Group, purpose: Purpose) -> Place {
        let region = lock(&self.regions).entry(region.to_owned()).or_default().clone();
        let ticket = lock(&region.budget).ask(group, purpose, self.now());
        Place {
            region,
            group,
            purpose,
            ticket,
            in_line: true,
        }
    }

    fn rejoin(&self, place: &mut Place) {
        lock(&place.region.budget).ask_again(place.ticket, place.group, place.purpose, self.now());
        place.in_line = true;
    }

    async fn turn(&self, place: &mut Place) {
        let began = self.now();
        loop {
            let mut shorter = pin!(place.region.shorter.notified());
            shorter.as_mut().enable();
            let turn = lock(&place.region.budget).turn(place.ticket, place.group, self.now());
            match turn {
                Turn::Go => break,
                Turn::Wait(wait) => {
                    self.clock.timeout(wait, shorter).await;
                }
            }
        }
        place.in_line = false;
        let waited = self.now().saturating_sub(began);
        if waited >= TELLING {
            tracing::debug!(group = ?place.group, ?waited, "waited for a turn to call AWS");
        }
    }

    fn throttled(&self, place: &Place, region: &str, sent: Duration) -> Duration {
        let rest = lock(&place.region.budget).throttled(place.group, sent, self.now());
        tracing::debug!(region, group = ?place.group, ?rest, "AWS throttles: others have used its rate up");
        rest
    }

    fn taken(&self, place: &Place, sent: Duration) {
        lock(&place.region.budget).taken(place.group, sent, self.now());
    }
}

impl Region {
    /// Uses the turn that the caller's operation took ahead, if it did.
    fn take_kept(&self, group: Group, now: Instant) -> bool {
        let mut kept = lock(&self.kept);
        kept.retain(|turn| turn.until > now);
        let Some(operation) = operation::current() else {
            return false;
        };
        let found = kept
            .iter()
            .position(|turn| turn.group == group && turn.operation == operation);
        found.map(|index| kept.remove(index)).is_some()
    }
}

/// A place in line; who stops waiting leaves it to the others.
#[derive(Debug)]
struct Place {
    region: Arc<Region>,
    group: Group,
    purpose: Purpose,
    ticket: Ticket,
    in_line: bool,
}

impl Place {
    fn leave(&mut self) {
        if std::mem::take(&mut self.in_line) {
            lock(&self.region.budget).leave(self.ticket, self.group);
            self.region.shorter.notify_waiters();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
