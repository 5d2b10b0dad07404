//! `PlanServiceUpdate`: what an update would do. Reads only, so it may look while an
//! operation works on the service.

use std::sync::Arc;

use tonic::Status;
use towline_agent_domain::outside::Account;
use towline_proto::agent::v1 as proto;

use super::timeout;
use crate::{
    operation,
    rpc::{Agent, fargate::refused, going_away, orders::place, violations::Violations},
    wire,
};

impl<A: Account> Agent<A> {
    pub(in crate::rpc) async fn plan_service_update(
        &self,
        request: proto::PlanServiceUpdateRequest,
    ) -> Result<proto::ServiceUpdatePlan, Status> {
        let mut violations = Violations::default();
        let Some(mut update) = request.update else {
            violations.add("update", "is missing");
            return Err(violations
                .check()
                .err()
                .unwrap_or_else(|| Status::internal("a fault got lost")));
        };
        // A plan has no operation, expects nothing, and compares itself with nothing.
        update.context = None;
        update.expected = None;
        update.plan_hash.clear();
        timeout(&update, &proto::OperationContext::default(), &mut violations);
        let order = self.update_order(&update, violations)?;
        let handle = self
            .operations
            .look_beside(place(&order.at, &order.service), self.look_deadline());
        let surroundings = Arc::clone(&self.surroundings);
        let work = async move {
            let id = handle.id().to_string();
            let plan = operation::plan_update(&surroundings, &handle, &order);
            towline_agent_aws::in_operation(&id, plan).await
        };
        match self.operations.to_the_end(work).await {
            Some(planned) => planned.map(|plan| wire::update_plan(&plan)).map_err(refused),
            None => Err(going_away()),
        }
    }
}
