//! An update of an existing service as the wire's request.

use jiff::SignedDuration;
use towline_proto::agent::v1 as agent;

use crate::domain::{
    operation::{ContainerUpdate, FileUpdate, NamedUpdate, NewImage, UpdatePayload},
    project::{BaseRevision, OnFailure, WaitFor},
};

/// What changes, without where and on what terms.
pub(super) fn request(payload: &UpdatePayload) -> agent::UpdateServiceRequest {
    let more = &payload.more;
    agent::UpdateServiceRequest {
        service: payload.service.to_string(),
        containers: payload.containers.iter().map(container).collect(),
        family: more.family.clone(),
        base: match more.base {
            None => agent::BaseRevision::Unspecified,
            Some(BaseRevision::Latest) => agent::BaseRevision::Latest,
            Some(BaseRevision::Running) => agent::BaseRevision::Running,
        }
        .into(),
        template_family: more.template_family.clone(),
        tags: more.tags.set.clone().into_iter().collect(),
        remove_tags: more.tags.remove.clone(),
        on_failure: match more.on_failure {
            None => agent::OnFailure::Unspecified,
            Some(OnFailure::Leave) => agent::OnFailure::Leave,
            Some(OnFailure::RollBack) => agent::OnFailure::RollBack,
        }
        .into(),
        wait_for: match more.wait_for {
            None => agent::WaitFor::Unspecified,
            Some(WaitFor::Verdict) => agent::WaitFor::Verdict,
            Some(WaitFor::Started) => agent::WaitFor::Started,
        }
        .into(),
        bake_time: more.bake.as_ref().map(|bake| duration(bake.time)),
        bake_alarms: more
            .bake
            .as_ref()
            .map(|bake| bake.alarms.clone())
            .unwrap_or_default(),
        task_definition: more.revision.clone(),
        // The time limit travels as the context's deadline.
        ..agent::UpdateServiceRequest::default()
    }
}

pub(super) fn container(update: &ContainerUpdate) -> agent::ContainerUpdate {
    let image = update.image.as_ref();
    let (tag, digest) = match image {
        Some(NewImage::Tag(tag)) => (Some(tag.clone()), None),
        Some(NewImage::RunningPinned(pin)) => (None, Some(pin.digest.to_string())),
        Some(NewImage::Whole(_) | NewImage::Pinned { .. }) | None => (None, None),
    };
    agent::ContainerUpdate {
        name: update.container.to_string(),
        image: image.and_then(NewImage::reference),
        tag,
        digest,
        environment: named(&update.more.environment),
        secrets: named(&update.more.secrets),
        environment_files: files(&update.more.environment_files),
    }
}

/// What changes nothing is left out.
fn named(update: &NamedUpdate) -> Option<agent::NamedValues> {
    (*update != NamedUpdate::default()).then(|| agent::NamedValues {
        set: update.set.clone().into_iter().collect(),
        remove: update.remove.clone(),
        replace: update.replace,
    })
}

fn files(update: &FileUpdate) -> Option<agent::EnvironmentFiles> {
    (*update != FileUpdate::default()).then(|| agent::EnvironmentFiles {
        add: update.add.clone(),
        remove: update.remove.clone(),
        replace: update.replace,
    })
}

pub(super) fn duration(span: SignedDuration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: span.as_secs(),
        nanos: span.subsec_nanos(),
    }
}
