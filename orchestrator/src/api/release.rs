//! `ReleaseService`: releases, and watching what happens to one.

use futures_util::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, release_service_server::ReleaseService};

use super::{Api, caller::caller, convert, error::status, page, preview as convert_preview, times};
use crate::engine::{ApprovedPlan, Expiry, NewRelease, Promotion};

#[tonic::async_trait]
impl ReleaseService for Api {
    async fn create_release(
        &self,
        request: Request<pb::CreateReleaseRequest>,
    ) -> Result<Response<pb::CreateReleaseResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let new = new_release(asked);
        let created = self.engine.create_release(&caller, new).await.map_err(status)?;
        Ok(Response::new(pb::CreateReleaseResponse {
            release: Some(convert::release(created.release)),
            existed: created.existed,
        }))
    }

    async fn preview_release(
        &self,
        request: Request<pb::PreviewReleaseRequest>,
    ) -> Result<Response<pb::PreviewReleaseResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner().release.unwrap_or_default();
        let new = new_release(asked);
        let preview = self.engine.preview_release(&caller, new).await.map_err(status)?;
        Ok(Response::new(convert_preview::preview(preview)))
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
        let paged = self
            .engine
            .releases(&asked.project, asked.include_archived, page)
            .await
            .map_err(status)?;
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
            not_before: times::instant("not_before", asked.not_before)?,
            expires: asked.expiry.map(expiry).transpose()?.flatten(),
            override_freeze: asked.override_freeze,
        };
        let deployment = self.engine.promote(&caller, &promotion).await.map_err(status)?;
        Ok(Response::new(pb::PromoteReleaseResponse {
            deployment: Some(convert::deployment(deployment)),
        }))
    }

    async fn block_release(
        &self,
        request: Request<pb::BlockReleaseRequest>,
    ) -> Result<Response<pb::BlockReleaseResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let blocked = self
            .engine
            .block_release(&caller, &asked.project, &asked.version, &asked.because)
            .await;
        Ok(Response::new(pb::BlockReleaseResponse {
            release: Some(convert::release(blocked.map_err(status)?)),
        }))
    }

    async fn unblock_release(
        &self,
        request: Request<pb::UnblockReleaseRequest>,
    ) -> Result<Response<pb::UnblockReleaseResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let released = self
            .engine
            .unblock_release(&caller, &asked.project, &asked.version, &asked.because)
            .await;
        Ok(Response::new(pb::UnblockReleaseResponse {
            release: Some(convert::release(released.map_err(status)?)),
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
            ..Promotion::default()
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

fn new_release(asked: pb::CreateReleaseRequest) -> NewRelease {
    NewRelease {
        project: asked.project,
        version: asked.version,
        channel: asked.channel,
        images: asked.images.into_iter().collect(),
        newest: asked.newest_images,
        all_newest: asked.all_newest,
        notes: asked.notes,
        build_url: asked.build_url,
        commit: asked.commit,
    }
}

fn expiry(sent: pb::promote_release_request::Expiry) -> Result<Option<Expiry>, Status> {
    use pb::promote_release_request::Expiry as Sent;
    match sent {
        Sent::ExpireTime(at) => Ok(times::instant("expire_time", Some(at))?.map(Expiry::At)),
        Sent::ExpireAfter(span) => Ok(Some(Expiry::After(times::span("expire_after", span)?))),
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
