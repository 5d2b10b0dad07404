//! `DeploymentService`: what runs, approvals and cancels.

use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, deployment_service_server::DeploymentService};

use super::{Api, caller::caller, convert, error::status, page};
use crate::engine::DeploymentFilter;

#[tonic::async_trait]
impl DeploymentService for Api {
    async fn get_deployment(
        &self,
        request: Request<pb::GetDeploymentRequest>,
    ) -> Result<Response<pb::GetDeploymentResponse>, Status> {
        let deployment = self
            .engine
            .deployment(&request.into_inner().id)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::GetDeploymentResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }

    async fn list_deployments(
        &self,
        request: Request<pb::ListDeploymentsRequest>,
    ) -> Result<Response<pb::ListDeploymentsResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let filter = DeploymentFilter {
            project: asked.project,
            release: asked.release,
            environment: asked.environment,
        };
        let paged = self.engine.deployments(filter, page).await.map_err(status)?;
        Ok(Response::new(pb::ListDeploymentsResponse {
            deployments: paged.items.into_iter().map(convert::deployment).collect(),
            next_page_token: paged.next,
        }))
    }

    async fn approve_deployment(
        &self,
        request: Request<pb::ApproveDeploymentRequest>,
    ) -> Result<Response<pb::ApproveDeploymentResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let deployment = self
            .engine
            .approve(&caller, &asked.id, &asked.note)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::ApproveDeploymentResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }

    async fn cancel_deployment(
        &self,
        request: Request<pb::CancelDeploymentRequest>,
    ) -> Result<Response<pb::CancelDeploymentResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let deployment = self
            .engine
            .cancel(&caller, &asked.id, asked.detach, &asked.note)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::CancelDeploymentResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }
}
