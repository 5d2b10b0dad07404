//! The table would notice agents that see nothing: what it expects is not mostly one thing.

use std::collections::BTreeSet;

use towline_agent_domain::verdict::{Reason, Verdict};

use crate::row::{NotYet, Row};

const VERDICTS: [Verdict; 5] = [
    Verdict::Succeeded,
    Verdict::Unchanged,
    Verdict::Failed,
    Verdict::Errored,
    Verdict::Cancelled,
];

#[test]
fn an_agent_that_always_says_the_same_gets_more_than_half_of_the_rows_wrong() {
    let rows = Row::all();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    for always in VERDICTS {
        let expected = rows
            .iter()
            .filter(|row| row.expect.verdict == always.as_str())
            .count();
        let wrong = rows.len() - expected;
        println!("always {always}: {wrong} of {} rows wrong", rows.len());
        assert!(expected >= 6, "{always} is expected in {expected} rows");
        assert!(
            wrong * 2 > rows.len(),
            "always {always} is wrong in {wrong} rows of {}",
            rows.len()
        );
    }
}

#[test]
fn rows_have_names_of_their_own_and_words_that_the_agent_knows() {
    let rows = Row::all();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), rows.len(), "two rows have the same name");
    for row in &rows {
        let expect = &row.expect;
        let known = |word: &str| Reason::ALL.iter().find(|reason| reason.as_str() == word).copied();
        let reason =
            known(&expect.reason).unwrap_or_else(|| panic!("{}: what is {}?", row.name, expect.reason));
        assert_eq!(reason.verdict().as_str(), expect.verdict, "{}", row.name);
        let cause = expect.cause.as_deref();
        assert!(
            cause.is_none_or(|word| known(word).is_some()),
            "{}: {cause:?}",
            row.name
        );
    }
    for listed in NotYet::all() {
        assert!(
            names.contains(listed.name.as_str()),
            "not_yet.toml: {:?} is no row",
            listed.name
        );
        assert!(!listed.why.trim().is_empty(), "{} has no reason", listed.name);
    }
}
