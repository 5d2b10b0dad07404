//! Requests about a Fargate service: to deploy it, to plan that, to print its
//! template. All three read the same specification in the same way.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tonic::{Code, Status};
use towline_agent_domain::{
    fargate::{self, AccountFacts, TemplateError, ValidService, stack::ExpectedStack},
    outside::Account,
};
use towline_link::status::Fault;
use towline_proto::agent::v1 as proto;

use super::{
    Agent, deadline, going_away,
    orders::{Order, Wanted, cluster_ref, expected_service, place},
    spec::fargate_service,
    violations::Violations,
};
use crate::{
    operation::{self, Ending, FargateOrder, Look, Payload},
    wire,
};

/// How long a call that only looks may take.
const LONGEST_LOOK: Duration = Duration::from_secs(120);

/// Where and what, as every one of the requests says it.
struct Asked<'r> {
    region: &'r str,
    cluster: &'r str,
    account: &'r str,
    service: Option<&'r proto::FargateServiceSpec>,
}

impl<A: Account> Agent<A> {
    /// Checks a request to deploy a Fargate service.
    pub(super) fn fargate(&self, mut request: proto::DeployFargateServiceRequest) -> Result<Wanted, Status> {
        let context = request.context.take().unwrap_or_default();
        let mut violations = Violations::default();
        let id = self.context(&context, &mut violations);
        let asked = Asked {
            region: &request.region,
            cluster: &request.cluster,
            account: &request.account,
            service: request.service.as_ref(),
        };
        let mut order = self.order(&asked, violations)?;
        let Some(id) = id else {
            return Err(Status::internal("a checked request lacks its id"));
        };
        order.expected = request.expected.as_ref().and_then(expected_stack);
        order.expected_service = request.expected.as_ref().and_then(expected_service);
        order.adopt = request.adopt;
        order.force = request.force;
        order.approved = (!request.plan_hash.is_empty()).then(|| request.plan_hash.clone());
        order.repeated_send = context.repeated_send;
        Ok(Wanted {
            id,
            epoch: context.epoch,
            place: place(&order.at, &order.service.spec().name),
            order: Order::Fargate(Box::new(order)),
            deadline: deadline(&context),
            cancel: super::orders::cancel_mode(context.cancel),
            payload: Payload::Fargate(Box::new(request)),
        })
    }

    /// What a deployment would do.
    pub(super) async fn plan_fargate_service(
        &self,
        request: proto::PlanFargateServiceRequest,
    ) -> Result<proto::FargatePlan, Status> {
        let asked = Asked {
            region: &request.region,
            cluster: &request.cluster,
            account: &request.account,
            service: request.service.as_ref(),
        };
        let mut order = self.order(&asked, Violations::default())?;
        order.adopt = request.adopt;
        order.force = request.force;
        let look = self.look(&order)?;
        let surroundings = Arc::clone(&self.surroundings);
        // A plan cleans up behind itself, whether or not somebody still waits for it.
        let work = async move {
            let id = look.handle.id().to_string();
            let plan = operation::plan(&surroundings, &look.handle, &order);
            towline_agent_aws::in_operation(&id, plan).await
        };
        match self.operations.to_the_end(work).await {
            Some(planned) => planned.map(|plan| wire::plan(&plan)).map_err(refused),
            None => Err(going_away()),
        }
    }

    /// The template of a specification.
    pub(super) async fn fargate_template(
        &self,
        request: proto::GetFargateTemplateRequest,
    ) -> Result<proto::GetFargateTemplateResponse, Status> {
        let asked = Asked {
            region: &request.region,
            cluster: &request.cluster,
            account: &request.account,
            service: request.service.as_ref(),
        };
        let mut order = self.order(&asked, Violations::default())?;
        order.adopt = request.adopt;
        let place = place(&order.at, &order.service.spec().name);
        let look = self.operations.look_beside(place, self.look_deadline());
        let template = operation::print(&self.surroundings, &look, &order)
            .await
            .map_err(refused)?;
        Ok(proto::GetFargateTemplateResponse {
            stack_name: order.stack_name,
            template: template.text().to_owned(),
            parameters: template.parameters().iter().cloned().collect(),
        })
    }

