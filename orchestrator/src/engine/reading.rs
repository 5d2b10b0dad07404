//! Values that stand in a target's account: its agent reads them, once for each
//! plan and once before the first send. What it read goes into the payload, and
//! is stored with it.

use std::time::Duration;

use anyhow::Context as _;
use tonic::Status;
use towline_proto::agent::v1 as agent;

use super::{
    Engine, EngineError, Fault,
    commands::find_release,
    operate::{Attempt, Client},
    wire,
};
use crate::{
    domain::{
        deployment::{EventKind, Outcome, Verdict},
        name::{AccountId, AgentName, Region},
        operation::{self, FixedValue},
        variable::{Reading, Readings, ValueSource},
    },
    store::{CommitPoint, StoreError, StoredOperation, deployments::deployment},
};

/// How long an agent may take to read values.
const READ_PATIENCE: Duration = Duration::from_secs(60);

/// Why values were not read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// Asking again may do better.
    ForNow(String),
    /// It may not.
    Refused {
        /// Stable.
        reason: String,
        summary: String,
        hint: String,
    },
    /// The agent would not be asked.
    Failed(Box<Status>),
}

impl Unreadable {
    /// For whoever asked.
    pub(super) fn into_error(self, agent: &AgentName) -> EngineError {
        match self {
            Self::ForNow(waiting_on) => EngineError::NotReady {
                waiting_on,
                hint: "ask again".to_owned(),
            },
            Self::Refused { summary, hint, .. } => EngineError::Invalid {
                faults: vec![Fault::of("variables", summary).hint(hint)],
            },
            Self::Failed(status) => EngineError::Agent {
                agent: agent.to_string(),
                status,
            },
        }
    }
}

impl Engine {
    /// What an agent reads for these sources, each once.
    pub(super) async fn read_values(
        &self,
        client: &mut Client,
        (account, region): (&AccountId, &Region),
        sources: &[ValueSource],
    ) -> Result<Vec<FixedValue>, Unreadable> {
        let request = wire::read_values(account, region, sources);
        let asked = client.read_values(request);
        let answer = match self.0.seams.clock.timeout(READ_PATIENCE, asked).await {
            Some(Ok(answer)) => answer.into_inner(),
            Some(Err(status)) => return Err(Unreadable::Failed(Box::new(status))),
            None => {
                return Err(Unreadable::ForNow(
                    "the agent does not say what the values are".to_owned(),
                ));
            }
        };
        if answer.values.len() != sources.len() {
            let why = "the agent did not answer for every value".to_owned();
            return Err(Unreadable::ForNow(why));
        }
        let mut values = Vec::with_capacity(sources.len());
        for (source, value) in sources.iter().zip(answer.values) {
            values.push(FixedValue {
                source: source.clone(),
                text: taken(source, value)?,
            });
        }
        Ok(values)
    }
}

impl Engine {
    /// An operation with what its agent reads for it, read once and stored
    /// before anything is sent. `Err`: the attempt ends with that.
    pub(super) async fn with_values(
        &self,
        client: &mut Client,
        stored: StoredOperation,
    ) -> Result<Result<StoredOperation, Attempt>, EngineError> {
        if !stored.planned.is_pending() {
            return Ok(Ok(stored));
        }
        let planned = &stored.planned;
        let place = (&planned.account, &planned.region);
        let values = match self.read_values(client, place, &planned.reads).await {
            Ok(values) => values,
            Err(Unreadable::ForNow(why)) => return Ok(Err(Attempt::Interrupted(why))),
            Err(Unreadable::Failed(status)) => {
                return self.take_failure(&stored, *status).await.map(Err);
            }
            Err(Unreadable::Refused {
                reason,
                summary,
                hint,
            }) => {
                let outcome = unread(summary, hint, vec![format!("the agent says: {reason}")]);
                self.end(&stored, outcome).await?;
                return Ok(Err(Attempt::Over));
            }
        };
        match self.fix(&stored, values).await? {
            Ok(fixed) => self.store_values(fixed).await,
            Err(why) => {
                self.end(&stored, unread(why, String::new(), Vec::new())).await?;
                Ok(Err(Attempt::Over))
            }
        }
    }

    /// The operation as it is sent from now on.
    async fn fix(
        &self,
        stored: &StoredOperation,
        values: Vec<FixedValue>,
    ) -> Result<Result<StoredOperation, String>, EngineError> {
        let mut view = self.0.store.read().await?;
        let found = deployment(&mut view, stored.deployment).await?;
        let found = found.context("an operation without a deployment")?.deployment;
        let release = find_release(&mut view, found.project.as_str(), found.release.as_str()).await?;
        let project = self.project_of(&mut view, &release.release).await?;
        drop(view);
        let mut fixed = stored.clone();
        let read = readings(&values);
        match operation::fixed(
            &project,
            &release.release,
            &found.environment,
            &fixed.planned,
            &read,
        ) {
            Ok(payload) => {
                fixed.planned.payload = payload;
                fixed.planned.values = values;
                Ok(Ok(fixed))
            }
            Err(why) => Ok(Err(why.to_string())),
        }
    }

    async fn store_values(
        &self,
        fixed: StoredOperation,
    ) -> Result<Result<StoredOperation, Attempt>, EngineError> {
        let read = EventKind::ValuesRead {
            operation: fixed.planned.id,
            values: fixed.planned.values.clone(),
        };
        let mut tx = self.0.store.begin().await?;
        match tx.record(fixed.deployment, &[read.at(self.now())]).await {
            Ok(_) => {
                tx.fix_operation(&fixed.planned).await?;
                self.0.store.commit(tx, CommitPoint::ValuesRead).await?;
                Ok(Ok(fixed))
            }
            Err(StoreError::Illegal(why)) => Ok(Err(Attempt::Interrupted(why.to_string()))),
            Err(error) => Err(error.into()),
        }
    }
}

/// The end of an operation whose values cannot be read: nothing was sent.
fn unread(summary: String, hint: String, diagnosis: Vec<String>) -> Outcome {
    Outcome {
        verdict: Verdict::Errored,
        reason: "value_not_read".to_owned(),
        summary,
        hint,
        diagnosis,
        outputs: Default::default(),
    }
}

/// What was read, as holes are filled from it.
pub(super) fn readings(values: &[FixedValue]) -> Readings {
    let read = |value: &FixedValue| (value.source.clone(), Reading::Read(value.text.clone()));
    values.iter().map(read).collect()
}

/// Reasons that a person or AWS itself may end soon.
const PASSING: [&str; 2] = ["unreachable", "stack_not_settled"];

fn taken(source: &ValueSource, value: agent::ReadValue) -> Result<String, Unreadable> {
    match value.result {
        Some(agent::read_value::Result::Found(found)) => Ok(found.value),
        Some(agent::read_value::Result::Failure(failure)) => {
            let summary = format!("{source} cannot be read: {}", failure.message);
            if PASSING.contains(&failure.reason.as_str()) {
                return Err(Unreadable::ForNow(summary));
            }
            Err(Unreadable::Refused {
                reason: failure.reason,
                summary,
                hint: failure.hint,
            })
        }
        None => Err(Unreadable::ForNow(format!("{source}: the agent said nothing"))),
    }
}
