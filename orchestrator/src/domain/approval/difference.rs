//! What differs between the plan that people approved and the one made since.

use super::{PlanFinding, Planned, ServicePlan};

/// So many lines of each operation are told.
const LINES: usize = 4;
/// A value longer than this is cut: it is for orientation.
const LONGEST: usize = 160;

/// The operations whose plans differ, each with both hashes and the first lines
/// of what differs; then those that are only in one of the plans.
pub fn difference(before: &[ServicePlan], now: &[ServicePlan]) -> Vec<String> {
    let mut told = Vec::new();
    for old in before {
        match now.iter().find(|new| same_operation(old, new)) {
            Some(new) if old.planned.hash == new.planned.hash => {}
            Some(new) => told.push(changed(old, new)),
            None => told.push(format!("{} has no plan any more", name(old))),
        }
    }
    let added = now
        .iter()
        .filter(|new| !before.iter().any(|old| same_operation(old, new)));
    told.extend(added.map(|new| format!("{} has a plan now: {}", name(new), new.planned.summary)));
    told
}

fn same_operation(one: &ServicePlan, other: &ServicePlan) -> bool {
    one.of.service == other.of.service && one.of.target == other.of.target
}

fn name(plan: &ServicePlan) -> String {
    format!("{} on {}", plan.of.service, plan.of.target)
}

fn changed(old: &ServicePlan, new: &ServicePlan) -> String {
    let mut text = format!(
        "{}: plan {} is now {}",
        name(old),
        short(&old.planned.hash),
        short(&new.planned.hash)
    );
    let (before, after) = (lines(&old.planned), lines(&new.planned));
    let gone = before
        .iter()
        .filter(|line| !after.contains(line))
        .map(|line| format!("- {line}"));
    let come = after
        .iter()
        .filter(|line| !before.contains(line))
        .map(|line| format!("+ {line}"));
    let all: Vec<String> = gone.chain(come).collect();
    for line in all.iter().take(LINES) {
        text.push_str("\n  ");
        text.push_str(&cut(line));
    }
    if let Some(more) = all.len().checked_sub(LINES).filter(|more| *more > 0) {
        text.push_str(&format!("\n  and {more} lines more"));
    }
    text
}

/// A plan as lines that can be compared.
fn lines(planned: &Planned) -> Vec<String> {
    let mut lines = vec![planned.summary.clone()];
    if let Some(fargate) = &planned.fargate {
        for change in &fargate.changes {
            let replaced = if change.replacement { ", replaced" } else { "" };
            lines.push(format!("{} {}{replaced}", change.action, change.logical_id));
            lines.extend(
                change
                    .details
                    .iter()
                    .map(|it| format!("{}: {it}", change.logical_id)),
            );
        }
    }
    if let Some(update) = &planned.update {
        let shown = |value: &str| match value {
            "" => "(none)".to_owned(),
            value => value.to_owned(),
        };
        lines.extend(
            update
                .changes
                .iter()
                .map(|it| format!("{}: {} -> {}", it.path, shown(&it.before), shown(&it.after))),
        );
    }
    lines.extend(planned.findings.iter().map(|it: &PlanFinding| it.message.clone()));
    lines
}

fn short(hash: &str) -> &str {
    match hash {
        "" => "(none)",
        hash => hash.get(..12).unwrap_or(hash),
    }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}
