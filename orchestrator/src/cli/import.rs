//! `towline import`: a project file from what runs.

use std::{fs, path::PathBuf};

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::{Console, Format},
};

/// Writes a project file from what runs in the agents' clusters, and changes nothing.
///
/// Every service of the clusters becomes one of kind existing; a service that is
/// found in several accounts, also as orders-dev and orders-prod, becomes one with
/// several environments. What differs between accounts (registries, names) is a
/// value of the targets. What cannot be joined, and who could not be asked, is
/// said on standard error; the file's comments say it too.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline import > towline.yaml
  towline import --project shop --service 'shop-*' --file towline.yaml
  towline import --environment acct-17=dev --environment acct-42=prod --cluster main
  towline import --output json | jq -r '.notes[] | .message'")]
pub struct Import {
    /// The name of the project.
    #[arg(long, default_value = "imported")]
    project: String,
    /// Only the clusters of this agent; once for each. All agents when left out.
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,
    /// Only clusters whose name matches; `*` and `?` as in a shell.
    #[arg(long = "cluster", value_name = "PATTERN")]
    clusters: Vec<String>,
    /// Only services whose name in ECS matches.
    #[arg(long = "service", value_name = "PATTERN")]
    services: Vec<String>,
    /// The environment of an agent's clusters, in the order of the lifecycle. An
    /// agent that is not named makes an environment of its own name.
    #[arg(long = "environment", value_name = "AGENT=ENV", value_parser = mapping)]
    environments: Vec<(String, String)>,
    /// Where the file goes; standard output when left out. A file that is there
    /// already is not replaced.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

fn mapping(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((agent, name)) if !agent.is_empty() && !name.is_empty() => {
            Ok((agent.to_owned(), name.to_owned()))
        }
        _ => Err("not AGENT=ENV, for example acct-17=dev".to_owned()),
    }
}

impl Import {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        if let Some(file) = self.file.as_ref().filter(|file| file.exists()) {
            return Err(Fault::local(format!("{} is there already", file.display()))
                .hint("name another file, or move it away: it may hold what people wrote"));
        }
        let environment = |(agent, environment)| pb::AgentEnvironment { agent, environment };
        let request = pb::ImportProjectRequest {
            project: self.project,
            agents: self.agents,
            clusters: self.clusters,
            services: self.services,
            environments: self.environments.into_iter().map(environment).collect(),
        };
        let answer = api.projects.import_project(request).await?.into_inner();
        if let Some(file) = &self.file {
            fs::write(file, &answer.definition)
                .map_err(|error| Fault::local(format!("cannot write {}: {error}", file.display())))?;
        }
        match (console.format, &self.file) {
            (Format::Json, _) => console.message("ImportProjectResponse", &answer, |_| String::new())?,
            (_, None) => console.data(answer.definition.trim_end())?,
            (_, Some(_)) => {}
        }
        let file = self
            .file
            .map_or_else(|| "FILE".to_owned(), |file| file.display().to_string());
        console.talk(&said(&answer, &file))?;
        Ok(Exit::Done)
    }
}

/// What a person has to know, in a few lines.
fn said(answer: &pb::ImportProjectResponse, file: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for not in &answer.unreached {
        lines.push(format!(
            "warning: agent {} is left out: {}",
            not.agent, not.reason
        ));
    }
    for note in answer.notes.iter().take(MOST_NOTES) {
        let subject = match note.service.as_str() {
            "" => String::new(),
            service => format!("{service}: "),
        };
        lines.push(format!("note: {subject}{}", note.message));
    }
    if let Some(more) = answer
        .notes
        .len()
        .checked_sub(MOST_NOTES)
        .filter(|more| *more > 0)
    {
        lines.push(format!("note: {more} more; --output json has all of them"));
    }
    let found: usize = answer.services.iter().map(|it| it.places.len()).sum();
    let mut environments: Vec<&str> = Vec::new();
    let places = answer.services.iter().flat_map(|it| &it.places);
    for place in places {
        if !environments.contains(&place.environment.as_str()) {
            environments.push(&place.environment);
        }
    }
    lines.push(format!(
        "{found} ECS services became {} in {} environments; next: towline apply -f {file} --dry-run",
        answer.services.len(),
        environments.len()
    ));
    lines.join("\n")
}

/// More than these nobody reads in a terminal.
const MOST_NOTES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_comes_first_and_the_next_step_last() {
        let place = |environment: &str| pb::ImportedPlace {
            environment: environment.to_owned(),
            ..pb::ImportedPlace::default()
        };
        let answer = pb::ImportProjectResponse {
            services: vec![pb::ImportedService {
                places: vec![place("dev"), place("prod")],
                ..pb::ImportedService::default()
            }],
            notes: vec![pb::ImportNote {
                service: "orders".to_owned(),
                message: "container debug is only in dev: it stays as it is".to_owned(),
                ..pb::ImportNote::default()
            }],
            unreached: vec![pb::UnreachedAgent {
                agent: "staging".to_owned(),
                reason: "offline since 10:00".to_owned(),
            }],
            ..pb::ImportProjectResponse::default()
        };
        assert_eq!(
            said(&answer, "towline.yaml"),
            "\
warning: agent staging is left out: offline since 10:00
note: orders: container debug is only in dev: it stays as it is
2 ECS services became 1 in 2 environments; next: towline apply -f towline.yaml --dry-run"
        );
    }
}
