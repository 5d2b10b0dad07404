//! Pages of the documentation that are played: a page is a row of scenarios,
//! each with its own installation, and what its `console` blocks show is what
//! the commands print. Start with [`Page::read`], then [`Page::play`].
//!
//! A scenario begins with `<!-- scenario: NAME -->`; words after the name are the
//! agents that join. In it:
//!
//! - a block ```` ```yaml file=NAME ```` is written to that file;
//! - a block ```` ```console ```` is run, line by line that begins with `$ `; the lines
//!   that follow are what it prints. A code other than 0 stands at the end as `[exit 3]`;
//! - a comment `<!-- run: COMMAND -->` is run without being shown.
//!
//! `[ID]`, `[TIME]` and their like stand for what differs from run to run, `[..]`
//! for anything in a line, and a line `...` for any lines. With
//! `TRANSCRIPTS=overwrite` the page is written again as it went.

use std::{
    fs, mem,
    path::{Path, PathBuf},
    process::Command,
};

use regex::Regex;
use snapbox::{
    Data, Redactions,
    filter::NormalizeToExpected,
    report::{Palette, write_diff},
};

use crate::{cli::Ran, program::binary, world::World};

/// A page of the documentation.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    pieces: Vec<Piece>,
}

/// A part of a page.
#[derive(Clone, Debug)]
enum Piece {
    Prose(String),
    Begin { name: String, agents: Vec<String> },
    File { name: String, text: String },
    Console(Vec<Step>),
    Hidden(String),
}

/// A command, and what it prints.
#[derive(Clone, Debug, Default)]
struct Step {
    command: String,
    shown: String,
}

/// What differed.
pub type Differences = Vec<String>;

impl Page {
    /// Reads a page.
    ///
    /// # Panics
    /// When it cannot be read, or a block has no end.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            path: path.to_owned(),
            pieces: pieces(&text),
        }
    }

    /// The scenarios by name, with the agents that each wants.
    pub fn scenarios(&self) -> Vec<(String, Vec<String>)> {
        let begins = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Begin { name, agents } => Some((name.clone(), agents.clone())),
            _ => None,
        });
        begins.collect()
    }

    /// Plays one scenario in an installation that is there.
    pub fn play(&mut self, scenario: &str, world: &World) -> Differences {
        let stage = Stage::new(world);
        let mut differences = Vec::new();
        let mut inside = false;
        for piece in &mut self.pieces {
            if let Piece::Begin { name, .. } = piece {
                inside = name == scenario;
            }
            if inside {
                differences.extend(stage.play(scenario, piece));
            }
        }
        differences
    }

    /// Writes the page as it went, when that was asked for.
    pub fn keep(&self) {
        if std::env::var_os("TRANSCRIPTS").is_some_and(|word| word == "overwrite") {
            let text: String = self.pieces.iter().map(Piece::text).collect();
            fs::write(&self.path, text).expect("the page can be written");
        }
    }
}

/// Where a scenario is played.
struct Stage<'a> {
    world: &'a World,
    directory: PathBuf,
    redactions: Redactions,
}

impl<'a> Stage<'a> {
    fn new(world: &'a World) -> Self {
        let directory = world.path().join("work");
        fs::create_dir_all(&directory).expect("a directory to work in");
        Self {
            world,
            directory,
            redactions: redactions(),
        }
    }

    fn play(&self, scenario: &str, piece: &mut Piece) -> Differences {
        match piece {
            Piece::Prose(_) | Piece::Begin { .. } => Vec::new(),
            Piece::File { name, text } => {
                fs::write(self.directory.join(name), text).expect("the file can be written");
                Vec::new()
            }
            Piece::Hidden(command) => {
                Ran::run(self.shell(command)).expect_code(0);
                Vec::new()
            }
            Piece::Console(steps) => {
                let played = steps.iter_mut().filter_map(|step| self.step(scenario, step));
                played.collect()
            }
        }
    }

    /// Runs a step; what it printed takes the place of what was shown.
    fn step(&self, scenario: &str, step: &mut Step) -> Option<String> {
        let mut command = self.shell(&format!("exec 2>&1\n{}", step.command));
        let output = command.output().expect("bash runs");
        let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if !printed.is_empty() && !printed.ends_with('\n') {
            printed.push('\n');
        }
        let code = output.status.code().unwrap_or(-1);
        if code != 0 {
            printed.push_str(&format!("[exit {code}]\n"));
        }
        let expected = Data::text(step.shown.clone());
        let actual = NormalizeToExpected::new()
            .redact_with(&self.redactions)
            .normalize(Data::text(printed), &expected);
        if actual == expected {
            return None;
        }
        let mut words = format!("scenario {scenario}: $ {}\n", step.command);
        write_diff(
            &mut words,
            &expected,
            &actual,
            Some(&"the page"),
            Some(&"what it printed"),
            Palette::plain(),
        )
        .expect("a text takes what is written");
        step.shown = actual.to_string();
        Some(words)
    }

