//! How a task begins: its place, its containers, and the processes of its
//! images. What can stop it from starting is in `obstacles`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    health,
    obstacles::{awslogs, cpu_of},
    placement,
};
use crate::{
    ecs::{
        model::{Service, TaskDefinition, merge_tags},
        references::find_task_definition,
        task::{Check, Condition, Container, Health, Place, RestartPolicy, Stage, Task},
    },
    images::{Behaviour, Image, Reference},
    wire::json::{number, text},
    world::{Region, SimTime},
};

/// Starts a task of a service; its id, or the words of the event that says why not.
pub fn start(
    region: &mut Region,
    service: &Service,
    deployment: &str,
    now: SimTime,
) -> Result<String, String> {
    let definition = find_task_definition(region, &service.task_definition)
        .cloned()
        .ok_or_else(|| "failed to launch a task with (error TaskDefinition not found.).".to_owned())?;
    let provider = next_provider(region, service);
    let place = placement::place(region, service, &definition, provider.as_deref())?;
    let id = region.ids.hex("task", 32);
    let mut task = new_task(region, service, deployment, &definition, place, id.clone(), now);
    task.capacity_provider = provider;
    task.architecture = architecture(region, task.host(), &definition);
    if task.stage == Stage::Pulling {
        task.next = now.plus_s(pull_s(region, &task));
    }
    region.ecs.add_task(task);
    Ok(id)
}

fn new_task(
    region: &mut Region,
    service: &Service,
    deployment: &str,
    definition: &TaskDefinition,
    place: Place,
    id: String,
    now: SimTime,
) -> Task {
    let on_interface = matches!(place, Place::Interface { .. });
    let containers = definition
        .containers()
        .map(|container| new_container(region, service, container, on_interface))
        .collect::<Vec<Container>>();
    let body = Value::Object(definition.body.clone());
    let fargate = service.uses_fargate();
    let pinned = pinned_digests(service, deployment);
    let mut tags = Vec::new();
    match service.setting_text("propagateTags") {
        "SERVICE" => merge_tags(&mut tags, &service.tags),
        "TASK_DEFINITION" => merge_tags(&mut tags, &definition.tags),
        _ => {}
    }
    let waits = matches!(place, Place::Waiting { .. });
    Task {
        capacity_provider: None,
        arn: region.arn("ecs", &format!("task/{}/{id}", service.cluster)),
        id,
        cluster: service.cluster.clone(),
        cluster_arn: service.cluster_arn.clone(),
        service: service.name.clone(),
        deployment: deployment.to_owned(),
        started_by: deployment.to_owned(),
        task_definition: definition.arn.clone(),
        launch_type: if fargate { "FARGATE" } else { "EC2" },
        platform_version: fargate.then(|| "1.4.0".to_owned()),
        ephemeral_storage: body
            .get("ephemeralStorage")
            .and_then(|storage| number(storage, "sizeInGiB"))
            .unwrap_or(20),
        architecture: "x86_64",
        has_exec: service.setting("enableExecuteCommand") == Some(&Value::Bool(true)),
        cpu: text(&body, "cpu").map(str::to_owned),
        memory: text(&body, "memory").map(str::to_owned),
        place,
        stage: if on_interface || waits {
            Stage::Provisioning
        } else {
            Stage::Pulling
        },
        stopping: false,
        next: now.plus_s(if waits {
            region.timing.capacity_s
        } else {
            region.timing.provision_s
        }),
        created: now,
        pull_started: (!on_interface && !waits).then_some(now),
        pull_stopped: None,
        processes_started: None,
        started: None,
        stopping_at: None,
        stopped: None,
        stop_code: None,
        stopped_reason: None,
        containers: containers
            .into_iter()
            .map(|container| Container {
                digest: pinned.get(&container.name).cloned(),
                ..container
            })
            .collect(),
        protected_until: None,
        was_healthy: false,
        failed_checks: false,
        judged: false,
        version: 1,
        tags,
    }
}

/// The CPU that a task finds: that of its instance, or the one that it asks Fargate for.
pub(super) fn architecture(region: &Region, host: Option<&str>, definition: &TaskDefinition) -> &'static str {
    let instances = region.ecs.clusters.values().flat_map(|one| &one.instances);
    let here = instances
        .filter(|one| host == Some(one.arn.as_str()))
        .map(|one| one.architecture.as_str())
        .next();
    let asked = definition.body.get("runtimePlatform");
    let asked = asked.and_then(|platform| text(platform, "cpuArchitecture"));
    match (here, asked) {
        (Some("arm64"), _) | (None, Some("ARM64")) => "arm64",
        _ => "x86_64",
    }
}

