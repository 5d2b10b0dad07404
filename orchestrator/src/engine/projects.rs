//! Applying a project file.

use super::{Applied, Caller, Engine, EngineError, Fault, ProjectView};
use crate::{
    domain::project::{self, Project, Severity},
    store::{AuditedCall, CommitPoint, ProjectVersion, Taken},
};

impl Engine {
    /// Checks a project file as a whole and stores it as the next version. The
    /// same text again stores nothing.
    pub async fn apply(
        &self,
        caller: &Caller,
        text: &str,
        file: &str,
        dry_run: bool,
    ) -> Result<Applied, EngineError> {
        let project = check(text, file)?;
        let claims = project::claims(&project);
        let name = project.name.to_string();
        if dry_run {
            refuse_taken(&self.0.store.taken(&name, &claims).await?)?;
            let newest = self.0.store.newest_version(&name).await?;
            let changed = newest.is_none_or(|newest| newest.definition != text);
            let version = self.version_of(caller, project, text, 0);
            return Ok(Applied {
                project: ProjectView::of(&version),
                changed,
            });
        }
        let mut tx = self.0.store.begin().await?;
        let newest = tx.newest_version(&name).await?;
        if let Some(same) = newest.as_ref().filter(|newest| newest.definition == text) {
            return Ok(Applied {
                project: ProjectView::of(same),
                changed: false,
            });
        }
        let version = newest.map_or(1, |newest| newest.version + 1);
        let version = self.version_of(caller, project, text, version);
        tx.put_version(&version).await?;
        AuditedCall::tell("version", version.version);
        refuse_taken(&tx.claim(&name, &claims).await?)?;
        self.sort_out_releases(&mut tx, &name, true).await?;
        self.0.store.commit(tx, CommitPoint::ProjectApplied).await?;
        Ok(Applied {
            project: ProjectView::of(&version),
            changed: true,
        })
    }

    fn version_of(&self, caller: &Caller, parsed: Project, text: &str, version: i64) -> ProjectVersion {
        ProjectVersion {
            project: parsed.name.to_string(),
            version,
            definition: text.to_owned(),
            parsed,
            applied_at: self.now(),
            applied_by: caller.operator.to_string(),
        }
    }
}

fn check(text: &str, file: &str) -> Result<Project, EngineError> {
    let faults = match project::parse(text, file) {
        Ok(project) => return Ok(project),
        Err(faults) => faults,
    };
    let faults = faults
        .into_iter()
        .filter(|fault| fault.severity == Severity::Error)
        .map(|fault| Fault {
            place: format!("{}:{}:{}", fault.file, fault.line, fault.column),
            message: fault.message,
            hint: fault.hint,
        });
    Err(EngineError::Invalid {
        faults: faults.collect(),
    })
}

fn refuse_taken(taken: &[Taken]) -> Result<(), EngineError> {
    if taken.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = taken
        .iter()
        .map(|Taken { claim, by }| {
            format!(
                "service {} in cluster {} ({}, account {}) belongs to project {by}",
                claim.ecs_service, claim.cluster, claim.region, claim.account
            )
        })
        .collect();
    Err(EngineError::Conflict {
        reason: "service_claimed",
        message: format!("one ECS service belongs to one project: {}", each.join("; ")),
        hint: "take the service out of one of the two project files; nothing was stored".to_owned(),
    })
}
