//! `towline status`: what runs where.

use clap::Args;
use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::Console,
    show::{self, Tone},
    table::{Entry, table},
};

/// Shows what runs where: services by environments, of which release, how fresh,
/// and what it waits on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline status
  towline status --project shop --output json | jq '.projects[].environments[] | {environment, waiting_on}'")]
pub struct Status {
    /// Only this project.
    #[arg(long)]
    project: Option<String>,
}

impl Status {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::GetStatusRequest {
            project: self.project.unwrap_or_default(),
        };
        let status = api.projects.get_status(request).await?.into_inner();
        let now = api.now();
        console.message("GetStatusResponse", &status, |color| {
            let grids: Vec<_> = status
                .projects
                .iter()
                .map(|project| grid(project, now, color))
                .collect();
            grids.join("\n\n")
        })?;
        if status.projects.is_empty() {
            console.talk("there is no project yet: towline apply -f towline.yaml")?;
        }
        Ok(Exit::Done)
    }
}

/// Services down, environments across; a line in a cell for each target.
fn grid(project: &pb::ProjectStatus, now: Timestamp, color: bool) -> String {
    let mut heading = vec![project.project.as_str()];
    heading.extend(project.environments.iter().map(|e| e.environment.as_str()));
    let mut rows = Vec::new();
    for service in services(project) {
        let mut row: Vec<Entry> = vec![service.into()];
        row.extend(project.environments.iter().map(|e| cell(e, service, now)));
        rows.push(row);
    }
    if project.environments.iter().any(|e| !e.waiting_on.is_empty()) {
        let mut row: Vec<Entry> = vec!["waits on".into()];
        row.extend(project.environments.iter().map(|e| waits_on(&e.waiting_on)));
        rows.push(row);
    }
    table(&heading, rows, color)
}

/// In the order in which they first appear.
fn services(project: &pb::ProjectStatus) -> Vec<&str> {
    let mut services: Vec<&str> = Vec::new();
    for cell in project.environments.iter().flat_map(|e| &e.cells) {
        if !services.contains(&cell.service.as_str()) {
            services.push(&cell.service);
        }
    }
    services
}

fn cell(environment: &pb::EnvironmentStatus, service: &str, now: Timestamp) -> Entry {
    let cells: Vec<_> = environment
        .cells
        .iter()
        .filter(|cell| cell.service == service)
        .collect();
    let tones = cells.iter().map(|cell| match cell.drift {
        Some(_) => Tone::Bad,
        None => show::verdict(&cell.verdict),
    });
    let tone = tones.reduce(worse).unwrap_or(Tone::Plain);
    let shared = shared_start(&cells);
    let lines: Vec<_> = match cells.as_slice() {
        [] => vec!["-".to_owned()],
        [one] => target(one, now),
        many => many
            .iter()
            .flat_map(|cell| {
                let mut lines = target(cell, now);
                let label = cell.target.get(shared..).unwrap_or(&cell.target);
                if let Some(first) = lines.first_mut() {
                    *first = format!("{label}: {first}");
                }
                lines
            })
            .collect(),
    };
    Entry::toned(lines.join("\n"), tone)
}

/// How many bytes of the targets' names all of them begin with, up to a `/`:
/// the account, where it is the same.
fn shared_start(cells: &[&pb::CellStatus]) -> usize {
    let Some((first, rest)) = cells.split_first() else {
        return 0;
    };
    let starts = first.target.match_indices('/').map(|(at, _)| at + 1);
    starts
        .filter(|end| {
            let start = &first.target[..*end];
            rest.iter().all(|cell| cell.target.starts_with(start))
        })
        .max()
        .unwrap_or(0)
}

fn worse(left: Tone, right: Tone) -> Tone {
    if left == Tone::Bad || right == Tone::Good {
        left
    } else {
        right
    }
}

/// What runs on one target; a second line when the newest try was another one.
fn target(cell: &pb::CellStatus, now: Timestamp) -> Vec<String> {
    let mut lines = vec![match cell.release.as_str() {
        "" => "nothing released".to_owned(),
        release => format!("{release}, {}", show::ago(cell.observe_time.as_ref(), now)),
    }];
    let is_bad = show::verdict(&cell.verdict) == Tone::Bad;
    if is_bad {
        let reason = match cell.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        lines.push(format!("  {} {}{reason}", cell.last_release, cell.verdict));
    } else if cell.verdict.is_empty() && !cell.last_release.is_empty() {
        lines.push(format!("  {} under way", cell.last_release));
    }
    if let Some(drift) = &cell.drift {
        lines.extend(drifted(drift, now));
    }
    if !cell.check_problem.is_empty() {
        let asked = match &cell.check_time {
            Some(at) => format!("last asked {}", show::ago(Some(at), now)),
            None => "never asked".to_owned(),
        };
        lines.push(format!("  what runs: {asked}"));
    }
    lines
}

