//! The control API under `/_sim/`: what tests see and steer, none of it AWS's.

mod causes;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, request::Parts};
use http_body_util::Full;
use hyper::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    Shared,
    breakpoints::{Spec, State, Then},
    faults::Schedule,
    gateway::{land, respond},
    limiter::Limiter,
};
use crate::{
    cloudformation, ecr, ecs,
    images::Image,
    wire::query::parse_form,
    world::{CallContext, Region, SimTime, seed},
};

/// What a caller did wrong: an HTTP status and words.
struct Wrong(u16, String);

impl Wrong {
    fn respond(self) -> Response<Full<Bytes>> {
        let body = json!({ "error": self.1 });
        respond(self.0, "application/json", body.to_string(), "")
    }
}

type Reply = Result<Value, Wrong>;

/// Answers one call; `path` is what follows `/_sim/`.
pub async fn answer(shared: &Shared, parts: &Parts, path: &str, body: &Bytes) -> Response<Full<Bytes>> {
    let query = parse_form(parts.uri.query().unwrap_or_default());
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    if let ["blobs", digest] = segments[..] {
        return blob(digest, parts.uri.query());
    }
    if let (&Method::GET, ["task_definitions"]) = (&parts.method, &segments[..]) {
        return match causes::task_definition(shared, &query) {
            Ok(raw) => respond(200, "application/json", raw, ""),
            Err(wrong) => wrong.respond(),
        };
    }
    let reply = match (&parts.method, &segments[..]) {
        (&Method::GET, ["effects"]) => Ok(json!(shared.effects.after(number("after").unwrap_or(0)))),
        (&Method::POST, ["breakpoints"]) => {
            parse::<Spec>(body).map(|spec| json!({ "id": shared.breakpoints.arm(spec).to_string() }))
        }
        (&Method::GET, ["breakpoints", id]) => {
            breakpoint(shared, id, Duration::from_millis(number("wait_ms").unwrap_or(0))).await
        }
        (&Method::POST, ["breakpoints", id, "release"]) => release(shared, id, body),
        (&Method::GET, ["clock"]) => Ok(clock(shared)),
        (&Method::POST, ["clock"]) => set_clock(shared, body),
        (&Method::POST, ["faults"]) => parse::<Schedule>(body).map(|schedule| {
            shared.faults.set(schedule);
            json!({})
        }),
        (&Method::POST, ["images"]) => parse::<Image>(body).map(|image| {
            let digest = image.digest();
            shared.world().images.add(image);
            json!({ "digest": digest })
        }),
        (&Method::POST, ["tags"]) => parse(body).and_then(|set| causes::set_tag(shared, &set)),
        (&Method::POST, ["parameters"]) => parse(body).map(|set| causes::set_parameters(shared, set)),
        (&Method::POST, ["secrets"]) => parse(body).map(|set| causes::set_secrets(shared, set)),
        (&Method::POST, ["scale"]) => parse(body).and_then(|scale| causes::scale(shared, &scale)),
        (&Method::POST, ["metrics"]) => parse(body).and_then(|metric| causes::raise(shared, &metric)),
        (&Method::POST, ["instances"]) => parse(body).and_then(|set| causes::set_instances(shared, set)),
        (&Method::POST, ["capacity"]) => parse(body).map(|limit| causes::limit_fargate(shared, limit)),
        (&Method::POST, ["roles"]) => parse(body).map(|set| causes::set_role(shared, set)),
        (&Method::GET, ["state"]) => Ok(state(shared, query.get("account"), query.get("region"))),
        (&Method::GET, ["wire"]) => Ok(shared.wire.latest()),
        (&Method::POST, ["reset"]) => reset(shared),
        _ => Err(Wrong(404, format!("/_sim/{path} is nothing that aws-sim knows"))),
    };
    match reply {
        Ok(value) => respond(200, "application/json", value.to_string(), ""),
        Err(wrong) => wrong.respond(),
    }
}

/// What a registry's download URL leads to.
fn blob(digest: &str, query: Option<&str>) -> Response<Full<Bytes>> {
    if query != Some(ecr::SIGNED) {
        return respond(403, "text/plain; charset=utf-8", "AccessDenied".to_owned(), "");
    }
    match ecr::blob(digest) {
        Some(blob) => respond(200, "application/octet-stream", blob, ""),
        None => respond(404, "text/plain; charset=utf-8", "NoSuchKey".to_owned(), ""),
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Wrong> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Wrong(400, error.to_string()))
}

fn breakpoint_id(id: &str) -> Result<usize, Wrong> {
    id.parse().map_err(|_| no_breakpoint(id))
}

fn no_breakpoint(id: &str) -> Wrong {
    Wrong(404, format!("there is no breakpoint {id}"))
}

