//! `FleetService`: agents and operators, and inviting them.

use std::time::Duration;

use tonic::{Request, Response, Status};
use towline_link::identity::{AgentName, OperatorName};
use towline_proto::orchestrator::v1::{self as pb, fleet_service_server::FleetService};

use super::{Api, caller, convert, error::status, page};
use crate::engine::{AgentMode, EngineError, Fault, Role};

#[tonic::async_trait]
impl FleetService for Api {
    async fn invite_agent(
        &self,
        request: Request<pb::InviteAgentRequest>,
    ) -> Result<Response<pb::InviteAgentResponse>, Status> {
        let caller = caller::caller(&request)?;
        let asked = AgentInvitation::parse(request.into_inner()).map_err(status)?;
        let invitation = self
            .engine
            .invite_agent(
                &caller,
                &asked.name,
                asked.mode,
                asked.address.as_deref(),
                asked.valid_for,
            )
            .await
            .map_err(status)?;
        Ok(Response::new(pb::InviteAgentResponse {
            join_token: invitation.token,
            expire_time: Some(convert::timestamp(invitation.expires_at)),
        }))
    }

    async fn list_agents(
        &self,
        request: Request<pb::ListAgentsRequest>,
    ) -> Result<Response<pb::ListAgentsResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let paged = self.engine.agents(page).await.map_err(status)?;
        Ok(Response::new(pb::ListAgentsResponse {
            agents: paged.items.into_iter().map(convert::agent).collect(),
            next_page_token: paged.next,
        }))
    }

    async fn invite_operator(
        &self,
        request: Request<pb::InviteOperatorRequest>,
    ) -> Result<Response<pb::InviteOperatorResponse>, Status> {
        let caller = caller::caller(&request)?;
        let asked = OperatorInvitation::parse(request.into_inner()).map_err(status)?;
        let invitation = self
            .engine
            .invite_operator(&caller, &asked.name, asked.role, asked.valid_for)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::InviteOperatorResponse {
            join_token: invitation.token,
            expire_time: Some(convert::timestamp(invitation.expires_at)),
        }))
    }

    async fn list_operators(
        &self,
        request: Request<pb::ListOperatorsRequest>,
    ) -> Result<Response<pb::ListOperatorsResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let paged = self.engine.operators(page).await.map_err(status)?;
        Ok(Response::new(pb::ListOperatorsResponse {
            operators: paged.items.into_iter().map(convert::operator).collect(),
            next_page_token: paged.next,
        }))
    }

    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        let who = caller::caller(&request)?;
        let role = self
            .engine
            .role_of(&who.operator)
            .await
            .ok_or_else(|| caller::unknown_operator(&who.operator))?;
        Ok(Response::new(pb::GetCallerResponse {
            name: who.operator.to_string(),
            role: convert::role(role).into(),
            certificate_expire_time: caller::certificate_expires(&request).map(convert::timestamp),
        }))
    }
}

struct AgentInvitation {
    name: AgentName,
    mode: AgentMode,
    address: Option<String>,
    valid_for: Option<Duration>,
}

impl AgentInvitation {
    /// Checks the request as a whole: all of its faults at once.
    fn parse(asked: pb::InviteAgentRequest) -> Result<Self, EngineError> {
        let mut faults = Vec::new();
        let name = keep(
            asked.name.parse().map_err(|error| name_fault(&error)),
            &mut faults,
        );
        let mode = keep(
            convert::mode_of_wire(asked.mode)
                .ok_or_else(|| Fault::of("mode", "is not given").hint("polling or listening")),
            &mut faults,
        );
        let address = Some(asked.address).filter(|address| !address.is_empty());
        match (mode, &address) {
            (Some(AgentMode::Listening), None) => faults.push(
                Fault::of(
                    "address",
                    "a listening agent needs the address at which it is dialled",
                )
                .hint("host:port, as the orchestrator reaches it"),
            ),
            (Some(AgentMode::Polling), Some(_)) => {
                faults.push(Fault::of(
                    "address",
                    "a polling agent is not dialled and has no address",
                ));
            }
            _ => {}
        }
        let valid_for = keep(validity(asked.valid_for), &mut faults);
        match (name, mode, valid_for) {
            (Some(name), Some(mode), Some(valid_for)) if faults.is_empty() => Ok(Self {
                name,
                mode,
                address,
                valid_for,
            }),
            _ => Err(EngineError::Invalid { faults }),
        }
    }
}

struct OperatorInvitation {
    name: OperatorName,
    role: Role,
    valid_for: Option<Duration>,
}

impl OperatorInvitation {
    /// Checks the request as a whole: all of its faults at once.
    fn parse(asked: pb::InviteOperatorRequest) -> Result<Self, EngineError> {
        let mut faults = Vec::new();
        let name = keep(
            asked.name.parse().map_err(|error| name_fault(&error)),
            &mut faults,
        );
        let role = keep(
            convert::role_of_wire(asked.role)
                .ok_or_else(|| Fault::of("role", "is not given").hint("viewer, deployer, approver or admin")),
            &mut faults,
        );
        let valid_for = keep(validity(asked.valid_for), &mut faults);
        match (name, role, valid_for) {
            (Some(name), Some(role), Some(valid_for)) => Ok(Self {
                name,
                role,
                valid_for,
            }),
            _ => Err(EngineError::Invalid { faults }),
        }
    }
}

fn keep<T>(result: Result<T, Fault>, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

fn name_fault(error: &impl ToString) -> Fault {
    Fault::of("name", error.to_string())
        .hint("lower-case letters, digits and dashes, up to 63, with a letter or digit at both ends")
}

fn validity(duration: Option<prost_types::Duration>) -> Result<Option<Duration>, Fault> {
    duration
        .map(|duration| {
            Duration::try_from(duration)
                .ok()
                .filter(|duration| !duration.is_zero())
                .ok_or_else(|| Fault::of("valid_for", "has to be longer than nothing"))
        })
        .transpose()
}
