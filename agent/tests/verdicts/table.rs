//! The printed table, and what of it is a fault.

use std::time::Duration;

use crate::{judged::Outcome, row::NotYet};

/// Prints it; the faults of the suite. `some`: only some rows were played.
pub fn print(outcomes: &[Outcome], not_yet: &[NotYet], some: bool) -> Vec<String> {
    for outcome in outcomes {
        let mark = match (outcome.faults.is_empty(), listed(outcome, not_yet)) {
            (true, _) => "ok",
            (false, Some(_)) => "not yet",
            (false, None) => "WRONG",
        };
        println!(
            "{mark:>7}  {:<88} {:<36} {:<36} {:>5.1} s",
            outcome.name,
            outcome.expected,
            outcome.got,
            outcome.took.as_secs_f64()
        );
    }
    let count = |of: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count();
    let right = count(|outcome| outcome.faults.is_empty());
    let slowest = outcomes.iter().map(|outcome| outcome.took).max();
    println!(
        "\n{} rows: {right} right, {} not; false successes {}, false failures {}; the slowest row took {:.1} s",
        outcomes.len(),
        outcomes.len() - right,
        count(|outcome| outcome.false_success),
        count(|outcome| outcome.false_failure),
        slowest.unwrap_or(Duration::ZERO).as_secs_f64()
    );
    let mut faults: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| fault(outcome, not_yet))
        .collect();
    let names = || outcomes.iter().map(|outcome| outcome.name.as_str());
    let gone = not_yet
        .iter()
        .filter(|one| !some && !names().any(|name| name == one.name));
    faults.extend(gone.map(|one| format!("not_yet.toml lists {:?}, which is no row", one.name)));
    faults
}

fn listed<'l>(outcome: &Outcome, not_yet: &'l [NotYet]) -> Option<&'l NotYet> {
    not_yet.iter().find(|one| one.name == outcome.name)
}

fn fault(outcome: &Outcome, not_yet: &[NotYet]) -> Option<String> {
    match (outcome.faults.is_empty(), listed(outcome, not_yet)) {
        (true, None) => None,
        (true, Some(_)) => Some(format!(
            "{:?} passes now: take it out of not_yet.toml",
            outcome.name
        )),
        (false, Some(one)) => {
            println!(
                "not yet: {} ({}): {}",
                outcome.name,
                one.why,
                outcome.faults.join("; ")
            );
            None
        }
        (false, None) => Some(format!(
            "{:?}\n    {}",
            outcome.name,
            outcome.faults.join("\n    ")
        )),
    }
}
