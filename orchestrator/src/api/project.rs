//! `ProjectService`: project files and the grid.

use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, project_service_server::ProjectService};

use super::{Api, caller::caller, convert, error::status, page};
use crate::engine::ServiceQuestion;

#[tonic::async_trait]
impl ProjectService for Api {
    async fn apply_project(
        &self,
        request: Request<pb::ApplyProjectRequest>,
    ) -> Result<Response<pb::ApplyProjectResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let file = match asked.file_name.as_str() {
            "" => "towline.yaml",
            name => name,
        };
        let applied = self
            .engine
            .apply(&caller, &asked.definition, file, asked.dry_run)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::ApplyProjectResponse {
            project: Some(convert::project(applied.project)),
            changed: applied.changed,
        }))
    }

    async fn get_project(
        &self,
        request: Request<pb::GetProjectRequest>,
    ) -> Result<Response<pb::GetProjectResponse>, Status> {
        let detail = self
            .engine
            .project(&request.into_inner().project)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::GetProjectResponse {
            project: Some(convert::project(detail.project)),
            definition: detail.definition,
        }))
    }

    async fn list_projects(
        &self,
        request: Request<pb::ListProjectsRequest>,
    ) -> Result<Response<pb::ListProjectsResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let paged = self.engine.projects(page).await.map_err(status)?;
        Ok(Response::new(pb::ListProjectsResponse {
            projects: paged.items.into_iter().map(convert::project).collect(),
            next_page_token: paged.next,
        }))
    }

    async fn get_service_template(
        &self,
        request: Request<pb::GetServiceTemplateRequest>,
    ) -> Result<Response<pb::GetServiceTemplateResponse>, Status> {
        let asked = request.into_inner();
        let question = ServiceQuestion {
            project: asked.project,
            service: asked.service,
            environment: asked.environment,
            target: asked.target,
            images: asked.images.into_iter().collect(),
            release: asked.release,
            force: false,
        };
        let template = self.engine.service_template(&question).await.map_err(status)?;
        Ok(Response::new(pb::GetServiceTemplateResponse {
            stack_name: template.stack_name,
            template: template.template,
            parameters: template.parameters.into_iter().collect(),
        }))
    }

    async fn plan_service(
        &self,
        request: Request<pb::PlanServiceRequest>,
    ) -> Result<Response<pb::PlanServiceResponse>, Status> {
        let asked = request.into_inner();
        let question = ServiceQuestion {
            project: asked.project,
            service: asked.service,
            environment: asked.environment,
            target: asked.target,
            images: asked.images.into_iter().collect(),
            release: asked.release,
            force: asked.force,
        };
        let plan = self.engine.plan_service(&question).await.map_err(status)?;
        Ok(Response::new(convert::service_plan(plan)))
    }

    async fn import_project(
        &self,
        request: Request<pb::ImportProjectRequest>,
    ) -> Result<Response<pb::ImportProjectResponse>, Status> {
        let question = convert::import_question(request.into_inner());
        let imported = self.engine.import_project(&question).await.map_err(status)?;
        Ok(Response::new(convert::imported(imported)))
    }

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let asked = request.into_inner();
        let project = Some(asked.project.as_str()).filter(|name| !name.is_empty());
        let projects = self.engine.status(project).await.map_err(status)?;
        Ok(Response::new(pb::GetStatusResponse {
            projects: projects.into_iter().map(convert::project_status).collect(),
        }))
    }
}
