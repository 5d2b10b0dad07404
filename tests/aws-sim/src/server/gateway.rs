//! A request's way: recorded, held, applied, held, answered. It goes its way
//! to the end even when the client is gone, as a request that reached AWS does.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::request::Parts;
use http_body_util::Full;
use hyper::Response;

use super::{
    Dropped, Shared,
    breakpoints::{Then, When},
    effects::{Disposition, Kind},
    faults::{Fault, Met},
    late::Landing,
    request::{AwsRequest, Input, Protocol},
};
use crate::{
    AwsError, cloudformation, cloudwatch, ec2, ecr, ecs, elb, iam, logs, s3, secrets, sts,
    wire::{json, query},
    world::{CallContext, Region},
};

type Answer = Result<Response<Full<Bytes>>, Dropped>;

/// Takes a request in and answers it.
pub async fn answer(shared: Arc<Shared>, parts: &Parts, body: &Bytes) -> Answer {
    let protocol = Protocol::of(parts);
    let request = match AwsRequest::read(parts, body) {
        Ok(request) => request,
        Err(error) => return Ok(refusal(protocol, "", &error, 0)),
    };
    let tracker = shared.tasks.clone();
    let way = tracker.spawn(async move { take(shared, request).await });
    way.await.unwrap_or(Err(Dropped))
}

async fn take(shared: Arc<Shared>, request: AwsRequest) -> Answer {
    let sim_at = shared.world().clock.now();
    let seq = shared.effects.arrived(&request.arrival, time_of_day(), sim_at);
    let registering = Registering::begin(&shared, &request);
    land(&shared);
    let fault = shared.faults.meet(&request.arrival);
    match fault.map(|met| met.kind) {
        Some(Fault::Throttle) => return Ok(refuse(&shared, &request, seq, &throttled(&request))),
        Some(Fault::ServerError) => return Ok(refuse(&shared, &request, seq, &server_error(&request))),
        Some(Fault::Deny) => return Ok(refuse(&shared, &request, seq, &denied(&request))),
        Some(Fault::ResetBefore) => return drop_unapplied(&shared, seq),
        Some(Fault::Delay) => wait(&shared, fault).await,
        Some(Fault::Late) => {
            arrive_late(&shared, request, seq, registering.is_ok(), fault);
            return Err(Dropped);
        }
        Some(Fault::LostAnswer | Fault::Stale) | None => {}
    }
    let mut hold = shared.breakpoints.meet(&request.arrival, seq);
    if let Some(hold) = hold.as_mut().filter(|hold| hold.when == When::Before)
        && hold.released().await == Then::Drop
    {
        return drop_unapplied(&shared, seq);
    }
    let stale_ms = fault.and_then(|met| (met.kind == Fault::Stale).then_some(met.ms));
    let response = apply(&shared, &request, seq, stale_ms, registering.is_ok());
    // Applied: the family is free for the next registration, answered or not.
    drop(registering);
    if let Some(hold) = hold.as_mut().filter(|hold| hold.when == When::After)
        && hold.released().await == Then::Drop
    {
        return Err(Dropped);
    }
    if fault.is_some_and(|met| met.kind == Fault::LostAnswer) {
        return Err(Dropped);
    }
    shared.effects.update(seq, |effect| effect.answered = true);
    Ok(response)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulator's own edge to the machine's clock"
)]
fn time_of_day() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Waits as long as a fault says, by the clock that it names.
async fn wait(shared: &Shared, fault: Option<Met>) {
    let Some(met) = fault else { return };
    let Some(sim_ms) = met.sim_ms else {
        shared.sleep(Duration::from_millis(met.ms)).await;
        return;
    };
    let until = shared.world().clock.now().plus_ms(sim_ms);
    while shared.world().clock.now() < until && !shared.stopped.is_cancelled() {
        shared.sleep(LOOK).await;
    }
}

/// How often a wait looks at the simulated clock.
const LOOK: Duration = Duration::from_millis(5);

/// Lets a request land after its client has lost sight of it.
fn arrive_late(shared: &Arc<Shared>, request: AwsRequest, seq: u64, may_register: bool, fault: Option<Met>) {
    let Some(met) = fault else { return };
    if let Some(sim_ms) = met.sim_ms {
        let at = shared.world().clock.now().plus_ms(sim_ms);
        shared.late.put(Landing {
            at,
            request,
            seq,
            may_register,
        });
        return;
    }
    let late = shared.clone();
    shared.tasks.spawn(async move {
        late.sleep(Duration::from_millis(met.ms)).await;
        apply(&late, &request, seq, None, may_register)
    });
}

