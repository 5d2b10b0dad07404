//! How single things are written for a person: states, verdicts, times, ages.

use jiff::{Timestamp, tz::TimeZone};
use towline_proto::orchestrator::v1::{AgentMode, AgentState, DeploymentState, OperationState, OperatorRole};

/// How good news a word is; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Busy,
    Bad,
}

/// A deployment's state in one or two words.
pub fn state(state: DeploymentState) -> (&'static str, Tone) {
    match state {
        DeploymentState::Unspecified => ("-", Tone::Plain),
        DeploymentState::Queued => ("queued", Tone::Busy),
        DeploymentState::AwaitingApproval => ("awaiting approval", Tone::Busy),
        DeploymentState::Running => ("running", Tone::Busy),
        DeploymentState::Succeeded => ("succeeded", Tone::Good),
        DeploymentState::Failed => ("failed", Tone::Bad),
        DeploymentState::Errored => ("errored", Tone::Bad),
        DeploymentState::Cancelled => ("cancelled", Tone::Bad),
        DeploymentState::AwaitingIntervention => ("awaiting intervention", Tone::Busy),
    }
}

/// An operation's state, or its verdict once it has ended.
pub fn operation(operation_state: OperationState, verdict: &str) -> (String, Tone) {
    match operation_state {
        OperationState::Unspecified => ("-".to_owned(), Tone::Plain),
        OperationState::Pending => ("pending".to_owned(), Tone::Plain),
        OperationState::Running => ("running".to_owned(), Tone::Busy),
        OperationState::Skipped => ("skipped".to_owned(), Tone::Plain),
        OperationState::Ended => (verdict.to_owned(), self::verdict(verdict)),
    }
}

/// How good news a verdict is.
pub fn verdict(verdict: &str) -> Tone {
    match verdict {
        "succeeded" | "unchanged" => Tone::Good,
        "failed" | "errored" | "cancelled" => Tone::Bad,
        _ => Tone::Plain,
    }
}

pub fn agent_state(state: AgentState) -> (&'static str, Tone) {
    match state {
        AgentState::Unspecified => ("-", Tone::Plain),
        AgentState::Invited => ("invited", Tone::Busy),
        AgentState::Connected => ("connected", Tone::Good),
        AgentState::Offline => ("offline", Tone::Bad),
    }
}

pub fn mode(mode: AgentMode) -> &'static str {
    match mode {
        AgentMode::Unspecified => "-",
        AgentMode::Polling => "polling",
        AgentMode::Listening => "listening",
    }
}

pub fn role(role: OperatorRole) -> &'static str {
    match role {
        OperatorRole::Unspecified => "-",
        OperatorRole::Viewer => "viewer",
        OperatorRole::Deployer => "deployer",
        OperatorRole::Approver => "approver",
        OperatorRole::Admin => "admin",
    }
}

/// Enough of a digest to tell two apart: `sha256:4f2a9c01ab12`.
pub fn digest(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 12).unwrap_or(digest)
}

/// The text in the colour of its tone.
pub fn paint(text: &str, tone: Tone) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => 32,
        Tone::Busy => 33,
        Tone::Bad => 31,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// An instant of a message; `None` when it is absent or no time.
pub fn instant(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// How long ago something was: "12s ago".
pub fn ago(time: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    match instant(time) {
        None => "-".to_owned(),
        Some(at) => match now.duration_since(at).as_secs() {
            seconds if seconds < 2 => "just now".to_owned(),
            seconds => format!("{} ago", span(seconds)),
        },
    }
}

/// A length of time in its largest unit, as rough as a glance needs.
pub fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A moment, as every sentence of the orchestrator tells it.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The time of day where the person is.
pub fn clock(time: Option<&prost_types::Timestamp>, zone: &TimeZone) -> String {
    instant(time).map_or_else(
        || "--:--:--".to_owned(),
        |at| {
            at.to_zoned_datetime(zone.clone())
                .strftime("%H:%M:%S")
                .to_string()
        },
    )
}

/// A dash for nothing.
pub fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_at_a_glance() {
        let now = Timestamp::new(1_000_000, 0).unwrap();
        let age = |seconds: i64| {
            ago(
                Some(&prost_types::Timestamp {
                    seconds: 1_000_000 - seconds,
                    nanos: 0,
                }),
                now,
            )
        };
        assert_eq!(age(0), "just now");
        assert_eq!(age(-5), "just now");
        assert_eq!(age(12), "12s ago");
        assert_eq!(age(600), "10m ago");
        assert_eq!(age(9_000), "2h ago");
        assert_eq!(age(400_000), "4d ago");
        assert_eq!(ago(None, now), "-");
    }
}
