//! `towline apply -f FILE`: checks a project file as a whole and stores it.

use std::{fs, io::Read as _, path::PathBuf};

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::Console,
};
use crate::domain::project;

/// Checks a project file and stores it as the project's next version.
///
/// All faults are told at once, each with its place; then nothing is stored.
/// The same content again stores nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline apply -f towline.yaml
  towline apply -f towline.yaml --dry-run
  generate-project | towline apply -f -")]
pub struct Apply {
    /// The project file; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only check.
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let file_name = self.file.display().to_string();
        let request = pb::ApplyProjectRequest {
            definition: read(&self.file)?,
            file_name: file_name.clone(),
            dry_run: self.dry_run,
        };
        let applied = api
            .projects
            .apply_project(request)
            .await
            .map_err(|status| refused(status.into(), &file_name))?
            .into_inner();
        console.message("ApplyProjectResponse", &applied, |_| {
            said(&applied, &file_name, self.dry_run)
        })?;
        Ok(Exit::Done)
    }
}

fn read(file: &PathBuf) -> Result<String, Fault> {
    let read = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = read.map_err(|error| Fault::local(format!("cannot read {}: {error}", file.display())))?;
    // Said here, because the connection refuses a message of that size without a word on the file.
    if text.len() > project::MAX_BYTES {
        let words = format!("{}: {}", file.display(), project::too_long(text.len()));
        return Err(
            Fault::local(words).hint("one project holds what is released together: make several of it")
        );
    }
    Ok(text)
}

/// The faults are of the file, so say the file.
fn refused(mut fault: Fault, file: &str) -> Fault {
    match fault.places.len() {
        0 => {}
        1 => fault.what = format!("{file} has a fault; nothing was stored"),
        many => fault.what = format!("{file} has {many} faults; nothing was stored"),
    }
    fault
}

fn said(applied: &pb::ApplyProjectResponse, file: &str, dry_run: bool) -> String {
    let project = applied.project.clone().unwrap_or_default();
    let name = &project.name;
    match (dry_run, applied.changed) {
        (true, true) => format!("{file} is right; applying it would store a new version of project {name}"),
        (true, false) => format!("{file} is right, and project {name} has this very content already"),
        (false, true) => format!(
            "project {name}: version {} stored ({}; {})",
            project.version,
            counted(&project.services, "service"),
            project.environments.join(" -> "),
        ),
        (false, false) => format!("project {name}: unchanged, still version {}", project.version),
    }
}

fn counted(things: &[String], word: &str) -> String {
    match things.len() {
        1 => format!("1 {word}"),
        many => format!("{many} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ten_megabytes_is_refused_with_its_size_before_it_is_sent() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "# x\n".repeat(2_600_000)).expect("it is written");
        let fault = read(&file.path().to_owned()).expect_err("too long");
        assert!(
            fault
                .what
                .ends_with("the file has 10400000 bytes, and at most 1048576 are read"),
            "{}",
            fault.what
        );
        assert!(fault.hint.is_some());
    }

    #[test]
    fn what_applying_did_is_said_in_one_line() {
        let mut applied = pb::ApplyProjectResponse {
            project: Some(pb::Project {
                name: "shop".to_owned(),
                version: 3,
                services: vec!["web".to_owned(), "orders".to_owned()],
                environments: vec!["dev".to_owned(), "prod".to_owned()],
                ..pb::Project::default()
            }),
            changed: true,
        };
        assert_eq!(
            said(&applied, "a.yaml", false),
            "project shop: version 3 stored (2 services; dev -> prod)"
        );
        applied.changed = false;
        assert_eq!(
            said(&applied, "a.yaml", false),
            "project shop: unchanged, still version 3"
        );
    }
}
