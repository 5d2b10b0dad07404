//! How an operation ends: a verdict with a stable reason, one sentence for a
//! person, and the next step. Functions that may end an operation early return
//! `Result<T, Ending>`.

use towline_agent_domain::{
    outside::CallError,
    verdict::{Reason, Refusal, Verdict},
};
use towline_proto::agent::v1::{self as proto, Diagnosis, Finished};

/// The end of an operation, not yet announced.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending(Box<Finished>);

impl Ending {
    /// The reason decides the verdict, and the next step until there is a better hint.
    pub fn new(reason: Reason, summary: impl Into<String>) -> Self {
        Self(Box::new(Finished {
            verdict: verdict_on_the_wire(reason.verdict()).into(),
            reason: reason.as_str().to_owned(),
            summary: summary.into(),
            hint: reason.next_step().to_owned(),
            ..Finished::default()
        }))
    }

    /// AWS did not let us do `what`, and that nothing was done is certain.
    pub fn call(what: &str, error: &CallError) -> Self {
        let (reason, hint) = match error {
            CallError::Refused { .. } => (Reason::Refused, "the words of AWS above name the cause"),
            CallError::Missing { .. } => (
                Reason::Refused,
                "its name, its region and its cluster must be those in AWS",
            ),
            CallError::Denied { .. } => (Reason::AccessDenied, "the agent's IAM role needs this permission"),
            CallError::Throttled { .. } => (
                Reason::Throttled,
                "something else in this account calls AWS very often",
            ),
            CallError::Unknown { .. } => (
                Reason::DeadlineExceeded,
                "the agent needs a way to the endpoints of AWS; its log shows every try",
            ),
        };
        Self::new(reason, format!("cannot {what}: {error}")).hint(hint)
    }

    /// The answer to a write was lost, and looking did not show what came of it.
    pub fn unknown(what: &str, look_at: impl Into<String>) -> Self {
        let summary = format!("the answer to {what} was lost, and nothing shows whether AWS did it");
        Self::new(Reason::Unknown, summary).hint(look_at)
    }

    /// A next step that fits better than the reason's own; an empty one changes nothing.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !hint.is_empty() {
            self.0.hint = hint;
        }
        self
    }

    #[must_use]
    pub fn diagnosis(mut self, diagnosis: Diagnosis) -> Self {
        self.0.diagnosis = Some(diagnosis);
        self
    }

    /// A named value for scripts: "task_definition", "stack_id" ...
    #[must_use]
    pub fn output(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.outputs.insert(key.to_owned(), value.into());
        self
    }

    /// The same, where no such value is named yet.
    #[must_use]
    pub fn output_if_new(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0
            .outputs
            .entry(key.to_owned())
            .or_insert_with(|| value.into());
        self
    }

    /// The sentence for a person.
    pub fn summary(&self) -> &str {
        &self.0.summary
    }

    /// What to do next.
    pub fn next_step(&self) -> &str {
        &self.0.hint
    }

    /// The reason's stable word.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The message that tells it.
    pub fn into_finished(self) -> Finished {
        *self.0
    }
}

impl From<Refusal> for Ending {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.reason, refusal.message).hint(refusal.hint)
    }
}

fn verdict_on_the_wire(verdict: Verdict) -> proto::Verdict {
    match verdict {
        Verdict::Succeeded => proto::Verdict::Succeeded,
        Verdict::Unchanged => proto::Verdict::Unchanged,
        Verdict::Failed => proto::Verdict::Failed,
        Verdict::Errored => proto::Verdict::Errored,
        Verdict::Cancelled => proto::Verdict::Cancelled,
    }
}
