//! One run of a command-line program, with what it printed.

use std::process::{Command, Output};

use serde_json::Value;

/// What a finished command said.
#[derive(Debug)]
pub struct Ran {
    pub line: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end.
    pub fn run(mut command: Command) -> Self {
        let line = line_of(&command);
        let output = command.output().unwrap_or_else(|error| panic!("{line}: {error}"));
        Self::of(line, &output)
    }

    fn of(line: String, output: &Output) -> Self {
        Self {
            line,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Panics with all that was said unless it ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "`{}` ended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.line, self.code, self.stdout, self.stderr
        );
        self
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("`{}` printed no JSON: {error}\n{}", self.line, self.stdout))
    }
}

/// A command as a person would type it.
pub fn line_of(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let arguments = command.get_args().map(|argument| {
        let text = argument.to_string_lossy().into_owned();
        if text.contains([' ', '"', '{', '*']) {
            format!("'{text}'")
        } else {
            text
        }
    });
    std::iter::once(name)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
