//! Somebody else's deployment in progress. It is left to its end and named, so that
//! two do not fight over a service; one that gets nowhere may be replaced, because
//! that is how people repair it.

use crate::observed::{Deployment, ObservedService, RolloutState};
use crate::rollout::{crash_loop, stuck};
use crate::verdict::{Reason, Refusal};

use super::{StartDecision, StartView};

/// From this many failed tasks a deployment that no circuit breaker ends gets nowhere.
const HOPELESS_AFTER: u32 = 3;

/// What keeps an update from beginning now. `None`: PRIMARY is at rest, or hopeless.
pub(super) fn in_the_way(
    view: &StartView<'_>,
    service: &ObservedService,
    primary: &Deployment,
) -> Option<StartDecision> {
    match primary.rollout {
        RolloutState::Completed | RolloutState::Unreported => None,
        RolloutState::Failed if service.circuit_breaker.rolls_back && !view.settled => {
            Some(StartDecision::KeepObserving {
                why: format!(
                    "{} failed in service {}, and ECS may be about to roll it back",
                    primary.task_definition, view.name
                ),
            })
        }
        RolloutState::Failed => None,
        RolloutState::InProgress => in_progress(view, service, primary),
    }
}

fn in_progress(
    view: &StartView<'_>,
    service: &ObservedService,
    primary: &Deployment,
) -> Option<StartDecision> {
    let nothing_ends_it = !service.circuit_breaker.enabled;
    let fails = nothing_ends_it && primary.failed >= HOPELESS_AFTER && primary.running < primary.desired;
    let finds_no_place = primary.running == 0 && stuck::early_word(service, primary).is_some();
    if fails || finds_no_place {
        return None;
    }
    let Some(stopped) = view.stopped else {
        return Some(StartDecision::ReadStoppedTasks);
    };
    if crash_loop::is_hopeless(service, primary, stopped) {
        return None;
    }
    Some(StartDecision::Refuse(Refusal::new(
        Reason::DeploymentInProgress,
        format!(
            "service {} is being deployed to {} by somebody else, since {} (deployment {}: {} of {} tasks run)",
            view.name, primary.task_definition, primary.created, primary.id, primary.running, primary.desired
        ),
        "wait until that deployment has ended, or roll it back (aws ecs stop-service-deployment), then deploy again",
    )))
}
