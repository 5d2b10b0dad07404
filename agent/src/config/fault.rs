//! What is wrong with a configuration, said to a person.

use std::{fmt, io, path::PathBuf};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {error}\nhint: {}", path.display(), hint_for(error))]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}", show(path, faults))]
    Faults { path: PathBuf, faults: Vec<Fault> },
}

fn hint_for(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "`towline-agent join TOKEN --serves REGION/CLUSTER` writes it; --dir names another directory"
        }
        _ => "the agent's user must be able to read it",
    }
}

/// One fault of the file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

fn show(path: &std::path::Path, faults: &[Fault]) -> String {
    let lines = faults.iter().map(|fault| format!("{}:{fault}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}
