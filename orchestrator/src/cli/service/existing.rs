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
    if !plan.images.is_empty() {
        section(&mut lines, "Images");
        lines.extend(plan.images.iter().flat_map(image));
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
    let name = &image.container;
    if image.before == image.after && image.before_digest == image.after_digest {
        return vec![format!(
            "  = {name}: {}",
            with_digest(&image.after, &image.after_digest)
        )];
    }
    vec![
        format!("  ~ {name}: {}", with_digest(&image.before, &image.before_digest)),
        format!(
            "    {:width$}  {}",
            "->",
            with_digest(&image.after, &image.after_digest),
            width = name.len() - name.len().min(1)
        ),
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
