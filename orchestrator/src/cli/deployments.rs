//! Deployments as tables, and waiting for the end of one.

use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use super::{
    connection::Api,
    course, events,
    exit::{Exit, Fault},
    follow::{Following, Told, follow},
    output::Console,
    show,
    table::{Entry, table},
};

/// Waits for the end of a deployment that was just changed, if asked to, then
/// shows how it stands. The exit is its verdict, or done without waiting.
pub async fn wait_and_show(
    api: &mut Api,
    console: &mut Console,
    deployment: pb::Deployment,
    wait: bool,
) -> Result<Exit, Fault> {
    let mut shown = deployment;
    let mut exit = Exit::Done;
    if wait {
        let following = Following {
            project: shown.project.clone(),
            version: shown.release.clone(),
            from_deployment: Some(shown.id.clone()),
            after: 0,
            told: Told::AsTalk,
        };
        let followed = follow(api, console, following).await?;
        followed.say(console)?;
        exit = followed.exit;
        let request = pb::GetDeploymentRequest { id: shown.id.clone() };
        let response = api.deployments.get_deployment(request).await?.into_inner();
        shown = response.deployment.unwrap_or(shown);
    }
    let now = api.now();
    let one = std::slice::from_ref(&shown);
    console.message("Deployment", &shown, |color| overview(one, now, color))?;
    Ok(exit)
}

/// One row for each deployment.
pub fn overview(deployments: &[pb::Deployment], now: Timestamp, color: bool) -> String {
    let rows = deployments.iter().map(|deployment| {
        let (state, tone) = show::state(deployment.state());
        let waits_on = match deployment.cancel_requested && !events::has_ended(deployment.state()) {
            true => "the agents' confirmation of the cancel",
            false => show::or_dash(&deployment.waiting_on),
        };
        let by = course::made(deployment);
        vec![
            deployment.environment.as_str().into(),
            Entry::toned(course::state(state, deployment), tone),
            show::ago(newest_time(deployment), now).into(),
            took(deployment).into(),
            by.into(),
            waits_on.into(),
            deployment.id.as_str().into(),
        ]
    });
    let heading = [
        "ENVIRONMENT",
        "STATE",
        "SINCE",
        "TOOK",
        "BY",
        "WAITS ON",
        "DEPLOYMENT",
    ];
    table(&heading, rows.collect(), color)
}

fn newest_time(deployment: &pb::Deployment) -> Option<&prost_types::Timestamp> {
    deployment
        .end_time
        .as_ref()
        .or(deployment.start_time.as_ref())
        .or(deployment.create_time.as_ref())
}

fn took(deployment: &pb::Deployment) -> String {
    let start = show::instant(deployment.start_time.as_ref());
    let end = show::instant(deployment.end_time.as_ref());
    match (start, end) {
        (Some(start), Some(end)) => show::span(end.duration_since(start).as_secs()),
        _ => "-".to_owned(),
    }
}

/// One row for each operation of each deployment.
pub fn operations(deployments: &[pb::Deployment], color: bool) -> String {
    let rows = deployments.iter().flat_map(|deployment| {
        deployment.operations.iter().map(|operation| {
            let (state, tone) = show::operation(operation.state(), &operation.verdict);
            let said = match operation.waiting_on.as_str() {
                "" => cut(show::or_dash(&operation.summary), SUMMARY),
                waiting_on => format!("waits on {waiting_on}"),
            };
            vec![
                deployment.environment.as_str().into(),
                course::name(operation).as_str().into(),
                operation.target.as_str().into(),
                Entry::toned(state, tone),
                show::or_dash(&operation.reason).into(),
                said.into(),
            ]
        })
    });
    let heading = ["ENVIRONMENT", "SERVICE", "TARGET", "STATE", "REASON", "SUMMARY"];
    table(&heading, rows.collect(), color)
}

/// The longest summary that a table shows; what was cut stands below it.
const SUMMARY: usize = 60;

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// For each operation that ended badly, why: root cause first.
pub fn bad_ends(deployments: &[pb::Deployment], color: bool) -> String {
    let mut text = String::new();
    for deployment in deployments {
        if !deployment.end_summary.is_empty() {
            let (state, _) = show::state(deployment.state());
            let (environment, why) = (&deployment.environment, &deployment.end_summary);
            text += &format!("\n\n{environment}: {state} before it started: {why}");
        }
        for decided in course::decisions(deployment) {
            text += &format!("\n\n{decided}");
        }
        for operation in &deployment.operations {
            if show::verdict(&operation.verdict) != show::Tone::Bad {
                continue;
            }
            text += &format!(
                "\n\n{}: {}@{} {}: {}",
                deployment.environment,
                operation.service,
                operation.target,
                operation.verdict,
                operation.reason
            );
            if operation.diagnosis.is_empty() && !operation.summary.is_empty() {
                text += &format!("\n  {}", operation.summary);
            }
            for line in events::why(operation) {
                let line = match color {
                    true => line,
                    false => anstream::adapter::strip_str(&line).to_string(),
                };
                text += &format!("\n{}", line.strip_prefix("        ").unwrap_or(&line));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    fn failed() -> pb::Deployment {
        pb::Deployment {
            id: "d-2".to_owned(),
            environment: "dev".to_owned(),
            state: pb::DeploymentState::Failed.into(),
            start_time: at(900),
            end_time: at(958),
            created_by: "towline".to_owned(),
            operations: vec![pb::Operation {
                service: "web".to_owned(),
                target: "dev/eu-west-1/main".to_owned(),
                state: pb::OperationState::Ended.into(),
                verdict: "failed".to_owned(),
                reason: "rolled_back".to_owned(),
                summary: "the circuit breaker rolled back".to_owned(),
                diagnosis: vec![
                    "container web exited with exit code 1".to_owned(),
                    "log web: missing key DB_POOL\nlog web: giving up".to_owned(),
                ],
                hint: "fix the image, then release it again".to_owned(),
                ..pb::Operation::default()
            }],
            ..pb::Deployment::default()
        }
    }

    #[test]
    fn deployments_at_a_glance() {
        let waits = pb::Deployment {
            id: "d-3".to_owned(),
            environment: "prod".to_owned(),
            state: pb::DeploymentState::AwaitingApproval.into(),
            create_time: at(990),
            created_by: "ada".to_owned(),
            waiting_on: "approval of role approver (0 of 1)".to_owned(),
            ..pb::Deployment::default()
        };
        assert_eq!(
            overview(&[failed(), waits], Timestamp::new(1_000, 0).unwrap(), false),
            "\
ENVIRONMENT  STATE              SINCE    TOOK  BY       WAITS ON                            DEPLOYMENT
dev          failed             42s ago  58s   towline  -                                   d-2
prod         awaiting approval  10s ago  -     ada      approval of role approver (0 of 1)  d-3"
        );
    }

    #[test]
    fn a_failure_shows_its_root_cause_its_evidence_and_the_next_step() {
        assert_eq!(
            bad_ends(&[failed()], false),
            "

dev: web@dev/eu-west-1/main failed: rolled_back
  container web exited with exit code 1
    log web: missing key DB_POOL
    log web: giving up
  hint: fix the image, then release it again"
        );
    }
}