/// A breakpoint's state; waits at most `wait` for it to be hit.
async fn breakpoint(shared: &Shared, id: &str, wait: Duration) -> Reply {
    let mut state = shared
        .breakpoints
        .watch(breakpoint_id(id)?)
        .ok_or_else(|| no_breakpoint(id))?;
    if !wait.is_zero() {
        let _late = tokio::time::timeout(wait, state.wait_for(|state| *state != State::Armed)).await;
    }
    let now = *state.borrow();
    Ok(match now {
        State::Armed => json!({ "state": "armed" }),
        State::Hit { seq } => json!({ "state": "hit", "effect_seq": seq }),
        State::Released { seq: Some(seq), .. } => json!({ "state": "released", "effect_seq": seq }),
        State::Released { seq: None, .. } => json!({ "state": "released" }),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    #[serde(default = "Release::default_then")]
    then: Then,
}

impl Release {
    fn default_then() -> Then {
        Then::Continue
    }
}

fn release(shared: &Shared, id: &str, body: &Bytes) -> Reply {
    let Release { then } = parse(body)?;
    if shared.breakpoints.release(breakpoint_id(id)?, then) {
        Ok(json!({}))
    } else {
        Err(no_breakpoint(id))
    }
}

fn clock(shared: &Shared) -> Value {
    let world = shared.world();
    let now = world.clock.now();
    json!({ "now": now.iso(), "now_ms": now.0, "speed": world.clock.speed() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    #[serde(default)]
    advance_ms: u64,
    #[serde(default)]
    speed: Option<f64>,
}

/// Jumps forward, stopping wherever a request that is on its way lands.
fn advance(shared: &Shared, by_ms: u64) {
    let by_ms = i64::try_from(by_ms).unwrap_or(i64::MAX);
    let until = shared.world().clock.now().plus_ms(by_ms);
    let jump_to = |at: SimTime| {
        let mut world = shared.world();
        let ahead = u64::try_from(at.since_ms(world.clock.now())).unwrap_or(0);
        world.clock.advance(Duration::from_millis(ahead));
        world.advance();
    };
    while let Some(at) = shared.late.next().filter(|at| *at <= until) {
        jump_to(at);
        land(shared);
    }
    jump_to(until);
}

fn set_clock(shared: &Shared, body: &Bytes) -> Reply {
    let set: SetClock = parse(body)?;
    if set.speed.is_some_and(|speed| !(0.0..=100_000.0).contains(&speed)) {
        return Err(Wrong(400, "speed must be between 0 and 100000".to_owned()));
    }
    advance(shared, set.advance_ms);
    let mut world = shared.world();
    if let Some(speed) = set.speed {
        world.clock.set_speed(speed);
    }
    world.advance();
    drop(world);
    Ok(clock(shared))
}

/// Everything that stands in the account and region that were asked for, or in all.
fn state(shared: &Shared, account: Option<&String>, region: Option<&String>) -> Value {
    let mut world = shared.world();
    let now = world.advance();
    let wanted = |asked: Option<&String>, actual: &String| asked.is_none_or(|asked| asked == actual);
    let regions: Vec<Value> = world
        .regions
        .values_mut()
        .filter(|one| wanted(account, &one.account) && wanted(region, &one.name))
        .map(|one| region_state(one, &CallContext::service(now, "", "aws-sim")))
        .collect();
    json!({ "now": now.iso(), "regions": regions })
}

fn region_state(region: &mut Region, ctx: &CallContext) -> Value {
    let definitions = ecs::call(region, ctx, "ListTaskDefinitions", &json!({})).unwrap_or_default();
    let services: Vec<Value> = region
        .ecs
        .services
        .values()
        .map(|service| ecs::service_view(region, service))
        .collect();
    let tasks: Vec<Value> = region
        .ecs
        .tasks
        .values()
        .map(|task| task.describe(true))
        .collect();
    let targets: Vec<Value> = region
        .elb
        .target_groups
        .values()
        .flat_map(|group| {
            group.targets.iter().map(|((id, port), target)| {
                json!({"targetGroup": group.name, "id": id, "port": port, "state": target.state.word(), "task": target.task})
            })
        })
        .collect();
    let roles: Vec<String> = region.iam.lock().keys().cloned().collect();
    let log_groups: Vec<&String> = region.logs.groups.keys().collect();
    json!({
        "account": region.account,
        "region": region.name,
        "taskDefinitions": definitions["taskDefinitionArns"],
        "services": services,
        "tasks": tasks,
        "targets": targets,
        "roles": roles,
        "logGroups": log_groups,
        "objects": region.buckets.objects(&region.account, &region.name),
        "stacks": cloudformation::view(region),
    })
}

/// The seed's world again; the effect log, breakpoints and faults are empty.
fn reset(shared: &Shared) -> Reply {
    let fresh = seed::build(&shared.seed, shared.speed).map_err(|error| Wrong(500, format!("{error:#}")))?;
    fresh.images.serve_at(&format!("http://{}", shared.address));
    shared.breakpoints.clear();
    shared.faults.set(Schedule::default());
    shared.late.clear();
    let mut world = shared.world();
    *world = fresh;
    let mut limits = shared
        .limits
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    *limits = Limiter::new(shared.seed.limits);
    shared.effects.clear();
    Ok(json!({}))
}
