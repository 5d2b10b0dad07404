//! `AuditService`: the audit log, and whether it is whole.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use jiff::Timestamp;
use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, audit_service_server::AuditService};

use super::{Api, convert, error::status, page};
use crate::{
    domain::audit::Hash,
    engine::{EngineError, Fault},
    store::{AuditFilter, audit::StoredEntry},
};

#[tonic::async_trait]
impl AuditService for Api {
    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let filter = AuditFilter {
            identity: asked.identity,
            rpc: asked.rpc,
            since: since(asked.since)?,
        };
        let paged = self.engine.audit_entries(&filter, page).await.map_err(status)?;
        Ok(Response::new(pb::ListAuditEntriesResponse {
            entries: paged.items.into_iter().map(entry).collect(),
            next_page_token: paged.next,
        }))
    }

    type WatchAuditExportStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchAuditExportResponse, Status>> + Send>>;

    async fn watch_audit_export(
        &self,
        request: Request<pb::WatchAuditExportRequest>,
    ) -> Result<Response<Self::WatchAuditExportStream>, Status> {
        let since = since(request.into_inner().since)?;
        let after = self.engine.audit_export_start(since).await.map_err(status)?;
        let engine = self.engine.clone();
        let parts = stream::unfold(after, move |after| {
            let engine = engine.clone();
            async move {
                match engine.audit_lines(after?).await {
                    Ok((lines, _)) if lines.is_empty() => None,
                    Ok((lines, next)) => Some((Ok(pb::WatchAuditExportResponse { lines }), Some(next))),
                    Err(error) => Some((Err(status(error)), None)),
                }
            }
        });
        Ok(Response::new(parts.boxed()))
    }

    async fn get_audit_verification(
        &self,
        request: Request<pb::GetAuditVerificationRequest>,
    ) -> Result<Response<pb::GetAuditVerificationResponse>, Status> {
        let asked = request.into_inner();
        let known = match (asked.known_number, asked.known_hash.as_str()) {
            (0, "") => None,
            (number, hash) => match Hash::parse(hash) {
                Some(hash) if number > 0 => Some((number, hash)),
                _ => {
                    let fault = Fault::of("known_hash", "has to be SHA-256 in hex, with the entry's number");
                    return Err(status(EngineError::Invalid { faults: vec![fault] }));
                }
            },
        };
        let found = self.engine.verify_audit(known).await.map_err(status)?;
        let (last_number, last_hash) = found.last.unwrap_or((0, Hash::NONE));
        let (broken_number, broken_reason) = found
            .broken
            .map_or((0, String::new()), |broken| (broken.number, broken.reason));
        Ok(Response::new(pb::GetAuditVerificationResponse {
            entries: found.entries,
            last_number,
            last_hash: last_hash.to_string(),
            broken_number,
            broken_reason,
        }))
    }
}

fn since(wire: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, Status> {
    wire.map(|wire| {
        Timestamp::new(wire.seconds, wire.nanos)
            .map_err(|_| status(EngineError::invalid("since", "is no time")))
    })
    .transpose()
}

fn entry(stored: StoredEntry) -> pb::AuditEntry {
    let entry = stored.entry;
    pb::AuditEntry {
        number: entry.number,
        time: Some(convert::timestamp(entry.at)),
        identity: entry.identity,
        rpc: entry.rpc,
        request: entry.request.to_string(),
        outcome: entry.outcome.as_str().to_owned(),
        result: entry.result.to_string(),
        previous: stored.previous.to_string(),
        hash: stored.hash.to_string(),
    }
}
