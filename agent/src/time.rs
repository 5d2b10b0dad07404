//! Times between jiff and protobuf.

use jiff::Timestamp;

/// A time as the wire carries it: nanoseconds count upwards, also before 1970.
pub fn to_proto(at: Timestamp) -> prost_types::Timestamp {
    let mut time = prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    };
    time.normalize();
    time
}

/// A time from the wire; `None` when it is out of range.
pub fn from_proto(at: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_went() {
        for text in ["2026-11-24T21:00:00.123456789Z", "1969-12-31T23:59:59.5Z"] {
            let at: Timestamp = text.parse().unwrap();
            let wire = to_proto(at);
            assert!(wire.nanos >= 0);
            assert_eq!(from_proto(&wire), Some(at));
        }
    }
}
