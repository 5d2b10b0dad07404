//! `BackupService`: a copy of the database, streamed to an admin.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{
    self as pb, backup_service_server::BackupService, create_backup_response::Part,
};

use super::{Api, convert, error::status};
use crate::engine::Backup;

/// Bytes of one message.
const CHUNK: usize = 256 << 10;

#[tonic::async_trait]
impl BackupService for Api {
    type CreateBackupStream = Pin<Box<dyn Stream<Item = Result<pb::CreateBackupResponse, Status>> + Send>>;

    async fn create_backup(
        &self,
        _: Request<pb::CreateBackupRequest>,
    ) -> Result<Response<Self::CreateBackupStream>, Status> {
        let backup = self.engine.backup().await.map_err(status)?;
        let description = Part::Description(pb::BackupDescription {
            create_time: backup.facts.made_at.map(convert::timestamp),
            schema_version: backup.facts.schema,
            epoch: backup.facts.epoch,
            size_bytes: i64::try_from(backup.facts.bytes).unwrap_or(i64::MAX),
            audit_number: backup.facts.audit.0,
            audit_hash: backup.facts.audit.1.to_string(),
        });
        let parts = stream::iter([Ok(part(description))]).chain(bytes_of(backup));
        Ok(Response::new(parts.boxed()))
    }
}

fn part(part: Part) -> pb::CreateBackupResponse {
    pb::CreateBackupResponse { part: Some(part) }
}

/// The bytes, then their hash.
fn bytes_of(backup: Backup) -> impl Stream<Item = Result<pb::CreateBackupResponse, Status>> {
    stream::unfold(Some((backup.file, Sha256::new())), |reading| async {
        let (mut file, mut hash) = reading?;
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk).await {
            Ok(0) => {
                let sha256 = Bytes::from(hash.finalize().to_vec());
                let end = pb::BackupEnd {
                    sha256: sha256.into(),
                };
                Some((Ok(part(Part::End(end))), None))
            }
            Ok(read) => {
                chunk.truncate(read);
                hash.update(&chunk);
                Some((Ok(part(Part::Chunk(chunk))), Some((file, hash))))
            }
            Err(error) => {
                let broken = Status::internal(format!("the copy of the database cannot be read: {error}"));
                Some((Err(broken), None))
            }
        }
    })
}
