//! Who is told what: which events a subscription gets ([`Subscription::wants`]),
//! what is sent of one ([`cloud_event`], [`slack_message`]), and when a delivery
//! that failed is tried again ([`next_attempt`]).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The kinds of events that receivers are told of, and their CloudEvents types
/// behind `dev.towline.`. The deployment's end has a word for each state too,
/// an operation's for a bad end ([`Happening::words`]).
const KINDS: [(&str, &str); 22] = [
    ("release_created", "release.created"),
    ("release_blocked", "release.blocked"),
    ("release_unblocked", "release.unblocked"),
    ("deployment_created", "deployment.created"),
    ("deployment_scheduled", "deployment.scheduled"),
    ("deployment_planned", "deployment.planned"),
    ("planning_failed", "deployment.planning_failed"),
    ("approval_requested", "deployment.approval_requested"),
    ("approved", "deployment.approved"),
    ("approval_voided", "deployment.approval_voided"),
    ("freeze_overridden", "deployment.freeze_overridden"),
    ("deployment_started", "deployment.started"),
    ("intervention_requested", "deployment.intervention_requested"),
    ("intervened", "deployment.intervened"),
    ("roll_back_began", "deployment.roll_back_began"),
    ("cancel_requested", "deployment.cancel_requested"),
    ("deployment_finished", "deployment.finished"),
    ("operation_finished", "operation.finished"),
    ("late_truth", "operation.late_truth"),
    ("drift_found", "drift.found"),
    ("drift_gone", "drift.gone"),
    ("start_given_up", "deployment.start_given_up"),
];

/// Narrower than a kind.
const NARROWER: [&str; 5] = [
    "deployment_succeeded",
    "deployment_failed",
    "deployment_errored",
    "deployment_cancelled",
    "operation_failed",
];

/// Every kind.
const ALL: &str = "all";

/// Events of this namespace have stable ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x4b7e_51a2_90d3_4c0e_8f6a_2f0c_77d1_5e10);

/// One receiver and what it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub name: String,
    pub format: Format,
    pub destination: Destination,
    /// The file, on the orchestrator's machine, with the secret to sign with.
    pub secret_file: Option<String>,
    /// `None` for all.
    pub project: Option<String>,
    pub environment: Option<String>,
    pub kinds: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    CloudEvents,
    Slack,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    Url(String),
    /// The file, on the orchestrator's machine, that holds the URL.
    UrlFile(String),
}

/// A line of the log of events, with what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happening {
    pub cursor: i64,
    pub at: Timestamp,
    pub kind: String,
    /// One line for a person.
    pub message: String,
    pub project: String,
    pub release: String,
    /// This and what follows is empty where the event is not of one.
    pub environment: String,
    pub deployment: String,
    pub service: String,
    pub target: String,
    pub state: String,
    pub verdict: String,
    /// What went wrong in a deployment that has ended.
    pub problems: Vec<Problem>,
}

/// An operation that did not end well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub service: String,
    pub target: String,
    pub verdict: String,
    pub reason: String,
    pub summary: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// A kind that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of event")]
pub struct UnknownKind(pub String);

/// All words that a subscription may name.
pub fn words() -> impl Iterator<Item = &'static str> {
    let kinds = KINDS.iter().map(|(kind, _)| *kind);
    [ALL].into_iter().chain(kinds).chain(NARROWER)
}

/// # Errors
/// The first word that is none.
pub fn check_words(kinds: &[String]) -> Result<(), UnknownKind> {
    let unknown = kinds
        .iter()
        .find(|kind| words().all(|word| word != kind.as_str()));
    unknown.map_or(Ok(()), |kind| Err(UnknownKind(kind.clone())))
}

impl Subscription {
    pub fn wants(&self, happening: &Happening) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let words = happening.words();
        is(&self.project, &happening.project)
            && is(&self.environment, &happening.environment)
            && !words.is_empty()
            && self
                .kinds
                .iter()
                .any(|kind| kind == ALL || words.contains(&kind.as_str()))
    }
}

impl Happening {
    /// The words by which it may be subscribed to; none for what nobody is told.
    pub fn words(&self) -> Vec<&str> {
        let Some((kind, _)) = self.known() else {
            return Vec::new();
        };
        let narrower = match (kind, self.state.as_str(), self.verdict.as_str()) {
            ("deployment_finished", "succeeded", _) => Some("deployment_succeeded"),
            ("deployment_finished", "failed", _) => Some("deployment_failed"),
            ("deployment_finished", "errored", _) => Some("deployment_errored"),
            ("deployment_finished", "cancelled", _) => Some("deployment_cancelled"),
            ("operation_finished", _, "failed" | "errored") => Some("operation_failed"),
            _ => None,
        };
        [Some(kind), narrower].into_iter().flatten().collect()
    }

