//! `towline deployment show`: all that is known of one deployment.

use clap::Args;
use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use crate::cli::{
    choose::{self, Which},
    connection::Api,
    deployments, events,
    exit::{Exit, Fault},
    output::Console,
    show,
};

/// Shows a deployment: its operations, what it waits on, on which terms it starts,
/// and why it went wrong.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline deployment show DEPLOYMENT
  towline deployment show --release 1.0.0 --environment prod --output json")]
pub struct Show {
    #[command(flatten)]
    which: Which,
}

impl Show {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let deployment = choose::deployment(api, self.which, "is there", |_| true).await?;
        let now = api.now();
        console.message("Deployment", &deployment, |color| text(&deployment, now, color))?;
        Ok(Exit::Done)
    }
}

fn text(deployment: &pb::Deployment, now: Timestamp, color: bool) -> String {
    let one = std::slice::from_ref(deployment);
    let mut parts = vec![deployments::overview(one, now, color)];
    let terms = terms(deployment);
    if !terms.is_empty() {
        parts.push(terms.join("\n"));
    }
    parts.push(deployments::operations(one, color));
    let mut text = parts.join("\n\n");
    text += &deployments::bad_ends(one, color);
    text
}

/// On which terms it starts, a line for each.
fn terms(deployment: &pb::Deployment) -> Vec<String> {
    let mut lines = vec![format!(
        "release {} of {}",
        deployment.release, deployment.project
    )];
    let waits = deployment.start_time.is_none() && !events::has_ended(deployment.state());
    let time = |at: Option<&prost_types::Timestamp>| show::instant(at).filter(|_| waits).map(show::moment);
    if let Some(at) = time(deployment.not_before.as_ref()) {
        lines.push(format!("starts not before {at}"));
    }
    if let Some(at) = time(deployment.expire_time.as_ref()) {
        lines.push(format!("is given up if it has not started by {at}"));
    }
    for it in &deployment.freeze_overrides {
        lines.push(format!(
            "freeze {} overridden by {}: {}",
            it.freezes.join(", "),
            it.operator,
            it.because
        ));
    }
    for approval in &deployment.approvals {
        let note = match approval.note.as_str() {
            "" => String::new(),
            note => format!(": {note}"),
        };
        lines.push(format!("approved by {}{note}", approval.operator));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terms_of_the_start_are_told_while_it_has_not_started() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let mut deployment = pb::Deployment {
            project: "shop".to_owned(),
            release: "1.0.0".to_owned(),
            state: pb::DeploymentState::Queued.into(),
            not_before: at(1_700_000_000),
            expire_time: at(1_700_003_600),
            freeze_overrides: vec![pb::FreezeOverride {
                operator: "ann".to_owned(),
                because: "INC-481".to_owned(),
                freezes: vec!["weekend".to_owned()],
                ..pb::FreezeOverride::default()
            }],
            ..pb::Deployment::default()
        };
        let overridden = "freeze weekend overridden by ann: INC-481";
        assert_eq!(
            terms(&deployment),
            [
                "release 1.0.0 of shop",
                "starts not before 2023-11-14 22:13:20Z",
                "is given up if it has not started by 2023-11-14 23:13:20Z",
                overridden,
            ]
        );
        deployment.start_time = at(1_700_000_100);
        assert_eq!(terms(&deployment), ["release 1.0.0 of shop", overridden]);
    }
}
