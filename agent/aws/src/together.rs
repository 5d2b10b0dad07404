//! Reads that share calls: who asks for some things at the same moment as others is
//! answered by the same call, as many things in each as AWS takes. Failures come in
//! crowds, and so do rollouts that end.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use towline_agent_domain::outside::{Answer, CallError};
use towline_link::seams::Clock;

use crate::operation;

/// How long an asker waits for others to join its call.
const JOIN: Duration = Duration::from_millis(10);

/// One kind of read. `P` is what one call is about (a region, a cluster), `T` what it
/// says of each id.
#[derive(Debug)]
pub(crate) struct Together<P, T> {
    clock: Clock,
    /// The ids that AWS takes in one call.
    a_call: usize,
    waiting: Arc<Mutex<HashMap<P, Vec<Asker<T>>>>>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Asker<T> {
    ids: Vec<String>,
    /// The operation that asks.
    operation: Option<String>,
    answer: oneshot::Sender<Answer<HashMap<String, T>>>,
}

/// The right to answer who waits in one place. However it ends, nobody waits there
/// for an answer that will not come.
struct Answering<P: Hash + Eq, T> {
    place: P,
    waiting: Arc<Mutex<HashMap<P, Vec<Asker<T>>>>>,
}

impl<P: Hash + Eq, T> Answering<P, T> {
    fn take(&self) -> Vec<Asker<T>> {
        lock(&self.waiting).remove(&self.place).unwrap_or_default()
    }
}

impl<P: Hash + Eq, T> Drop for Answering<P, T> {
    fn drop(&mut self) {
        self.take();
    }
}

impl<P, T> Together<P, T>
where
    P: Clone + Hash + Eq + Send + 'static,
    T: Clone + Send + 'static,
{
    pub(crate) fn new(clock: Clock, a_call: usize) -> Self {
        Self {
            clock,
            a_call,
            waiting: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// What `fetch`, called for this asker's ids and those of others, says of the
    /// asker's; what AWS does not know is not in the answer.
    pub(crate) async fn ask<F, R>(&self, place: P, ids: Vec<String>, fetch: F) -> Answer<HashMap<String, T>>
    where
        F: Fn(Vec<String>) -> R + Send + 'static,
        R: Future<Output = Answer<Vec<(String, T)>>> + Send + 'static,
    {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let (answer, receiver) = oneshot::channel();
        let asker = Asker {
            ids,
            operation: operation::current(),
            answer,
        };
        if let Some(answering) = self.join(place, asker) {
            let (clock, a_call) = (self.clock, self.a_call);
            self.tasks.spawn(async move {
                clock.sleep(JOIN).await;
                let askers = answering.take();
                drop(answering);
                answer_all(askers, a_call, fetch).await;
            });
        }
        receiver.await.unwrap_or_else(|_| {
            Err(CallError::Unknown {
                message: "the read that was to be shared broke off".to_owned(),
            })
        })
    }

    /// The right to answer, for the first who asks.
    fn join(&self, place: P, asker: Asker<T>) -> Option<Answering<P, T>> {
        let mut waiting = lock(&self.waiting);
        let askers = waiting.entry(place.clone()).or_default();
        askers.push(asker);
        (askers.len() == 1).then(|| Answering {
            place,
            waiting: self.waiting.clone(),
        })
    }
}

async fn answer_all<T, F, R>(askers: Vec<Asker<T>>, a_call: usize, fetch: F)
where
    T: Clone + Send + 'static,
    F: Fn(Vec<String>) -> R,
    R: Future<Output = Answer<Vec<(String, T)>>> + Send + 'static,
{
    let mut known = HashSet::new();
    let ids: Vec<&String> = askers
        .iter()
        .flat_map(|asker| &asker.ids)
        .filter(|id| known.insert(*id))
        .collect();
    let operation = common_operation(&askers);
    let mut found: HashMap<String, T> = HashMap::new();
    let mut failed: HashMap<String, CallError> = HashMap::new();
    let mut calls = JoinSet::new();
    for ids in ids.chunks(a_call) {
        let ids: Vec<String> = ids.iter().copied().cloned().collect();
        let (operation, call) = (operation.clone(), Box::pin(fetch(ids.clone())));
        calls.spawn(async move {
            let answer = match operation {
                Some(operation) => operation::in_operation(&operation, call).await,
                None => call.await,
            };
            (ids, answer)
        });
    }
    for (ids, answer) in calls.join_all().await {
        match answer {
            Ok(things) => found.extend(things),
            Err(error) => failed.extend(ids.into_iter().map(|id| (id, error.clone()))),
        }
    }
    for asker in askers {
        let error = asker.ids.iter().find_map(|id| failed.get(id));
        let things = asker
            .ids
            .iter()
            .filter_map(|id| Some((id.clone(), found.get(id)?.clone())));
        let answer = match error {
            Some(error) => Err(error.clone()),
            None => Ok(things.collect()),
        };
        // An asker that is gone needs no answer.
        let _ = asker.answer.send(answer);
    }
}

/// Calls that serve one operation alone are told to AWS as that operation's.
fn common_operation<T>(askers: &[Asker<T>]) -> Option<String> {
    let mut operations = askers.iter().map(|asker| &asker.operation);
    let first = operations.next()?.clone()?;
    operations
        .all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Calls = Arc<Mutex<Vec<Vec<String>>>>;

    type Said = std::future::Ready<Answer<Vec<(String, usize)>>>;

    /// Says of each id how long it is; knows nothing of those that begin with a minus.
    fn lengths(calls: &Calls) -> impl Fn(Vec<String>) -> Said + Send + use<> {
        let calls = calls.clone();
        move |ids| {
            lock(&calls).push(ids.clone());
            if ids.iter().any(|id| id == "broken") {
                let message = "planted".to_owned();
                return std::future::ready(Err(CallError::Unknown { message }));
            }
            let known = ids.into_iter().filter(|id| !id.starts_with('-'));
            std::future::ready(Ok(known.map(|id| (id.clone(), id.len())).collect()))
        }
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[tokio::test]
    async fn who_asks_at_the_same_moment_shares_calls_and_gets_only_its_own() {
        let together = Together::new(Clock::system(), 3);
        let calls = Calls::default();
        let ask = |wanted: &[&str]| together.ask("main", ids(wanted), lengths(&calls));
        let (one, two, three) = tokio::join!(ask(&["a", "bb"]), ask(&["bb", "-gone"]), ask(&["broken"]));
        assert_eq!(
            one.unwrap(),
            HashMap::from([("a".to_owned(), 1), ("bb".to_owned(), 2)])
        );
        assert_eq!(two.unwrap(), HashMap::from([("bb".to_owned(), 2)]));
        assert!(three.is_err(), "and only this one");
        assert_eq!(*lock(&calls), [ids(&["a", "bb", "-gone"]), ids(&["broken"])]);
    }

    #[tokio::test]
    async fn after_a_panic_others_are_answered_again() {
        let together: Together<&str, usize> = Together::new(Clock::system(), 3);
        let panics = |_| -> Said { panic!("planted") };
        assert!(together.ask("main", ids(&["a"]), panics).await.is_err());
        let calls = Calls::default();
        assert!(together.ask("main", ids(&["a"]), lengths(&calls)).await.is_ok());
    }
}