    /// A command line with `towline` of an admin on the path. `OPERATOR=name
    /// towline …` runs as an operator who has joined.
    fn shell(&self, command: &str) -> Command {
        let programs = binary("towline");
        let programs = programs.parent().expect("a directory");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash");
        shell
            .args(["-c", command])
            .current_dir(&self.directory)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("TOWLINE_CONFIG", self.world.cli_config("admin"))
            .env("INSTALLATION", self.world.path())
            .env("AWS_SIM", self.world.sim.url())
            .env("NO_COLOR", "1")
            .env("COLUMNS", "120");
        shell
    }
}

/// What differs from run to run.
fn redactions() -> Redactions {
    let patterns = [
        (
            "[ID]",
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        ),
        (
            "[TIME]",
            r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?",
        ),
        ("[CLOCK]", r"\b\d\d:\d\d:\d\d\b"),
        ("[AGO]", r"just now|\b\d+s ago"),
        ("[HASH]", r"\b[0-9a-f]{64}\b"),
        ("[TASK]", r"\b[0-9a-f]{32}\b"),
        ("[NUMBER]", r"ecs-svc/(?<redacted>\d+)"),
    ];
    let mut redactions = Redactions::new();
    for (placeholder, pattern) in patterns {
        let pattern = Regex::new(pattern).expect("a pattern");
        redactions.insert(placeholder, pattern).expect("a placeholder");
    }
    redactions
}

impl Piece {
    /// As it stands in the page.
    fn text(&self) -> String {
        match self {
            Self::Prose(text) => text.clone(),
            Self::Begin { name, agents } => {
                let words: Vec<&str> = std::iter::once(name.as_str())
                    .chain(agents.iter().map(String::as_str))
                    .collect();
                format!("<!-- scenario: {} -->\n", words.join(" "))
            }
            Self::File { name, text } => format!("```yaml file={name}\n{text}```\n"),
            Self::Hidden(command) => format!("<!-- run: {command} -->\n"),
            Self::Console(steps) => {
                let steps = steps
                    .iter()
                    .map(|step| format!("$ {}\n{}", step.command, step.shown));
                format!("```console\n{}```\n", steps.collect::<String>())
            }
        }
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut prose = String::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let Some(piece) = piece(line, &mut lines) else {
            prose.push_str(line);
            continue;
        };
        pieces.push(Piece::Prose(mem::take(&mut prose)));
        pieces.push(piece);
    }
    pieces.push(Piece::Prose(prose));
    pieces
}

/// The piece that a line begins, with the lines that belong to it.
fn piece<'a>(line: &str, lines: &mut impl Iterator<Item = &'a str>) -> Option<Piece> {
    let line = line.trim_end();
    let comment = |word: &str| Some(line.strip_prefix(word)?.strip_suffix("-->")?.trim().to_owned());
    if let Some(words) = comment("<!-- scenario:") {
        let mut words = words.split_whitespace().map(str::to_owned);
        return Some(Piece::Begin {
            name: words.next().expect("a scenario has a name"),
            agents: words.collect(),
        });
    }
    if let Some(command) = comment("<!-- run:") {
        return Some(Piece::Hidden(command));
    }
    if let Some(name) = line.strip_prefix("```yaml file=") {
        return Some(Piece::File {
            name: name.to_owned(),
            text: block(lines),
        });
    }
    (line == "```console").then(|| Piece::Console(steps(&block(lines))))
}

fn block<'a>(lines: &mut impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for line in lines {
        if line.trim_end() == "```" {
            return text;
        }
        text.push_str(line);
    }
    panic!("a block has no end:\n{text}");
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                command: command.trim_end().to_owned(),
                shown: String::new(),
            }),
            // A command goes on in the next line after a backslash.
            (None, Some(step)) if step.command.ends_with('\\') && step.shown.is_empty() => {
                step.command.push('\n');
                step.command.push_str(line.trim_end());
            }
            (None, Some(step)) => step.shown.push_str(line),
            (None, None) => panic!("a console block begins with `$ `:\n{text}"),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Title\n\n<!-- scenario: first dev prod -->\nWords.\n\n```yaml file=a.yaml\nproject: a\n```\n\n<!-- run: true -->\n```console\n$ one \\\n  --more\nprinted\n$ two\n[exit 3]\n```\n\nThe end.\n";

    #[test]
    fn a_page_that_went_as_it_says_is_written_as_it_was() {
        let text: String = pieces(PAGE).iter().map(Piece::text).collect();
        assert_eq!(text, PAGE);
    }

    #[test]
    fn a_command_over_two_lines_is_one_step() {
        let Some(Piece::Console(steps)) = pieces(PAGE)
            .into_iter()
            .find(|piece| matches!(piece, Piece::Console(_)))
        else {
            panic!("a console block");
        };
        let commands: Vec<_> = steps
            .iter()
            .map(|step| (step.command.as_str(), step.shown.as_str()))
            .collect();
        assert_eq!(
            commands,
            [("one \\\n  --more", "printed\n"), ("two", "[exit 3]\n")]
        );
    }
}