/// The capacity provider that is next in line: the base first, then the one that
/// has the fewest tasks for its weight.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/capacity-provider-launch-type-comparison.html>
fn next_provider(region: &Region, service: &Service) -> Option<String> {
    let strategy = service.strategy();
    let has = |name: &str| {
        let tasks = health::ours(region, service).filter(|task| task.is_wanted());
        let of_it = tasks.filter(|task| task.capacity_provider.as_deref() == Some(name));
        i64::try_from(of_it.count()).unwrap_or(i64::MAX)
    };
    let lacking = strategy.iter().find(|item| has(&item.provider) < item.base);
    let weighed = strategy.iter().filter(|item| item.weight > 0).min_by(|a, b| {
        let (of_a, of_b) = (has(&a.provider) - a.base, has(&b.provider) - b.base);
        (of_a * b.weight).cmp(&(of_b * a.weight))
    });
    lacking.or(weighed).map(|item| item.provider.clone())
}

/// What ECS pinned each container's tag to, once for its deployment.
fn pinned_digests(service: &Service, deployment: &str) -> BTreeMap<String, String> {
    service
        .deployments
        .iter()
        .find(|one| one.id == deployment)
        .and_then(|one| service.revision(&one.revision))
        .into_iter()
        .flat_map(|revision| &revision.images)
        .filter_map(|(name, _, digest)| Some((name.clone(), digest.clone()?)))
        .collect()
}

/// The image of a container: by the digest that it is pinned to, else by its tag.
pub(super) fn image_of(region: &Region, container: &Container) -> Option<Image> {
    let reference = Reference::parse(&container.image);
    region.images.find(&Reference {
        digest: reference.digest.clone().or_else(|| container.digest.clone()),
        ..reference
    })
}

fn new_container(region: &mut Region, service: &Service, container: &Value, on_interface: bool) -> Container {
    let id = region.ids.uuid("container");
    let (cpu, memory) = placement::reservation(container);
    let bindings = container
        .get("portMappings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|mapping| {
            let container_port = number(mapping, "containerPort").unwrap_or(0);
            let fixed = number(mapping, "hostPort").filter(|port| *port > 0);
            let host_port = fixed.unwrap_or_else(|| {
                let drawn: i64 = region.ids.digits("port", 5).parse().unwrap_or(0);
                32_768 + drawn % 28_000
            });
            let host_port = if on_interface { container_port } else { host_port };
            let protocol = text(mapping, "protocol").unwrap_or("tcp").to_owned();
            (container_port, host_port, protocol)
        })
        .collect();
    Container {
        arn: region.arn("ecs", &format!("container/{}/{id}", service.cluster)),
        name: text(container, "name").unwrap_or_default().to_owned(),
        image: text(container, "image").unwrap_or_default().to_owned(),
        digest: None,
        essential: container
            .get("essential")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        behaviour: Behaviour::Ok,
        ends: None,
        exit_code: None,
        reason: None,
        stopped: false,
        cpu,
        memory: (memory > 0).then_some(memory),
        bindings,
        check: None,
        health: Health::Unknown,
        answers_from: SimTime::default(),
        answers_until: None,
        ignores_sigterm: false,
        stop_timeout_s: number(container, "stopTimeout").unwrap_or(DEFAULT_STOP_TIMEOUT_S),
        alarm: None,
        started: None,
        waits_for: dependencies(container),
        start_timeout_s: number(container, "startTimeout").unwrap_or(DEFAULT_START_TIMEOUT_S),
        restart: restart_policy(container),
        restarts: 0,
    }
}

/// How long ECS waits for a dependency that names no `startTimeout`.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>
const DEFAULT_START_TIMEOUT_S: i64 = 180;

/// How long after SIGTERM a container is killed, unless it says otherwise.
const DEFAULT_STOP_TIMEOUT_S: i64 = 30;

/// How long a container must have run before it is restarted, unless it says otherwise.
const DEFAULT_RESTART_PERIOD_S: i64 = 300;

fn dependencies(container: &Value) -> Vec<(String, Condition)> {
    let listed = container.get("dependsOn").and_then(Value::as_array);
    let dependencies = listed.into_iter().flatten().filter_map(|dependency| {
        let condition = Condition::parse(text(dependency, "condition")?)?;
        Some((text(dependency, "containerName")?.to_owned(), condition))
    });
    dependencies.collect()
}

fn restart_policy(container: &Value) -> Option<RestartPolicy> {
    let policy = container.get("restartPolicy")?;
    let ignored = policy.get("ignoredExitCodes").and_then(Value::as_array);
    let ignored = ignored.into_iter().flatten().filter_map(Value::as_i64);
    (policy.get("enabled").and_then(Value::as_bool) == Some(true)).then(|| RestartPolicy {
        ignored_exit_codes: ignored.filter_map(|code| i32::try_from(code).ok()).collect(),
        period_s: number(policy, "restartAttemptPeriod").unwrap_or(DEFAULT_RESTART_PERIOD_S),
    })
}

