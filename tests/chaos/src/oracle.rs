//! What must hold, judged by two logs that do not know of each other: every
//! arrival at AWS, and the orchestrator's events. Each check has a name.

mod checks;
mod read;

use std::collections::BTreeMap;

use aws_sim::server::{Disposition, Kind};

use crate::{
    record::{FaultKind, Violation},
    run::hash,
    world::World,
};

pub use read::{Evidence, Line, OperationRow};

/// Reads the logs, runs every check, and writes the report to its end.
pub fn judge(world: &World) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let evidence = runtime.block_on(read::read(world));
    let evidence = match evidence {
        Ok(evidence) => evidence,
        Err(error) => {
            let words = format!("{error:#}");
            world.report().violations.push(Violation {
                check: "readable".to_owned(),
                words,
            });
            return;
        }
    };
    count_faults(world, &evidence);
    for (check, judge) in checks::ALL.iter().copied() {
        for words in judge(world, &evidence) {
            let check = check.to_owned();
            world.report().violations.push(Violation { check, words });
        }
    }
    tell(world, &evidence);
}

fn count_faults(world: &World, evidence: &Evidence) {
    for effect in &evidence.effects {
        let throttled = effect
            .code
            .as_deref()
            .is_some_and(|code| code.starts_with("Throttling"));
        if throttled {
            world.count(FaultKind::Throttling);
        }
        let lost = !effect.answered && effect.disposition == Disposition::Applied;
        if lost {
            world.count(FaultKind::LostAnswer);
        }
    }
}

/// The trace's end, and what stands for the way that was taken.
fn tell(world: &World, evidence: &Evidence) {
    let label = |operation: &str| evidence.label(operation);
    let mut decisions = Vec::new();
    let mut lines = Vec::new();
    for line in &evidence.lines {
        // How often an agent says how far it is depends on nothing that is decided.
        if line.kind != "operation_progress" {
            let of = line.operation.as_deref().map(label).unwrap_or_default();
            let state = line.state.as_deref().unwrap_or_default();
            let verdict = line.verdict.as_deref().unwrap_or_default();
            decisions.push(format!(
                "{} {} {of} {state}{verdict}",
                line.kind,
                evidence.environment(line.deployment.as_deref())
            ));
        }
        lines.push(format!("{} {} {}", line.at, line.kind, line.message));
    }
    let mut writes = 0;
    for effect in &evidence.effects {
        let of = effect.operation.as_deref().map(label).unwrap_or_default();
        if effect.kind == Kind::Write {
            writes += 1;
            decisions.push(format!("{} {of} {:?}", effect.action, effect.disposition));
        }
        lines.push(format!(
            "{} aws {} {} {} {of} {:?} {:?}",
            effect.sim_at, effect.account, effect.action, effect.subject, effect.disposition, effect.code
        ));
    }
    let mut report = world.report();
    report.decisions = hash(&decisions);
    report.deployments = evidence.deployments.len();
    report.operations = evidence.operations.len();
    report.writes = writes;
    report.trace.extend(lines);
    let faults: BTreeMap<_, _> = report.faults.clone();
    report.trace.push(format!("faults {faults:?}"));
}
