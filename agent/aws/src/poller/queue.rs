//! Who waits for a look at which service of one cluster, and which services the next
//! calls ask for. No clock and no call in here: the time is an argument.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use towline_agent_domain::observed::ObservedService;
use towline_agent_domain::outside::Answer;
use towline_agent_domain::rollout::budget::Purpose;
use towline_agent_domain::rollout::pace::{self, Outlook};

use crate::ecs::SERVICES_A_CALL;

/// How long an asker waits for others to join its call.
pub(super) const JOIN: Duration = Duration::from_millis(10);
/// For so many shortest intervals a service that AWS refused is asked for in calls of
/// its kind: it would have those of the others refused as well.
const APART: u32 = 60;
/// What was seen of a service is forgotten when nobody has looked for this many
/// shortest intervals: longer than any pause between two looks.
const FORGOTTEN: u32 = 100;

pub(super) type Observation = Answer<Option<ObservedService>>;

/// Who waits for the next look at a service.
#[derive(Debug)]
pub(super) struct Asker {
    /// The operation that asks.
    pub operation: Option<String>,
    pub answer: oneshot::Sender<Observation>,
}

/// When a look is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    /// At the pace at which the service's rollout moves.
    Paced(Outlook),
}

/// The services of one call, at most [`SERVICES_A_CALL`].
#[derive(Debug)]
pub(super) struct Batch {
    pub purpose: Purpose,
    /// AWS has refused to answer for each of them.
    pub apart: bool,
    pub askers: BTreeMap<String, Vec<Asker>>,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Next {
    /// Nobody waits, and nobody serves the cluster from now on.
    Nothing,
    Sleep(Duration),
    Call(Vec<Batch>),
}

#[derive(Debug)]
pub(super) struct Queue {
    shortest: Duration,
    waiting: BTreeMap<String, Waiting>,
    seen: HashMap<String, Seen>,
    /// Services for which AWS refused to answer, until when they are kept apart.
    apart: HashMap<String, Instant>,
    /// A task serves this cluster now.
    pub served: bool,
}

#[derive(Debug)]
struct Waiting {
    due: Instant,
    /// From here on it takes a place in a call that goes anyway.
    rides_from: Instant,
    purpose: Purpose,
    askers: Vec<Asker>,
}

#[derive(Debug)]
struct Seen {
    looked: Instant,
    moved: Instant,
    service: Option<ObservedService>,
}

impl Queue {
    pub(super) fn new(shortest: Duration) -> Self {
        Self {
            shortest,
            waiting: BTreeMap::new(),
            seen: HashMap::new(),
            apart: HashMap::new(),
            served: false,
        }
    }

    pub(super) fn join(&mut self, name: &str, when: When, asker: Asker, now: Instant) {
        let soon = now + JOIN;
        let (rides_from, due, purpose) = match (when, self.seen.get(name)) {
            (When::Now, _) => (now, soon, Purpose::Acting),
            (When::Paced(_), None) => (now, soon, Purpose::Watching),
            (When::Paced(outlook), Some(seen)) => {
                let pause = seen.pause(outlook, self.shortest, now);
                (
                    seen.looked + pause / 2,
                    (seen.looked + pause).max(soon),
                    Purpose::Watching,
                )
            }
        };
        let waiting = self.waiting.entry(name.to_owned()).or_insert_with(|| Waiting {
            due,
            rides_from,
            purpose,
            askers: Vec::new(),
        });
        waiting.askers.push(asker);
        waiting.due = waiting.due.min(due);
        waiting.rides_from = waiting.rides_from.min(rides_from);
        if purpose == Purpose::Acting {
            waiting.purpose = purpose;
        }
    }

    /// The calls that are due, or how long there are none.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        // Who stopped waiting is not asked for.
        self.waiting.retain(|_, waiting| {
            waiting.askers.retain(|asker| !asker.answer.is_closed());
            !waiting.askers.is_empty()
        });
        let Some(first) = self.waiting.values().map(|waiting| waiting.due).min() else {
            self.served = false;
            return Next::Nothing;
        };
        if first > now {
            return Next::Sleep(first - now);
        }
        let forgotten = self.shortest * FORGOTTEN;
        self.seen
            .retain(|_, seen| now.saturating_duration_since(seen.looked) < forgotten);
        self.apart.retain(|_, until| *until > now);
        let refused: HashSet<String> = self.apart.keys().cloned().collect();
        let mut calls = Vec::new();
        for apart in [false, true] {
            let due = self.due(now, |name| refused.contains(name) == apart);
            for names in due.chunks(SERVICES_A_CALL) {
                calls.push(self.take(names, apart));
            }
        }
        Next::Call(calls)
    }

    /// AWS refused to answer for this one, and answers for others.
    pub(super) fn refused(&mut self, name: &str, now: Instant) {
        self.apart.insert(name.to_owned(), now + self.shortest * APART);
    }

    /// Who is due, the longest overdue first, and who fills up the last call: it costs
    /// the same for one service as for ten.
    fn due(&self, now: Instant, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names: Vec<(Instant, &String)> = Vec::new();
        let mut riders: Vec<(Instant, &String)> = Vec::new();
        for (name, waiting) in self.waiting.iter().filter(|(name, _)| is_meant(name)) {
            if waiting.due <= now {
                names.push((waiting.due, name));
            } else if waiting.rides_from <= now {
                riders.push((waiting.due, name));
            }
        }
        // Riders join a call; they make none.
        names.sort();
        riders.sort();
        let room = names.len().next_multiple_of(SERVICES_A_CALL) - names.len();
        names.extend(riders.into_iter().take(room));
        names.into_iter().map(|(_, name)| name.clone()).collect()
    }

    fn take(&mut self, names: &[String], apart: bool) -> Batch {
        let mut batch = Batch {
            purpose: Purpose::Watching,
            apart,
            askers: BTreeMap::new(),
        };
        for name in names {
            if let Some(waiting) = self.waiting.remove(name) {
                if waiting.purpose == Purpose::Acting {
                    batch.purpose = Purpose::Acting;
                }
                batch.askers.insert(name.clone(), waiting.askers);
            }
        }
        batch
    }

    /// What a call that was sent at `looked` brought.
    pub(super) fn saw(&mut self, name: &str, service: Option<ObservedService>, looked: Instant) {
        let moved = match self.seen.get(name) {
            Some(before) if before.looked > looked => return,
            Some(before) if before.service == service => before.moved,
            _ => looked,
        };
        self.apart.remove(name);
        let seen = Seen {
            looked,
            moved,
            service,
        };
        self.seen.insert(name.to_owned(), seen);
    }

    /// Everybody who waits is told that nobody serves them: their channels close.
    pub(super) fn abandon(&mut self) {
        self.waiting.clear();
        self.served = false;
    }
}

impl Seen {
    fn pause(&self, outlook: Outlook, shortest: Duration, now: Instant) -> Duration {
        let quiet = now.saturating_duration_since(self.moved);
        pace::interval(pace::standing(self.service.as_ref()), outlook, quiet, shortest)
    }
}
