//! Freezes as people make, remove and override them; and the terms on which a
//! promoted deployment starts.

use std::str::FromStr;

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{
    Caller, DeploymentView, Engine, EngineError, Expiry, Fault, FreezeView, NewFreeze, Page, Paged,
    Promotion, Role, commands::find_deployment, queries::paged,
};
use crate::{
    domain::{
        deployment::{Deployment, EventKind, IllegalTransition},
        freeze::{self, BadRecurrence, Freeze, OverrideRole, Season, Window},
        name::ProjectName,
    },
    store::{
        CommitPoint, StoreError, WriteTx,
        freezes::{freeze as stored_freeze, freezes_after, freezes_from},
    },
};

impl Engine {
    /// Makes a freeze.
    pub async fn create_freeze(&self, caller: &Caller, new: NewFreeze) -> Result<FreezeView, EngineError> {
        let now = self.now();
        let freeze = new.read(&caller.operator.to_string(), now)?;
        let mut tx = self.0.store.begin().await?;
        if stored_freeze(tx.connection(), freeze.name.as_str())
            .await?
            .is_some()
        {
            return Err(EngineError::Conflict {
                reason: "freeze_exists",
                message: format!("there is a freeze {} already", freeze.name),
                hint: format!(
                    "choose another name, or remove that one first: towline freeze remove {}",
                    freeze.name
                ),
            });
        }
        tx.put_freeze(&freeze).await?;
        self.commit_freeze(tx).await?;
        Ok(FreezeView::of(freeze, now))
    }

    /// Ends a freeze.
    pub async fn remove_freeze(&self, caller: &Caller, name: &str) -> Result<FreezeView, EngineError> {
        let now = self.now();
        let mut tx = self.0.store.begin().await?;
        let freeze = find_freeze(tx.connection(), name).await?;
        tx.remove_freeze(name, now, caller.operator.as_str()).await?;
        self.commit_freeze(tx).await?;
        Ok(FreezeView::of(freeze, now))
    }

    /// The run loop then looks at all projects, also when the caller is gone.
    async fn commit_freeze(&self, tx: WriteTx) -> Result<(), EngineError> {
        let _told = Changed(self);
        Ok(self.0.store.commit(tx, CommitPoint::FreezeChanged).await?)
    }

    pub async fn freeze(&self, name: &str) -> Result<FreezeView, EngineError> {
        let freeze = find_freeze(&mut *self.0.store.reader().await?, name).await?;
        Ok(FreezeView::of(freeze, self.now()))
    }

    /// By name; those that cover a project and an environment, where these are
    /// not empty.
    pub async fn freezes(
        &self,
        (project, environment): (&str, &str),
        include_past: bool,
        page: Page,
    ) -> Result<Paged<FreezeView>, EngineError> {
        let (limit, now) = (page.limit(), self.now());
        let covers = |view: &FreezeView| {
            let among = |names: &[String], name: &str| {
                name.is_empty() || names.is_empty() || names.iter().any(|it| it == name)
            };
            among(&view.projects, project)
                && among(&view.environments, environment)
                && (include_past || view.season != Season::Over)
        };
        let mut view = self.0.store.read().await?;
        let (mut after, mut found) = (page.token, Vec::new());
        // A filter may take a page's freezes away: the next ones take their places.
        loop {
            let part = freezes_from(&mut view, &after, limit).await?;
            let Some(last) = part.last() else { break };
            after = last.name.to_string();
            let views = part.into_iter().map(|it| FreezeView::of(it, now));
            found.extend(views.filter(covers));
            if found.len() > limit as usize {
                break;
            }
        }
        Ok(paged(found, limit, |view| view.name.clone(), |view| view))
    }

