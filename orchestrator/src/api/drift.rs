//! Drift in the words of the wire.

use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use super::convert::timestamp;
use crate::engine::Drift;

pub fn drift((drift, since): (Drift, Timestamp)) -> pb::Drift {
    let images = drift.images.iter().map(|image| pb::DriftedImage {
        container: image.container.clone(),
        released: image.released.clone(),
        running: image.running.clone(),
    });
    pb::Drift {
        kind: drift.kind.as_str().to_owned(),
        message: drift.message(),
        images: images.collect(),
        released_revision: drift.released_revision.clone(),
        running_revision: drift.running_revision.clone(),
        changed_by: drift.changed_by.clone(),
        change_time: drift.changed_at.map(timestamp),
        found_time: Some(timestamp(since)),
    }
}
