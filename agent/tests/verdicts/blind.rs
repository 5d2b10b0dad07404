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

/// The lines of the list of what users suffer from that are about ECS itself; the others
/// are about CloudFormation and the control planes of other tools.
const PAIN_OF_ECS: [u32; 34] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    33, 34, 35, 36, 37, 38,
];

#[test]
fn what_users_suffer_from_is_in_a_row() {
    let rows = Row::all();
    for line in PAIN_OF_ECS {
        let of_line: Vec<&Row> = rows.iter().filter(|row| row.pain.contains(&line)).collect();
        println!("{line:>3}: {} rows", of_line.len());
        assert!(!of_line.is_empty(), "no row is about line {line}");
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

/// Needs an agent with the switch for it: `--features planted-faults`.
#[cfg(feature = "planted-faults")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_calls_a_roll_back_a_success_is_caught() {
    let rows = Row::all()
        .into_iter()
        .filter(|row| row.expect.reason == "rolled_back");
    let mut playing = tokio::task::JoinSet::new();
    for mut row in rows.filter(|row| row.during.is_empty()) {
        row.planted = true;
        playing.spawn(async move {
            let _world = crate::WORLDS.acquire().await.expect("open");
            let played = crate::played::play(std::sync::Arc::new(row.clone()), None).await;
            crate::judged::judge(&row, &played)
        });
    }
    let outcomes = playing.join_all().await;
    assert!(outcomes.len() >= 6, "{} rows", outcomes.len());
    for outcome in &outcomes {
        assert!(outcome.false_success, "{}: {}", outcome.name, outcome.got);
    }
}
