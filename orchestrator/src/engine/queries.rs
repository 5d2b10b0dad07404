//! What is asked. Each query sees the database at one moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::SqliteConnection;

use super::{
    AgentView, CellStatus, DeploymentFilter, DeploymentView, Engine, EngineError, EnvironmentStatus,
    OperatorView, Page, Paged, ProjectDetail, ProjectStatus, ProjectView, ReleaseDetail, ReleaseView,
    commands::{find_deployment, find_release, no_project},
    shown::Waits,
};
use crate::{
    domain::{deployment::Deployment, name::EnvironmentName, plan, project::Environment},
    store::{
        ProjectVersion, StoredOperation,
        deployments::{CellRow, cells, deployments_before, deployments_of, operation},
        drift::drift_of,
        from_micros,
        moved_tags::moved_tags,
        releases::releases_before,
    },
};

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1000;

impl Engine {
    pub async fn project(&self, name: &str) -> Result<ProjectDetail, EngineError> {
        let version = self
            .0
            .store
            .newest_version(name)
            .await?
            .ok_or_else(|| no_project(name))?;
        Ok(ProjectDetail {
            project: ProjectView::of(&version),
            definition: version.definition,
        })
    }

    /// By name.
    pub async fn projects(&self, page: Page) -> Result<Paged<ProjectView>, EngineError> {
        let limit = page.limit();
        let versions = self.0.store.newest_versions(&page.token, limit + 1).await?;
        Ok(paged(
            versions,
            limit,
            |version| version.project.clone(),
            |version| ProjectView::of(&version),
        ))
    }

    /// One release with its deployments and what it waits on.
    pub async fn release(&self, project: &str, version: &str) -> Result<ReleaseDetail, EngineError> {
        let mut view = self.0.store.read().await?;
        let stored = find_release(&mut view, project, version).await?;
        let waits = self.waits(&mut view, project, Some(version)).await?;
        let deployments = deployments_of(&mut view, stored.number).await?;
        let moved = moved_tags(&mut view, stored.number).await?;
        Ok(ReleaseDetail {
            release: ReleaseView::of(&stored.release)
                .with_moved(moved)
                .with_standing(&stored.standing),
            deployments: deployments
                .iter()
                .map(|stored| DeploymentView::of(&stored.deployment, &waits))
                .collect(),
            waiting_on: waits.release(&stored.release.version),
        })
    }

    /// Newest first; those that are archived only when asked for.
    pub async fn releases(
        &self,
        project: &str,
        with_archived: bool,
        page: Page,
    ) -> Result<Paged<ReleaseView>, EngineError> {
        if self.0.store.newest_version(project).await?.is_none() {
            return Err(no_project(project));
        }
        let (limit, before) = (page.limit(), page.before()?);
        let mut view = self.0.store.read().await?;
        let releases = releases_before(&mut view, project, with_archived, before, limit + 1).await?;
        Ok(paged(
            releases,
            limit,
            |stored| stored.number.to_string(),
            |stored| ReleaseView::of(&stored.release).with_standing(&stored.standing),
        ))
    }

    pub async fn deployment(&self, id: &str) -> Result<DeploymentView, EngineError> {
        let mut view = self.0.store.read().await?;
        let stored = find_deployment(&mut view, id).await?;
        let waits = match stored.deployment.state.is_terminal() {
            true => Waits::default(),
            false => {
                self.waits(&mut view, stored.deployment.project.as_str(), None)
                    .await?
            }
        };
        Ok(DeploymentView::of(&stored.deployment, &waits))
    }

    /// Newest first.
    pub async fn deployments(
        &self,
        filter: DeploymentFilter,
        page: Page,
    ) -> Result<Paged<DeploymentView>, EngineError> {
        let (limit, before) = (page.limit(), page.before()?);
        let mut view = self.0.store.read().await?;
        let wanted = (
            filter.project.as_str(),
            filter.release.as_str(),
            filter.environment.as_str(),
        );
        let found = deployments_before(&mut view, wanted, before, limit + 1).await?;
        let active = found
            .iter()
            .filter(|stored| !stored.deployment.state.is_terminal());
        let projects: BTreeSet<String> = active
            .map(|stored| stored.deployment.project.to_string())
            .collect();
        let mut waits = HashMap::with_capacity(projects.len());
        for project in projects {
            let found = self.waits(&mut view, &project, None).await?;
            waits.insert(project, found);
        }
        let nothing = Waits::default();
        Ok(paged(
            found,
            limit,
            |stored| stored.number.to_string(),
            |stored| {
                let waits = waits.get(stored.deployment.project.as_str()).unwrap_or(&nothing);
                DeploymentView::of(&stored.deployment, waits)
            },
        ))
    }

    /// The grid of one project, or of all.
    pub async fn status(&self, project: Option<&str>) -> Result<Vec<ProjectStatus>, EngineError> {
        let versions = match project.filter(|name| !name.is_empty()) {
            Some(name) => vec![
                self.0
                    .store
                    .newest_version(name)
                    .await?
                    .ok_or_else(|| no_project(name))?,
            ],
            None => self.0.store.newest_versions("", LARGEST_PAGE).await?,
        };
        let mut view = self.0.store.read().await?;
        let mut all = Vec::with_capacity(versions.len());
        for version in &versions {
            all.push(self.status_of(&mut view, version).await?);
        }
        Ok(all)
    }