/// Applies what was on its way and is due by the simulated clock.
pub fn land(shared: &Shared) {
    let now = shared.world().clock.now();
    while let Some(landing) = shared.late.take_due(now) {
        let _unheard = apply(shared, &landing.request, landing.seq, None, landing.may_register);
    }
}

fn drop_unapplied(shared: &Shared, seq: u64) -> Answer {
    shared
        .effects
        .update(seq, |effect| effect.disposition = Disposition::Dropped);
    Err(Dropped)
}

/// A registration that is on its way: another one of the family is refused meanwhile.
struct Registering {
    shared: Arc<Shared>,
    family: (String, String, String),
}

impl Registering {
    fn begin(shared: &Arc<Shared>, request: &AwsRequest) -> Result<Option<Self>, ()> {
        let arrival = &request.arrival;
        if arrival.action != "RegisterTaskDefinition" {
            return Ok(None);
        }
        let family = (
            arrival.account.clone(),
            arrival.region.clone(),
            arrival.subject.clone(),
        );
        let mut all = shared.registering.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(family.clone()) {
            Ok(Some(Self {
                shared: shared.clone(),
                family,
            }))
        } else {
            Err(())
        }
    }
}

impl Drop for Registering {
    fn drop(&mut self) {
        let mut all = self
            .shared
            .registering
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.family);
    }
}

/// Applies a request to the world and writes down what became of it.
fn apply(
    shared: &Shared,
    request: &AwsRequest,
    seq: u64,
    stale_ms: Option<u64>,
    may_register: bool,
) -> Response<Full<Bytes>> {
    let arrival = &request.arrival;
    let mut world = shared.world();
    let now = world.advance();
    let mut limiter = shared.limits.lock().unwrap_or_else(PoisonError::into_inner);
    let others = shared.faults.others(arrival);
    if !limiter.allows(arrival, now, shared.machine_ms(), others) {
        return refuse(shared, request, seq, &throttled(request));
    }
    if !may_register {
        return refuse(shared, request, seq, &ecs::concurrent_registration());
    }
    let region = world.region(&arrival.account, &arrival.region);
    let is_ecs = arrival.service == "ecs";
    let reads = Kind::of(&arrival.action) == Kind::Read;
    if is_ecs && !reads && shared.faults.may_be_stale() {
        limiter.remember(arrival, now, &region.ecs);
    }
    let old = stale_ms
        .filter(|_| is_ecs && reads)
        .and_then(|ms| limiter.old_state(arrival, now, ms));
    let ctx = CallContext {
        now,
        caller_arn: format!("arn:aws:sts::{}:assumed-role/aws-sim/caller", arrival.account),
        operation: arrival.operation.clone(),
        raw: Some(request.raw.clone()),
    };
    region.take_deduplicated();
    let outcome = match old {
        Some(old) => {
            let current = std::mem::replace(&mut region.ecs, old);
            let outcome = dispatch(region, &ctx, request, seq);
            region.ecs = current;
            outcome
        }
        None => dispatch(region, &ctx, request, seq),
    };
    let deduplicated = region.take_deduplicated();
    match outcome {
        Ok(body) => {
            shared.effects.update(seq, |effect| {
                effect.http_status = 200;
                effect.disposition = if deduplicated {
                    Disposition::Deduplicated
                } else {
                    Disposition::Applied
                };
            });
            respond(200, content_type(request), body, &request_id(seq))
        }
        Err(error) => refuse(shared, request, seq, &error),
    }
}

/// Calls the service; the body of its answer.
fn dispatch(
    region: &mut Region,
    ctx: &CallContext,
    request: &AwsRequest,
    seq: u64,
) -> Result<String, AwsError> {
    let arrival = &request.arrival;
    let action = arrival.action.as_str();
    match (&request.input, arrival.service.as_str()) {
        (Input::Json(input), service) => {
            let answer = match service {
                "ecs" => ecs::call(region, ctx, action, input),
                "ecr" => ecr::call(region, ctx, action, input),
                "secretsmanager" => secrets::call_secrets_manager(region, action, input),
                "ssm" => secrets::call_systems_manager(region, ctx, action, input),
                "monitoring" => cloudwatch::call(region, action, input),
                _ => logs::call(region, ctx, action, input),
            };
            answer.map(|value| value.to_string())
        }
        (Input::Query(params), service) => {
            let result = match service {
                "cloudformation" => cloudformation::call(region, ctx, action, params),
                "elasticloadbalancing" => elb::call(region, ctx, action, params),
                "sts" => sts::call(region, ctx, action, params),
                "ec2" => ec2::call(region, ctx, action, params),
                "iam" => iam::call(region, action, params),
                "monitoring" => cloudwatch::call_query(region, action, params),
                _ => Err(AwsError::client(
                    "InvalidAction",
                    format!("The service {service} is not simulated by aws-sim"),
                )),
            }?;
            let id = request_id(seq);
            Ok(if service == "ec2" {
                query::flat_response(namespace(service), action, &result, &id)
            } else {
                query::response(namespace(service), action, &result, &id)
            })
        }
        (Input::Object(object), _) => s3::call(region, object),
    }
}

