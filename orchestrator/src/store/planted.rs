//! Faults that the kill tests plant: a process dies right before or right after
//! a chosen commit, this one or another. They act under the cargo feature `planted-faults` only.
//!
//! A commit is named by what it makes true and by how many commits came before
//! it, `operation_intended@2`. Counting begins with the first release that this
//! process creates, and leaves out progress, of which there is more or less
//! from run to run.

use std::path::PathBuf;

/// On which side of a commit the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// Where a process dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashAt {
    /// `operation_intended@2`, as the commit log has it.
    pub commit: String,
    pub side: Side,
    /// Another process than this one: an agent's.
    pub pid: Option<i32>,
}

/// What a test plants in the store. The default plants nothing.
#[derive(Clone, Debug, Default)]
pub struct PlantedFaults {
    /// SIGKILL at the first commit of this name.
    pub crash_at: Option<CrashAt>,
    /// A file that gets one line per commit, its name, after it is made.
    pub commit_log: Option<PathBuf>,
    /// Is told of every commit and every send, and may end this orchestrator there.
    #[cfg(feature = "planted-faults")]
    pub witness: Option<acting::Witness>,
}

impl PlantedFaults {
    /// Reads `COMMIT:before` or `COMMIT:after`, and `:PID` of another process
    /// behind it, as the hidden flag `--planted-crash` has it.
    pub fn parse_crash(text: &str) -> Result<CrashAt, String> {
        let refuse = || format!("{text:?} is not COMMIT@N:before or COMMIT@N:after, with or without :PID");
        let mut parts = text.split(':');
        let commit = parts
            .next()
            .filter(|commit| commit.contains('@'))
            .ok_or_else(refuse)?;
        let side = match parts.next() {
            Some("before") => Side::Before,
            Some("after") => Side::After,
            _ => return Err(refuse()),
        };
        let pid = parts.next().map(str::parse).transpose().map_err(|_| refuse())?;
        Ok(CrashAt {
            commit: commit.to_owned(),
            side,
            pid,
        })
    }
}

#[cfg(feature = "planted-faults")]
pub mod acting {
    use std::{
        fmt,
        fs::OpenOptions,
        io::{self, Write as _},
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
    };

    use rustix::process::{Pid, Signal, getpid, kill_process};

    use super::{PlantedFaults, Side};
    use crate::store::{CommitPoint, Store};

    /// Where an orchestrator is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Moment {
        Commit(CommitPoint, Side),
        /// A call that makes an agent act.
        Send {
            call: &'static str,
            operation: String,
            /// What the call says of itself.
            repeated: bool,
            epoch: i64,
            /// It says what it expects to find.
            expects: bool,
            side: Side,
        },
    }

    /// What becomes of an orchestrator at a moment.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fate {
        GoesOn,
        /// It goes no further: to the rest of the simulation it is dead.
        Dies,
        /// Its call arrives twice.
        SendsTwice,
    }

    /// Is told where an orchestrator is, and says what becomes of it.
    #[derive(Clone)]
    pub struct Witness(pub Arc<dyn Fn(Moment) -> Fate + Send + Sync>);

    impl fmt::Debug for Witness {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Witness")
        }
    }

    impl Store {
        /// True when a call shall be made twice.
        pub(crate) async fn witness(&self, moment: Moment) -> bool {
            let witness = self.crasher.faults.witness.as_ref();
            match witness.map_or(Fate::GoesOn, |witness| witness.0(moment)) {
                Fate::GoesOn => false,
                Fate::SendsTwice => true,
                Fate::Dies => std::future::pending().await,
            }
        }
    }

    /// Names the commits of this process and dies at the planted one.
    #[derive(Debug)]
    pub struct Crasher {
        faults: PlantedFaults,
        /// Commits since the first release was created, without progress; commits come one at a time.
        made: AtomicUsize,
        /// The other process was killed: its number may belong to somebody else by now.
        killed: AtomicBool,
    }

    impl Crasher {
        pub fn new(faults: PlantedFaults) -> Self {
            Self {
                faults,
                made: AtomicUsize::new(0),
                killed: AtomicBool::new(false),
            }
        }

        /// Called right before a commit.
        pub fn before(&self, point: CommitPoint) {
            if let Some(name) = self.name(point) {
                self.die_if(&name, Side::Before);
            }
        }

        /// Called right after a commit.
        pub fn after(&self, point: CommitPoint) -> io::Result<()> {
            let Some(name) = self.name(point) else {
                return Ok(());
            };
            if point != CommitPoint::OperationProgressed {
                self.made.fetch_add(1, Ordering::SeqCst);
            }
            if let Some(path) = &self.faults.commit_log {
                let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                writeln!(file, "{name}")?;
            }
            self.die_if(&name, Side::After);
            Ok(())
        }

        fn name(&self, point: CommitPoint) -> Option<String> {
            // Agents come and go, and receivers answer, at their own time.
            if matches!(
                point,
                CommitPoint::AgentSeen | CommitPoint::OutboxChanged | CommitPoint::DriftNoted
            ) {
                return None;
            }
            let made = self.made.load(Ordering::SeqCst);
            (made > 0 || point == CommitPoint::ReleaseCreated).then(|| format!("{point}@{made}"))
        }

        fn die_if(&self, name: &str, side: Side) {
            let Some(at) = &self.faults.crash_at else {
                return;
            };
            if at.commit != name || at.side != side || self.killed.swap(true, Ordering::SeqCst) {
                return;
            }
            let victim = at.pid.map_or(Some(getpid()), Pid::from_raw);
            if let Some(victim) = victim {
                let _ = kill_process(victim, Signal::KILL);
            }
        }
    }
}
