//! Rollouts that are PRIMARY no more: ECS put back what ran before, somebody else
//! deployed, or ECS only lags. The service deployment on record tells which.

use jiff::SignedDuration;

use crate::observed::{
    Deployment, ObservedService, RolloutState, ServiceDeployment, ServiceDeploymentStatus,
};
use crate::rollout::follow::{
    Evidence, JudgeOptions, MISSES_BEFORE_GONE, OurDeployment, Phase, RolloutJudgement, RolloutView, ended,
    gone_or_late, is_ours, or_else, progress,
};
use crate::verdict::Reason;

/// How much earlier than its deployment a record may have been written.
pub(crate) const RECORD_LAG: SignedDuration = SignedDuration::from_secs(60);

/// Who had ECS put back what ran before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoneBy {
    Breaker,
    /// An alarm of the service's own deployment configuration.
    Alarm,
    /// StopServiceDeployment.
    Request,
}

impl UndoneBy {
    /// By ECS's words, the record's status reason. ECS documents none of them; the
    /// circuit breaker is what rolls back where they say nothing.
    pub fn by_words(words: &str) -> Self {
        let words = words.to_ascii_lowercase();
        let says = |needle: &str| words.contains(needle);
        if says("circuit breaker") || says("threshold") {
            Self::Breaker
        } else if says("alarm") {
            Self::Alarm
        } else if says("stopservicedeployment") || says("request") || says("user") {
            Self::Request
        } else {
            Self::Breaker
        }
    }

    fn reason(self) -> Reason {
        match self {
            Self::Breaker | Self::Request => Reason::RolledBack,
            Self::Alarm => Reason::RolledBackByAlarm,
        }
    }

    fn who(self) -> &'static str {
        match self {
            Self::Breaker => "ECS's circuit breaker",
            Self::Alarm => "ECS, because of a deployment alarm",
            Self::Request => "ECS, because somebody asked for it",
        }
    }
}

/// PRIMARY is not ours.
pub(super) fn not_primary(
    view: &RolloutView<'_>,
    service: &ObservedService,
    primary: Option<&Deployment>,
    options: JudgeOptions,
) -> RolloutJudgement {
    let ours = service.deployments.iter().find(|d| is_ours(d, view.ours));
    if ours.is_none() && view.misses < MISSES_BEFORE_GONE {
        return RolloutJudgement::InProgress(progress(None, Phase::NotSeenYet));
    }
    let Some(primary) = primary else {
        return gone_or_late(view, "it has no PRIMARY deployment");
    };
    let Some(records) = view.service_deployments else {
        return RolloutJudgement::Needs(Evidence::ServiceDeployments);
    };
    if let Some(record) = our_record(records, view.ours, ours)
        && record.status.is_rollback()
    {
        return by_ecs(record, primary, view, options);
    }
    if ours.is_some_and(|d| d.rollout == RolloutState::Failed) && view.misses < MISSES_BEFORE_GONE {
        return RolloutJudgement::InProgress(progress(ours, Phase::RollingBack));
    }
    if view.misses < MISSES_BEFORE_GONE {
        return RolloutJudgement::InProgress(progress(ours, Phase::NotSeenYet));
    }
    replaced(view, ours, primary)
}

/// ECS undid our rollout, or is about to.
pub(super) fn by_ecs(
    record: &ServiceDeployment,
    primary: &Deployment,
    view: &RolloutView<'_>,
    options: JudgeOptions,
) -> RolloutJudgement {
    let words = or_else(&record.status_reason, "ECS gave no reason");
    let revision = &view.ours.task_definition;
    match record.status {
        ServiceDeploymentStatus::RollbackFailed => ended(
            Reason::RollbackFailed,
            format!("{revision} failed, and so did rolling it back: {words}"),
        ),
        // The record is closed: a deployment in progress is what came after it.
        ServiceDeploymentStatus::RollbackSuccessful => {
            let by = UndoneBy::by_words(&record.status_reason);
            let now = match primary.rollout {
                RolloutState::InProgress => "is being deployed since",
                _ => "runs again",
            };
            let summary = format!(
                "{revision} was rolled back by {}; {} {now}: {words}",
                by.who(),
                primary.task_definition
            );
            rolled_back(by.reason(), summary, options, &primary.id)
        }
        _ => RolloutJudgement::InProgress(progress(Some(primary), Phase::RollingBack)),
    }
}

/// The one place where a rollout that was undone gets its verdict.
pub(super) fn rolled_back(
    reason: Reason,
    summary: String,
    options: JudgeOptions,
    deployment_id: &str,
) -> RolloutJudgement {
    if options.rolled_back_is_success {
        return RolloutJudgement::Succeeded {
            deployment_id: deployment_id.to_owned(),
        };
    }
    ended(reason, summary)
}

fn replaced(view: &RolloutView<'_>, ours: Option<&Deployment>, primary: &Deployment) -> RolloutJudgement {
    let ours_id = view.ours.id.as_deref().or(ours.map(|d| d.id.as_str()));
    match ours_id {
        Some(id) => ended(
            Reason::Superseded,
            format!(
                "deployment {id} of {} was replaced by deployment {} of {}",
                view.ours.task_definition, primary.id, primary.task_definition
            ),
        ),
        None => ended(
            Reason::OtherRevisionRuns,
            format!(
                "{} was to run, but the service runs {} (deployment {})",
                view.ours.task_definition, primary.task_definition, primary.id
            ),
        ),
    }
}

/// The newest record of our revision. One from well before our deployment began
/// stems from an earlier attempt with the same revision.
pub(super) fn our_record<'a>(
    records: &'a [ServiceDeployment],
    ours: &OurDeployment,
    seen: Option<&Deployment>,
) -> Option<&'a ServiceDeployment> {
    if ours.is_known_by_record() {
        return records
            .iter()
            .find(|record| ours.id.as_ref() == Some(&record.arn));
    }
    let newest = records
        .iter()
        .find(|record| record.task_definition.as_ref() == Some(&ours.task_definition))?;
    let earlier_attempt = seen.is_some_and(|d| d.created.duration_since(newest.created) > RECORD_LAG);
    (!earlier_attempt).then_some(newest)
}
