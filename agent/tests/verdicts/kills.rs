//! `kill -9` of the agent before and after every call of an update, in turn; the same
//! order is then sent again. A write that was not applied yet is lost, or lands after the
//! new start, also later than AWS may lag otherwise. Verdict, reason, effects and account
//! are those that the row expects of the run that nobody killed. Prints how many kills
//! fell into each step; an empty one fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;
use towline_link::seams::Seams;

use crate::{
    WORLDS,
    judged::{self, judge},
    played::{
        Played,
        kill::{CANCELLED_IN, Fate, Kill, Step, steps},
        play,
    },
    row::{At, Row},
};

/// One of each way in which an update goes on after its one UpdateService.
const SCENARIOS: [&str; 11] = [
    "a good image on Fargate",
    "force: a new deployment of what runs",
    "a crash, and the breaker does not roll back: the operation does",
    "a crash without a circuit breaker, rolled back by StopServiceDeployment",
    "an alarm goes off in the bake time, and the release is taken back",
    "the INACTIVE revision that ran is registered again and put back",
    "a forced deployment of what runs, whose image was moved to one that crashes",
    "a forced deployment crashes without a circuit breaker, and is taken back",
    "cancelled in the middle of the rollout: ECS takes it back",
    "cancelled in the bake time: one more UpdateService",
    "cancelled, and what ran was INACTIVE before the rollout began",
];
const FATES: [Fate; 3] = [Fate::Dropped, Fate::Lands, Fate::LandsLate];
const SIDES: [At; 2] = [At::Before, At::After];
/// A read may come in one run and not in another: it is tried again.
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(45);

/// What one kill came to.
struct Killed {
    step: String,
    hit: bool,
    faults: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_ends_as_the_one_that_nobody_killed() {
    let rows: Vec<Row> = Row::all();
    let mut scenarios = JoinSet::new();
    let wanted = crate::wanted();
    let is_wanted = |name: &&str| wanted.as_ref().is_none_or(|text| name.contains(text.as_str()));
    for name in SCENARIOS.into_iter().filter(is_wanted) {
        let named = rows.iter().find(|row| row.name == name);
        let mut row = named.expect("a row of this name").clone();
        if row.order.bake_s.is_some() {
            // What went off in a bake time is nowhere on record once it is quiet again.
            row.expect.cause = None;
        }
        scenarios.spawn(scenario(Arc::new(row)));
    }
    let faults: Vec<String> = scenarios.join_all().await.into_iter().flatten().collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The reference run and all kills of one row; its faults.
async fn scenario(row: Arc<Row>) -> Vec<String> {
    let reference = played(row.clone(), None).await;
    let Ok(reference) = reference else {
        return vec![format!("{}: the run that nobody kills failed", row.name)];
    };
    let outcome = judge(&row, &reference);
    if !outcome.faults.is_empty() {
        return vec![format!(
            "{}, not killed:\n    {}",
            row.name,
            outcome.faults.join("\n    ")
        )];
    }
    let steps = steps(&reference.calls);
    let mut kills = JoinSet::new();
    for step in &steps {
        for side in SIDES {
            for fate in FATES {
                if fate != Fate::Dropped && !(step.is_write && side == At::Before) {
                    continue;
                }
                let kill = Kill {
                    step: step.clone(),
                    side,
                    fate,
                    after: write_before(&steps, step),
                    after_cancel: row.cancels() && step.phase >= CANCELLED_IN,
                };
                kills.spawn(killed(row.clone(), kill));
            }
        }
    }
    let kills = kills.join_all().await;
    report(&row, &steps, &kills)
}

/// The write that a read comes after, if it is not the first phase.
fn write_before(steps: &[Step], step: &Step) -> Option<Step> {
    let is_before = |write: &&Step| write.is_write && write.phase + 1 == step.phase;
    match step.is_write {
        true => None,
        false => steps.iter().find(is_before).cloned(),
    }
}

async fn killed(row: Arc<Row>, kill: Kill) -> Killed {
    let what = format!(
        "{}, killed {:?} {} ({:?})",
        row.name,
        kill.side,
        kill.step.name(),
        kill.fate
    );
    let mut expected = Row::clone(&row);
    // Without a revision to see another one is registered: that changes nothing.
    let may_be_two = kill.fate == Fate::LandsLate && kill.step.action == "RegisterTaskDefinition";
    let mut result = Killed {
        step: kill.step.name(),
        hit: false,
        faults: Vec::new(),
    };
    for _ in 0..TRIES {
        match played(row.clone(), Some(kill.clone())).await {
            Ok(mut played) => {
                result.hit = played.missed.is_empty();
                played.missed.clear();
                if may_be_two && judged::writes(&played)[0] == row.expect.writes[0] + 1 {
                    expected.expect.writes[0] += 1;
                    // Either of the two has the number that the reference has, and what is
                    // made after both has the next one.
                    expected.expect.runs = either(&row.expect.runs, &played);
                }
                let outcome = judge(&expected, &played);
                if !outcome.faults.is_empty() {
                    result
                        .faults
                        .push(format!("{what}:\n    {}", outcome.faults.join("\n    ")));
                }
            }
            Err(why) => result.faults.push(format!("{what}: {why}")),
        }
        if result.hit || !result.faults.is_empty() {
            break;
        }
    }
    result
}

/// The revision that runs when it is the wanted one or the next; else the wanted one.
fn either(wanted: &str, played: &Played) -> String {
    let runs = judged::runs(played);
    let number = |name: &str| name.rsplit_once(':')?.1.parse::<u32>().ok();
    match (number(wanted), number(&runs)) {
        (Some(wanted), Some(found)) if found == wanted + 1 => runs,
        _ => wanted.to_owned(),
    }
}

async fn played(row: Arc<Row>, kill: Option<Kill>) -> Result<Played, String> {
    let _world = WORLDS.acquire().await.expect("open");
    let mut one = JoinSet::new();
    one.spawn(play(row, kill));
    match Seams::system().clock.timeout(PATIENCE, one.join_next()).await {
        Some(Some(Ok(played))) => Ok(played),
        Some(Some(Err(error))) => Err(format!("the run itself failed: {error}")),
        Some(None) | None => Err("no end in time".to_owned()),
    }
}

fn report(row: &Row, steps: &[Step], kills: &[Killed]) -> Vec<String> {
    let mut hits: BTreeMap<&str, usize> = BTreeMap::new();
    for kill in kills.iter().filter(|kill| kill.hit) {
        *hits.entry(&kill.step).or_default() += 1;
    }
    let mut faults: Vec<String> = kills.iter().flat_map(|kill| kill.faults.clone()).collect();
    let mut lines = vec![format!("{}: kills per step", row.name)];
    let names: BTreeSet<String> = steps.iter().map(Step::name).collect();
    for step in steps.iter().map(Step::name) {
        let count = hits.get(step.as_str()).copied().unwrap_or(0);
        lines.push(format!("  {count:>3}  {step}"));
    }
    for name in names {
        if hits.get(name.as_str()).copied().unwrap_or(0) == 0 {
            faults.push(format!("{}: nobody was killed at {name}", row.name));
        }
    }
    println!("{}", lines.join("\n"));
    faults
}