/// What runs although no release put it there; who and when where AWS tells.
fn drifted(drift: &pb::Drift, now: Timestamp) -> Vec<String> {
    let runs = drift.running_revision.rsplit('/').next().unwrap_or_default();
    let mut lines = match drift.kind.as_str() {
        "image" => drift.images.iter().map(drifted_image).collect(),
        "revision" => vec![format!("  drift: runs {runs}")],
        _ => vec![format!(
            "  drift: {}",
            drift.message.split(';').next().unwrap_or_default()
        )],
    };
    let by = drift.changed_by.rsplit(':').next().unwrap_or_default();
    let when = match &drift.change_time {
        Some(at) => show::ago(Some(at), now),
        None => String::new(),
    };
    match (by, when.as_str()) {
        ("", "") => {}
        ("", when) => lines.push(format!("    {when}")),
        (by, "") => lines.push(format!("    by {by}")),
        (by, when) => lines.push(format!("    by {by}, {when}")),
    }
    lines
}

/// The repository is left out where it is the one that was released.
fn drifted_image(image: &pb::DriftedImage) -> String {
    let running = match image.running.as_str() {
        "" => return format!("  drift: container {} is gone", image.container),
        running => running,
    };
    let short = running.rsplit('/').next().unwrap_or(running);
    format!("  drift: {} runs {short}", image.container)
}

fn waits_on(text: &str) -> Entry {
    if text.is_empty() {
        return "-".into();
    }
    // The grid says what; `towline watch` and the release say the next step too.
    let what = text.split(", hint: ").next().unwrap_or(text);
    Entry::toned(folded(what, 26).join("\n"), Tone::Busy)
}

/// The words of a text on lines of about this width.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(service: &str, target: &str, release: &str, verdict: &str) -> pb::CellStatus {
        pb::CellStatus {
            service: service.to_owned(),
            target: target.to_owned(),
            release: release.to_owned(),
            last_release: release.to_owned(),
            verdict: verdict.to_owned(),
            observe_time: Some(prost_types::Timestamp {
                seconds: 940,
                nanos: 0,
            }),
            ..pb::CellStatus::default()
        }
    }

    #[test]
    fn the_grid_tells_what_runs_what_failed_and_what_waits() {
        let dev = pb::EnvironmentStatus {
            environment: "dev".to_owned(),
            cells: vec![
                pb::CellStatus {
                    last_release: "1.1.0".to_owned(),
                    reason: "rolled_back".to_owned(),
                    ..cell("web", "111111111111/eu-west-1/main", "1.0.0", "failed")
                },
                pb::CellStatus {
                    drift: Some(pb::Drift {
                        kind: "image".to_owned(),
                        images: vec![pb::DriftedImage {
                            container: "app".to_owned(),
                            released: ":1.0.0".to_owned(),
                            running: "registry/shop/orders:hotfix".to_owned(),
                        }],
                        changed_by: "arn:aws:sts::111111111111:assumed-role/ops/kim".to_owned(),
                        change_time: Some(prost_types::Timestamp {
                            seconds: 400,
                            nanos: 0,
                        }),
                        ..pb::Drift::default()
                    }),
                    ..cell("orders", "111111111111/eu-west-1/main", "1.0.0", "succeeded")
                },
            ],
            ..pb::EnvironmentStatus::default()
        };
        let prod = pb::EnvironmentStatus {
            environment: "prod".to_owned(),
            cells: vec![
                cell("web", "333333333333/eu-west-1/main", "1.0.0", "succeeded"),
                cell("web", "333333333333/eu-central-1/main", "", ""),
                pb::CellStatus {
                    check_time: Some(prost_types::Timestamp::default()),
                    check_problem: "agent prod offline since 2026-11-25 05:00:00Z".to_owned(),
                    ..cell("orders", "333333333333/eu-west-1/main", "1.0.0", "succeeded")
                },
            ],
            waiting_on: "approval of role approver (0 of 1)".to_owned(),
            ..pb::EnvironmentStatus::default()
        };
        let project = pb::ProjectStatus {
            project: "shop".to_owned(),
            environments: vec![dev, prod],
        };
        assert_eq!(
            grid(&project, Timestamp::new(1_000, 0).unwrap(), false),
            "\
shop      dev                                   prod
web       1.0.0, 60s ago                        eu-west-1/main: 1.0.0, 60s ago
            1.1.0 failed: rolled_back           eu-central-1/main: nothing released
orders    1.0.0, 60s ago                        1.0.0, 60s ago
            drift: app runs orders:hotfix         what runs: last asked 16m ago
              by assumed-role/ops/kim, 10m ago
waits on  -                                     approval of role approver
                                                (0 of 1)"
        );
    }
}
