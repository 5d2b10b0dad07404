//! `ReleaseService`: releases, and watching what happens to one.

use futures_util::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, release_service_server::ReleaseService};

use super::{Api, caller::caller, convert, error::status, page};
use crate::engine::{ApprovedPlan, NewRelease, Promotion};

#[tonic::async_trait]
impl ReleaseService for Api {
    async fn create_release(
        &self,
        request: Request<pb::CreateReleaseRequest>,
    ) -> Result<Response<pb::CreateReleaseResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let new = NewRelease {
            project: asked.project,
            version: asked.version,
            channel: asked.channel,
            images: asked.images.into_iter().collect(),
            notes: asked.notes,
        };
        let release = self.engine.create_release(&caller, new).await.map_err(status)?;
        Ok(Response::new(pb::CreateReleaseResponse {
            release: Some(convert::release(release)),
        }))
    }

    async fn get_release(
        &self,
        request: Request<pb::GetReleaseRequest>,
    ) -> Result<Response<pb::GetReleaseResponse>, Status> {
        let asked = request.into_inner();
        let detail = self
            .engine
            .release(&asked.project, &asked.version)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::GetReleaseResponse {
            release: Some(convert::release(detail.release)),
            deployments: detail.deployments.into_iter().map(convert::deployment).collect(),
            waiting_on: detail.waiting_on,
        }))
    }

    async fn list_releases(
        &self,
        request: Request<pb::ListReleasesRequest>,
    ) -> Result<Response<pb::ListReleasesResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let paged = self.engine.releases(&asked.project, page).await.map_err(status)?;
        Ok(Response::new(pb::ListReleasesResponse {
            releases: paged.items.into_iter().map(convert::release).collect(),
            next_page_token: paged.next,
        }))
    }

    async fn promote_release(
        &self,
        request: Request<pb::PromoteReleaseRequest>,
    ) -> Result<Response<pb::PromoteReleaseResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let plan = |plan: pb::ApprovedPlan| ApprovedPlan {
            service: plan.service,
            target: plan.target,
            hash: plan.hash,
        };
        let promotion = Promotion {
            project: asked.project,
            version: asked.version,
            environment: Some(asked.environment).filter(|name| !name.is_empty()),
            force: asked.force,
            plans: asked.plans.into_iter().map(plan).collect(),
        };
        let deployment = self.engine.promote(&caller, &promotion).await.map_err(status)?;
        Ok(Response::new(pb::PromoteReleaseResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }

    async fn plan_release(
        &self,
        request: Request<pb::PlanReleaseRequest>,
    ) -> Result<Response<pb::PlanReleaseResponse>, Status> {
        let asked = request.into_inner();
        let promotion = Promotion {
            project: asked.project,
            version: asked.version,
            environment: Some(asked.environment).filter(|name| !name.is_empty()),
            force: asked.force,
            plans: Vec::new(),
        };
        let plan = self.engine.plan_promotion(&promotion).await.map_err(status)?;
        Ok(Response::new(convert::promotion_plan(plan)))
    }

    type WatchReleaseStream = BoxStream<'static, Result<pb::WatchReleaseResponse, Status>>;

    async fn watch_release(
        &self,
        request: Request<pb::WatchReleaseRequest>,
    ) -> Result<Response<Self::WatchReleaseStream>, Status> {
        let asked = request.into_inner();
        let items = self
            .engine
            .watch_release(&asked.project, &asked.version, asked.after_cursor)
            .await
            .map_err(status)?;
        let responses = items.map_ok(convert::watch_item).map_err(status);
        Ok(Response::new(until(self.stop.clone(), responses)))
    }
}

/// Ends a watch when the server ends: one that outlived it would hold it up.
fn until(
    stop: CancellationToken,
    responses: impl Stream<Item = Result<pb::WatchReleaseResponse, Status>> + Send + 'static,
) -> BoxStream<'static, Result<pb::WatchReleaseResponse, Status>> {
    let stopping = stop.clone();
    let farewell = stream::once(async move {
        stopping
            .is_cancelled()
            .then(|| Err(Status::unavailable("the orchestrator is stopping")))
    });
    responses
        .take_until(stop.cancelled_owned())
        .chain(farewell.filter_map(std::future::ready))
        .boxed()
}
