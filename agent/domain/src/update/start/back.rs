//! What a roll-back puts back: what completed last before the rollout that is undone.
//! The same for an agent that goes on with an operation as for the one that began it;
//! the records stand in for what the service does not show any more.

use crate::observed::{
    Deployment, ObservedService, RolloutState, ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn,
};

use super::ExpectedService;

/// What is known when a roll-back may become necessary.
#[derive(Clone, Copy, Debug)]
pub struct BackView<'a> {
    pub service: Option<&'a ObservedService>,
    /// The revision that may have to be taken back.
    pub ours: &'a TaskDefinitionArn,
    /// What was PRIMARY before.
    pub expected: Option<&'a ExpectedService>,
    /// Newest first. `None`: not read.
    pub records: Option<&'a [ServiceDeployment]>,
}

/// What is put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    To(TaskDefinitionArn),
    Unknown,
    /// Read the service's deployments and ask again.
    ReadServiceDeployments,
}

/// Decides what a roll-back puts back.
pub fn back(view: &BackView<'_>) -> Back {
    let deployments = view.service.map_or(&[][..], |service| &service.deployments);
    let others = deployments.iter().filter(|d| d.task_definition != *view.ours);
    let expected = expected_revision(view.expected).filter(|revision| *revision != view.ours);
    let shown = others.clone().find(|d| Some(&d.task_definition) == expected);
    if let (Some(shown), Some(expected)) = (shown, expected)
        && is_good(shown)
    {
        return Back::To(expected.clone());
    }
    let good = others
        .filter(|d| d.rollout == RolloutState::Completed)
        .max_by_key(|d| d.created);
    match (shown, good, view.records) {
        // What was expected never completed.
        (Some(_), Some(good), _) => Back::To(good.task_definition.clone()),
        (_, _, None) => Back::ReadServiceDeployments,
        (_, good, Some(records)) => {
            let on_record = on_record(records, |revision| revision == view.ours, expected);
            let good = good.map(|good| &good.task_definition);
            on_record
                .or(good)
                .map_or(Back::Unknown, |revision| Back::To(revision.clone()))
        }
    }
}

/// The same by the records alone: what was expected, unless it never completed.
pub fn on_record<'a>(
    records: &'a [ServiceDeployment],
    is_ours: impl Fn(&TaskDefinitionArn) -> bool,
    expected: Option<&'a TaskDefinitionArn>,
) -> Option<&'a TaskDefinitionArn> {
    let revision = |record: &'a ServiceDeployment| record.task_definition.as_ref();
    let ours = records
        .iter()
        .position(|record| revision(record).is_some_and(&is_ours));
    let earlier = ours.and_then(|ours| records.get(ours + 1..)).unwrap_or_default();
    let of_expected = earlier
        .iter()
        .find(|record| expected.is_some() && revision(record) == expected);
    if expected.is_some() && of_expected.is_none_or(completed) {
        return expected;
    }
    let good = earlier
        .iter()
        .filter(|record| completed(record))
        .filter_map(revision)
        .find(|revision| !is_ours(revision));
    good.or(expected)
}

fn completed(record: &ServiceDeployment) -> bool {
    record.status == ServiceDeploymentStatus::Successful
}

fn is_good(deployment: &Deployment) -> bool {
    matches!(
        deployment.rollout,
        RolloutState::Completed | RolloutState::Unreported
    )
}

fn expected_revision(expected: Option<&ExpectedService>) -> Option<&TaskDefinitionArn> {
    expected?.task_definition.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{arn, at, older, record, rolling, service, stable};

    fn expected() -> ExpectedService {
        ExpectedService {
            task_definition: Some(arn("orders:2")),
            deployment_id: Some("d2".to_owned()),
        }
    }

    fn back_of(deployments: Vec<Deployment>, records: Option<&[ServiceDeployment]>) -> Back {
        back(&BackView {
            service: Some(&service(deployments)),
            ours: &arn("orders:3"),
            expected: Some(&expected()),
            records,
        })
    }

    fn to(revision: &str) -> Back {
        Back::To(arn(revision))
    }

    #[test]
    fn what_ran_and_had_completed_is_put_back() {
        let shown = back_of(
            vec![
                rolling("d3", "orders:3"),
                older("d2", "orders:2", RolloutState::Completed),
            ],
            None,
        );
        assert_eq!(shown, to("orders:2"));
        // Ours has completed, and nothing else shows any more.
        let alone = vec![stable("d3", "orders:3")];
        assert_eq!(back_of(alone.clone(), None), Back::ReadServiceDeployments);
        let records = [
            record("orders:3", ServiceDeploymentStatus::Successful, 20),
            record("orders:2", ServiceDeploymentStatus::Successful, 10),
            record("orders:1", ServiceDeploymentStatus::Successful, 0),
        ];
        assert_eq!(back_of(alone.clone(), Some(&records)), to("orders:2"));
        // ECS has forgotten when that was deployed.
        assert_eq!(back_of(alone, Some(&records[..1])), to("orders:2"));
    }

    #[test]
    fn a_rollout_that_got_nowhere_is_not_put_back() {
        let mut good = older("d1", "orders:1", RolloutState::Completed);
        good.created = at(-50);
        let hopeless = older("d2", "orders:2", RolloutState::InProgress);
        let shown = vec![rolling("d3", "orders:3"), hopeless, good];
        assert_eq!(back_of(shown, None), to("orders:1"));
        let records = [
            record("orders:3", ServiceDeploymentStatus::Successful, 20),
            record("orders:2", ServiceDeploymentStatus::Stopped, 10),
            record("orders:1", ServiceDeploymentStatus::Successful, 0),
        ];
        let alone = vec![stable("d3", "orders:3")];
        assert_eq!(back_of(alone.clone(), Some(&records)), to("orders:1"));
        // Nothing better is known.
        assert_eq!(back_of(alone, Some(&records[..2])), to("orders:2"));
    }
}
