//! What people ask for: a release, a promotion, an approval, a cancel. Each is
//! one transaction, which also carries what follows from it by itself.

use sqlx::SqliteConnection;

use super::{Caller, DeploymentView, Engine, EngineError, Fault, Promotion, bent};
use crate::{
    domain::{
        deployment::{Author, CancelMode, Deployment, EventKind, IllegalTransition},
        lifecycle::{Journey, NextStop, NoPromotion},
        name::{DeploymentId, EnvironmentName},
        operation::{TermFault, Terms},
        project::Lifecycle,
        release::ChoiceFault,
        waiting_on::WaitingOn,
    },
    store::{
        CommitPoint, StoreError, StoredDeployment, StoredRelease,
        deployments::{deployment, deployments_of},
        releases,
    },
};

impl Engine {
    /// Creates the next deployment of a release.
    pub async fn promote(
        &self,
        caller: &Caller,
        promotion: &Promotion,
    ) -> Result<DeploymentView, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let (stored, stop) = self.next_stop(tx.connection(), promotion).await?;
        let by = Author::Operator(caller.operator.to_string());
        let definition = self.project_of(tx.connection(), &stored.release).await?;
        let terms = Terms::of(&definition, &stop.environment, promotion.force, &promotion.plans)
            .map_err(|faults| wrong_plans(&faults))?;
        let created = self
            .create_deployment(&mut tx, &stored, &stop, by, &terms)
            .await?;
        self.record_terms(&mut tx, caller, &created.deployment, promotion)
            .await?;
        self.commit_and_act(tx, &promotion.project, CommitPoint::DeploymentCreated)
            .await?;
        self.deployment(&created.deployment.id.to_string()).await
    }

    /// The release, and where it goes with this promotion.
    pub(super) async fn next_stop(
        &self,
        connection: &mut SqliteConnection,
        promotion: &Promotion,
    ) -> Result<(StoredRelease, NextStop), EngineError> {
        let (project, version) = (promotion.project.as_str(), promotion.version.as_str());
        let stored = find_release(connection, project, version).await?;
        let lifecycle = self.lifecycle_of(connection, &stored.release).await?;
        let environment: Option<EnvironmentName> = promotion
            .environment
            .as_deref()
            .map(|name| name.parse().map_err(|_| no_environment(&lifecycle, name)))
            .transpose()?;
        let deployments = deployments_of(connection, stored.number).await?;
        let deployments: Vec<&Deployment> = deployments.iter().map(|stored| &stored.deployment).collect();
        let journey = Journey {
            lifecycle: &lifecycle,
            standing: &stored.standing,
            deployments: &deployments,
            now: self.now(),
        };
        let made = journey.promote(environment.as_ref());
        let stop = bent::promote(made, &lifecycle, environment.as_ref())
            .map_err(|why| no_promotion(project, version, &lifecycle, why))?;
        Ok((stored, stop))
    }

    /// Stops a deployment; with `detach` what runs is left to ECS.
    pub async fn cancel(
        &self,
        caller: &Caller,
        deployment: &str,
        detach: bool,
        note: &str,
    ) -> Result<DeploymentView, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let stored = find_deployment(tx.connection(), deployment).await?;
        if stored.deployment.cancel.is_some() && !stored.deployment.state.is_terminal() {
            drop(tx);
            return self.deployment(deployment).await;
        }
        bent::reopen(&mut tx, &stored.deployment).await?;
        let requested = EventKind::CancelRequested {
            operator: caller.operator.to_string(),
            note: note.to_owned(),
            mode: if detach {
                CancelMode::Detach
            } else {
                CancelMode::RollBack
            },
        };
        let id = stored.deployment.id;
        tx.record(id, &[requested.at(self.now())])
            .await
            .map_err(|error| refused("cancel", &stored, error))?;
        let project = stored.deployment.project.to_string();
        self.commit_and_act(tx, &project, CommitPoint::CancelRequested)
            .await?;
        self.deployment(deployment).await
    }
}

pub(super) fn no_project(project: &str) -> EngineError {
    EngineError::NotFound {
        what: "project",
        name: project.to_owned(),
        hint: "`towline apply -f FILE` makes one; `towline status` lists what is there".to_owned(),
    }
}

