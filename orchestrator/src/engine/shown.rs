//! From what is stored to what is shown.

use std::collections::HashMap;

use super::{
    ApprovalRuleView, ApprovalView, CourseView, DeploymentView, MovedTagView, OperationState as ShownState,
    OperationView, ProjectView, ReleaseImageView, ReleaseView,
};
use crate::{
    domain::{
        deployment::{Deployment, NoStart, Operation, OperationState},
        lifecycle::Standing,
        name::{DeploymentId, OperationId, ReleaseVersion},
        plan::{Decision, Subject},
        release::Release,
    },
    store::{MovedTag, ProjectVersion},
};

/// Why things do not move, in the words that every face shows.
#[derive(Debug, Default)]
pub(super) struct Waits {
    releases: HashMap<ReleaseVersion, String>,
    deployments: HashMap<DeploymentId, String>,
    operations: HashMap<OperationId, String>,
}

impl Waits {
    pub fn among(decisions: &[Decision]) -> Self {
        let mut waits = Self::default();
        for decision in decisions {
            let Decision::Wait { subject, on, .. } = decision else {
                continue;
            };
            let on = on.to_string();
            match subject {
                Subject::Release(version) => waits.releases.insert(version.clone(), on),
                Subject::Deployment(id) => waits.deployments.insert(*id, on),
                Subject::Operation(_, id) => waits.operations.insert(*id, on),
            };
        }
        waits
    }

    pub fn release(&self, version: &ReleaseVersion) -> String {
        self.releases.get(version).cloned().unwrap_or_default()
    }

    /// What the deployment itself waits on, else what its operations wait on.
    pub fn deployment(&self, deployment: &Deployment) -> String {
        if let Some(on) = self.deployments.get(&deployment.id) {
            return on.clone();
        }
        let moves = |operation: &&Operation| {
            operation.state.is_out() && !self.operations.contains_key(&operation.slot.id)
        };
        if deployment.operations.iter().find(moves).is_some() {
            return String::new();
        }
        let out_first = deployment
            .operations
            .iter()
            .filter(|operation| operation.state.is_out());
        let mut all = out_first.chain(&deployment.operations);
        all.find_map(|operation| self.operations.get(&operation.slot.id))
            .cloned()
            .unwrap_or_default()
    }

    fn operation(&self, id: OperationId) -> String {
        self.operations.get(&id).cloned().unwrap_or_default()
    }
}

impl ProjectView {
    pub(super) fn of(version: &ProjectVersion) -> Self {
        let project = &version.parsed;
        Self {
            name: version.project.clone(),
            version: version.version,
            applied_at: version.applied_at,
            applied_by: version.applied_by.clone(),
            services: project.services.keys().map(ToString::to_string).collect(),
            environments: project.environments.keys().map(ToString::to_string).collect(),
            channels: project.channels.keys().map(ToString::to_string).collect(),
        }
    }
}

impl ReleaseView {
    pub(super) fn of(release: &Release) -> Self {
        Self {
            project: release.project.to_string(),
            version: release.version.to_string(),
            channel: release.channel.to_string(),
            images: release
                .images
                .iter()
                .map(|(image, chosen)| ReleaseImageView {
                    image: image.to_string(),
                    tag: chosen.tag.to_string(),
                    digest: chosen
                        .digest
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    repository: chosen.repository.clone(),
                    pushed_at: chosen.pushed,
                    moved: Vec::new(),
                })
                .collect(),
            project_version: release.project_version,
            created_at: release.created,
            created_by: release.created_by.clone(),
            notes: release.notes.clone(),
            build_url: release.build_url.clone(),
            commit: release.commit.clone(),
            standing: Standing::default(),
        }
    }
}

impl ReleaseView {
    /// With what was said of it since.
    pub(super) fn with_standing(mut self, standing: &Standing) -> Self {
        self.standing = standing.clone();
        self
    }

    /// With the tags that name something else now.
    pub(super) fn with_moved(mut self, moved: Vec<MovedTag>) -> Self {
        for tag in moved {
            let image = self.images.iter_mut().find(|it| it.image == tag.image.as_str());
            let Some(image) = image else { continue };
            image.moved.push(MovedTagView {
                repository: tag.repository,
                digest: tag.digest.to_string(),
                seen_at: tag.seen,
            });
        }
        self
    }
}

