//! The course that a deployment took, in words: what each of its operations is
//! there for, what people decided, what was done about a failure.

use towline_proto::orchestrator::v1::{self as pb, DeploymentOrigin, InterventionChoice, OperationKind};

/// "web", "migrate (task)", "web (back)", "web (2nd try)".
pub fn name(operation: &pb::Operation) -> String {
    let kind = match operation.kind() {
        OperationKind::Unspecified | OperationKind::Service => "",
        OperationKind::Task => " (task)",
        OperationKind::RollBack => " (back)",
    };
    let attempt = match operation.attempt {
        0 | 1 => String::new(),
        2 => " (2nd try)".to_owned(),
        3 => " (3rd try)".to_owned(),
        more => format!(" ({more}th try)"),
    };
    format!("{}{kind}{attempt}", operation.service)
}

/// Its state with what was done about a failure.
pub fn state(state: &str, deployment: &pb::Deployment) -> String {
    match deployment.aftermath.as_str() {
        "" => state.to_owned(),
        aftermath => format!("{state}, {aftermath}"),
    }
}

/// Who made it, and why.
pub fn made(deployment: &pb::Deployment) -> String {
    let origin = match deployment.origin() {
        DeploymentOrigin::Unspecified | DeploymentOrigin::Promotion => String::new(),
        DeploymentOrigin::Redeployment => ", once more".to_owned(),
        DeploymentOrigin::Rollback => format!(", back from {}", deployment.rolled_back_from),
    };
    let forced = if deployment.force { ", forced" } else { "" };
    format!("{}{origin}{forced}", deployment.created_by)
}

/// What people decided, a line each.
pub fn decisions(deployment: &pb::Deployment) -> Vec<String> {
    let line = |it: &pb::Intervention| {
        let mut operations = deployment.operations.iter();
        let about = operations.find(|operation| operation.id == it.operation);
        let about = about.map_or_else(
            || deployment.environment.clone(),
            |operation| format!("{}@{}", operation.service, operation.target),
        );
        let decided = match it.choice() {
            InterventionChoice::Unspecified => "decided about",
            InterventionChoice::Retry => "tried again",
            InterventionChoice::Ignore => "ignored",
            InterventionChoice::Abort => "aborted",
        };
        match it.note.as_str() {
            "" => format!("{about} {decided} by {}", it.operator),
            note => format!("{about} {decided} by {}: {note}", it.operator),
        }
    };
    deployment.interventions.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(service: &str, kind: OperationKind, attempt: u32) -> pb::Operation {
        pb::Operation {
            id: format!("{service}-{attempt}"),
            service: service.to_owned(),
            target: "1/eu/main".to_owned(),
            kind: kind.into(),
            attempt,
            ..pb::Operation::default()
        }
    }

    #[test]
    fn each_operation_says_what_it_is_there_for() {
        let table = [
            (operation("web", OperationKind::Service, 1), "web"),
            (operation("web", OperationKind::Unspecified, 0), "web"),
            (
                operation("migrate", OperationKind::Task, 2),
                "migrate (task) (2nd try)",
            ),
            (operation("web", OperationKind::RollBack, 1), "web (back)"),
        ];
        for (operation, told) in table {
            assert_eq!(name(&operation), told);
        }
    }

    #[test]
    fn who_decided_what_and_why() {
        let deployment = pb::Deployment {
            environment: "prod".to_owned(),
            created_by: "dan".to_owned(),
            origin: DeploymentOrigin::Rollback.into(),
            rolled_back_from: "1.1.0".to_owned(),
            aftermath: "aborted by ann; rolled back".to_owned(),
            operations: vec![operation("web", OperationKind::Service, 1)],
            interventions: vec![
                pb::Intervention {
                    choice: InterventionChoice::Retry.into(),
                    operation: "web-1".to_owned(),
                    operator: "ann".to_owned(),
                    ..pb::Intervention::default()
                },
                pb::Intervention {
                    choice: InterventionChoice::Abort.into(),
                    operator: "ann".to_owned(),
                    note: "fixed in 1.2".to_owned(),
                    ..pb::Intervention::default()
                },
            ],
            ..pb::Deployment::default()
        };
        assert_eq!(made(&deployment), "dan, back from 1.1.0");
        assert_eq!(
            state("failed", &deployment),
            "failed, aborted by ann; rolled back"
        );
        assert_eq!(
            decisions(&deployment),
            [
                "web@1/eu/main tried again by ann",
                "prod aborted by ann: fixed in 1.2"
            ]
        );
    }
}
