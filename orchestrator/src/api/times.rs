//! Times that a caller sent.

use jiff::{SignedDuration, Timestamp};
use tonic::Status;

use super::error::status;
use crate::engine::EngineError;

/// An instant, where one was sent.
pub fn instant(place: &str, sent: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, Status> {
    let read = |sent: prost_types::Timestamp| {
        Timestamp::new(sent.seconds, sent.nanos).map_err(|_| {
            status(EngineError::invalid(
                place,
                "is not a time between the years -9999 and 9999",
            ))
        })
    };
    sent.map(read).transpose()
}

/// A length of time that is more than nothing.
pub fn span(place: &str, sent: prost_types::Duration) -> Result<SignedDuration, Status> {
    // Beyond these bounds `SignedDuration::new` has no value.
    let sane = sent.seconds.unsigned_abs() < 1 << 40 && sent.nanos.unsigned_abs() < 1_000_000_000;
    let span = match sane {
        true => SignedDuration::new(sent.seconds, sent.nanos),
        false => SignedDuration::ZERO,
    };
    match span > SignedDuration::ZERO {
        true => Ok(span),
        false => Err(status(EngineError::invalid(
            place,
            "has to be more than nothing, and less than some thousand years",
        ))),
    }
}
