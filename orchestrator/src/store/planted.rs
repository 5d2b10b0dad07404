//! Faults that the kill tests plant: dying right before or right after a
//! chosen commit. Compiled in under the cargo feature `planted-faults` only;
//! without it the settings are empty and do nothing.

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
