//! What people say to a deployment before it starts: yes to its plan, or no.

use super::{
    Caller, DeploymentPlanView, DeploymentView, Engine, EngineError, Role,
    commands::{find_deployment, refused},
};
use crate::{
    domain::{
        approval::{Person, may_approve},
        deployment::{Deployment, EventKind, IllegalTransition, NoStart},
        name::PlanHash,
    },
    store::{CommitPoint, StoreError, plans::newest_plan},
};

impl Engine {
    /// Approves a created deployment: the plan that the approver saw.
    pub async fn approve(
        &self,
        caller: &Caller,
        deployment: &str,
        note: &str,
        plan_hash: &str,
    ) -> Result<DeploymentView, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let stored = find_deployment(tx.connection(), deployment).await?;
        let known = &stored.deployment;
        self.may_approve(caller, known)?;
        let seen: Option<PlanHash> = match plan_hash {
            "" => None,
            hash => Some(
                hash.parse()
                    .map_err(|why| EngineError::invalid("plan_hash", format!("{why}")))?,
            ),
        };
        let approved = EventKind::Approved {
            operator: caller.operator.to_string(),
            note: note.to_owned(),
            plan_hash: seen.clone(),
        };
        tx.record(known.id, &[approved.at(self.now())])
            .await
            .map_err(|error| match error {
                StoreError::Illegal(IllegalTransition::OtherPlan { .. }) => other_plan(known, seen.as_ref()),
                error => refused("approve", &stored, error),
            })?;
        let project = known.project.to_string();
        self.commit_and_act(tx, &project, CommitPoint::DeploymentApproved)
            .await?;
        self.deployment(deployment).await
    }

    /// Says no to a deployment that has not started.
    pub async fn reject(
        &self,
        caller: &Caller,
        deployment: &str,
        note: &str,
    ) -> Result<DeploymentView, EngineError> {
        if note.trim().is_empty() {
            let fault = super::Fault::of("note", "a rejection says why").hint("--note TEXT");
            return Err(EngineError::Invalid { faults: vec![fault] });
        }
        let mut tx = self.0.store.begin().await?;
        let stored = find_deployment(tx.connection(), deployment).await?;
        let known = &stored.deployment;
        self.has_role(caller, known)?;
        let rejected = EventKind::StartGivenUp {
            why: NoStart::Rejected {
                by: caller.operator.to_string(),
                note: note.to_owned(),
            },
        };
        tx.record(known.id, &[rejected.at(self.now())])
            .await
            .map_err(|error| refused("reject", &stored, error))?;
        let project = known.project.to_string();
        self.commit_and_act(tx, &project, CommitPoint::DeploymentRejected)
            .await?;
        self.deployment(deployment).await
    }

    /// The plan that people approve.
    pub async fn deployment_plan(&self, deployment: &str) -> Result<DeploymentPlanView, EngineError> {
        let mut view = self.0.store.read().await?;
        let stored = find_deployment(&mut view, deployment).await?;
        let known = &stored.deployment;
        match newest_plan(&mut view, known.id).await? {
            Some(plan) => Ok(DeploymentPlanView {
                deployment: known.id.to_string(),
                hash: plan.hash.to_string(),
                made_at: plan.made,
                plans: plan.plans,
            }),
            None => {
                drop(view);
                Err(self.no_plan(known).await)
            }
        }
    }

    async fn no_plan(&self, known: &Deployment) -> EngineError {
        if !known.is_bound() {
            return EngineError::OtherPlan {
                current: String::new(),
                message: format!("deployment {} has no plan: it needs no approval", known.id),
                hint: "`towline promote VERSION --dry-run` shows what a promotion would do".to_owned(),
            };
        }
        let waiting_on = match self.deployment(&known.id.to_string()).await {
            Ok(view) if !view.waiting_on.is_empty() => view.waiting_on,
            _ => "its plan, which was never made".to_owned(),
        };
        EngineError::NotReady {
            waiting_on,
            hint: "ask again when its agents have answered".to_owned(),
        }
    }

    fn may_approve(&self, caller: &Caller, known: &Deployment) -> Result<(), EngineError> {
        let authors = known.authors();
        self.check_person(caller, known, authors)
    }

    /// Whoever has the role may say no, an author as well.
    fn has_role(&self, caller: &Caller, known: &Deployment) -> Result<(), EngineError> {
        self.check_person(caller, known, &[])
    }

    fn check_person(
        &self,
        caller: &Caller,
        known: &Deployment,
        authors: &[String],
    ) -> Result<(), EngineError> {
        let Some(rule) = &known.approval_rule else {
            return Ok(());
        };
        let role = super::lock(&self.0.roles).get(&caller.operator).copied();
        let person = Person {
            name: caller.operator.as_str(),
            approves: role == Some(Role::Approver),
            administers: role == Some(Role::Admin),
        };
        may_approve(rule, authors, person).map_err(|refusal| EngineError::Denied {
            reason: refusal.reason(),
            message: refusal.to_string(),
            hint: refusal.hint(),
        })
    }
}

/// An approval is of the current plan: which one that is, and how to see it.
fn other_plan(known: &Deployment, seen: Option<&PlanHash>) -> EngineError {
    let id = known.id;
    let current = known.plan.as_ref().filter(|_| known.planning.is_none());
    let Some(current) = current.map(|plan| plan.hash.to_string()) else {
        return EngineError::NotReady {
            waiting_on: format!("the plan of deployment {id}, which its agents are asked for"),
            hint: format!("`towline deployment plan {id}` shows it when it is there"),
        };
    };
    let message = match seen {
        Some(seen) => format!("plan {seen} is not the plan of deployment {id} any more: that is {current}"),
        None => format!("an approval is of a plan, and none was named: that of deployment {id} is {current}"),
    };
    EngineError::OtherPlan {
        message,
        hint: format!(
            "look at it (towline deployment plan {id}), then: towline approve {id} --plan {current}"
        ),
        current,
    }
}