    /// Lets a deployment start in spite of the freezes that hold it.
    pub async fn override_freeze(
        &self,
        caller: &Caller,
        deployment: &str,
        because: &str,
    ) -> Result<DeploymentView, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let stored = find_deployment(tx.connection(), deployment).await?;
        if !self
            .record_override(&mut tx, caller, &stored.deployment, because)
            .await?
        {
            return Err(EngineError::Conflict {
                reason: "no_freeze",
                message: format!("no freeze holds deployment {deployment}"),
                hint: "`towline freeze list` shows which freezes there are".to_owned(),
            });
        }
        let project = stored.deployment.project.to_string();
        self.commit_and_act(tx, &project, CommitPoint::FreezeOverridden)
            .await?;
        self.deployment(deployment).await
    }

    /// The terms on which a deployment that was just created starts.
    pub(super) async fn record_terms(
        &self,
        tx: &mut WriteTx,
        caller: &Caller,
        created: &Deployment,
        promotion: &Promotion,
    ) -> Result<(), EngineError> {
        let mut deployment = created.clone();
        if promotion.not_before.is_some() || promotion.expires.is_some() {
            let scheduled = EventKind::DeploymentScheduled {
                not_before: promotion.not_before,
                expires: expiry(promotion, self.now())?,
            };
            deployment = tx
                .record(created.id, &[scheduled.at(self.now())])
                .await?
                .deployment;
        }
        if !promotion.override_freeze.is_empty() {
            self.record_override(tx, caller, &deployment, &promotion.override_freeze)
                .await?;
        }
        Ok(())
    }

    /// False when there is nothing to override.
    async fn record_override(
        &self,
        tx: &mut WriteTx,
        caller: &Caller,
        deployment: &Deployment,
        because: &str,
    ) -> Result<bool, EngineError> {
        if because.trim().is_empty() {
            return Err(EngineError::invalid("because", "has to say why"));
        }
        let now = self.now();
        let freezes = self.freezes_of(tx.connection(), &deployment.project).await?;
        let overridden = freeze::to_override(&freezes, deployment, now);
        if overridden.is_empty() {
            return Ok(false);
        }
        let role = super::lock(&self.0.roles).get(&caller.operator).copied();
        for freeze in freezes
            .iter()
            .filter(|it| overridden.iter().any(|o| o.freeze == it.name))
        {
            if !may_override(role, freeze.override_role) {
                return Err(EngineError::Denied {
                    reason: "not_an_overrider",
                    message: format!(
                        "{} may not override freeze {}: it needs role {}",
                        caller.operator, freeze.name, freeze.override_role
                    ),
                    hint: format!(
                        "ask someone with role {}, or wait for its end",
                        freeze.override_role
                    ),
                });
            }
        }
        let event = EventKind::FreezeOverridden {
            operator: caller.operator.to_string(),
            because: because.to_owned(),
            freezes: overridden,
        };
        match tx.record(deployment.id, &[event.at(now)]).await {
            Ok(_) => Ok(true),
            Err(StoreError::Illegal(IllegalTransition::State { state, .. })) => Err(EngineError::Conflict {
                reason: "wrong_state",
                message: format!("deployment {} is {state}: no freeze holds it", deployment.id),
                hint: String::new(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// The freezes that cover a project.
    pub(super) async fn freezes_of(
        &self,
        connection: &mut SqliteConnection,
        project: &ProjectName,
    ) -> Result<Vec<Freeze>, EngineError> {
        let mut freezes = freezes_after(connection, self.now()).await?;
        freezes.retain(|freeze| freeze.covers_project(project));
        Ok(freezes)
    }
}

/// What is in force may have changed.
struct Changed<'a>(&'a Engine);

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.0.0.freezes_changed.notify_one();
    }
}

fn may_override(role: Option<Role>, wanted: OverrideRole) -> bool {
    match (role, wanted) {
        (Some(Role::Admin), _) => true,
        (Some(Role::Deployer), wanted) => wanted == OverrideRole::Deployer,
        (Some(Role::Approver), wanted) => wanted == OverrideRole::Approver,
        (Some(Role::Viewer) | None, _) => false,
    }
}

/// When a promotion expires, as an instant.
fn expiry(promotion: &Promotion, now: Timestamp) -> Result<Option<Timestamp>, EngineError> {
    let from = promotion.not_before.map_or(now, |at| at.max(now));
    let at = match promotion.expires {
        None => return Ok(None),
        Some(Expiry::At(at)) => at,
        Some(Expiry::After(span)) => from.checked_add(span).unwrap_or(Timestamp::MAX),
    };
    if at <= from {
        let what = match promotion.not_before {
            Some(_) => "has to be after the time at which it starts",
            None => "has to be in the future",
        };
        return Err(EngineError::invalid("expire_time", what));
    }
    Ok(Some(at))
}

async fn find_freeze(connection: &mut SqliteConnection, name: &str) -> Result<Freeze, EngineError> {
    stored_freeze(connection, name)
        .await?
        .ok_or_else(|| EngineError::NotFound {
            what: "freeze",
            name: name.to_owned(),
            hint: "`towline freeze list` shows those that are there".to_owned(),
        })
}

impl NewFreeze {
    /// Every fault at once.
    fn read(self, by: &str, now: Timestamp) -> Result<Freeze, EngineError> {
        let mut faults = Faults::default();
        let name = faults.parsed("name", &self.name);
        let projects = faults.all_parsed("projects", &self.projects);
        let environments = faults.all_parsed("environments", &self.environments);
        let window = self.window(now, &mut faults);
        match (name, window) {
            (Some(name), Some(window)) if faults.0.is_empty() => Ok(Freeze {
                name,
                projects,
                environments,
                window,
                because: self.because,
                override_role: self.override_role.unwrap_or_default(),
                created: now,
                created_by: by.to_owned(),
            }),
            _ => Err(EngineError::Invalid { faults: faults.0 }),
        }
    }

    fn window(&self, now: Timestamp, faults: &mut Faults) -> Option<Window> {
        if let (Some(from), Some(until)) = (self.from, self.until)
            && until <= from
        {
            faults.add("until", "has to be after `from`");
        }
        if self.until.is_some_and(|until| until <= now) {
            faults.add("until", "has to be in the future");
        }
        if self.every.is_empty() {
            if !self.timezone.is_empty() {
                faults.add(
                    "timezone",
                    "belongs to `every`: a single window is said by two instants",
                );
            }
            let Some(until) = self.until else {
                faults.add("until", "has to say when it ends, unless it recurs (`every`)");
                return None;
            };
            let from = self.from.unwrap_or(now);
            return Some(Window::Once { from, until });
        }
        let every = faults.recurrence("every", &self.every);
        let zone = match self.timezone.as_str() {
            "" => Some(freeze::ZoneName::utc()),
            name => faults.recurrence("timezone", name),
        };
        Some(Window::Recurring(freeze::Recurring {
            every: every?,
            zone: zone?,
            from: self.from,
            until: self.until,
        }))
    }
}

impl FreezeView {
    fn of(freeze: Freeze, now: Timestamp) -> Self {
        let season = freeze.season(now);
        let (from, until, every, timezone) = match &freeze.window {
            Window::Once { from, until } => (Some(*from), Some(*until), String::new(), String::new()),
            Window::Recurring(it) => (it.from, it.until, it.every.to_string(), it.zone.to_string()),
        };
        Self {
            name: freeze.name.to_string(),
            projects: freeze.projects.iter().map(ToString::to_string).collect(),
            environments: freeze.environments.iter().map(ToString::to_string).collect(),
            from,
            until,
            every,
            timezone,
            because: freeze.because,
            override_role: freeze.override_role,
            created_at: freeze.created,
            created_by: freeze.created_by,
            season,
        }
    }
}

/// What is wrong with what was asked, field by field.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: &str, message: &str) {
        self.0.push(Fault::of(place, message));
    }

    fn parsed<T>(&mut self, place: &str, text: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(fault) => {
                let fault: T::Err = fault;
                self.add(place, &fault.to_string());
                None
            }
        }
    }

    fn all_parsed<T>(&mut self, place: &str, texts: &[String]) -> Vec<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let parsed = texts.iter().enumerate();
        parsed
            .filter_map(|(index, text)| self.parsed(&format!("{place}[{index}]"), text))
            .collect()
    }

    fn recurrence<T: FromStr<Err = BadRecurrence>>(&mut self, place: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(fault) => {
                self.0
                    .push(Fault::of(place, fault.to_string()).hint(fault.hint()));
                None
            }
        }
    }
}
