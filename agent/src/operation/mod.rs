//! Operations: what an agent does for its callers. [`Operations`] is the
//! registry; a driver ([`fargate`], [`update`], [`task`]) carries one operation out, and
//! its [`Handle`] is all it sees of the registry. Start with
//! [`Operations::begin`].
//!
//! What always holds: an operation runs to its end whether or not somebody
//! watches; there is one operation at a time per service, and per one-off task; the registry is
//! memory only, and an agent that lost it finds everything again in the account.

mod bake;
mod conclude;
mod ending;
mod events;
mod evidence;
mod fargate;
mod follow;
mod handle;
mod interruption;
mod lanes;
mod one_update;
mod registration;
mod surroundings;
mod task;
mod undo;
mod update;

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use towline_agent_domain::{operation_id::OperationId, verdict::Reason};
use towline_link::seams::Seams;
use towline_proto::agent::v1::{
    DeployFargateServiceRequest, RunTaskRequest, Severity, UpdateServiceRequest, operation_event::Event,
};

pub use ending::Ending;
pub use events::EventLog;
pub use handle::{Handle, Interruption};
pub use lanes::Lanes;
pub use surroundings::Surroundings;
pub(crate) use {
    fargate::{FargateOrder, deploy, plan, print},
    task::{TaskOrder, run_task},
    update::{UpdateOrder, plan_update, update},
};

/// How many ended operations are remembered for late watchers.
const REMEMBERED: usize = 200;

/// One ECS service, or a one-off task, as a lane's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub region: String,
    pub cluster: String,
    /// Of a one-off task the service that it is like, if any.
    pub service: String,
    /// The one-off task's name; empty for a service.
    pub task: String,
}

impl Place {
    /// What is worked on, for a person.
    fn what(&self) -> String {
        match (self.task.as_str(), self.service.as_str()) {
            ("", service) => service.to_owned(),
            (task, "") => format!("task {task}"),
            (task, service) => format!("task {task} of {service}"),
        }
    }
}

/// How a person wants an operation stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelMode {
    /// Put back what ran before.
    RollBack,
    /// Stop following; ECS carries on.
    Detach,
}

/// What was asked, without the parts that differ from send to send.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    Fargate(Box<DeployFargateServiceRequest>),
    Update(Box<UpdateServiceRequest>),
    Task(Box<RunTaskRequest>),
    /// Nothing: somebody only looks.
    Look,
}

/// One operation that this incarnation knows.
#[derive(Debug)]
pub struct Operation {
    pub id: OperationId,
    pub place: Place,
    pub started: Timestamp,
    pub log: Arc<EventLog>,
    payload: Payload,
    cancel: watch::Sender<Option<CancelMode>>,
    /// After a roll-back was asked for: nobody wants to follow it.
    detach: watch::Sender<bool>,
}

impl Operation {
    /// Asks the driver to stop. A roll-back that was asked for is not weakened to a
    /// detach: it is begun, and then not followed.
    pub fn cancel(&self, mode: CancelMode) {
        if mode == CancelMode::Detach && *self.cancel.borrow() == Some(CancelMode::RollBack) {
            self.detach.send_replace(true);
        }
        self.cancel.send_if_modified(|asked| {
            let stronger =
                asked.is_none() || (*asked == Some(CancelMode::Detach) && mode == CancelMode::RollBack);
            if stronger {
                *asked = Some(mode);
            }
            stronger
        });
    }
}

/// What came of asking for an operation.
#[derive(Debug)]
pub enum Begun {
    Started(Arc<Operation>),
    /// It was there already, with the same payload.
    Attached(Arc<Operation>),
    /// The id belongs to something else.
    Conflict,
    /// The agent is going away.
    Stopping,
}

/// A new operation.
#[derive(Debug)]
pub struct Opening {
    pub id: OperationId,
    pub place: Place,
    pub payload: Payload,
    pub deadline: Timestamp,
    /// Somebody said stop before this incarnation heard of it.
    pub cancel: Option<CancelMode>,
}