    /// Of the same event always the same; of another event, also of one that
    /// got its place after a backup was restored, another.
    pub fn id(&self) -> Uuid {
        let name = format!("{} {} {}", self.cursor, self.at.as_microsecond(), self.kind);
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }

    /// "dev.towline.deployment.finished".
    pub fn event_type(&self) -> String {
        let known = self.known().map_or(self.kind.as_str(), |(_, name)| name);
        format!("dev.towline.{known}")
    }

    /// One line with all that says where it is.
    pub fn summary(&self) -> String {
        let mut text = format!("{} {}", self.project, self.release);
        if !self.environment.is_empty() {
            text.push_str(&format!(" in {}", self.environment));
        }
        if !self.service.is_empty() {
            text.push_str(&format!(", {} on {}", self.service, self.target));
        }
        match self.kind.as_str() {
            "release_created" => format!("{text}: release created"),
            _ => format!("{text}: {}", self.message),
        }
    }

    fn known(&self) -> Option<(&'static str, &'static str)> {
        KINDS.into_iter().find(|(kind, _)| *kind == self.kind)
    }
}

/// An event as CloudEvents 1.0 has it (structured mode, JSON format).
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
pub fn cloud_event(happening: &Happening, source: &str) -> Value {
    let subject = match (happening.deployment.as_str(), happening.service.as_str()) {
        ("", "") => format!("releases/{}", happening.release),
        ("", service) => format!("environments/{}/services/{service}", happening.environment),
        (deployment, _) => format!("deployments/{deployment}"),
    };
    let mut data = json!({
        "kind": happening.kind,
        "message": happening.message,
        "project": happening.project,
        "release": happening.release,
        "cursor": happening.cursor,
    });
    let more = [
        ("environment", &happening.environment),
        ("deployment", &happening.deployment),
        ("service", &happening.service),
        ("target", &happening.target),
        ("state", &happening.state),
        ("verdict", &happening.verdict),
    ];
    for (member, value) in more.into_iter().filter(|(_, value)| !value.is_empty()) {
        data[member] = value.as_str().into();
    }
    if !happening.problems.is_empty() {
        data["problems"] = json!(happening.problems);
    }
    json!({
        "specversion": "1.0",
        "id": happening.id().to_string(),
        "source": format!("{source}/projects/{}", happening.project),
        "type": happening.event_type(),
        "subject": subject,
        "time": happening.at.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    })
}

/// An event as an incoming webhook of Slack takes it.
/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
pub fn slack_message(happening: &Happening) -> Value {
    let summary = happening.summary();
    let mut text = format!("{} {}", mark(happening), escaped(&summary));
    for problem in happening.problems.iter().take(5) {
        let Problem {
            service,
            target,
            summary,
            reason,
            ..
        } = problem;
        let why = if summary.is_empty() { reason } else { summary };
        text.push_str(&format!(
            "\n• *{}* on {}: {}",
            escaped(service),
            escaped(target),
            escaped(why)
        ));
    }
    let mut about = format!(
        "{} · {}",
        happening.event_type(),
        happening.at.strftime("%Y-%m-%d %H:%M:%SZ")
    );
    if !happening.deployment.is_empty() {
        about.push_str(&format!(" · deployment {}", happening.deployment));
    }
    json!({
        "text": cut(&escaped(&summary), 300),
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": cut(&text, 2900) } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": escaped(&about) }] },
        ],
    })
}

fn mark(happening: &Happening) -> &'static str {
    let word = match happening.kind.as_str() {
        "deployment_finished" => happening.state.as_str(),
        "operation_finished" | "late_truth" => happening.verdict.as_str(),
        "approval_requested" | "intervention_requested" => "waits",
        "drift_found" | "release_blocked" | "planning_failed" => "failed",
        "drift_gone" => "succeeded",
        _ => "",
    };
    match word {
        "succeeded" | "unchanged" => ":white_check_mark:",
        "failed" | "errored" => ":x:",
        "cancelled" => ":no_entry_sign:",
        "waits" => ":hand:",
        _ => ":information_source:",
    }
}

/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What a signature is over, as Standard Webhooks has it; `timestamp` in seconds since 1970.
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
pub fn signed_text(id: &str, timestamp: i64, body: &str) -> String {
    format!("{id}.{timestamp}.{body}")
}

/// What becomes of a delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    At(Timestamp),
    /// Given up on.
    Dead,
}

/// Pauses after the first, second, … attempt; the last one goes on.
const PAUSES: [u64; 8] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600];