    async fn status_of(
        &self,
        connection: &mut SqliteConnection,
        version: &ProjectVersion,
    ) -> Result<ProjectStatus, EngineError> {
        let known = self.known(connection, &version.project, None).await?;
        let waits = Waits::among(&plan::decide(&known.snapshot, self.now()));
        let rows = cells(connection, &version.project).await?;
        let checks = drift_of(connection, &version.project).await?;
        let mut environments = Vec::new();
        for (name, environment) in &version.parsed.environments {
            let active = known
                .snapshot
                .deployments
                .iter()
                .rev()
                .find(|deployment| deployment.environment == *name && !deployment.state.is_terminal());
            let mut shown = Vec::new();
            for (service, target) in cells_of(version, (name, environment)) {
                let row = rows.iter().find(|row| {
                    row.environment == name.as_str() && row.service == service && row.target == target
                });
                let mut cell = cell(connection, service, target, row).await?;
                if let Some(row) = row {
                    super::drift::show(&mut cell, row, &checks);
                }
                shown.push(cell);
            }
            environments.push(EnvironmentStatus {
                environment: name.to_string(),
                cells: shown,
                active_deployment: active
                    .map(|deployment| deployment.id.to_string())
                    .unwrap_or_default(),
                waiting_on: active
                    .map(|deployment: &Deployment| waits.deployment(deployment))
                    .unwrap_or_default(),
            });
        }
        Ok(ProjectStatus {
            project: version.project.clone(),
            environments,
        })
    }

    /// By name.
    pub async fn agents(&self, page: Page) -> Result<Paged<AgentView>, EngineError> {
        let limit = page.limit();
        let after = self
            .0
            .fleet
            .views()
            .into_iter()
            .filter(|agent| agent.name > page.token);
        let agents = after.take(limit as usize + 1).collect();
        Ok(paged(
            agents,
            limit,
            |agent: &AgentView| agent.name.clone(),
            |agent| agent,
        ))
    }

    /// By name.
    pub async fn operators(&self, page: Page) -> Result<Paged<OperatorView>, EngineError> {
        let limit = page.limit();
        let all = self.0.store.operators().await?;
        let after = all.into_iter().filter(|operator| operator.name > page.token);
        let operators = after.take(limit as usize + 1).collect();
        Ok(paged(
            operators,
            limit,
            |operator: &OperatorView| operator.name.clone(),
            |operator| operator,
        ))
    }

    pub(super) async fn waits(
        &self,
        connection: &mut SqliteConnection,
        project: &str,
        also: Option<&str>,
    ) -> Result<Waits, EngineError> {
        let known = self.known(connection, project, also).await?;
        Ok(Waits::among(&plan::decide(&known.snapshot, self.now())))
    }
}

/// Services and targets of an environment, in the file's order.
pub(super) fn cells_of(
    version: &ProjectVersion,
    (name, environment): (&EnvironmentName, &Environment),
) -> Vec<(String, String)> {
    let services = version.parsed.services.iter();
    services
        .flat_map(|(service, definition)| {
            let targets = environment
                .targets
                .iter()
                .filter(|it| definition.goes_to(name, it));
            targets.map(move |target| (service.to_string(), target.id().to_string()))
        })
        .collect()
}

async fn cell(
    connection: &mut SqliteConnection,
    service: String,
    target: String,
    row: Option<&CellRow>,
) -> Result<CellStatus, EngineError> {
    let mut cell = CellStatus {
        service,
        target,
        release: String::new(),
        verdict: None,
        last_release: String::new(),
        images: BTreeMap::new(),
        observed_at: None,
        reason: String::new(),
        drift: None,
        checked_at: None,
        check_problem: String::new(),
    };
    let Some(row) = row else {
        return Ok(cell);
    };
    cell.last_release = row.last_release.clone();
    cell.release = row.good_release.clone().unwrap_or_default();
    cell.observed_at = Some(from_micros(row.observed_at)?);
    if let Some(last) = find(connection, &row.last_operation).await? {
        let truth = last.operation.late_truth.as_ref();
        cell.verdict = truth
            .map(|truth| truth.verdict)
            .or(last.operation.state.verdict());
        if let crate::domain::deployment::OperationState::Ended { outcome, .. } = &last.operation.state {
            cell.reason = truth.unwrap_or(outcome).reason.clone();
        }
    }
    if let Some(good) = &row.good_operation
        && let Some(good) = find(connection, good).await?
    {
        let images = good.planned.payload.images().into_iter();
        cell.images = images
            .map(|(container, image)| (container.to_string(), image))
            .collect();
    }
    Ok(cell)
}

async fn find(connection: &mut SqliteConnection, id: &str) -> Result<Option<StoredOperation>, EngineError> {
    match id.parse() {
        Ok(id) => Ok(operation(connection, id).await?),
        Err(_) => Ok(None),
    }
}

impl Page {
    pub(super) fn limit(&self) -> u32 {
        match self.size {
            0 => DEFAULT_PAGE,
            size => size.min(LARGEST_PAGE),
        }
    }

    pub(super) fn before(&self) -> Result<i64, EngineError> {
        match self.token.as_str() {
            "" => Ok(i64::MAX),
            token => token
                .parse()
                .map_err(|_| EngineError::invalid("page_token", "is not one that a list answered")),
        }
    }
}

/// One item more than `limit` was asked for: when it came, there is a next page.
pub(super) fn paged<R, T>(
    mut found: Vec<R>,
    limit: u32,
    token: impl Fn(&R) -> String,
    view: impl FnMut(R) -> T,
) -> Paged<T> {
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = match found.last() {
        Some(last) if more => token(last),
        _ => String::new(),
    };
    Paged {
        items: found.into_iter().map(view).collect(),
        next,
    }
}
