//! What the orchestrator remembers, in one SQLite file. Start with
//! [`StoreSettings`]. Every transition and the events that explain it are
//! committed together, and every commit goes through one function.

mod planted;

use std::path::PathBuf;

pub use planted::{PlantedFaults, Side};

/// Where the database is, and how it is opened.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The file; made with mode 0600 when it is not there.
    pub path: PathBuf,
    pub planted: PlantedFaults,
}

impl StoreSettings {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            planted: PlantedFaults::default(),
        }
    }
}
