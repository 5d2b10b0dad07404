//! `EnvironmentService`: what an environment runs, once more and back.

use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, environment_service_server::EnvironmentService};

use super::{Api, caller::caller, convert, error::status};
use crate::engine::{Redeployment, Rollback};

#[tonic::async_trait]
impl EnvironmentService for Api {
    async fn redeploy_environment(
        &self,
        request: Request<pb::RedeployEnvironmentRequest>,
    ) -> Result<Response<pb::RedeployEnvironmentResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let asked = Redeployment {
            project: asked.project,
            environment: asked.environment,
            force: asked.force,
            note: asked.note,
        };
        let deployment = self.engine.redeploy(&caller, &asked).await.map_err(status)?;
        Ok(Response::new(pb::RedeployEnvironmentResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }

    async fn roll_back_environment(
        &self,
        request: Request<pb::RollBackEnvironmentRequest>,
    ) -> Result<Response<pb::RollBackEnvironmentResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let asked = Rollback {
            project: asked.project,
            environment: asked.environment,
            version: asked.version,
            note: asked.note,
        };
        let deployment = self.engine.roll_back(&caller, &asked).await.map_err(status)?;
        Ok(Response::new(pb::RollBackEnvironmentResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }
}