pub(super) async fn find_release(
    connection: &mut SqliteConnection,
    project: &str,
    version: &str,
) -> Result<StoredRelease, EngineError> {
    releases::release(connection, project, version)
        .await?
        .ok_or_else(|| EngineError::NotFound {
            what: "release",
            name: format!("{version} of project {project}"),
            hint: format!("`towline release list --project {project}` shows those that are there"),
        })
}

pub(super) async fn find_deployment(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<StoredDeployment, EngineError> {
    let found = match id.parse::<DeploymentId>() {
        Ok(id) => deployment(connection, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| EngineError::NotFound {
        what: "deployment",
        name: id.to_owned(),
        hint: "`towline release show` lists the deployments of a release with their ids".to_owned(),
    })
}

fn no_environment(lifecycle: &Lifecycle, environment: &str) -> EngineError {
    let there = lifecycle.phases.iter().flat_map(|phase| &phase.environments);
    let there: Vec<&str> = there.map(EnvironmentName::as_str).collect();
    EngineError::NotFound {
        what: "environment",
        name: format!("{environment} in the release's lifecycle"),
        hint: format!("the release goes through: {}", there.join(", ")),
    }
}

fn wrong_plans(faults: &[(usize, TermFault)]) -> EngineError {
    let fault = |(index, fault): &(usize, TermFault)| Fault {
        hint: Some(fault.hint()).filter(|hint| !hint.is_empty()),
        ..Fault::of(format!("plans[{index}]"), fault.to_string())
    };
    EngineError::Invalid {
        faults: faults.iter().map(fault).collect(),
    }
}

fn no_promotion(project: &str, version: &str, lifecycle: &Lifecycle, why: NoPromotion) -> EngineError {
    match why {
        NoPromotion::NotInLifecycle { environment } => no_environment(lifecycle, environment.as_str()),
        NoPromotion::Waits(on) => EngineError::NotReady {
            waiting_on: on.to_string(),
            hint: match on {
                WaitingOn::ReleaseBlocked { .. } => {
                    format!(
                        "`towline release unblock {version} --project {project} --because TEXT` lets it go on"
                    )
                }
                _ => format!("`towline watch {version} --project {project}` shows how far it is"),
            },
        },
        NoPromotion::Active {
            environment,
            deployment,
        } => EngineError::Conflict {
            reason: "deployment_active",
            message: format!(
                "deployment {deployment} of release {version} into {environment} has not ended yet"
            ),
            hint: "watch it, approve it, or cancel it".to_owned(),
        },
        NoPromotion::Archived { .. } => EngineError::Conflict {
            reason: "release_archived",
            message: format!("release {version} of project {project} cannot be promoted: {why}"),
            hint: "release a newer version, or let the lifecycle `keep` more and apply the project file"
                .to_owned(),
        },
        why => EngineError::NotReady {
            waiting_on: format!("nothing: {why}"),
            hint: "name an environment to deploy into it once more".to_owned(),
        },
    }
}

/// The domain says no to a person: in words for that person.
pub(super) fn refused(verb: &str, stored: &StoredDeployment, error: StoreError) -> EngineError {
    let deployment = &stored.deployment;
    match error {
        StoreError::Illegal(IllegalTransition::ApprovedTwice { operator }) => EngineError::Conflict {
            reason: "approved_before",
            message: format!("{operator} has approved this deployment already"),
            hint: "another person has to approve it as well".to_owned(),
        },
        StoreError::Illegal(IllegalTransition::OwnApproval { operator }) => EngineError::Denied {
            reason: "is_author",
            message: format!("{operator} made this deployment or its release, and may not approve it"),
            hint: "ask someone who created neither of them".to_owned(),
        },
        StoreError::Illegal(_) => EngineError::Conflict {
            reason: "wrong_state",
            message: format!(
                "cannot {verb} deployment {} of release {} into {}: it is {}",
                deployment.id, deployment.release, deployment.environment, deployment.state
            ),
            hint: String::new(),
        },
        error => error.into(),
    }
}

/// What is wrong with a choice of images, field by field.
pub(super) fn choice_faults(faults: &[ChoiceFault]) -> Vec<Fault> {
    let fault = |fault: &ChoiceFault| Fault {
        hint: Some(fault.hint()).filter(|hint| !hint.is_empty()),
        ..Fault::of(field_of(fault), fault.to_string())
    };
    faults.iter().map(fault).collect()
}

fn field_of(fault: &ChoiceFault) -> String {
    match fault.image() {
        Some(image) => format!("images[{image}]"),
        None => "channel".to_owned(),
    }
}
