//! What to do after an ending that has no better hint of its own.

use super::{Reason, Verdict};

impl Reason {
    /// The next step for a person. Every reason of a failed or errored ending has one;
    /// the others need none.
    pub fn next_step(self) -> &'static str {
        match self.verdict() {
            Verdict::Failed => self.after_failure(),
            Verdict::Errored => self.after_error(),
            Verdict::Succeeded | Verdict::Unchanged | Verdict::Cancelled => "",
        }
    }

    fn after_failure(self) -> &'static str {
        match self {
            Self::RolledBack
            | Self::RolledBackAfterFailure
            | Self::DeploymentFailed
            | Self::CreateRolledBack => {
                "correct what the root cause names, then deploy again; the containers' last log lines say more"
            }
            Self::RolledBackByAlarm | Self::AlarmFired => {
                "look at what the alarm measures; correct the release, or the alarm, then deploy again"
            }
            Self::RollbackFailed => {
                "look at the service's events in ECS; then deploy a revision that is known to be good"
            }
            Self::RollbackUnderWay => {
                "DescribeService shows how it goes on; deploy again when the service is stable"
            }
            Self::Superseded => {
                "find out who deploys this service too (AWS CloudTrail: UpdateService); deploy again when that is settled"
            }
            Self::CrashLooping => {
                "look at the container's last log lines: they say why it exits; correct that, then deploy again"
            }
            Self::CannotPullImage => {
                "check the image's name and tag, and that the execution role may pull it"
            }
            Self::WrongArchitecture => {
                "build the image for the task's architecture, or set the architecture to that of the image"
            }
            Self::OutOfMemory => "give the container more memory, or make it need less",
            Self::SecretNotFound => "check that the secret exists and that the execution role may read it",
            Self::CannotStart => "look at command, entry point, mounts, roles and log group of the container",
            Self::KilledByHealthCheck => {
                "run the health check's command in the container; give a slow start a longer start_period"
            }
            Self::UnhealthyTargets => {
                "check the health check's path and port, the security groups, and the grace period of the service"
            }
            Self::NoCapacity => "try again later, or allow more subnets or another capacity provider",
            Self::BecameUnstable => {
                "look at the stopped tasks' reasons and last log lines, then deploy again"
            }
            Self::RolloutStuck => "look at the service's events and at tasks that neither start nor stop",
            Self::OtherRevisionRuns => {
                "find out who changed the service outside its stack (AWS CloudTrail: UpdateService), then deploy again"
            }
            Self::StackFailed => {
                "look at the stack's events in CloudFormation; correct that, then deploy again"
            }
            Self::ChangeSetFailed => "correct what CloudFormation refuses, then deploy again",
            Self::TaskFailed => "the container's last log lines say why; correct that, then run it again",
            Self::TaskTimedOut => {
                "look at its last log lines: what it did until then stays; give it more time if it needs it"
            }
            Self::TaskStopped => {
                "find out who or what stopped it (AWS CloudTrail: StopTask); what it did until then stays"
            }
            _ => "look at the service's events and the containers' last log lines, then deploy again",
        }
    }

    fn after_error(self) -> &'static str {
        match self {
            Self::Unknown => "look at the service in AWS; when it runs what was there before, deploy again",
            Self::DeadlineExceeded => "look at how the service goes on; deploy again with a later deadline",
            Self::ServiceNotFound => "compare the names of service, cluster and region with those in AWS",
            Self::ServiceNotActive | Self::ServiceGone | Self::StackGone => {
                "AWS CloudTrail shows who deleted it; make it anew, then deploy again"
            }
            Self::ControllerNotFollowed => "deploy it with what drives its rollouts",
            Self::DeploymentInProgress | Self::StackInProgress => {
                "wait until that change has ended, then deploy again"
            }
            Self::TooManyDeployments => "wait until deployments of the service have ended, then deploy again",
            Self::DeploymentDeadlock => "raise maximum_percent or lower minimum_healthy_percent",
            Self::TaskDefinitionUnusable => "look at the task definition that the update starts from",
            Self::StackNotOurs => "give the service another stack name, or adopt that stack",
            Self::StackStuck => "free the stack in CloudFormation as its last event says, then deploy again",
            Self::AccessLost | Self::AccessDenied => "give the agent's IAM role the permission that is named",
            Self::PlanChanged => "plan again, and approve that",
            Self::AlarmNotOk => "bring the alarm to OK, or take it from the list, then deploy again",
            Self::PreflightFailed => "correct what pre-flight found, then deploy again",
            Self::ReplacementImpossible => {
                "keep what the message names as it is, or give the resource another name"
            }
            Self::TemplateTooLarge => "put long environments into environment_files in S3",
            Self::TemplateNotStored => "check the agent's template bucket, and its role's rights to it",
            Self::Refused => "the words of AWS name the cause; correct that, then deploy again",
            Self::Throttled => "find out what else calls AWS so often in this account; try again later",
            _ => "look at the service in AWS and at the agent's log, then deploy again",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_a_failure_or_an_error_has_a_next_step_and_no_other() {
        for reason in Reason::ALL {
            let is_bad = matches!(reason.verdict(), Verdict::Failed | Verdict::Errored);
            assert_eq!(is_bad, !reason.next_step().is_empty(), "{reason}");
        }
    }
}
