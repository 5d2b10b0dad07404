//! `DeploymentService`: what runs, approvals and cancels.

use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, deployment_service_server::DeploymentService};

use super::{Api, caller::caller, convert, course, error::status, page};
use crate::engine::{DeploymentFilter, EngineError, Intervention};

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
            .approve(&caller, &asked.id, &asked.note, &asked.plan_hash)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::ApproveDeploymentResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }

    async fn get_deployment_plan(
        &self,
        request: Request<pb::GetDeploymentPlanRequest>,
    ) -> Result<Response<pb::GetDeploymentPlanResponse>, Status> {
        let plan = self
            .engine
            .deployment_plan(&request.into_inner().id)
            .await
            .map_err(status)?;
        Ok(Response::new(convert::deployment_plan(plan)))
    }

    async fn reject_deployment(
        &self,
        request: Request<pb::RejectDeploymentRequest>,
    ) -> Result<Response<pb::RejectDeploymentResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let deployment = self
            .engine
            .reject(&caller, &asked.id, &asked.note)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::RejectDeploymentResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }

    async fn intervene_deployment(
        &self,
        request: Request<pb::InterveneDeploymentRequest>,
    ) -> Result<Response<pb::InterveneDeploymentResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let decision = course::decision(asked.choice());
        let decision =
            decision.ok_or_else(|| status(EngineError::invalid("choice", "retry, ignore or abort")))?;
        let asked = Intervention {
            deployment: asked.id,
            decision,
            service: asked.service,
            target: asked.target,
            note: asked.note,
        };
        let deployment = self.engine.intervene(&caller, &asked).await.map_err(status)?;
        Ok(Response::new(pb::InterveneDeploymentResponse {
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