    /// Eyes on the service, which no operation may be working on.
    fn look(&self, order: &FargateOrder) -> Result<Look, Status> {
        let place = place(&order.at, &order.service.spec().name);
        self.operations
            .look(place, self.look_deadline())
            .map_err(|holder| {
                Fault::new(
                    Code::Unavailable,
                    "OPERATION_IN_PROGRESS",
                    format!(
                        "operation {holder} works on service {} now",
                        order.service.spec().name
                    ),
                )
                .hint("plan again when it has ended: it changes what the plan would say")
                .into_status()
            })
    }

    pub(super) fn look_deadline(&self) -> Timestamp {
        let now = self.clock.now();
        now.saturating_add(LONGEST_LOOK).unwrap_or(now)
    }

    /// All faults of a request at once; then the order that it means.
    fn order(&self, asked: &Asked<'_>, mut violations: Violations) -> Result<FargateOrder, Status> {
        self.check_place(asked.region, asked.cluster, &mut violations);
        let service = match asked.service {
            Some(wire) => valid(&fargate_service(wire, &mut violations), &mut violations),
            None => {
                violations.add("service", "is missing");
                None
            }
        };
        let facts = self.facts(asked);
        if let Some(service) = &service {
            let has_bucket = self.surroundings.template_buckets.contains_key(asked.region);
            check_size(service, &facts, has_bucket, &mut violations);
        }
        violations.check()?;
        self.check_account(asked.account)?;
        let Some(service) = service else {
            return Err(Status::internal("a checked request lacks what was checked"));
        };
        let at = cluster_ref(asked.region, asked.cluster);
        let spec = service.spec();
        let stack_name = match &spec.stack_name {
            Some(name) => name.clone(),
            None => fargate::stack_name(&at.cluster, &spec.name),
        };
        Ok(FargateOrder {
            at,
            facts,
            service,
            stack_name,
            expected: None,
            expected_service: None,
            adopt: false,
            force: false,
            approved: None,
            repeated_send: false,
        })
    }

    fn facts(&self, asked: &Asked<'_>) -> AccountFacts {
        let surroundings = &self.surroundings;
        AccountFacts {
            account: surroundings.account_id.clone(),
            partition: surroundings.partition.clone(),
            region: asked.region.to_owned(),
            cluster: asked.cluster.to_owned(),
            permissions_boundary: surroundings.permissions_boundary.clone(),
            role_path: surroundings.role_path.clone(),
            mandatory_tags: surroundings.tags.clone(),
        }
    }
}

/// Why there is no plan, as a status.
pub(super) fn refused(ending: Ending) -> Status {
    let finished = ending.into_finished();
    let code = match finished.reason.as_str() {
        "deadline_exceeded" | "throttled" => Code::Unavailable,
        _ => Code::FailedPrecondition,
    };
    let reason = finished.reason.to_uppercase();
    Fault::new(code, &reason, finished.summary)
        .hint(finished.hint)
        .into_status()
}

fn valid(service: &fargate::FargateService, violations: &mut Violations) -> Option<ValidService> {
    match fargate::validate(service) {
        Ok(service) => Some(service),
        Err(faults) => {
            for fault in faults {
                let description = match fault.hint.as_str() {
                    "" => fault.message,
                    hint => format!("{}; {hint}", fault.message),
                };
                violations.add(format!("service.{}", fault.field), description);
            }
            None
        }
    }
}

/// What the account adds to a template later is a few bytes.
fn check_size(service: &ValidService, facts: &AccountFacts, has_bucket: bool, violations: &mut Violations) {
    let field = "service.containers";
    match fargate::template(service, facts, &fargate::Choices::default()) {
        Ok(template) if !template.fits_inline() && !has_bucket => violations.add(
            field,
            format!(
                "{}; set it, or move environment variables into environment_files in S3, or split the service",
                template.too_large_inline(&facts.region)
            ),
        ),
        Err(error @ (TemplateError::TooLarge { .. } | TemplateError::TaskDefinitionTooLarge { .. })) => violations.add(field, error.to_string()),
        Err(error @ TemplateError::TooManyTags { .. }) => violations.add("service.tags", error.to_string()),
        // Chosen later, by what the listener shows.
        Ok(_) | Err(TemplateError::PriorityOpen { .. }) => {}
    }
}

fn expected_stack(wire: &proto::ExpectedState) -> Option<ExpectedStack> {
    match (wire.absent, wire.stack_id.as_str()) {
        (true, _) => Some(ExpectedStack::Absent),
        (false, "") => None,
        (false, id) => Some(ExpectedStack::Id(id.to_owned())),
    }
}
