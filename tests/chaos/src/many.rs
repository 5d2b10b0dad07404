//! Many schedules, each in a process of its own, and what they showed together.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::record::{FaultKind, Report};

/// From so many schedules on, every commit and every send has to be a crash point.
const ENOUGH_FOR_EVERY_POINT: u64 = 10_000;
/// How many of the first schedules are run twice: both must take the same way.
const REPLAYED: u64 = 5;

#[derive(Clone, Copy, Debug)]
pub struct Many {
    pub first: u64,
    pub schedules: u64,
    pub jobs: usize,
}

/// What is known after some schedules.
#[derive(Debug, Default)]
struct Seen {
    ran: u64,
    ways: BTreeSet<String>,
    faults: BTreeMap<FaultKind, u64>,
    crash_points: BTreeSet<String>,
    moments: BTreeSet<String>,
    deployments: usize,
    writes: usize,
    simulated_s: f64,
    wrong: Vec<String>,
}

/// Runs them, prints what they showed; true when all is as it should be.
pub fn run(many: Many) -> bool {
    let next = AtomicU64::new(0);
    let seen = Mutex::new(Seen::default());
    thread::scope(|scope| {
        for _ in 0..many.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= many.schedules {
                        break;
                    }
                    let report = one(many.first + number);
                    let again = (number < REPLAYED).then(|| one(many.first + number));
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.take(many.first + number, report, again);
                    if seen.ran.is_multiple_of(50) {
                        eprintln!("{} of {} schedules", seen.ran, many.schedules);
                    }
                }
            });
        }
    });
    let mut seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.judge(many.schedules);
    seen.tell();
    seen.wrong.is_empty()
}

/// One schedule in a process of its own; what it printed when that is no report.
fn one(seed: u64) -> Result<Report, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["--seed", &seed.to_string(), "--json"])
        .env("RUST_LOG", "off")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().take(6).collect();
        format!("ended with {}: {}", output.status, lines.join(" | "))
    })
}

impl Seen {
    fn take(&mut self, seed: u64, report: Result<Report, String>, again: Option<Result<Report, String>>) {
        self.ran += 1;
        let report = match report {
            Ok(report) => report,
            Err(why) => return self.wrong.push(format!("seed {seed}: {why}")),
        };
        if let Some(again) = again
            && again.as_ref().ok().map(|again| &again.decisions) != Some(&report.decisions)
        {
            self.wrong
                .push(format!("seed {seed}: a replay takes another way"));
        }
        for violation in &report.violations {
            let (check, words) = (&violation.check, &violation.words);
            self.wrong.push(format!("seed {seed}: {check}: {words}"));
        }
        for (kind, count) in &report.faults {
            *self.faults.entry(*kind).or_default() += u64::from(*count > 0);
        }
        self.ways.insert(report.decisions);
        self.crash_points.extend(report.crash_points);
        self.moments.extend(report.moments);
        self.deployments += report.deployments;
        self.writes += report.writes;
        self.simulated_s += report.simulated_s;
    }

    /// What the schedules have to have shown.
    fn judge(&mut self, schedules: u64) {
        let ways = self.ways.len() as u64;
        if 2 * ways < schedules {
            self.wrong.push(format!(
                "only {ways} of {schedules} schedules took different ways"
            ));
        }
        for kind in FaultKind::ALL {
            let brought = self.faults.get(&kind).copied().unwrap_or(0);
            if 50 * brought < schedules {
                self.wrong.push(format!(
                    "{kind:?} came in only {brought} of {schedules} schedules"
                ));
            }
        }
        if schedules >= ENOUGH_FOR_EVERY_POINT {
            for moment in self.moments.difference(&self.crash_points) {
                self.wrong.push(format!("nobody died at {moment}"));
            }
        }
    }

    fn tell(&self) {
        println!(
            "{} schedules, {} different ways, {} deployments, {} writes at AWS, {:.1} simulated hours",
            self.ran,
            self.ways.len(),
            self.deployments,
            self.writes,
            self.simulated_s / 3600.0
        );
        for (kind, count) in &self.faults {
            println!("  {count:>6} with {kind:?}");
        }
        println!(
            "  {} of {} commits, sends and writes were crash points",
            self.crash_points.len(),
            self.moments.len()
        );
        for wrong in &self.wrong {
            println!("WRONG: {wrong}");
        }
        if self.wrong.is_empty() {
            println!("nothing lost, nothing doubled, nothing out of order, nothing unapproved");
        }
    }
}
