//! Which value wins where, and why, in words for a person.

use super::{Place, ScopedValue, Variables, Winner};

/// Said where no value matches.
pub const TOLD_NOWHERE: &str = "none of its values matches here";

/// One variable in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Told<'a> {
    /// `None`: no value matches, or two are equally specific.
    pub winner: Option<&'a ScopedValue>,
    /// The others that match, most specific first.
    pub others: Vec<&'a ScopedValue>,
    pub why: String,
}

/// Which value of a variable counts in a place, and why that one.
pub fn explain<'a>(variables: &'a Variables, name: &str, place: &Place<'_>) -> Told<'a> {
    let mut others = variables.matching(name, place);
    let (winner, why) = match variables.winner(name, place) {
        Winner::None => (None, TOLD_NOWHERE.to_owned()),
        Winner::Tied(first, second) => {
            let why = format!(
                "lines {} and {} are equally specific here ({} and {})",
                first.line, second.line, first.scope, second.scope
            );
            (None, why)
        }
        Winner::One(winner) => {
            others.retain(|other| !std::ptr::eq(*other, winner));
            (Some(winner), won(winner, others.first().copied()))
        }
    };
    Told { winner, others, why }
}

fn won(winner: &ScopedValue, next: Option<&ScopedValue>) -> String {
    let scope = &winner.scope;
    match (scope.rank(), next) {
        (0, _) => "it has no scope: it counts where nothing else does".to_owned(),
        (_, None) => format!("the only value that matches here ({scope})"),
        (rank, Some(next)) => format!(
            "it names {}, the next {} (line {}): {scope}",
            scopes(rank),
            next.scope.rank(),
            next.line
        ),
    }
}

fn scopes(count: usize) -> String {
    match count {
        1 => "1 scope".to_owned(),
        count => format!("{count} scopes"),
    }
}
