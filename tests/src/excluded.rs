//! Cases that an emulator runs, and the list of those that it cannot show: each
//! with its reason. A case of that list that passes, or that fails otherwise,
//! is wrong too, so that the list never outlives its reasons.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

/// The list, as a file holds it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusions {
    /// The emulator's version that the list was made with.
    pub version: String,
    #[serde(default)]
    pub cannot_show: BTreeMap<String, Exclusion>,
}

/// Why a case is on the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// Why the emulator cannot show it.
    pub reason: String,
    /// What the case says when it fails for that reason, and no other.
    pub fails_with: String,
}

impl Exclusions {
    /// Reads a list that belongs to these cases.
    pub fn read(text: &str, cases: &[&str]) -> Self {
        let list: Self = toml::from_str(text).expect("a list of exclusions");
        for excluded in list.cannot_show.keys() {
            assert!(
                cases.contains(&excluded.as_str()),
                "there is no case {excluded:?}"
            );
        }
        list
    }

    /// What is wrong with a case's outcome, if anything is; says how it went.
    pub fn judge(&self, case: &str, outcome: Result<(), String>, took: Duration) -> Option<String> {
        match (outcome, self.cannot_show.get(case)) {
            (Ok(()), None) => {
                println!("passed    {case} ({:.1} s)", took.as_secs_f64());
                None
            }
            (Err(words), None) => {
                println!("FAILED    {case}: {words}");
                Some(format!("{case}: {words}"))
            }
            (Err(words), Some(exclusion)) if words.contains(&exclusion.fails_with) => {
                println!("excluded  {case}: {}", exclusion.reason);
                None
            }
            (Err(words), Some(exclusion)) => {
                let expected = &exclusion.fails_with;
                println!("FAILED    {case}: {words} (excluded for {expected:?})");
                Some(format!("{case}: fails otherwise than {expected:?}: {words}"))
            }
            (Ok(()), Some(_)) => {
                println!("PASSES    {case}, and the list says that it cannot");
                Some(format!("{case}: it passes; take it off the list"))
            }
        }
    }
}

/// The program that an environment variable names. Without it the test is
/// skipped and says so; under `CI=true` that is a failure.
pub fn program(variable: &str) -> Option<String> {
    if let Ok(program) = std::env::var(variable) {
        return Some(program);
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "CI=true and {variable} is not set"
    );
    println!("SKIPPED: {variable} names no program; `scripts/test` installs it with `scripts/tools`");
    None
}
