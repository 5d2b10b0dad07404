//! What the tests of Towline's own correctness may switch: a bug that is
//! planted to see that a check finds it. In a build without the cargo feature
//! `planted-faults`, which is every build that is shipped, [`has`] is `false`
//! when it is compiled, and nothing of this is left.

/// A bug that can be planted; each is found by a check of `tests/chaos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// What an agent told is kept as often as it is told.
    EventsNotDeduplicated,
    /// What an agent told is acted on before it is committed, and lost with a crash.
    AckBeforeCommit,
    /// A deployment starts without its approvals.
    ApprovalIgnored,
    /// A phase begins before the one before it is satisfied.
    PhaseOrderIgnored,
    /// Two deployments run at once in one environment.
    TwoAtOnce,
    /// An operation is sent before its intent is stored.
    SendBeforeIntent,
    /// A cancel is stored, and no agent hears of it.
    CancelForgotten,
    /// What comes to be known after the deadline is dropped.
    LateTruthDropped,
    /// A freeze does not keep anything from starting.
    FreezeIgnored,
    /// All waves go at once.
    WavesIgnored,
    /// A service does not wait for those before it.
    ServiceOrderIgnored,
    /// An automatic phase does not begin by itself.
    NextPhaseForgotten,
    /// A failure of the release is stored as a success.
    FailureIsSuccess,
    /// A repeat does not say that it is one.
    RepeatNotTold,
    /// What ran before is not sent along.
    ExpectedDropped,
    /// A deployment that ended is opened again by what comes later.
    TerminalReopened,
    /// Every send of an operation has an id of its own.
    IdNotStable,
    /// The deadline of a deployment is not looked at.
    DeadlineIgnored,
    /// An epoch is not raised at a start.
    EpochNotRaised,
}

#[cfg(feature = "planted-faults")]
mod acting {
    use std::sync::OnceLock;

    use super::Bug;

    static PLANTED: OnceLock<Bug> = OnceLock::new();

    /// Plants a bug in this process, for its whole life.
    pub fn plant(bug: Bug) {
        PLANTED.get_or_init(|| bug);
    }

    /// Whether a bug is planted.
    pub fn has(bug: Bug) -> bool {
        PLANTED.get() == Some(&bug)
    }
}

#[cfg(feature = "planted-faults")]
pub use acting::{has, plant};

/// Whether a bug is planted: never.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub const fn has(_: Bug) -> bool {
    false
}