/// Starts the process of one of a task's containers.
pub fn start_process(
    region: &mut Region,
    task: &mut Task,
    index: usize,
    definition: &TaskDefinition,
    now: SimTime,
) {
    let id = task.id.clone();
    let Some(container) = task.containers.get_mut(index) else {
        return;
    };
    container.started = Some(now);
    let described = definition
        .containers()
        .find(|one| text(one, "name") == Some(container.name.as_str()))
        .cloned()
        .unwrap_or_default();
    let Some(image) = image_of(region, container) else {
        return;
    };
    container.digest = Some(image.digest());
    let (image, pace_ms) = commanded(image, &described);
    container.behaviour = if !image.is_for(cpu_of(task.architecture)) {
        Behaviour::ExecFormat
    } else if is_starved(&image, &described, definition) {
        Behaviour::OutOfMemory
    } else {
        behaviour(&image, &described)
    };
    container.ends = match container.behaviour {
        Behaviour::Ok | Behaviour::Unhealthy => None,
        Behaviour::Crash => Some((now.plus_s(image.after_s), image.exit_code)),
        Behaviour::ExecFormat => Some((now.plus_ms(50), 255)),
        Behaviour::OutOfMemory => Some((now.plus_s(image.after_s), 137)),
    };
    container.check = described
        .get("healthCheck")
        .filter(|check| {
            crate::wire::json::texts(check, "command")
                .first()
                .is_some_and(|word| word != "NONE")
        })
        .map(|check| new_check(check, now));
    container.health = Health::Unknown;
    container.answers_from = now.plus_s(image.ready_s);
    container.answers_until = image.unhealthy_after_s.map(|after| now.plus_s(after));
    container.ignores_sigterm = image.ignores_sigterm;
    container.alarm = image
        .alarm
        .clone()
        .map(|name| (name, now.plus_s(image.alarm_after_s)));
    let (name, behaviour) = (container.name.clone(), container.behaviour);
    if image.protects_s > 0.0 {
        task.protected_until = Some(now.plus_s(image.protects_s));
    }
    write_log(region, &described, &id, &name, behaviour, &image, now, pace_ms);
}

/// Milliseconds between the lines that an image writes at its start.
const PACE_MS: i64 = 20;

/// What an image is when it runs the container's command, and the pace of its lines.
fn commanded(image: Image, described: &Value) -> (Image, i64) {
    let words: Vec<String> = ["entryPoint", "command"]
        .iter()
        .flat_map(|member| crate::wire::json::texts(described, member))
        .collect();
    let words = words.join(" ");
    let Some(command) = image
        .commands
        .iter()
        .find(|command| words.contains(&command.has))
        .cloned()
    else {
        return (image, PACE_MS);
    };
    let lines = i64::try_from(command.log.len()).unwrap_or(1).max(1);
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a test")]
    let pace_ms = (command.after_s * 1000.0) as i64 / lines;
    let image = Image {
        behaviour: match command.out_of_memory {
            true => Behaviour::OutOfMemory,
            false => Behaviour::Crash,
        },
        exit_code: command.exit_code,
        after_s: command.after_s,
        log: command.log,
        unless_environment: None,
        ..image
    };
    (image, pace_ms)
}

fn behaviour(image: &Image, described: &Value) -> Behaviour {
    let has = |list: &str, name: &str| {
        described
            .get(list)
            .and_then(Value::as_array)
            .is_some_and(|entries| entries.iter().any(|entry| text(entry, "name") == Some(name)))
    };
    match &image.unless_environment {
        Some(name) if has("environment", name) || has("secrets", name) => Behaviour::Ok,
        _ => image.behaviour,
    }
}

/// Whether the image needs more memory than its container, or its task, may take.
fn is_starved(image: &Image, described: &Value, definition: &TaskDefinition) -> bool {
    let of_task = definition.body.get("memory").and_then(Value::as_str);
    let limit = number(described, "memory").or_else(|| of_task?.parse().ok());
    matches!((image.needs_memory, limit), (Some(needed), Some(limit)) if needed > limit)
}

fn new_check(check: &Value, now: SimTime) -> Check {
    let interval_ms = number(check, "interval").unwrap_or(30) * 1000;
    Check {
        interval_ms,
        start_period_ms: number(check, "startPeriod").unwrap_or(0) * 1000,
        retries: number(check, "retries").unwrap_or(3),
        next: now.plus_ms(interval_ms),
        failures: 0,
    }
}

/// Seconds until a task's images are pulled.
pub(super) fn pull_s(region: &Region, task: &Task) -> f64 {
    let of_image = |container| image_of(region, container).map_or(0.0, |image| image.pull_s);
    task.containers
        .iter()
        .map(of_image)
        .fold(region.timing.pull_s, f64::max)
}

#[expect(clippy::too_many_arguments, reason = "who writes what where")]
fn write_log(
    region: &mut Region,
    described: &Value,
    task: &str,
    container: &str,
    behaviour: Behaviour,
    image: &Image,
    now: SimTime,
    pace_ms: i64,
) {
    let Some((group, prefix, _)) = awslogs(described) else {
        return;
    };
    let stream = format!("{prefix}/{container}/{task}");
    let mut lines = image.log.clone();
    if behaviour == Behaviour::ExecFormat {
        lines = vec!["exec /usr/local/bin/app: exec format error".to_owned()];
    }
    let mut at = now;
    for line in &lines {
        region.logs.write(&group, &stream, at, line);
        at = at.plus_ms(pace_ms);
    }
}
