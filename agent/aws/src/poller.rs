//! One paced, batched poller for all rollouts of the agent. Whoever follows a
//! service asks for its next observation; all who ask in one cluster are served
//! by the same round, ten services a call, one call in flight per cluster, and
//! never more often than the interval. Without followers nothing is asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use towline_agent_domain::observed::{ClusterRef, ObservedService};
use towline_agent_domain::outside::{Answer, CallError};
use towline_link::seams::Clock;

use crate::Aws;
use crate::ecs::SERVICES_A_CALL;
use crate::operation;

/// How long a first asker waits for others to join its round.
const COALESCE: Duration = Duration::from_millis(20);

type Observation = Answer<Option<ObservedService>>;
/// Who waits for a service's next observation, by the service's name.
type Askers = BTreeMap<String, Vec<Asker>>;

#[derive(Debug)]
struct Asker {
    /// The operation that asks.
    operation: Option<String>,
    answer: oneshot::Sender<Observation>,
}

#[derive(Clone, Debug)]
pub(crate) struct Poller {
    clock: Clock,
    interval: Duration,
    clusters: Arc<Mutex<HashMap<ClusterRef, Queue>>>,
    rounds: TaskTracker,
}

#[derive(Debug, Default)]
struct Queue {
    askers: Askers,
    /// A task serves this cluster now.
    served: bool,
    last_round: Option<Instant>,
}

impl Poller {
    pub(crate) fn new(clock: Clock, interval: Duration) -> Self {
        Self {
            clock,
            interval,
            clusters: Arc::default(),
            rounds: TaskTracker::new(),
        }
    }

    /// The service as the next round sees it.
    pub(crate) async fn next(&self, aws: &Aws, at: &ClusterRef, name: &str) -> Observation {
        let (answer, receiver) = oneshot::channel();
        let asker = Asker {
            operation: operation::current(),
            answer,
        };
        if self.enqueue(at, name, asker) {
            let (poller, aws, at) = (self.clone(), aws.clone(), at.clone());
            self.rounds.spawn(async move { poller.serve(&aws, &at).await });
        }
        receiver.await.unwrap_or_else(|_| {
            Err(CallError::Unknown {
                message: "the poller stopped".to_owned(),
            })
        })
    }

    /// True when nobody serves the cluster yet.
    fn enqueue(&self, at: &ClusterRef, name: &str, asker: Asker) -> bool {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = clusters.entry(at.clone()).or_default();
        queue.askers.entry(name.to_owned()).or_default().push(asker);
        !std::mem::replace(&mut queue.served, true)
    }

    /// Rounds until nobody asks any more.
    async fn serve(&self, aws: &Aws, at: &ClusterRef) {
        loop {
            self.clock.sleep(self.until_next_round(at)).await;
            let Some(askers) = self.begin_round(at) else {
                return;
            };
            round(aws, at, askers).await;
        }
    }

    fn until_next_round(&self, at: &ClusterRef) -> Duration {
        let clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let last = clusters.get(at).and_then(|queue| queue.last_round);
        let due = last.map(|last| last + self.interval);
        due.map_or(COALESCE, |due| {
            due.saturating_duration_since(self.clock.instant()).max(COALESCE)
        })
    }

    fn begin_round(&self, at: &ClusterRef) -> Option<Askers> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = clusters.get_mut(at)?;
        // Who stopped waiting is not asked for.
        queue.askers.retain(|_, waiting| {
            waiting.retain(|asker| !asker.answer.is_closed());
            !waiting.is_empty()
        });
        if queue.askers.is_empty() {
            queue.served = false;
            return None;
        }
        queue.last_round = Some(self.clock.instant());
        Some(std::mem::take(&mut queue.askers))
    }
}

async fn round(aws: &Aws, at: &ClusterRef, mut askers: Askers) {
    let names: Vec<String> = askers.keys().cloned().collect();
    for names in names.chunks(SERVICES_A_CALL) {
        let call = aws.describe_services(at, names);
        let answer = match common_operation(&askers, names) {
            Some(operation) => operation::in_operation(&operation, call).await,
            None => call.await,
        };
        for name in names {
            let of_service = answer
                .as_ref()
                .map(|found| found.iter().find(|service| service.name == *name).cloned())
                .map_err(Clone::clone);
            for asker in askers.remove(name).unwrap_or_default() {
                // An asker that is gone needs no answer.
                let _ = asker.answer.send(of_service.clone());
            }
        }
    }
}

/// A call that serves one operation alone is told to AWS as that operation's.
fn common_operation(askers: &Askers, names: &[String]) -> Option<String> {
    let mut operations = names
        .iter()
        .filter_map(|name| askers.get(name))
        .flatten()
        .map(|asker| &asker.operation);
    let first = operations.next()?.clone()?;
    operations
        .all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}
