//! What a release would meet, as the API's messages.

use towline_proto::orchestrator::v1 as pb;

use super::convert;
use crate::engine;

pub fn preview(preview: engine::ReleasePreview) -> pb::PreviewReleaseResponse {
    pb::PreviewReleaseResponse {
        would_fail: preview.would_fail(),
        unknown: preview.is_unknown(),
        release: Some(convert::release(preview.release)),
        environments: preview.environments.into_iter().map(environment).collect(),
    }
}

fn environment(preview: engine::EnvironmentPreview) -> pb::EnvironmentPreview {
    let engine::EnvironmentPreview {
        environment,
        phase,
        plans,
        unplanned,
        failures,
    } = preview;
    pb::EnvironmentPreview {
        environment,
        phase,
        plans: plans.into_iter().map(convert::service_plan).collect(),
        unplanned: unplanned.into_iter().map(operation).collect(),
        failures: failures.into_iter().map(operation).collect(),
    }
}

fn operation(unplanned: engine::Unplanned) -> pb::UnplannedOperation {
    pb::UnplannedOperation {
        service: unplanned.service,
        target: unplanned.target,
        reason: unplanned.reason,
        hint: unplanned.hint,
    }
}
