//! One paced, batched poller for all that the agent follows. Whoever follows a
//! service asks for its next look; when that comes depends on how the service's
//! rollout stands ([`towline_agent_domain::rollout::pace`]). Services of a cluster
//! share calls, ten in each: who is due goes, and a call that goes anyway takes along
//! who is due soon. Without followers nothing is asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;
use towline_agent_domain::observed::ClusterRef;
use towline_agent_domain::outside::{Answer, CallError};
use towline_link::seams::Clock;

mod queue;
#[cfg(test)]
mod tests;

pub(crate) use queue::When;
use queue::{Asker, Batch, Next, Observation, Queue};

use crate::Aws;
use crate::ecs::Described;
use crate::operation;

#[derive(Clone, Debug)]
pub(crate) struct Poller {
    clock: Clock,
    shortest: Duration,
    clusters: Arc<Mutex<HashMap<ClusterRef, Arc<Cluster>>>>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Cluster {
    queue: Mutex<Queue>,
    /// Somebody joined, who may be due before the others.
    joined: Notify,
}

impl Cluster {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to serve a cluster. However the task that has it ends, the cluster is
/// free again, and nobody waits for an answer that will not come.
#[derive(Debug)]
struct Serving {
    cluster: Arc<Cluster>,
    /// The queue has said that nobody waits, and that it is free.
    done: bool,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.done {
            self.cluster.queue().abandon();
        }
    }
}

impl Poller {
    /// `shortest`: the least time between two looks at one service that is followed.
    pub(crate) fn new(clock: Clock, shortest: Duration) -> Self {
        Self {
            clock,
            shortest,
            clusters: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// The service as the next look shows it.
    pub(crate) async fn look(&self, aws: &Aws, at: &ClusterRef, name: &str, when: When) -> Observation {
        let (answer, receiver) = oneshot::channel();
        let asker = Asker {
            operation: operation::current(),
            answer,
        };
        let cluster = self.cluster(at);
        if let Some(serving) = self.join(&cluster, name, when, asker) {
            let (poller, aws, at) = (self.clone(), aws.clone(), at.clone());
            self.tasks
                .spawn(async move { poller.serve(&aws, &at, serving).await });
        }
        receiver.await.unwrap_or_else(|_| {
            Err(CallError::Unknown {
                message: "the poller stopped".to_owned(),
            })
        })
    }

    fn cluster(&self, at: &ClusterRef) -> Arc<Cluster> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = clusters.entry(at.clone()).or_insert_with(|| {
            Arc::new(Cluster {
                queue: Mutex::new(Queue::new(self.shortest)),
                joined: Notify::new(),
            })
        });
        cluster.clone()
    }

    /// The right to serve the cluster, when nobody has it.
    fn join(&self, cluster: &Arc<Cluster>, name: &str, when: When, asker: Asker) -> Option<Serving> {
        let mut queue = cluster.queue();
        queue.join(name, when, asker, self.clock.instant());
        if std::mem::replace(&mut queue.served, true) {
            cluster.joined.notify_one();
            return None;
        }
        Some(Serving {
            cluster: cluster.clone(),
            done: false,
        })
    }

    /// Sends the calls that are due, until nobody asks any more.
    async fn serve(&self, aws: &Aws, at: &ClusterRef, mut serving: Serving) {
        loop {
            let next = serving.cluster.queue().next(self.clock.instant());
            match next {
                Next::Nothing => {
                    serving.done = true;
                    return;
                }
                Next::Sleep(pause) => {
                    let joined = serving.cluster.joined.notified();
                    self.clock.timeout(pause, joined).await;
                }
                Next::Call(batches) => {
                    for batch in batches {
                        let (clock, cluster) = (self.clock, serving.cluster.clone());
                        let (aws, at) = (aws.clone(), at.clone());
                        self.tasks
                            .spawn(async move { call(clock, &cluster, &aws, &at, batch).await });
                    }
                }
            }
        }
    }
}

/// One call for all services of a batch; each asker gets what it brought.
async fn call(clock: Clock, cluster: &Cluster, aws: &Aws, at: &ClusterRef, mut batch: Batch) {
    let names: Vec<String> = batch.askers.keys().cloned().collect();
    let described = describe(aws, at, &names, &batch);
    let looked = clock.instant();
    let (answers, told_apart) = match common_operation(&batch.askers) {
        Some(operation) => operation::in_operation(&operation, described).await,
        None => described.await,
    };
    for (name, answer) in answers {
        match &answer {
            Ok(service) => cluster.queue().saw(&name, service.clone(), looked),
            Err(error) if told_apart && is_of_one(error) => cluster.queue().refused(&name, looked),
            Err(_) => {}
        }
        for asker in batch.askers.remove(&name).unwrap_or_default() {
            // An asker that is gone needs no answer.
            let _ = asker.answer.send(answer.clone());
        }
    }
}

/// What AWS says of each, and whether it was asked one by one.
async fn describe(
    aws: &Aws,
    at: &ClusterRef,
    names: &[String],
    batch: &Batch,
) -> (Vec<(String, Observation)>, bool) {
    let answer = aws.describe_services(at, names, batch.purpose).await;
    let refused = answer.as_ref().is_err_and(is_of_one);
    if !refused || names.len() == 1 || batch.apart {
        return (told_apart(names, answer), names.len() == 1);
    }
    // One service that the agent's role may not see has the whole call refused: the
    // others must not suffer for it.
    let mut answers = Vec::new();
    for name in names {
        let name = std::slice::from_ref(name);
        answers.extend(told_apart(
            name,
            aws.describe_services(at, name, batch.purpose).await,
        ));
    }
    (answers, true)
}

/// Whether it may be for the sake of one service that AWS refused the whole call.
fn is_of_one(error: &CallError) -> bool {
    matches!(error, CallError::Denied { .. } | CallError::Refused { .. })
}

fn told_apart(names: &[String], answer: Answer<Described>) -> Vec<(String, Observation)> {
    let of_service = |name: &String| match &answer {
        Ok(described) => described.of(name),
        Err(error) => Err(error.clone()),
    };
    names
        .iter()
        .map(|name| (name.clone(), of_service(name)))
        .collect()
}

/// A call that serves one operation alone is told to AWS as that operation's.
fn common_operation(askers: &BTreeMap<String, Vec<Asker>>) -> Option<String> {
    let mut operations = askers.values().flatten().map(|asker| &asker.operation);
    let first = operations.next()?.clone()?;
    operations
        .all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}