/// When a delivery is tried again that has failed `attempts` times since
/// `first`. `jitter` is between 0 and 1: receivers that failed together are not
/// asked together. `asked` is how long the receiver itself asked to wait.
pub fn next_attempt(
    first: Timestamp,
    attempts: u32,
    now: Timestamp,
    give_up_after: Duration,
    asked: Option<Duration>,
    jitter: f64,
) -> Next {
    let age = Duration::try_from(now.duration_since(first)).unwrap_or_default();
    if age >= give_up_after {
        return Next::Dead;
    }
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = PAUSES.get(step).or(PAUSES.last()).copied().unwrap_or(60);
    let pause = Duration::from_secs(pause).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
    let longest = Duration::from_secs(21_600);
    let pause = pause.max(asked.unwrap_or_default().min(longest));
    // The last attempt is made when the time is over, not hours after it.
    let pause = pause
        .min(give_up_after.saturating_sub(age))
        .max(Duration::from_secs(1));
    Next::At(now.saturating_add(pause).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(kind: &str, state: &str) -> Happening {
        Happening {
            cursor: 17,
            at: "2026-11-25T05:00:00Z".parse().unwrap(),
            kind: kind.to_owned(),
            message: "failed".to_owned(),
            project: "shop".to_owned(),
            release: "1.4.0".to_owned(),
            environment: "prod".to_owned(),
            deployment: "d-1".to_owned(),
            state: state.to_owned(),
            ..Happening::default()
        }
    }

    fn subscription(kinds: &[&str]) -> Subscription {
        Subscription {
            name: "ops".to_owned(),
            format: Format::CloudEvents,
            destination: Destination::Url("https://ops.example/hook".to_owned()),
            secret_file: None,
            project: Some("shop".to_owned()),
            environment: None,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        }
    }

    #[test]
    fn a_receiver_gets_what_it_asked_for_and_nothing_else() {
        let failed = happening("deployment_finished", "failed");
        assert!(subscription(&["deployment_failed"]).wants(&failed));
        assert!(subscription(&["deployment_finished"]).wants(&failed));
        assert!(subscription(&["all"]).wants(&failed));
        assert!(!subscription(&["deployment_succeeded", "drift_found"]).wants(&failed));
        let elsewhere = Subscription {
            environment: Some("dev".to_owned()),
            ..subscription(&["all"])
        };
        assert!(!elsewhere.wants(&failed));
        assert!(!subscription(&["all"]).wants(&happening("operation_progress", "")));
        let unknown = check_words(&["deployment_failed".to_owned(), "deployment_fails".to_owned()]);
        assert_eq!(unknown, Err(UnknownKind("deployment_fails".to_owned())));
    }

    #[test]
    fn a_cloud_event_has_all_that_the_standard_requires_and_a_stable_id() {
        let event = cloud_event(
            &happening("deployment_finished", "failed"),
            "//towline.example:7443",
        );
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], "dev.towline.deployment.finished");
        assert_eq!(event["source"], "//towline.example:7443/projects/shop");
        assert_eq!(event["subject"], "deployments/d-1");
        assert_eq!(event["time"], "2026-11-25T05:00:00Z");
        assert_eq!(event["data"]["state"], "failed");
        assert!(event["data"].get("service").is_none());
        let again = happening("deployment_finished", "failed");
        assert_eq!(event["id"], again.id().to_string());
        let other = Happening {
            at: "2026-11-25T05:00:01Z".parse().unwrap(),
            ..again
        };
        assert_ne!(event["id"], other.id().to_string());
    }

    #[test]
    fn slack_sees_what_failed_and_no_mark_up_of_ours() {
        let failed = Happening {
            problems: vec![Problem {
                service: "web".to_owned(),
                target: "3333/eu-west-1/main".to_owned(),
                summary: "container <web> exits with 1 & more".to_owned(),
                ..Problem::default()
            }],
            ..happening("deployment_finished", "failed")
        };
        let message = slack_message(&failed);
        assert_eq!(message["text"], "shop 1.4.0 in prod: failed");
        let text = message["blocks"][0]["text"]["text"].as_str().unwrap();
        assert_eq!(
            text,
            ":x: shop 1.4.0 in prod: failed\n• *web* on 3333/eu-west-1/main: container &lt;web&gt; exits with 1 &amp; more"
        );
    }

    #[test]
    fn a_receiver_that_fails_is_asked_less_and_less_and_given_up_on() {
        let first: Timestamp = "2026-11-25T05:00:00Z".parse().unwrap();
        let days = Duration::from_secs(3 * 86_400);
        let (mut now, mut attempts) = (first, 0);
        let mut pauses = Vec::new();
        loop {
            attempts += 1;
            match next_attempt(first, attempts, now, days, None, 0.5) {
                Next::At(next) => {
                    pauses.push(next.duration_since(now).as_secs());
                    now = next;
                }
                Next::Dead => break,
            }
        }
        assert_eq!(pauses[..8], [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600]);
        assert_eq!(now.duration_since(first).as_secs(), 3 * 86_400);
        let at = |asked, jitter| match next_attempt(first, 1, first, days, asked, jitter) {
            Next::At(next) => next.duration_since(first).as_secs(),
            Next::Dead => panic!("too early"),
        };
        assert_eq!((at(None, 0.0), at(None, 1.0)), (4, 6));
        assert_eq!(at(Some(Duration::from_secs(90)), 0.5), 90);
    }
}
