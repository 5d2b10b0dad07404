//! What a person decides about a guided deployment in which operations ended badly.

use super::{Caller, DeploymentView, Engine, EngineError, Fault, commands::find_deployment};
use crate::{
    domain::{
        deployment::{Choice, Deployment, EventKind, Operation},
        operation::{PlannedOperation, next_attempt},
    },
    store::{CommitPoint, StoreError, WriteTx, history::payloads_of},
};

/// How a deployment goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Retry,
    Ignore,
    Abort,
}

/// A person's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    /// Its id.
    pub deployment: String,
    pub decision: Decision,
    /// Empty: every operation that waits for a decision.
    pub service: String,
    /// Empty: every target of the service.
    pub target: String,
    pub note: String,
}

impl Engine {
    /// Takes a person's decision.
    pub async fn intervene(
        &self,
        caller: &Caller,
        asked: &Intervention,
    ) -> Result<DeploymentView, EngineError> {
        if asked.note.is_empty() && asked.decision != Decision::Retry {
            let fault = Fault::of("note", "nothing is said about why");
            return Err(EngineError::Invalid {
                faults: vec![fault.hint("--note TEXT: others read it later")],
            });
        }
        let mut tx = self.0.store.begin().await?;
        let stored = find_deployment(tx.connection(), &asked.deployment).await?;
        let deployment = &stored.deployment;
        if !deployment.needs_decision() {
            return Err(nothing_to_decide(deployment));
        }
        let (choices, planned) = choices(&mut tx, deployment, asked).await?;
        let at = self.now();
        let events: Vec<_> = choices
            .into_iter()
            .map(|choice| {
                let (operator, note) = (caller.operator.to_string(), asked.note.clone());
                EventKind::Intervened {
                    operator,
                    note,
                    choice,
                }
                .at(at)
            })
            .collect();
        tx.record_adding(deployment.id, &events, &planned)
            .await
            .map_err(|error| match error {
                StoreError::Illegal(_) => nothing_to_decide(deployment),
                error => error.into(),
            })?;
        let project = deployment.project.to_string();
        self.commit_and_act(tx, &project, CommitPoint::Intervened).await?;
        self.deployment(&asked.deployment).await
    }
}

/// The decision, operation by operation, and what retries will send.
async fn choices(
    tx: &mut WriteTx,
    deployment: &Deployment,
    asked: &Intervention,
) -> Result<(Vec<Choice>, Vec<PlannedOperation>), EngineError> {
    if asked.decision == Decision::Abort {
        return Ok((vec![Choice::Abort], Vec::new()));
    }
    let meant = |it: &&Operation| {
        let (service, target) = (it.slot.service.as_str(), it.slot.target.as_str());
        (asked.service.is_empty() || asked.service == service)
            && (asked.target.is_empty() || asked.target == target)
    };
    let operations: Vec<&Operation> = deployment.undecided().filter(meant).collect();
    if operations.is_empty() {
        return Err(not_undecided(deployment, asked));
    }
    if asked.decision == Decision::Ignore {
        let ignore = |it: &&Operation| Choice::Ignore {
            operation: it.slot.id,
        };
        return Ok((operations.iter().map(ignore).collect(), Vec::new()));
    }
    let payloads = payloads_of(tx.connection(), deployment.id).await?;
    let again = operations.iter().filter_map(|it| payloads.get(&it.slot.id));
    let again: Vec<PlannedOperation> = again.map(|it| next_attempt(deployment.id, it)).collect();
    let retry = |(first, again): (&&Operation, &PlannedOperation)| Choice::Retry {
        operation: first.slot.id,
        again: again.slot(),
    };
    let choices = operations.iter().zip(&again).map(retry).collect();
    Ok((choices, again))
}

fn nothing_to_decide(deployment: &Deployment) -> EngineError {
    let hint = match deployment.manner.failures.guided {
        None => "its environment is not `guided` in the project file",
        Some(_) => "`towline deployment show` shows how it stands",
    };
    EngineError::Conflict {
        reason: "nothing_to_decide",
        message: format!(
            "deployment {} of release {} into {} waits for no decision: it is {}",
            deployment.id, deployment.release, deployment.environment, deployment.state
        ),
        hint: hint.to_owned(),
    }
}

fn not_undecided(deployment: &Deployment, asked: &Intervention) -> EngineError {
    let wait: Vec<String> = deployment
        .undecided()
        .map(|it| format!("{}@{}", it.slot.service, it.slot.target))
        .collect();
    let place = if asked.service.is_empty() {
        "target"
    } else {
        "service"
    };
    let wanted = match asked.target.as_str() {
        "" => asked.service.clone(),
        target => format!("{}@{target}", asked.service),
    };
    let fault = Fault::of(place, format!("{wanted} waits for no decision"));
    EngineError::Invalid {
        faults: vec![fault.hint(format!("these do: {}", wait.join(", ")))],
    }
}
