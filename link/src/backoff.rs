//! How long to wait before the next try: doubling, with full jitter, so that a
//! thousand agents do not come back in the same moment.

use std::time::Duration;

use crate::seams::Random;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Evenly between zero and a bound that doubles from 200 ms to 30 s.
    pub(crate) fn next(&mut self, random: &Random) -> Duration {
        let bound = FIRST
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        random.up_to(bound)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_thirty_seconds_and_start_over_after_a_reset() {
        let random = Random::seeded(7);
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..200).map(|_| backoff.next(&random)).collect();
        assert!(waits[0] <= FIRST);
        assert!(waits[1] <= FIRST * 2);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits.iter().any(|wait| *wait > Duration::from_secs(20)));
        backoff.reset();
        assert!(backoff.next(&random) <= FIRST);
    }
}
