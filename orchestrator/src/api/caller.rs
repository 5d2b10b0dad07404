//! Who calls, and whether the table of roles lets the call pass.

use jiff::Timestamp;
use tonic::{Code, Request, Status};
use towline_link::{
    identity::{Identity, OperatorName},
    io::PeerInfo,
    status::{Fault, NOT_ALLOWED},
};
use towline_proto::{
    access::{OrchestratorAccess, OrchestratorRpc},
    orchestrator::v1::OperatorRole,
};

use super::convert;
use crate::engine::{Caller, Engine};

/// The operator behind a request that the access layer let pass.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    match request.extensions().get::<Identity>() {
        Some(Identity::Operator(operator)) => Ok(Caller {
            operator: operator.clone(),
        }),
        Some(_) | None => Err(not_an_operator()),
    }
}

/// Decides one call by the caller's certificate, its role and the table.
pub async fn decide(engine: &Engine, path: &str, identity: &Identity) -> Result<(), Status> {
    let Some(rpc) = OrchestratorRpc::of_path(path) else {
        // The router answers UNIMPLEMENTED for what it does not have.
        return Ok(());
    };
    let Identity::Operator(operator) = identity else {
        return Err(not_an_operator());
    };
    let role = engine
        .role_of(operator)
        .await
        .ok_or_else(|| unknown_operator(operator))?;
    let role = convert::role(role);
    if rpc.access().allows(role) {
        Ok(())
    } else {
        Err(not_allowed(rpc, operator, role))
    }
}

fn not_an_operator() -> Status {
    Fault::new(
        Code::PermissionDenied,
        NOT_ALLOWED,
        "the orchestrator's API is for operators",
    )
    .hint("call with an operator's certificate: `towline operator invite NAME --role ROLE` makes one")
    .into_status()
}

/// The certificate is good, but the orchestrator knows no such operator.
pub fn unknown_operator(operator: &OperatorName) -> Status {
    Fault::new(
        Code::PermissionDenied,
        "OPERATOR_UNKNOWN",
        format!("operator {operator} is not known here"),
    )
    .hint(format!(
        "ask an admin for `towline operator invite {operator} --role ROLE`"
    ))
    .into_status()
}

fn not_allowed(rpc: OrchestratorRpc, operator: &OperatorName, role: OperatorRole) -> Status {
    let needed = needed(rpc.access());
    Fault::new(
        Code::PermissionDenied,
        NOT_ALLOWED,
        format!(
            "operator {operator} may not call {rpc:?}: that takes the role {needed}, and {operator} is {}",
            word(role)
        ),
    )
    .hint(format!(
        "ask someone with the role {needed}, or an admin for `towline operator invite {operator} --role ROLE`"
    ))
    .into_status()
}

fn needed(access: OrchestratorAccess) -> &'static str {
    match access {
        OrchestratorAccess::AnyRole => "viewer, deployer, approver or admin",
        OrchestratorAccess::Deploy => "deployer or admin",
        OrchestratorAccess::Approve => "approver or admin",
        OrchestratorAccess::DeployOrApprove => "deployer, approver or admin",
        OrchestratorAccess::Administer => "admin",
        OrchestratorAccess::JoinToken => "of a join token's holder",
    }
}

fn word(role: OperatorRole) -> &'static str {
    match role {
        OperatorRole::Unspecified => "nothing",
        OperatorRole::Viewer => "viewer",
        OperatorRole::Deployer => "deployer",
        OperatorRole::Approver => "approver",
        OperatorRole::Admin => "admin",
    }
}

/// When the certificate that the caller came with stops being good.
pub fn certificate_expires<T>(request: &Request<T>) -> Option<Timestamp> {
    request
        .extensions()
        .get::<PeerInfo>()
        .and_then(|peer| peer.certificate_expires)
}