fn namespace(service: &str) -> &'static str {
    match service {
        "cloudformation" => "http://cloudformation.amazonaws.com/doc/2010-05-15/",
        "elasticloadbalancing" => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
        "sts" => "https://sts.amazonaws.com/doc/2011-06-15/",
        "iam" => "https://iam.amazonaws.com/doc/2010-05-08/",
        "monitoring" => "http://monitoring.amazonaws.com/doc/2010-08-01/",
        "ec2" => "http://ec2.amazonaws.com/doc/2016-11-15/",
        _ => "https://aws-sim.invalid/",
    }
}

fn request_id(seq: u64) -> String {
    format!("00000000-0000-4000-a000-{seq:012}")
}

fn throttled(request: &AwsRequest) -> AwsError {
    match request.input {
        Input::Json(_) => AwsError::client("ThrottlingException", "Rate exceeded"),
        Input::Query(_) => AwsError::client("Throttling", "Rate exceeded"),
        Input::Object(_) => AwsError::with_status("SlowDown", "Please reduce your request rate.", 503),
    }
}

fn denied(request: &AwsRequest) -> AwsError {
    let message = format!(
        "User is not authorized to perform: {}:{}",
        request.arrival.service, request.arrival.action
    );
    match request.input {
        Input::Json(_) => AwsError::client("AccessDeniedException", message),
        Input::Query(_) | Input::Object(_) => AwsError::with_status("AccessDenied", message, 403),
    }
}

fn server_error(request: &AwsRequest) -> AwsError {
    let code = match request.arrival.service.as_str() {
        "ecs" => "ServerException",
        "logs" => "ServiceUnavailableException",
        "ecr" => "ServerException",
        "secretsmanager" => "InternalServiceError",
        "ssm" => "InternalServerError",
        "iam" => "ServiceFailure",
        "s3" => "InternalError",
        "monitoring" => "InternalServiceFault",
        _ => "InternalFailure",
    };
    AwsError::with_status(code, "Service Unavailable. Please try again later.", 500)
}

fn refuse(shared: &Shared, request: &AwsRequest, seq: u64, error: &AwsError) -> Response<Full<Bytes>> {
    shared.effects.update(seq, |effect| {
        effect.disposition = Disposition::Refused;
        effect.code = Some(error.code.clone());
        effect.http_status = error.http_status;
        effect.answered = true;
    });
    let protocol = match request.input {
        Input::Json(_) => Protocol::Json,
        Input::Query(_) => Protocol::Query,
        Input::Object(_) => Protocol::Object,
    };
    refusal(protocol, &request.arrival.service, error, seq)
}

fn refusal(protocol: Protocol, service: &str, error: &AwsError, seq: u64) -> Response<Full<Bytes>> {
    let id = request_id(seq);
    match protocol {
        Protocol::Json => respond(
            error.http_status,
            "application/x-amz-json-1.1",
            json::error_body(error),
            &id,
        ),
        Protocol::Object => respond(
            error.http_status,
            "application/xml",
            s3::error_body(error, &id),
            &id,
        ),
        Protocol::Query if service == "ec2" => respond(
            error.http_status,
            "text/xml",
            query::flat_error_body(error, &id),
            &id,
        ),
        Protocol::Query => respond(
            error.http_status,
            "text/xml",
            query::error_body(namespace(service), error, &id),
            &id,
        ),
    }
}

fn content_type(request: &AwsRequest) -> &'static str {
    match request.input {
        Input::Json(_) if request.arrival.service == "monitoring" => "application/x-amz-json-1.0",
        Input::Json(_) => "application/x-amz-json-1.1",
        Input::Query(_) => "text/xml",
        Input::Object(_) => "application/json",
    }
}

/// An answer that says who gives it.
pub fn respond(status: u16, content_type: &str, body: String, request_id: &str) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(status)
        .header(http::header::SERVER, "aws-sim (simulator)")
        .header(http::header::CONTENT_TYPE, content_type)
        .header("x-amzn-requestid", request_id)
        .body(Full::new(Bytes::from(body)));
    response.unwrap_or_else(|_| Response::new(Full::default()))
}
