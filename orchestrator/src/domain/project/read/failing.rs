//! What an environment's deployments do: in which cells its targets follow one
//! another, and what comes of operations that end badly.

use jiff::SignedDuration;

use super::{Reading, word};
use crate::domain::{
    name::TargetId,
    project::{
        definition::{FailureRules, OnFailure, StopAt, Target, Waves},
        report::{self, Fields},
        yaml::{Kind, Node},
    },
};

const WAVES: [&str; 2] = ["one_by_one", "together"];
const FAILURES: [(&str, OnFailure); 2] = [("leave", OnFailure::Leave), ("roll_back", OnFailure::RollBack)];
/// Whoever has not decided by then never will.
const LONGEST_DECISION: SignedDuration = SignedDuration::from_hours(24 * 7);

impl<'a> Reading<'a> {
    pub(super) fn failures(&mut self, what: &str, fields: &Fields<'a>) -> FailureRules {
        let stop_at = fields
            .get("stop_at")
            .and_then(|node| self.stop_at(&format!("{what}: stop_at"), node));
        let guided = fields
            .get("guided")
            .and_then(|node| self.guided(&format!("{what}: guided"), node));
        FailureRules {
            stop_at: stop_at.unwrap_or_default(),
            on_failure: self
                .optional_word(fields, "on_failure", what, &FAILURES)
                .unwrap_or_default(),
            guided,
        }
    }

    fn stop_at(&mut self, what: &str, node: &Node) -> Option<StopAt> {
        let text = report::text(node, what, &mut self.report)?;
        let share = text.strip_suffix('%').map(|share| share.trim().parse::<u8>());
        let found = match (share, text.parse::<u32>()) {
            (Some(Ok(share @ 1..=100)), _) => Some(StopAt::Share(share)),
            (None, Ok(count)) if count > 0 => Some(StopAt::Count(count)),
            (None, _) if text == "first" => Some(StopAt::First),
            _ => None,
        };
        if found.is_none() {
            self.report
                .error(node.at, format!("{what} cannot be {text:?}"))
                .hint("first, a number of failures such as 2, or a share of the operations such as \"25%\"");
        }
        found
    }

    /// `true`, `false`, or how long people have for a decision.
    fn guided(&mut self, what: &str, node: &'a Node) -> Option<SignedDuration> {
        if !matches!(node.kind, Kind::Map(_)) {
            return report::boolean(node, what, &mut self.report)?
                .then_some(FailureRules::DEFAULT_DECISION_TIME);
        }
        let fields = Fields::of(node, what, &["deadline"], &mut self.report)?;
        fields.need("deadline", &mut self.report)?;
        self.optional_span(&fields, "deadline", what, LONGEST_DECISION)
    }

    /// A word, or cells: every target of the environment in exactly one.
    pub(super) fn waves(&mut self, what: &str, node: Option<&'a Node>, targets: &[Target]) -> Option<Waves> {
        let what = format!("{what}: waves");
        let Some(node) = node else {
            return Some(Waves::default());
        };
        let Kind::List(items) = &node.kind else {
            let words = [(WAVES[0], false), (WAVES[1], true)];
            let together = word(node, &what, &words, &mut self.report)?;
            return Some(match together {
                true => Waves::Together,
                false => Waves::OneByOne,
            });
        };
        let known: Vec<TargetId> = targets.iter().map(Target::id).collect();
        let mut seen: Vec<TargetId> = Vec::new();
        let mut cells = Vec::new();
        for item in items {
            let ids = report::list(item, &what, &mut self.report)?;
            if ids.is_empty() {
                self.report.error(item.at, format!("{what}: a cell is empty"));
            }
            let cell = ids
                .iter()
                .filter_map(|id| self.target_of_cell(&what, id, &known, &mut seen));
            cells.push(cell.collect());
        }
        for missing in known.iter().filter(|id| !seen.contains(id)) {
            self.report
                .error(node.at, format!("{what}: target {missing} is in no cell"))
                .hint("every target of the environment is in exactly one");
        }
        Some(Waves::Cells(cells))
    }

    fn target_of_cell(
        &mut self,
        what: &str,
        node: &Node,
        known: &[TargetId],
        seen: &mut Vec<TargetId>,
    ) -> Option<TargetId> {
        let text = report::strict_text(node, what, &mut self.report)?;
        let Some(id) = known.iter().find(|id| id.as_str() == text) else {
            self.report
                .error(node.at, format!("{what}: the environment has no target {text:?}"))
                .one_of(text, known.iter().map(TargetId::as_str));
            return None;
        };
        if seen.contains(id) {
            self.report
                .error(node.at, format!("{what}: target {id} is in another cell already"));
            return None;
        }
        seen.push(id.clone());
        Some(id.clone())
    }
}
