//! What a plan says of an existing service, for a person: which revision runs
//! and which one the next is made from, the images, and what else changes.

use towline_proto::orchestrator::v1 as pb;

use crate::cli::show::Tone;

/// The lines between a plan's head and its findings.
pub fn lines(plan: &pb::PlanServiceResponse, paint: &dyn Fn(&str, Tone) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    if !plan.running.is_empty() {
        lines.push(format!("runs {}", revision(&plan.running)));
    }
    if !plan.reused.is_empty() {
        lines.push(format!("uses {} again", revision(&plan.reused)));
    }
    if !plan.base_changes.is_empty() {
        let (base, running) = (revision(&plan.base), revision(&plan.running));
        section(
            &mut lines,
            &paint(
                &format!("Comes with the base {base}, which is not what runs ({running})"),
                Tone::Busy,
            ),
        );
        lines.extend(plan.base_changes.iter().flat_map(|it| change(it, paint)));
    }
    let moved = |it: &&pb::PlannedImage| it.before != it.after || it.before_digest != it.after_digest;
    let images: Vec<_> = plan.images.iter().filter(moved).collect();
    if !images.is_empty() {
        section(&mut lines, "Images");
        lines.extend(images.into_iter().flat_map(image));
    }
    let others = plan.definition_changes.iter();
    let others: Vec<_> = others.filter(|change| !is_image(plan, change)).collect();
    if !others.is_empty() {
        section(&mut lines, "Changes");
        lines.extend(others.into_iter().flat_map(|it| change(it, paint)));
    }
    lines
}

fn section(lines: &mut Vec<String>, head: &str) {
    lines.push(String::new());
    lines.push(head.to_owned());
}

/// `orders:41` of an ARN, which is long and says the same in every line.
fn revision(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, revision)| revision)
}

/// Images are told with their digests, and not twice.
fn is_image(plan: &pb::PlanServiceResponse, change: &pb::DefinitionChange) -> bool {
    plan.images
        .iter()
        .any(|image| change.path == format!("containerDefinitions[{}].image", image.container))
}

fn image(image: &pb::PlannedImage) -> Vec<String> {
    let (before, after) = (
        with_digest(&image.before, &image.before_digest),
        with_digest(&image.after, &image.after_digest),
    );
    vec![
        format!("  ~ {}: {before}", image.container),
        format!("      -> {after}"),
    ]
}

/// A digest by its first 12 digits, as container tools show it.
fn with_digest(image: &str, digest: &str) -> String {
    let image = if image.is_empty() { "(none)" } else { image };
    match digest.strip_prefix("sha256:").and_then(|hex| hex.get(..12)) {
        Some(short) if !image.contains('@') => format!("{image} (sha256:{short})"),
        _ => image.to_owned(),
    }
}

fn change(change: &pb::DefinitionChange, paint: &dyn Fn(&str, Tone) -> String) -> Vec<String> {
    let (path, before, after) = (&change.path, &change.before, &change.after);
    match (before.as_str(), after.as_str()) {
        ("", after) => vec![format!("  {} {path}: {after}", paint("+", Tone::Good))],
        (before, "") => vec![format!("  {} {path}: {before}", paint("-", Tone::Bad))],
        (before, after) if before.len() + after.len() <= SHORT => {
            vec![format!(
                "  {} {path}: {before} -> {after}",
                paint("~", Tone::Busy)
            )]
        }
        (before, after) => vec![
            format!("  {} {path}:", paint("~", Tone::Busy)),
            format!("      {before}"),
            format!("      -> {after}"),
        ],
    }
}

/// Two values that fit one line.
const SHORT: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::service::planned;

    fn change(path: &str, before: &str, after: &str) -> pb::DefinitionChange {
        pb::DefinitionChange {
            path: path.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    fn image(container: &str, before: [&str; 2], after: [&str; 2]) -> pb::PlannedImage {
        let [before, before_digest] = before.map(str::to_owned);
        let [after, after_digest] = after.map(str::to_owned);
        pb::PlannedImage {
            container: container.to_owned(),
            before,
            after,
            before_digest,
            after_digest,
        }
    }

    #[test]
    fn an_update_shows_only_what_changes_and_what_comes_with_the_base() {
        let arn = |revision: &str| format!("arn:aws:ecs:eu-west-1:111111111111:task-definition/{revision}");
        let (old, new) = (
            format!("sha256:{:064x}", 10),
            format!("sha256:{}", "ab".repeat(32)),
        );
        let key = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:db";
        let plan = pb::PlanServiceResponse {
            action: "register".to_owned(),
            hash: "4f2a".to_owned(),
            summary: "a new revision of orders, made from orders:42".to_owned(),
            running: arn("orders:41"),
            base: arn("orders:42"),
            base_changes: vec![change("memory", "\"512\"", "\"1024\"")],
            images: vec![
                image("app", ["shop/orders:1.0.0", &old], ["shop/orders:1.1.0", &new]),
                image("log", ["fluent-bit:3", ""], ["fluent-bit:3", ""]),
                image("side", ["side:latest", &old], ["side:latest", &new]),
            ],
            definition_changes: vec![
                change(
                    "containerDefinitions[app].image",
                    "\"shop/orders:1.0.0\"",
                    "\"shop/orders:1.1.0\"",
                ),
                change(
                    "containerDefinitions[app].environment[LEVEL]",
                    "\"info\"",
                    "\"debug\"",
                ),
                change("containerDefinitions[app].environment[OLD]", "\"1\"", ""),
                change("tags[team]", "", "\"shop\""),
                change(
                    "containerDefinitions[app].secrets[DB]",
                    &format!("\"{key}-1\""),
                    &format!("\"{key}-2\""),
                ),
            ],
            findings: vec![pb::PlanFinding {
                severity: "note".to_owned(),
                reason: "slow_target_group".to_owned(),
                message: "targets drain for 300 s".to_owned(),
                hint: String::new(),
            }],
            ..pb::PlanServiceResponse::default()
        };
        assert_eq!(
            planned::text(&plan, false),
            "\
register  a new revision of orders, made from orders:42
runs orders:41

Comes with the base orders:42, which is not what runs (orders:41)
  ~ memory: \"512\" -> \"1024\"

Images
  ~ app: shop/orders:1.0.0 (sha256:000000000000)
      -> shop/orders:1.1.0 (sha256:abababababab)
  ~ side: side:latest (sha256:000000000000)
      -> side:latest (sha256:abababababab)

Changes
  ~ containerDefinitions[app].environment[LEVEL]: \"info\" -> \"debug\"
  - containerDefinitions[app].environment[OLD]: \"1\"
  + tags[team]: \"shop\"
  ~ containerDefinitions[app].secrets[DB]:
      \"arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-1\"
      -> \"arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-2\"

Findings
  note     targets drain for 300 s (slow_target_group)

plan 4f2a"
        );
    }
}
