//! The verdict matrix: situations that users of deployment tools suffer from, each
//! with the verdict, the reason and the account that it must end with. A row of
//! `rows/*.toml` sets causes (in the world before the order, and at conditions while it
//! runs), never outcomes; a real agent process drives the real AWS SDK against the
//! simulated AWS, and the effect log and the simulator's state are the oracle.
//!
//! Start with a row and [`row`], which says what its members mean; [`play`] plays one,
//! [`judged`] compares, [`table`] prints. What always holds: a row is written before the
//! code that passes it, and `not_yet.toml` is the only list of rows that may fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail loudly, and show what was told"
)]

mod blind;
mod judged;
mod kills;
mod played;
mod rivals;
mod row;
mod seeded;
mod table;
#[allow(dead_code, reason = "shared with the tests of operations")]
#[path = "../operations/world.rs"]
mod world;

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use towline_link::seams::Seams;

use judged::Outcome;
use row::{NotYet, Row};

/// Worlds at one time: two cores drive them, and most of a row is waiting.
static WORLDS: Semaphore = Semaphore::const_new(10);
/// Longer than any row takes.
const PATIENCE: Duration = Duration::from_secs(45);

/// VERDICT_ROW: only the rows with these words in their names.
fn wanted() -> Option<String> {
    std::env::var_os("VERDICT_ROW").map(|text| text.to_string_lossy().into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_situation_gets_its_verdict() {
    let clock = Seams::system().clock;
    let wanted = wanted();
    let is_wanted = |row: &Row| {
        wanted
            .as_ref()
            .is_none_or(|text| row.name.contains(text.as_str()))
    };
    let rows = Row::all().into_iter().filter(is_wanted);
    let mut playing = JoinSet::new();
    for (number, row) in rows.enumerate() {
        playing.spawn(async move {
            let _world = WORLDS.acquire().await.expect("open");
            let row = Arc::new(row);
            let began = clock.instant();
            let mut one = JoinSet::new();
            one.spawn(played::play(row.clone(), None));
            let played = clock.timeout(PATIENCE, one.join_next()).await;
            let took = clock.instant().duration_since(began);
            let outcome = match played {
                Some(Some(Ok(played))) => judged::judge(&row, &played),
                Some(Some(Err(error))) => Outcome::broken(&row, format!("the row itself failed: {error}")),
                Some(None) | None => Outcome::broken(&row, "no verdict in time".to_owned()),
            };
            (number, Outcome { took, ..outcome })
        });
    }
    let mut outcomes = playing.join_all().await;
    outcomes.sort_by_key(|(number, _)| *number);
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    let faults = table::print(&outcomes, &NotYet::all(), wanted.is_some());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