impl DeploymentView {
    pub(super) fn of(deployment: &Deployment, waits: &Waits) -> Self {
        let unconfirmed = |operation: &Operation| {
            (operation.state.is_out() || operation.is_open_question()) && !operation.cancel_confirmed
        };
        let no_start = deployment.start.given_up.as_ref();
        let superseded = match no_start {
            Some(NoStart::SupersededBy { deployment, release }) => Some((deployment, release)),
            _ => None,
        };
        Self {
            id: deployment.id.to_string(),
            project: deployment.project.to_string(),
            release: deployment.release.to_string(),
            environment: deployment.environment.to_string(),
            phase: deployment.phase.to_string(),
            state: deployment.state,
            operations: deployment
                .operations
                .iter()
                .map(|operation| OperationView::of(operation, waits))
                .collect(),
            approvals: deployment
                .approvals
                .iter()
                .map(|approval| ApprovalView {
                    operator: approval.operator.clone(),
                    note: approval.note.clone(),
                    at: approval.at,
                    plan_hash: text_of(approval.plan_hash.as_ref()),
                })
                .collect(),
            approval_rule: deployment.approval_rule.as_ref().map(|rule| ApprovalRuleView {
                role: rule.role.to_string(),
                count: rule.count,
                not_author: rule.not_author,
                authors: deployment.authors().to_vec(),
            }),
            approval_expires: deployment.approve_until.filter(|_| !deployment.is_approved()),
            plan_hash: text_of(deployment.plan.as_ref().map(|plan| &plan.hash)),
            planned_at: deployment.plan.as_ref().map(|plan| plan.made),
            waiting_on: match deployment.state.is_terminal() {
                true => String::new(),
                false => waits.deployment(deployment),
            },
            created_at: deployment.created,
            started_at: deployment.started,
            ended_at: deployment.ended,
            deadline: deployment.deadline,
            created_by: deployment.created_by.to_string(),
            force: deployment.force,
            not_before: deployment.start.not_before,
            expires: deployment.expires(),
            superseded_by: superseded.map(|(id, _)| id.to_string()).unwrap_or_default(),
            superseded_by_release: superseded
                .map(|(_, release)| release.to_string())
                .unwrap_or_default(),
            freeze_overrides: deployment.start.overrides.clone(),
            end_reason: no_start.map(|why| why.reason().to_owned()).unwrap_or_default(),
            end_summary: no_start.map(ToString::to_string).unwrap_or_default(),
            course: CourseView::of(deployment),
            cancel_requested: deployment.cancel.is_some() && deployment.operations.iter().any(unconfirmed),
        }
    }
}

/// Empty for what is not there.
fn text_of(what: Option<&impl ToString>) -> String {
    what.map(ToString::to_string).unwrap_or_default()
}

impl OperationView {
    fn of(operation: &Operation, waits: &Waits) -> Self {
        let slot = &operation.slot;
        let mut view = Self {
            id: slot.id.to_string(),
            service: slot.service.to_string(),
            target: slot.target.to_string(),
            agent: slot.agent.to_string(),
            wave: slot.wave,
            state: ShownState::Pending,
            verdict: operation.state.verdict(),
            reason: String::new(),
            summary: String::new(),
            hint: String::new(),
            diagnosis: Vec::new(),
            waiting_on: waits.operation(slot.id),
            outputs: Default::default(),
            plan_hash: slot.plan.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: slot.kind,
            attempt: slot.attempt,
            decided: operation.decided,
        };
        match &operation.state {
            OperationState::Pending => {}
            OperationState::Intended { .. } | OperationState::Running { .. } => {
                view.state = ShownState::Running
            }
            OperationState::Skipped { because } => {
                view.state = ShownState::Skipped;
                view.summary = because.clone();
            }
            OperationState::Ended { outcome, .. } => {
                view.state = ShownState::Ended;
                view.reason = outcome.reason.clone();
                view.summary = outcome.summary.clone();
                view.hint = outcome.hint.clone();
                view.diagnosis = outcome.diagnosis.clone();
                view.outputs = outcome.outputs.clone();
            }
        }
        if let Some(truth) = &operation.late_truth {
            view.diagnosis.push(format!("learned late: {}", truth.line()));
            view.diagnosis.extend(truth.diagnosis.iter().cloned());
        }
        view
    }
}
