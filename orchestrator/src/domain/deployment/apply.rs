//! The one match that is the state machine.

use super::{Deployment, DeploymentState, Event};
use crate::domain::name::{DeploymentId, OperationId};

/// An event that cannot follow: a fault of the caller, never of the outside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    #[error("{event} cannot follow while the deployment is {state}")]
    State {
        event: &'static str,
        state: DeploymentState,
    },
    #[error("{event}: operation {operation} is not of this deployment")]
    UnknownOperation {
        event: &'static str,
        operation: OperationId,
    },
    #[error("{event} cannot follow in the state of operation {operation}")]
    Operation {
        event: &'static str,
        operation: OperationId,
    },
    #[error("{operator} has approved already")]
    ApprovedTwice { operator: String },
    #[error("the log does not begin with deployment_created")]
    NotCreated,
    #[error("the deployment cannot end as {state}: its operations say otherwise")]
    WrongEnd { state: DeploymentState },
}

impl Deployment {
    /// The deployment that its first event makes.
    ///
    /// # Errors
    /// Any event but `DeploymentCreated`.
    pub fn create(id: DeploymentId, first: &Event) -> Result<Self, IllegalTransition> {
        let _ = (id, first);
        Err(IllegalTransition::NotCreated)
    }

    /// The next state.
    ///
    /// # Errors
    /// The event cannot follow; nothing changed.
    pub fn apply(&self, event: &Event) -> Result<Self, IllegalTransition> {
        Err(IllegalTransition::State {
            event: event.kind.name(),
            state: self.state,
        })
    }

    /// The state that a log of events makes.
    ///
    /// # Errors
    /// An event that cannot follow the ones before.
    pub fn fold<'a>(
        id: DeploymentId,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Self, IllegalTransition> {
        let mut events = events.into_iter();
        let first = events.next().ok_or(IllegalTransition::NotCreated)?;
        events.try_fold(Self::create(id, first)?, |deployment, event| {
            deployment.apply(event)
        })
    }
}
