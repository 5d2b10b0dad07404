//! The plan that people approve. Agents are asked outside of any transaction;
//! what they said arrives in one, and only there is decided what it means: the
//! first plan, the same plan once more, or another one, which makes every
//! approval void. Start at [`Engine::make_plan`].

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use towline_link::status::Details;

use super::{
    Engine, EngineError, PlanAction, Planned, ServicePlan, ServiceQuestion,
    asking::PLANS_AT_ONCE,
    commands::find_release,
    lock,
    reading::{Unreadable, readings},
};
use crate::{
    domain::{
        approval::{self, OperationPlan, PlanTrouble, difference},
        deployment::{Deployment, EventKind, NoStart},
        name::{DeploymentId, PlanHash},
        operation::{self, Payload, PlannedOperation},
        project::{Project, Target},
        release::Release,
    },
    store::{
        CommitPoint, StoreError, StoredPlan, WriteTx,
        deployments::{deployment, operation},
        plans::newest_plan,
    },
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// While it lives, nobody else asks for the deployment's plan. Its end makes the
/// run loop decide anew.
struct Asking {
    engine: Engine,
    project: String,
    deployment: DeploymentId,
}

impl Drop for Asking {
    fn drop(&mut self) {
        lock(&self.engine.0.following).plans.remove(&self.deployment);
        self.engine.wake(&self.project);
    }
}

/// What a plan is made of.
struct Question {
    deployment: Deployment,
    project: Arc<Project>,
    release: Release,
    operations: Vec<PlannedOperation>,
}

/// One operation with its values read, and its plan.
struct Made {
    planned: PlannedOperation,
    plan: ServicePlan,
    hash: PlanHash,
}

impl Engine {
    /// The deployments whose agents are being asked.
    pub(super) fn planning(&self) -> BTreeSet<DeploymentId> {
        lock(&self.0.following).plans.clone()
    }

    /// Asks for a deployment's plan, unless that is under way.
    pub(super) fn make_plan(&self, project: &str, id: DeploymentId) {
        if !lock(&self.0.following).plans.insert(id) {
            return;
        }
        let asking = Asking {
            engine: self.clone(),
            project: project.to_owned(),
            deployment: id,
        };
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            let stopped = engine.0.stop.clone();
            tokio::select! {
                () = stopped.cancelled() => {}
                () = engine.plan_attempt(id) => {}
            }
            drop(asking);
        });
    }

    async fn plan_attempt(&self, id: DeploymentId) {
        match self.try_plan(id).await {
            Ok(None) => {
                lock(&self.0.following).plan_failures.remove(&id);
                return;
            }
            Ok(Some(trouble)) => tracing::info!(deployment = %id, %trouble, "there is no plan yet"),
            Err(error) => {
                tracing::error!(deployment = %id, error = format!("{error:#}"), "a plan could not be made");
            }
        }
        self.pause_planning(id).await;
    }

    /// Holds back before the next attempt; ends when an agent comes or goes.
    async fn pause_planning(&self, id: DeploymentId) {
        let failures = {
            let mut following = lock(&self.0.following);
            let failures = following.plan_failures.entry(id).or_default();
            *failures = failures.saturating_add(1);
            *failures
        };
        let longest = FIRST_PAUSE
            .saturating_mul(2_u32.saturating_pow(failures.min(16)))
            .min(LONGEST_PAUSE);
        let pause = FIRST_PAUSE + self.0.seams.random.up_to(longest);
        let mut changes = self.0.fleet.changes();
        tokio::select! {
            () = self.0.seams.clock.sleep(pause) => {}
            _ = changes.changed() => {}
        }
    }

    /// `Some`: what kept it from a plan, which is stored.
    async fn try_plan(&self, id: DeploymentId) -> Result<Option<PlanTrouble>, EngineError> {
        let Some(question) = self.plan_question(id).await? else {
            return Ok(None);
        };
        let question = Arc::new(question);
        let asked = question.operations.clone().into_iter().map(|planned| {
            let (engine, question) = (self.clone(), question.clone());
            async move { engine.ask_plan(&question, &planned).await }
        });
        let answers: Vec<_> = stream::iter(asked).buffered(PLANS_AT_ONCE).collect().await;
        let mut made = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Ok(plan) => made.push(plan),
                Err(trouble) => {
                    self.take_trouble(&question.deployment, &trouble).await?;
                    return Ok(Some(trouble));
                }
            }
        }
        self.take_plan(id, made).await?;
        Ok(None)
    }

    async fn plan_question(&self, id: DeploymentId) -> Result<Option<Question>, EngineError> {
        let mut view = self.0.store.read().await?;
        let Some(stored) = deployment(&mut view, id).await? else {
            return Ok(None);
        };
        let found = stored.deployment;
        if found.planning.is_none() || found.is_off() {
            return Ok(None);
        }
        let release = find_release(&mut view, found.project.as_str(), found.release.as_str()).await?;
        let project = self.project_of(&mut view, &release.release).await?;
        let mut operations = Vec::with_capacity(found.operations.len());
        for slot in found.operations.iter().map(|it| &it.slot) {
            operations.extend(operation(&mut view, slot.id).await?.map(|stored| stored.planned));
        }
        Ok(Some(Question {
            deployment: found,
            project,
            release: release.release,
            operations,
        }))
    }

    /// What one operation would do, with its values as they are now.
    async fn ask_plan(&self, question: &Question, planned: &PlannedOperation) -> Result<Made, PlanTrouble> {
        let trouble = |why: String, hint: String| PlanTrouble {
            agent: planned.agent.clone(),
            why,
            hint,
        };
        let of_error = |error: EngineError| {
            let hint = match &error {
                EngineError::Agent { status, .. } => Details::of(status).hint.unwrap_or_default(),
                error => error.hint().unwrap_or_default().to_owned(),
            };
            let what = format!("{} on {}", planned.service, planned.target);
            trouble(format!("{what}: {error}"), hint)
        };
        let mut planned = planned.clone();
        if !planned.reads.is_empty() {
            let mut client = self.client(&planned.agent).map_err(of_error)?;
            let place = (&planned.account, &planned.region);
            let values = self.read_values(&mut client, place, &planned.reads).await;
            planned.values = values.map_err(|why| match why {
                Unreadable::ForNow(why) => trouble(why, String::new()),
                Unreadable::Refused { summary, hint, .. } => trouble(summary, hint),
                Unreadable::Failed(status) => of_error(EngineError::Agent {
                    agent: planned.agent.to_string(),
                    status,
                }),
            })?;
            let fixed = operation::fixed(
                &question.project,
                &question.release,
                &question.deployment.environment,
                &planned,
                &readings(&planned.values),
            );
            planned.payload = fixed.map_err(|why| trouble(why.to_string(), String::new()))?;
        }
        let of = ServiceQuestion {
            project: question.deployment.project.to_string(),
            service: planned.service.to_string(),
            environment: question.deployment.environment.to_string(),
            target: planned.target.to_string(),
            images: Vec::new(),
            release: question.deployment.release.to_string(),
            force: planned.force,
        };
        let told = match &planned.payload {
            Payload::Task(_) => of_task(&planned),
            payload => {
                let client = self.client(&planned.agent).map_err(of_error)?;
                let target = target_of(&planned);
                let asked = self.plan_payload(client, &target, payload, planned.force);
                asked.await.map_err(of_error)?
            }
        };
        let hash = hash_of(&told, &planned)
            .ok_or_else(|| trouble("its plan has no hash".to_owned(), String::new()))?;
        let plan = ServicePlan {
            of,
            planned: Planned {
                hash: hash.to_string(),
                ..told
            },
        };
        Ok(Made { planned, plan, hash })
    }

    /// Keeps what kept a plan from being made; the same only once.
    async fn take_trouble(&self, known: &Deployment, trouble: &PlanTrouble) -> Result<(), EngineError> {
        let told = known
            .planning
            .as_ref()
            .and_then(|planning| planning.trouble.as_ref());
        if told == Some(trouble) {
            return Ok(());
        }
        let failed = EventKind::PlanningFailed {
            trouble: trouble.clone(),
        };
        let mut tx = self.0.store.begin().await?;
        match tx.record(known.id, &[failed.at(self.now())]).await {
            Ok(_) => Ok(self.0.store.commit(tx, CommitPoint::PlanningFailed).await?),
            // Nobody waits for it any more.
            Err(StoreError::Illegal(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What agents planned arrives: from here on it is what is decided from.
    async fn take_plan(&self, id: DeploymentId, made: Vec<Made>) -> Result<(), EngineError> {
        let mut tx = self.0.store.begin().await?;
        let Some(stored) = deployment(tx.connection(), id).await? else {
            return Ok(());
        };
        let known = stored.deployment;
        let whole = approval::hash_of(
            made.iter()
                .map(|it| (&it.planned.service, &it.planned.target, &it.hash)),
        );
        let Some(hash) = whole else {
            return Err(anyhow::anyhow!("the plan of deployment {id} has no hash").into());
        };
        let events = self.planned_events(&mut tx, &known, &hash, &made).await?;
        let now = self.now();
        let new = events
            .iter()
            .any(|event| matches!(event, EventKind::DeploymentPlanned { .. }));
        if new {
            let plan = StoredPlan {
                hash,
                made: now,
                plans: made.iter().map(|it| it.plan.clone()).collect(),
            };
            tx.put_plan(id, &plan).await?;
            for made in &made {
                tx.fix_operation(&made.planned).await?;
            }
        }
        let events: Vec<_> = events.into_iter().map(|kind| kind.at(now)).collect();
        match tx.record(id, &events).await {
            Ok(_) => {
                self.commit_and_act(tx, known.project.as_str(), CommitPoint::DeploymentPlanned)
                    .await
            }
            // It was called off while its agents were asked.
            Err(StoreError::Illegal(why)) => {
                tracing::debug!(deployment = %id, %why, "the plan is not taken");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a plan means to a deployment.
    async fn planned_events(
        &self,
        tx: &mut WriteTx,
        known: &Deployment,
        hash: &PlanHash,
        made: &[Made],
    ) -> Result<Vec<EventKind>, EngineError> {
        if known.plan.as_ref().is_some_and(|plan| plan.hash == *hash) {
            return Ok(vec![EventKind::PlanConfirmed { hash: hash.clone() }]);
        }
        if known.plan.is_none()
            && let Some(why) = not_as_named(known, made)
        {
            return Ok(vec![EventKind::StartGivenUp {
                why: NoStart::PlanChanged { why },
            }]);
        }
        let before = newest_plan(tx.connection(), known.id).await?;
        let before = before.map(|plan| plan.plans).unwrap_or_default();
        let now: Vec<ServicePlan> = made.iter().map(|it| it.plan.clone()).collect();
        let why = format!("the plan has changed. {}", difference(&before, &now).join("\n"));
        let voided = known.approvals.iter().map(|approval| EventKind::ApprovalVoided {
            operator: approval.operator.clone(),
            why: why.clone(),
        });
        let planned = EventKind::DeploymentPlanned {
            hash: hash.clone(),
            operations: made.iter().map(Made::in_short).collect(),
        };
        Ok(voided.chain([planned]).collect())
    }
}

impl Made {
    fn in_short(&self) -> OperationPlan {
        OperationPlan {
            operation: self.planned.id,
            hash: self.hash.clone(),
            summary: self.plan.planned.summary.clone(),
            findings: self.plan.planned.findings.clone(),
        }
    }
}

/// The first operation whose plan is not the one that was named with the promotion.
fn not_as_named(known: &Deployment, made: &[Made]) -> Option<String> {
    made.iter().find_map(|made| {
        let slot = &known.operation(made.planned.id)?.slot;
        let named = slot.plan.as_ref().filter(|named| **named != made.hash)?;
        Some(format!(
            "{} on {} was named as {named}, and is {}",
            slot.service, slot.target, made.hash
        ))
    })
}

/// An agent gives no hash for what it would refuse: what it says stands for it,
/// so that nothing runs should it not refuse any more.
fn hash_of(told: &Planned, planned: &PlannedOperation) -> Option<PlanHash> {
    match (&planned.payload, told.hash.as_str()) {
        (Payload::Task(_), _) => {
            let content = serde_json::to_string(&planned.payload).ok()?;
            approval::stand_in("task", &content)
        }
        (_, "") => {
            let content = serde_json::to_string(told).ok()?;
            approval::stand_in("refused", &content)
        }
        (_, hash) => hash.parse().ok(),
    }
}

/// No agent plans a one-off task: what is sent says what it does.
fn of_task(planned: &PlannedOperation) -> Planned {
    let summary = match &planned.payload {
        Payload::Task(task) => {
            let mut own = task
                .containers
                .iter()
                .filter(|it| it.update.container == task.exit_container);
            let command = own.next().map(|it| it.command.join(" ")).unwrap_or_default();
            format!(
                "runs the task {} in container {}, like service {}: {command}",
                task.task, task.exit_container, task.like
            )
        }
        Payload::Fargate(_) | Payload::Update(_) => String::new(),
    };
    Planned {
        action: PlanAction::Run,
        hash: String::new(),
        summary,
        findings: Vec::new(),
        fargate: None,
        update: None,
    }
}

pub(super) fn target_of(planned: &PlannedOperation) -> Target {
    Target {
        agent: planned.agent.clone(),
        account: planned.account.clone(),
        region: planned.region.clone(),
        cluster: planned.cluster.clone(),
        values: Default::default(),
    }
}
