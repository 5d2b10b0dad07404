//! `towline release create --plan`: what a release would meet today, by
//! environment: first what would fail, then each operation in a line.

use towline_proto::orchestrator::v1 as pb;

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::Console,
    release,
    show::{Tone, paint},
    table::table,
};

pub async fn run(
    api: &mut Api,
    console: &mut Console,
    release: pb::CreateReleaseRequest,
) -> Result<Exit, Fault> {
    let request = pb::PreviewReleaseRequest {
        release: Some(release),
    };
    let preview = api.releases.preview_release(request).await?.into_inner();
    console.message("PreviewReleaseResponse", &preview, |color| text(&preview, color))?;
    Ok(match (preview.would_fail, preview.unknown) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Errored,
        (false, false) => Exit::Done,
    })
}

fn text(preview: &pb::PreviewReleaseResponse, color: bool) -> String {
    let release = preview.release.clone().unwrap_or_default();
    let images: Vec<String> = release.images.iter().map(release::chosen).collect();
    let mut parts = vec![format!(
        "{} {}  channel {}  {}",
        release.project,
        or(&release.version, "(version from the template)"),
        release.channel,
        images.join(" ")
    )];
    parts.extend(preview.environments.iter().map(|it| environment(it, color)));
    parts.join("\n\n")
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

fn environment(preview: &pb::EnvironmentPreview, color: bool) -> String {
    let word = |text: &str, tone| match color {
        true => paint(text, tone),
        false => text.to_owned(),
    };
    let (verdict, tone) = match (preview.failures.len(), preview.unplanned.len()) {
        (0, 0) => ("would do", Tone::Good),
        (0, _) => ("not known", Tone::Busy),
        _ => ("would fail", Tone::Bad),
    };
    let head = format!(
        "{}  phase {}  {}",
        preview.environment,
        preview.phase,
        word(verdict, tone)
    );
    let mut lines = vec![head];
    for failure in &preview.failures {
        lines.extend(told(failure, &word("fails", Tone::Bad)));
    }
    for unplanned in &preview.unplanned {
        lines.extend(told(unplanned, &word("not known", Tone::Busy)));
    }
    let rows = preview.plans.iter().map(|plan| {
        vec![
            plan.service.as_str().into(),
            plan.target.as_str().into(),
            plan.action.as_str().into(),
            plan.summary.as_str().into(),
        ]
    });
    if !preview.plans.is_empty() {
        lines.push(table(
            &["SERVICE", "TARGET", "ACTION", "WHAT"],
            rows.collect(),
            color,
        ));
    }
    lines.join("\n")
}

fn told(operation: &pb::UnplannedOperation, word: &str) -> Vec<String> {
    let pb::UnplannedOperation {
        service,
        target,
        reason,
        hint,
    } = operation;
    let mut lines = vec![format!("  {word}: {service} on {target}: {reason}")];
    if !hint.is_empty() {
        lines.push(format!("    hint: {hint}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_fail_in_prod_is_seen_first() {
        let operation = |reason: &str, hint: &str| pb::UnplannedOperation {
            service: "web".to_owned(),
            target: "333333333333/eu-west-1/main".to_owned(),
            reason: reason.to_owned(),
            hint: hint.to_owned(),
        };
        let preview = pb::PreviewReleaseResponse {
            release: Some(pb::Release {
                project: "shop".to_owned(),
                channel: "stable".to_owned(),
                images: vec![pb::ReleaseImage {
                    image: "web".to_owned(),
                    tag: "1.2.0".to_owned(),
                    digest: format!("sha256:{}", "4f2a".repeat(16)),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            environments: vec![
                pb::EnvironmentPreview {
                    environment: "dev".to_owned(),
                    phase: "dev".to_owned(),
                    plans: vec![pb::PlanServiceResponse {
                        service: "web".to_owned(),
                        target: "111111111111/eu-west-1/main".to_owned(),
                        action: "update".to_owned(),
                        summary: "a new revision of web".to_owned(),
                        ..Default::default()
                    }],
                    ..Default::default()
                },
                pb::EnvironmentPreview {
                    environment: "prod".to_owned(),
                    phase: "production".to_owned(),
                    failures: vec![operation("the image is not there", "replicate it")],
                    unplanned: vec![operation("agent prod offline", "")],
                    ..Default::default()
                },
            ],
            would_fail: true,
            unknown: true,
        };
        let text = text(&preview, false);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[0],
            "shop (version from the template)  channel stable  web=1.2.0@sha256:4f2a4f2a4f2a"
        );
        assert_eq!(lines[2], "dev  phase dev  would do");
        assert!(lines[4].contains("a new revision of web"), "{text}");
        let prod = &lines[lines.len() - 4..];
        assert_eq!(
            prod,
            [
                "prod  phase production  would fail",
                "  fails: web on 333333333333/eu-west-1/main: the image is not there",
                "    hint: replicate it",
                "  not known: web on 333333333333/eu-west-1/main: agent prod offline",
            ]
        );
    }
}
