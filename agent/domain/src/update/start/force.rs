//! A new deployment of what runs already. Its revision shows nothing, so what tells
//! an earlier send's deployment from the one before is the expected deployment's id.

use crate::observed::{Deployment, ObservedService};
use crate::verdict::{Reason, Refusal};

use super::{StartDecision, StartView, is_stable};

/// The service runs the wanted content, stable, in the expected deployment.
pub(super) fn from_rest(view: &StartView<'_>, primary: &Deployment) -> StartDecision {
    let force = || StartDecision::Force {
        task_definition: primary.task_definition.clone(),
    };
    if !view.repeated_send {
        return force();
    }
    match view.expected.and_then(|expected| expected.deployment_id.as_ref()) {
        // PRIMARY is still the expected one: an earlier send's deployment would be another.
        Some(_) if view.settled => force(),
        Some(_) => StartDecision::KeepObserving {
            why: format!(
                "whether an earlier send already started a deployment of service {} may not show yet",
                view.name
            ),
        },
        None => StartDecision::Refuse(Refusal::new(
            Reason::Unknown,
            format!(
                "whether deployment {} of service {} is this operation's cannot be told: it was sent without \
                 the deployment that it starts from",
                primary.id, view.name
            ),
            "look at the service's deployments; to force another one, deploy again with force",
        )),
    }
}

/// The service runs the wanted content, in another deployment than the expected one or
/// one that is under way.
pub(super) fn from_under_way(
    view: &StartView<'_>,
    service: &ObservedService,
    primary: &Deployment,
) -> StartDecision {
    let expected = view.expected.and_then(|expected| expected.deployment_id.as_ref());
    match expected {
        Some(expected) if *expected != primary.id => StartDecision::Reattach {
            deployment_id: primary.id.clone(),
            task_definition: primary.task_definition.clone(),
        },
        _ if is_stable(service, primary) => from_rest(view, primary),
        // Under way since before this operation: a forced one would be a second at once.
        _ => StartDecision::Refuse(Refusal::new(
            Reason::DeploymentInProgress,
            format!(
                "service {} is being deployed already (deployment {})",
                view.name, primary.id
            ),
            "wait until that deployment has ended, then force another one",
        )),
    }
}
