//! Load, decide, record, act. Start with [`Engine`]: commands change what is
//! stored, queries show it, and the run loop does what `domain::plan` decides
//! from it. What happens next is always a function of what is stored, so a
//! start after any end goes on where the one before stopped. Whatever is sent
//! to an agent was committed before as an intent.

mod advance;
mod approving;
mod asking;
mod attached;
mod audit;
mod backup;
mod bent;
mod commands;
mod course;
mod drift;
mod environments;
mod error;
mod freezing;
mod hearing;
mod importing;
mod intervening;
mod joining;
mod notify;
mod operate;
mod planned;
mod planning;
mod projects;
mod queries;
mod question;
mod reading;
mod record;
mod releasing;
mod replicas;
mod rolling_back;
mod run;
mod sending;
mod shown;
mod standing;
mod turns;
mod variables;
mod views;
mod watching;
mod wire;
mod words;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use towline_link::{
    ca::Ca,
    credentials::Credentials,
    identity::{OperatorName, TrustDomain},
    io::LinkTiming,
    seams::Seams,
};

use crate::{
    domain::{audit::Outcome, plan::Limits, project::Project},
    fleet::Fleet,
    registry::Registries,
    store::{AuditEntry, CommitPoint, Store, StoreSettings},
    tasks::Tasks,
};

use operate::Approach;

pub use audit::AuditVerification;
pub use backup::Backup;
pub use course::CourseView;
pub use environments::{Redeployment, Rollback};
pub use error::{EngineError, Fault};
pub use importing::*;
pub use intervening::{Decision as InterventionDecision, Intervention};
pub use planned::*;
pub use record::RecordSettings;
pub use releasing::{EnvironmentPreview, ReleasePreview};
pub use views::*;

/// What an engine is made of.
#[derive(Clone)]
pub struct EngineSettings {
    pub store: StoreSettings,
    pub trust_domain: TrustDomain,
    /// Signs the certificates of those who enrol.
    pub ca: Arc<Ca>,
    /// The orchestrator's own key and certificate, for links to listening agents.
    pub credentials: Arc<Credentials>,
    /// host:port under which agents and operators reach this orchestrator; it
    /// goes into join tokens.
    pub public_address: String,
    /// The longest that any deployment may run, whatever its environment says.
    pub deployment_deadline: Option<Duration>,
    /// How many operations run at the same time.
    pub limits: Limits,
    /// Those that no agent looks into.
    pub registries: Registries,
    pub record: RecordSettings,
    pub seams: Seams,
}

/// The engine. A handle: clones share one store and one run loop.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    store: Store,
    fleet: Fleet,
    ca: Arc<Ca>,
    trust_domain: TrustDomain,
    public_address: String,
    longest: Option<SignedDuration>,
    limits: Limits,
    turns: Mutex<turns::Turns>,
    registries: Registries,
    record: RecordSettings,
    couriers: notify::Couriers,
    restored_at: Option<Timestamp>,
    seams: Seams,
    roles: Mutex<HashMap<OperatorName, Role>>,
    /// Definitions that releases snapshotted; they never change.
    projects: Mutex<HashMap<(String, i64), Arc<Project>>>,
    /// Projects that the run loop has to look at, and when it has to by time alone.
    dirty: Mutex<BTreeSet<String>>,
    timers: Mutex<BTreeMap<String, Timestamp>>,
    wake: Notify,
    /// All projects have to be looked at.
    freezes_changed: Notify,
    following: Mutex<attached::Following>,
    tasks: Tasks,
    stop: CancellationToken,
}

impl Engine {
    /// Opens the store (a newer schema, or another process on the file, is an
    /// error with a hint). Nothing runs before [`Engine::run`].
    pub async fn open(settings: EngineSettings) -> Result<Self, EngineError> {
        let store = Store::open(&settings.store).await?;
        let fleet = Fleet::open(
            store.clone(),
            settings.seams.clone(),
            settings.credentials,
            LinkTiming::default(),
        )
        .await?;
        let mut roles = HashMap::new();
        for operator in store.operators().await? {
            if let Ok(name) = operator.name.parse() {
                roles.insert(name, operator.role);
            }
        }
        let dir = settings
            .store
            .path
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        backup::forget_copies(&dir);
        let restored_at = Self::read_restored_at(&store).await?;
        let couriers = notify::Couriers::new(dir, &settings.public_address);
        Ok(Self(Arc::new(Inner {
            store,
            fleet,
            ca: settings.ca,
            trust_domain: settings.trust_domain,
            public_address: settings.public_address,
            longest: settings
                .deployment_deadline
                .and_then(|longest| SignedDuration::try_from(longest).ok()),
            limits: settings.limits,
            turns: Mutex::default(),
            registries: settings.registries,
            record: settings.record,
            couriers,
            restored_at,
            seams: settings.seams,
            roles: Mutex::new(roles),
            projects: Mutex::default(),
            dirty: Mutex::default(),
            timers: Mutex::default(),
            wake: Notify::new(),
            freezes_changed: Notify::new(),
            following: Mutex::default(),
            tasks: Tasks::new(),
            stop: CancellationToken::new(),
        })))
    }

    /// Registers the first admin; `towline init` calls it before any `serve`.
    pub async fn found(
        settings: StoreSettings,
        seams: &Seams,
        admin: &OperatorName,
    ) -> Result<(), EngineError> {
        let store = Store::open(&settings).await?;
        let now = seams.clock.now();
        let mut tx = store.begin().await?;
        tx.put_operator(admin, Role::Admin, now).await?;
        tx.note_operator_joined(admin, now).await?;
        tx.audit(&AuditEntry {
            at: now,
            identity: "this machine".to_owned(),
            rpc: "init".to_owned(),
            request: serde_json::json!({ "admin": admin.as_str() }),
            outcome: Outcome::Done,
            result: serde_json::json!({}),
        })
        .await?;
        store.commit(tx, CommitPoint::OperatorInvited).await?;
        store.close().await;
        Ok(())
    }

    /// The links to agents; `serve` gives it the links that agents open.
    pub fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.seams.clock.now()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
