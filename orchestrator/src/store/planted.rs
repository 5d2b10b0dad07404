//! Faults that the kill tests plant: dying right before or right after a
//! chosen commit. They act under the cargo feature `planted-faults` only.

use std::path::PathBuf;

/// On which side of a commit the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// What a test plants in the store. The default plants nothing.
#[derive(Clone, Debug, Default)]
pub struct PlantedFaults {
    /// SIGKILL of this process at the n-th commit (the first is 1) since its start.
    pub crash_at: Option<(usize, Side)>,
    /// A file that gets one line per commit, its name, after it is made.
    pub commit_log: Option<PathBuf>,
}

impl PlantedFaults {
    /// Reads `N:before` or `N:after`, as the hidden flag `--planted-crash` has it.
    pub fn parse_crash(text: &str) -> Result<(usize, Side), String> {
        let refuse = || format!("{text:?} is not N:before or N:after with N from 1");
        let (number, side) = text.split_once(':').ok_or_else(refuse)?;
        let number = number.parse().ok().filter(|n| *n > 0).ok_or_else(refuse)?;
        match side {
            "before" => Ok((number, Side::Before)),
            "after" => Ok((number, Side::After)),
            _ => Err(refuse()),
        }
    }
}

#[cfg(feature = "planted-faults")]
pub(super) mod acting {
    use std::{
        fs::OpenOptions,
        io::{self, Write as _},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::{PlantedFaults, Side};
    use crate::store::CommitPoint;

    /// Counts the commits of this process and dies at the planted one.
    #[derive(Debug)]
    pub struct Crasher {
        faults: PlantedFaults,
        made: AtomicUsize,
    }

    impl Crasher {
        pub fn new(faults: PlantedFaults) -> Self {
            Self {
                faults,
                made: AtomicUsize::new(0),
            }
        }

        /// Called right before a commit. Commits are made one at a time.
        pub fn before(&self) {
            self.die_if(self.made.load(Ordering::SeqCst) + 1, Side::Before);
        }

        /// Called right after a commit.
        pub fn after(&self, point: CommitPoint) -> io::Result<()> {
            let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some(path) = &self.faults.commit_log {
                let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                writeln!(file, "{point}")?;
            }
            self.die_if(number, Side::After);
            Ok(())
        }

        fn die_if(&self, number: usize, side: Side) {
            if self.faults.crash_at == Some((number, side)) {
                let _ =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
        }
    }
}
