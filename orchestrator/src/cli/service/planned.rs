//! A plan for a person: what happens, what changes and whether it is replaced,
//! and what was found, gravest first.

use towline_proto::orchestrator::v1 as pb;

use super::existing;
use crate::cli::show::{Tone, paint};

/// The plan's text, without a line break at its end.
pub fn text(plan: &pb::PlanServiceResponse, color: bool) -> String {
    let paint = |text: &str, tone| match color {
        true => self::paint(text, tone),
        false => text.to_owned(),
    };
    let mut lines = vec![format!(
        "{}  {}",
        paint(&plan.action, tone_of_action(&plan.action)),
        plan.summary
    )];
    if !plan.stack_name.is_empty() {
        lines.push(format!("stack {}", plan.stack_name));
    }
    if plan.drifted {
        lines.push(paint(
            "the service runs something else than its stack says",
            Tone::Busy,
        ));
    }
    lines.extend(existing::lines(plan, &paint));
    if !plan.changes.is_empty() {
        lines.push(String::new());
        lines.push("Changes".to_owned());
        for change in &plan.changes {
            lines.extend(change_lines(change, &paint));
        }
    }
    if !plan.findings.is_empty() {
        lines.push(String::new());
        lines.push("Findings".to_owned());
        for finding in &plan.findings {
            let word = paint(&format!("{:<8}", finding.severity), tone_of(&finding.severity));
            lines.push(format!("  {word} {} ({})", finding.message, finding.reason));
            if !finding.hint.is_empty() {
                lines.push(format!("           hint: {}", finding.hint));
            }
        }
    }
    if !plan.hash.is_empty() {
        lines.push(String::new());
        lines.push(format!("plan {}", plan.hash));
    }
    lines.join("\n")
}

fn change_lines(change: &pb::ServiceChange, paint: &dyn Fn(&str, Tone) -> String) -> Vec<String> {
    let (sign, tone) = match change.action.as_str() {
        _ if change.replacement => ("!", Tone::Bad),
        "Add" => ("+", Tone::Good),
        "Remove" => ("-", Tone::Bad),
        _ => ("~", Tone::Busy),
    };
    let mut head = format!(
        "  {} {} ({})",
        paint(sign, tone),
        change.logical_id,
        change.r#type
    );
    if change.replacement {
        head.push_str(&format!(": {}", paint("REPLACED", Tone::Bad)));
    }
    if !change.properties.is_empty() {
        head.push_str(&format!(": {}", change.properties.join(", ")));
    }
    let details = change.details.iter().map(|detail| format!("      {detail}"));
    std::iter::once(head).chain(details).collect()
}

fn tone_of_action(action: &str) -> Tone {
    match action {
        "unchanged" => Tone::Good,
        "refused" => Tone::Bad,
        _ => Tone::Busy,
    }
}

fn tone_of(severity: &str) -> Tone {
    match severity {
        "error" => Tone::Bad,
        "warning" | "unknown" => Tone::Busy,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_and_a_finding_are_seen_at_a_glance() {
        let plan = pb::PlanServiceResponse {
            action: "update".to_owned(),
            hash: "4f2a".to_owned(),
            summary: "a new revision of web, and one resource is replaced".to_owned(),
            stack_name: "towline-main-web".to_owned(),
            changes: vec![
                pb::ServiceChange {
                    action: "Modify".to_owned(),
                    logical_id: "TaskDefinition".to_owned(),
                    r#type: "AWS::ECS::TaskDefinition".to_owned(),
                    properties: vec!["ContainerDefinitions".to_owned()],
                    details: vec!["image of container web: web:1 -> web:2".to_owned()],
                    ..pb::ServiceChange::default()
                },
                pb::ServiceChange {
                    action: "Modify".to_owned(),
                    logical_id: "TargetGroup".to_owned(),
                    r#type: "AWS::ElasticLoadBalancingV2::TargetGroup".to_owned(),
                    properties: vec!["Port".to_owned()],
                    replacement: true,
                    ..pb::ServiceChange::default()
                },
            ],
            findings: vec![pb::PlanFinding {
                severity: "warning".to_owned(),
                reason: "slow_target_group".to_owned(),
                message: "targets drain for 300 s".to_owned(),
                hint: "deregistration_delay.timeout_seconds of 30 is enough".to_owned(),
            }],
            drifted: false,
            ..pb::PlanServiceResponse::default()
        };
        assert_eq!(
            text(&plan, false),
            "\
update  a new revision of web, and one resource is replaced
stack towline-main-web

Changes
  ~ TaskDefinition (AWS::ECS::TaskDefinition): ContainerDefinitions
      image of container web: web:1 -> web:2
  ! TargetGroup (AWS::ElasticLoadBalancingV2::TargetGroup): REPLACED: Port

Findings
  warning  targets drain for 300 s (slow_target_group)
           hint: deregistration_delay.timeout_seconds of 30 is enough

plan 4f2a"
        );
    }
}