/// Eyes on one service, which no operation works on meanwhile.
#[derive(Debug)]
pub(crate) struct Look {
    pub handle: Handle,
    _turn: lanes::Turn,
}

/// The running operations and those that ended lately. Clones share one registry.
#[derive(Clone, Debug)]
pub struct Operations(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    incarnation: Arc<str>,
    seams: Seams,
    known: Mutex<Known>,
    lanes: Lanes<Place>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<OperationId, Arc<Operation>>,
    /// Ids, oldest first.
    order: VecDeque<OperationId>,
}

impl Operations {
    /// An empty registry. Everything in it ends when `stopping` is cancelled.
    pub fn new(seams: Seams, stopping: CancellationToken) -> Self {
        Self(Arc::new(Registry {
            incarnation: seams.random.uuid().to_string().into(),
            seams,
            known: Mutex::default(),
            lanes: Lanes::default(),
            tasks: TaskTracker::new(),
            stopping,
        }))
    }

    /// Changes with every start of the agent's process.
    pub fn incarnation(&self) -> &str {
        &self.0.incarnation
    }

    /// Cancelled when the agent is going away.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    pub fn get(&self, id: OperationId) -> Option<Arc<Operation>> {
        self.0.known().by_id.get(&id).cloned()
    }

    /// All that are known, newest first.
    pub fn list(&self) -> Vec<Arc<Operation>> {
        let known = self.0.known();
        let newest_first = known.order.iter().rev();
        newest_first
            .filter_map(|id| known.by_id.get(id).cloned())
            .collect()
    }

    /// Starts an operation, or attaches to the one that has this id.
    pub fn begin<D, F>(&self, opening: Opening, driver: D) -> Begun
    where
        D: FnOnce(Arc<Handle>) -> F + Send + 'static,
        F: Future<Output = Ending> + Send + 'static,
    {
        let registry = &self.0;
        if registry.stopping.is_cancelled() {
            return Begun::Stopping;
        }
        let mut known = registry.known();
        if let Some(operation) = known.by_id.get(&opening.id) {
            let operation = Arc::clone(operation);
            if operation.payload != opening.payload {
                return Begun::Conflict;
            }
            if let Some(mode) = opening.cancel {
                operation.cancel(mode);
            }
            return Begun::Attached(operation);
        }
        let deadline = opening.deadline;
        let operation = registry.remember(&mut known, opening);
        drop(known);
        let handle = Arc::new(registry.handle(Arc::clone(&operation), deadline));
        let registry = Arc::clone(registry);
        let tasks = registry.tasks.clone();
        tasks.spawn(async move {
            let stopping = registry.stopping.clone();
            tokio::select! {
                () = registry.run(handle, driver) => {}
                () = stopping.cancelled() => {}
            }
        });
        Begun::Started(operation)
    }

    /// The eyes of a call that is no operation: what it tells nobody hears.
    ///
    /// # Errors
    ///
    /// The operation that works on the service now; it would see what the call does.
    pub(crate) fn look(&self, place: Place, deadline: Timestamp) -> Result<Look, String> {
        let registry = &self.0;
        let handle = self.look_beside(place.clone(), deadline);
        match registry
            .lanes
            .take(&place, handle.id().to_string())
            .now_or_never()
        {
            Some(turn) => Ok(Look { handle, _turn: turn }),
            None => Err(registry.lanes.holder(&place).unwrap_or_default()),
        }
    }

    /// The same for a call that writes nothing, and may look while an operation works.
    pub(crate) fn look_beside(&self, place: Place, deadline: Timestamp) -> Handle {
        let registry = &self.0;
        let opening = Opening {
            id: OperationId::from_uuid(registry.seams.random.uuid()),
            place,
            payload: Payload::Look,
            deadline,
            cancel: None,
        };
        registry.handle(Arc::new(registry.operation(opening)), deadline)
    }

    /// Runs what must come to its end also when its caller goes away. `None`: the
    /// agent is going away.
    pub(crate) async fn to_the_end<F>(&self, work: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let stopping = self.0.stopping.clone();
        let task = self.0.tasks.spawn(async move {
            tokio::select! {
                output = work => Some(output),
                () = stopping.cancelled() => None,
            }
        });
        task.await.ok().flatten()
    }

    /// Waits until no operation runs any more; cancel `stopping` first.
    pub async fn stopped(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Registry {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, known: &mut Known, opening: Opening) -> Arc<Operation> {
        let id = opening.id;
        let operation = Arc::new(self.operation(opening));
        known.by_id.insert(id, Arc::clone(&operation));
        known.order.push_back(id);
        known.forget_old();
        operation
    }

    fn operation(&self, opening: Opening) -> Operation {
        let incarnation = Arc::clone(&self.incarnation);
        Operation {
            log: Arc::new(EventLog::new(opening.id, incarnation, self.seams.clock)),
            started: self.seams.clock.now(),
            cancel: watch::Sender::new(opening.cancel),
            detach: watch::Sender::new(false),
            id: opening.id,
            place: opening.place,
            payload: opening.payload,
        }
    }

    fn handle(&self, operation: Arc<Operation>, deadline: Timestamp) -> Handle {
        Handle {
            operation,
            clock: self.seams.clock,
            deadline,
            cancel_taken: AtomicBool::new(false),
            past_deadline: AtomicBool::new(false),
            heeds_detach: AtomicBool::new(false),
            started: AtomicBool::new(false),
        }
    }

    async fn run<D, F>(&self, handle: Arc<Handle>, driver: D)
    where
        D: FnOnce(Arc<Handle>) -> F,
        F: Future<Output = Ending>,
    {
        let operation = Arc::clone(&handle.operation);
        let started = Arc::clone(&handle);
        let ending = match self.turn(&handle).await {
            Err(ending) => ending,
            Ok(_turn) => AssertUnwindSafe(driver(handle))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| {
                    let summary = "the agent failed inside while it worked on this; its log says where";
                    Ending::new(Reason::Unknown, summary).hint("look at the service in ECS, and report this")
                }),
        };
        started.started(false);
        let finished = ending.into_finished();
        tracing::info!(
            operation = %operation.id,
            verdict = finished.verdict().as_str_name(),
            reason = %finished.reason,
            "{}", finished.summary
        );
        operation.log.append(Event::Finished(finished));
    }

    /// Waits until no other operation works on the service.
    async fn turn(&self, handle: &Handle) -> Result<lanes::Turn, Ending> {
        let place = &handle.operation.place;
        let mut taken = Box::pin(self.lanes.take(place, handle.id().to_string()));
        if let Some(turn) = taken.as_mut().now_or_never() {
            return Ok(turn);
        }
        let holder = self.lanes.holder(place).unwrap_or_default();
        handle.finding(
            Severity::Info,
            "queued",
            format!("waits for operation {holder}, which works on {}", place.what()),
            "",
        );
        let interrupted = async {
            loop {
                if let Some(why) = handle.pause(std::time::Duration::from_secs(3600)).await {
                    return why;
                }
            }
        };
        tokio::select! {
            turn = taken => Ok(turn),
            why = interrupted => Err(match why {
                Interruption::Cancel(_) => {
                    Ending::new(Reason::Cancelled, "cancelled while it waited its turn; nothing was changed")
                }
                Interruption::Deadline => Ending::new(
                    Reason::DeadlineExceeded,
                    format!("its deadline came while it waited for operation {holder}; nothing was changed"),
                ),
            }),
        }
    }
}

impl Known {
    fn forget_old(&mut self) {
        let ended = |known: &Self, id: &OperationId| {
            known
                .by_id
                .get(id)
                .is_none_or(|operation| operation.log.finished().is_some())
        };
        let mut surplus = self.order.len().saturating_sub(REMEMBERED);
        let mut kept = VecDeque::with_capacity(self.order.len());
        while let Some(id) = self.order.pop_front() {
            if surplus > 0 && ended(self, &id) {
                self.by_id.remove(&id);
                surplus -= 1;
            } else {
                kept.push_back(id);
            }
        }
        self.order = kept;
    }
}
