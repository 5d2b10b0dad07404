//! CloudWatch alarms, as they are.

use jiff::Timestamp;

/// An alarm's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    Ok,
    Alarm,
    /// Too little was measured to say anything.
    InsufficientData,
}

/// One alarm, metric or composite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedAlarm {
    pub name: String,
    pub state: AlarmState,
    /// CloudWatch's words for the state.
    pub reason: String,
    /// Since when it has the state; AWS's time.
    pub updated: Option<Timestamp>,
}
