//! A project file: what is released together, checked as a whole.
//!
//! Start at [`parse`]. What always holds: a [`Project`] refers only to things
//! that it has, and every `${...}` in it has a value on every target that it is
//! used on; so nothing about the file can surprise later, in prod.

mod check;
mod definition;
mod fault;
mod forms;
mod limits;
mod patch;
mod read;
mod report;
mod template;
mod used;
mod yaml;

pub use definition::*;
pub use fault::{Fault, Severity};
pub use forms::is_secret_reference;
pub use patch::Patch;
pub use report::nearest;
pub use template::{Amount, BadTemplate, Scope, Source, Switch, Template, Texts, Unresolved, Value};
pub use yaml::{MAX_BYTES, too_long};

/// Checks a project file. `file` is the name that faults are told with.
///
/// # Errors
/// Every fault of the file at once, in the order of their places. Warnings
/// alone are no error: see [`parse_with_warnings`].
pub fn parse(text: &str, file: &str) -> Result<Project, Vec<Fault>> {
    parse_with_warnings(text, file).map(|(project, _)| project)
}

/// As [`parse`], with what is not wrong but looks like a mistake.
///
/// # Errors
/// As [`parse`]; the list then holds errors and warnings.
pub fn parse_with_warnings(text: &str, file: &str) -> Result<(Project, Vec<Fault>), Vec<Fault>> {
    let mut report = report::Report::new(file);
    let (project, report) = match yaml::read(text, &mut report) {
        Some(root) => read::project(&root, report),
        None => (None, report),
    };
    let faults = report.into_faults();
    match project {
        Some(project) => Ok((project, faults)),
        None => Err(faults),
    }
}

/// The JSON Schema (draft 2020-12) of a project file, for editors.
pub fn schema() -> &'static str {
    include_str!("schema.json")
}

/// YAML as JSON, the way that another reader takes it; `None` when it is none.
#[cfg(test)]
pub(crate) fn yaml_as_json(text: &str) -> Option<serde_json::Value> {
    yaml::read(text, &mut report::Report::new("f")).map(|node| tests::json_of(&node))
}

#[cfg(test)]
mod tests;
