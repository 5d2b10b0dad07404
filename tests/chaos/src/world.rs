//! What the hosts of a simulation and its driver share. Everything runs on one
//! thread; the locks are never waited for.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use towline::store::Side;
use towline_link::seams::{Clock, Network, Random, Seams};

use crate::{
    aws::Cloud,
    network::{Life, Net},
    operator::Command,
    record::{FaultKind, Report},
    schedule::{CrashAt, Schedule},
};

/// The orchestrator's host.
pub const ORCHESTRATOR: &str = "orchestrator";

/// A handle.
#[derive(Clone)]
pub struct World(Arc<Inner>);

pub struct Inner {
    pub schedule: Schedule,
    pub dir: PathBuf,
    pub cloud: Cloud,
    elapsed_us: AtomicU64,
    pub rng: Mutex<StdRng>,
    pub state: Mutex<State>,
    pub report: Mutex<Report>,
}

/// What changes.
#[derive(Default)]
pub struct State {
    pub commands: VecDeque<Command>,
    /// To be tried again.
    pub later: Vec<(Duration, Command)>,
    pub tries: u32,
    /// Begun and not answered: an orchestrator that starts anew hears it again.
    pub begun: Option<Command>,
    pub lives: BTreeMap<&'static str, Life>,
    pub starts: BTreeMap<&'static str, u64>,
    /// Hosts that died by themselves, for the driver to bury.
    pub died: Vec<&'static str>,
    pub crash_at: Vec<CrashAt>,
    /// How often each moment was passed.
    pub passed: BTreeMap<String, u64>,
    pub sends_to_double: u64,
    /// Operation to how often it left, as the orchestrator's sends say.
    pub sent: Vec<(Duration, &'static str, String, bool)>,
    /// Everything that was asked for at first is there.
    pub ready: bool,
    pub healed: bool,
    pub survey: Option<crate::operator::Survey>,
    /// Commands that were answered well, as they are kept for the oracle.
    pub acknowledged: Vec<Command>,
}

impl std::ops::Deref for World {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl World {
    pub fn new(schedule: Schedule, dir: PathBuf, cloud: Cloud) -> Self {
        let rng = StdRng::seed_from_u64(schedule.seed ^ 0x5eed);
        let report = Report {
            seed: schedule.seed,
            ..Report::default()
        };
        let state = State {
            crash_at: schedule.crashes_at.clone(),
            ..State::default()
        };
        Self(Arc::new(Inner {
            schedule,
            dir,
            cloud,
            elapsed_us: AtomicU64::new(0),
            rng: Mutex::new(rng),
            state: Mutex::new(state),
            report: Mutex::new(report),
        }))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn report(&self) -> MutexGuard<'_, Report> {
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Simulated time since the start.
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed_us.load(Ordering::SeqCst))
    }

    pub fn set_elapsed(&self, elapsed: Duration) {
        let us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.elapsed_us.store(us, Ordering::SeqCst);
    }

    /// A number from `low` to `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.random_range(low..=high)
    }

    pub fn count(&self, fault: FaultKind) {
        *self.report().faults.entry(fault).or_default() += 1;
    }

    pub fn note(&self, line: impl AsRef<str>) {
        let at = self.elapsed().as_secs_f64();
        self.report().trace.push(format!("{at:9.3} {}", line.as_ref()));
    }

    /// A host starts: a life, and the seams that are its own.
    pub fn begin_life(&self, host: &'static str) -> (Life, Seams) {
        let mut state = self.state();
        let life = Life::default();
        state.lives.insert(host, life.clone());
        let starts = state.starts.entry(host).or_default();
        *starts += 1;
        let number = *starts;
        drop(state);
        let skew = self.schedule.skew_of(host, number);
        let start = self.schedule.start() + SignedDuration::try_from(self.elapsed()).expect("short") + skew;
        self.note(format!(
            "{host} starts for the {number}. time, its clock {skew:#} off"
        ));
        let name: u64 = host.bytes().map(u64::from).sum();
        let seams = Seams {
            clock: Clock::driven(start),
            random: Random::seeded(self.schedule.seed.wrapping_mul(1_000_003) ^ (name << 20) ^ number),
            network: Network::Simulated(Arc::new(Net(life.clone()))),
        };
        (life, seams)
    }

    /// Somebody passes a commit or a send. True when it dies there.
    pub fn pass(&self, host: &'static str, what: &str, side: Side) -> bool {
        let life_over = self.state().lives.get(host).is_none_or(Life::is_over);
        if life_over {
            return true;
        }
        let side = match side {
            Side::Before => "before",
            Side::After => "after",
        };
        let moment = format!("{what}:{side}");
        self.report().moments.insert(moment.clone());
        let mut state = self.state();
        let passed = state.passed.entry(moment.clone()).or_default();
        *passed += 1;
        let passed = *passed;
        let all: u64 = state
            .passed
            .iter()
            .filter(|(name, _)| name.starts_with("commit") || name.starts_with("send"))
            .map(|(_, count)| count)
            .sum();
        let healed = state.healed;
        let hit = state
            .crash_at
            .iter()
            .position(|at| !healed && at.is_met(&moment, passed, all));
        let Some(index) = hit else { return false };
        state.crash_at.remove(index);
        drop(state);
        self.note(format!("{host} dies at {moment}"));
        self.report().crash_points.insert(moment);
        self.die(host);
        true
    }

    /// A host dies in this instant.
    pub fn die(&self, host: &'static str) {
        let mut state = self.state();
        if let Some(life) = state.lives.get(host) {
            if life.is_over() {
                return;
            }
            life.end();
        }
        state.died.push(host);
        drop(state);
        self.count(FaultKind::Crash);
    }

    /// The orchestrator's time, which is off by the same in all its lives.
    pub fn true_time(&self, at: Timestamp) -> Timestamp {
        at - self.schedule.skew_of(ORCHESTRATOR, 1)
    }
}
