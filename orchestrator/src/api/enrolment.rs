//! `EnrolmentService`: a join token and a certificate request for a
//! certificate. Served on enrolment connections only, where the caller has no
//! certificate and the token is the credential.

use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, enrolment_service_server::EnrolmentService};

use super::{convert, error::status};
use crate::engine::Engine;

/// The one service of an enrolment connection.
pub struct Enrolment {
    pub engine: Engine,
}

#[tonic::async_trait]
impl EnrolmentService for Enrolment {
    async fn enrol(&self, request: Request<pb::EnrolRequest>) -> Result<Response<pb::EnrolResponse>, Status> {
        let asked = request.into_inner();
        let enrolled = self
            .engine
            .enrol(&asked.secret, &asked.certificate_request, &asked.listen_names)
            .await
            .map_err(status)?;
        let mode = enrolled
            .mode
            .map_or(pb::AgentMode::Unspecified, convert::agent_mode);
        Ok(Response::new(pb::EnrolResponse {
            certificate_chain: enrolled.certificate_chain,
            ca_certificate: enrolled.ca_certificate,
            name: enrolled.name,
            mode: mode.into(),
        }))
    }
}
