//! `FreezeService`: times in which no deployment starts.

use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, freeze_service_server::FreezeService};

use super::{Api, caller::caller, convert, error::status, page, times};
use crate::{
    domain::freeze::{OverrideRole, Season},
    engine::{EngineError, FreezeView, NewFreeze},
};

#[tonic::async_trait]
impl FreezeService for Api {
    async fn create_freeze(
        &self,
        request: Request<pb::CreateFreezeRequest>,
    ) -> Result<Response<pb::CreateFreezeResponse>, Status> {
        let caller = caller(&request)?;
        let new = new_freeze(request.into_inner().freeze.unwrap_or_default())?;
        let freeze = self.engine.create_freeze(&caller, new).await.map_err(status)?;
        Ok(Response::new(pb::CreateFreezeResponse {
            freeze: Some(shown(freeze)),
        }))
    }

    async fn get_freeze(
        &self,
        request: Request<pb::GetFreezeRequest>,
    ) -> Result<Response<pb::GetFreezeResponse>, Status> {
        let name = request.into_inner().name;
        let freeze = self.engine.freeze(&name).await.map_err(status)?;
        Ok(Response::new(pb::GetFreezeResponse {
            freeze: Some(shown(freeze)),
        }))
    }

    async fn list_freezes(
        &self,
        request: Request<pb::ListFreezesRequest>,
    ) -> Result<Response<pb::ListFreezesResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let place = (asked.project.as_str(), asked.environment.as_str());
        let freezes = self.engine.freezes(place, asked.include_past, page).await;
        let paged = freezes.map_err(status)?;
        Ok(Response::new(pb::ListFreezesResponse {
            freezes: paged.items.into_iter().map(shown).collect(),
            next_page_token: paged.next,
        }))
    }

    async fn remove_freeze(
        &self,
        request: Request<pb::RemoveFreezeRequest>,
    ) -> Result<Response<pb::RemoveFreezeResponse>, Status> {
        let caller = caller(&request)?;
        let name = request.into_inner().name;
        let freeze = self.engine.remove_freeze(&caller, &name).await.map_err(status)?;
        Ok(Response::new(pb::RemoveFreezeResponse {
            freeze: Some(shown(freeze)),
        }))
    }

    async fn override_freeze(
        &self,
        request: Request<pb::OverrideFreezeRequest>,
    ) -> Result<Response<pb::OverrideFreezeResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let deployment = self
            .engine
            .override_freeze(&caller, &asked.deployment, &asked.because)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::OverrideFreezeResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }
}

fn new_freeze(asked: pb::Freeze) -> Result<NewFreeze, Status> {
    Ok(NewFreeze {
        from: times::instant("from", asked.from)?,
        until: times::instant("until", asked.until)?,
        override_role: override_role(asked.override_role())?,
        name: asked.name,
        projects: asked.projects,
        environments: asked.environments,
        every: asked.every,
        timezone: asked.timezone,
        because: asked.because,
    })
}

fn override_role(role: pb::OperatorRole) -> Result<Option<OverrideRole>, Status> {
    match role {
        pb::OperatorRole::Unspecified => Ok(None),
        pb::OperatorRole::Deployer => Ok(Some(OverrideRole::Deployer)),
        pb::OperatorRole::Approver => Ok(Some(OverrideRole::Approver)),
        pb::OperatorRole::Admin => Ok(Some(OverrideRole::Admin)),
        pb::OperatorRole::Viewer => {
            let what = "has to be deployer, approver or admin: a viewer changes nothing";
            Err(status(EngineError::invalid("override_role", what)))
        }
    }
}

fn shown(view: FreezeView) -> pb::Freeze {
    let (state, start, end) = match view.season {
        Season::InForce { from, until } => (pb::FreezeState::InForce, Some(from), Some(until)),
        Season::Ahead { from } => (pb::FreezeState::Ahead, Some(from), None),
        Season::Over => (pb::FreezeState::Over, None, None),
    };
    let role = match view.override_role {
        OverrideRole::Deployer => pb::OperatorRole::Deployer,
        OverrideRole::Approver => pb::OperatorRole::Approver,
        OverrideRole::Admin => pb::OperatorRole::Admin,
    };
    pb::Freeze {
        name: view.name,
        projects: view.projects,
        environments: view.environments,
        from: view.from.map(convert::timestamp),
        until: view.until.map(convert::timestamp),
        every: view.every,
        timezone: view.timezone,
        because: view.because,
        override_role: role.into(),
        create_time: Some(convert::timestamp(view.created_at)),
        created_by: view.created_by,
        state: state.into(),
        window_start: start.map(convert::timestamp),
        window_end: end.map(convert::timestamp),
    }
}
