//! The orchestrator's gRPC API: one file per service, each a thin layer over
//! [`Engine`] that turns messages into arguments and answers into messages.
//! Start with [`server`], then `caller` (who may call what) and `error` (how a
//! refusal looks on the wire).
//!
//! What always holds: no handler runs before the caller's certificate and role
//! were checked against the table in `towline_proto::access`, and nothing is
//! decided here that is not decided by the engine.

mod audit;
mod audited;
mod backup;
mod caller;
mod convert;
mod course;
mod deployment;
mod drift;
mod enrolment;
mod environment;
mod error;
mod fleet;
mod freeze;
pub mod json;
mod notification;
mod preview;
mod project;
mod release;
mod times;
mod variable;

use tokio_util::sync::CancellationToken;
use tonic::{Status, service::Routes};
use towline_link::{
    access::{AccessLayer, Decide},
    counters::Counters,
    identity::Identity,
};
use towline_proto::orchestrator::v1::{
    audit_service_server::AuditServiceServer, backup_service_server::BackupServiceServer,
    deployment_service_server::DeploymentServiceServer, enrolment_service_server::EnrolmentServiceServer,
    environment_service_server::EnvironmentServiceServer, fleet_service_server::FleetServiceServer,
    freeze_service_server::FreezeServiceServer, notification_service_server::NotificationServiceServer,
    project_service_server::ProjectServiceServer, release_service_server::ReleaseServiceServer,
    variable_service_server::VariableServiceServer,
};

use crate::engine::{Engine, EngineError, Page};

pub use audited::AuditLayer;
pub use convert::timestamp;
pub use error::{HINT_LINE, status};

/// The most that a page of any list holds.
const LARGEST_PAGE: i32 = 1000;

/// Implements the services for operators.
#[derive(Clone)]
struct Api {
    engine: Engine,
    /// Ends the watches when the server ends.
    stop: CancellationToken,
}

/// The routes of API connections: the four services, reflection v1 and v1alpha,
/// and health. They belong behind [`access`].
pub async fn routes(
    engine: Engine,
    stop: CancellationToken,
) -> Result<Routes, tonic_reflection::server::Error> {
    let api = Api { engine, stop };
    let (reporter, health) = tonic_health::server::health_reporter();
    for name in SERVICES {
        reporter
            .set_service_status(name, tonic_health::ServingStatus::Serving)
            .await;
    }
    Ok(Routes::new(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(AuditServiceServer::new(api.clone()))
        .add_service(BackupServiceServer::new(api.clone()))
        .add_service(NotificationServiceServer::new(api.clone()))
        .add_service(FreezeServiceServer::new(api.clone()))
        .add_service(ProjectServiceServer::new(api.clone()))
        .add_service(ReleaseServiceServer::new(api.clone()))
        .add_service(VariableServiceServer::new(api.clone()))
        .add_service(DeploymentServiceServer::new(api.clone()))
        .add_service(EnvironmentServiceServer::new(api.clone()))
        .add_service(FleetServiceServer::new(api)))
}

/// The routes of enrolment connections.
pub fn enrolment_routes(engine: Engine) -> Routes {
    Routes::new(EnrolmentServiceServer::new(enrolment::Enrolment { engine }))
}

/// The door before [`routes`]: who may call what.
pub fn access(engine: Engine, counters: Counters) -> AccessLayer<ByRole> {
    AccessLayer::new(ByRole(engine), counters)
}

/// Decides by the role that the engine knows for the caller.
#[derive(Clone)]
pub struct ByRole(Engine);

impl Decide for ByRole {
    async fn decide(&self, path: &str, identity: &Identity) -> Result<(), Status> {
        caller::decide(&self.0, path, identity).await
    }
}

const SERVICES: [&str; 10] = [
    "towline.orchestrator.v1.BackupService",
    "towline.orchestrator.v1.NotificationService",
    "towline.orchestrator.v1.AuditService",
    "towline.orchestrator.v1.ProjectService",
    "towline.orchestrator.v1.ReleaseService",
    "towline.orchestrator.v1.VariableService",
    "towline.orchestrator.v1.DeploymentService",
    "towline.orchestrator.v1.EnvironmentService",
    "towline.orchestrator.v1.FleetService",
    "towline.orchestrator.v1.FreezeService",
];

fn reflection() -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(towline_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health");
    SERVICES
        .into_iter()
        .fold(builder, |builder, name| builder.with_service_name(name))
}

/// Which part of a list is asked for.
fn page(size: i32, token: String) -> Result<Page, Status> {
    let size = u32::try_from(size.min(LARGEST_PAGE))
        .map_err(|_| error::status(EngineError::invalid("page_size", "has to be 0 or more")))?;
    Ok(Page { size, token })
}
