//! What a Fargate service goes through, case by case: each has a service of
//! its own and says in one sentence what was not as it should be.

use serde_json::json;
use towline_proto::agent::v1::{
    ContainerSpec, CpuArchitecture, DependencyCondition, DependencySpec, DeployFargateServiceRequest,
    DescribeServiceRequest, FargateServiceSpec, HealthCheckSpec, NetworkSpec, OperationEvent, PortSpec, Step,
    StepState, Verdict, operation_event::Event,
};
use towline_tests::direct::{Direct, Outcome};

use crate::emulator::{CLUSTER, Emulator, REGION};

/// What a case works with.
pub struct Bench {
    pub emulator: Emulator,
    pub agent: Direct,
}

/// One case: its name in the list of exclusions, and what it does.
pub struct Case {
    pub name: &'static str,
    pub run: fn(&Bench) -> Result<(), String>,
}

const fn case(name: &'static str, run: fn(&Bench) -> Result<(), String>) -> Case {
    Case { name, run }
}

/// Every case.
pub const CASES: [Case; 16] = [
    case("create", create),
    case("update", update),
    case("no-op", no_op),
    case("rollback of an update", rollback),
    case("delete of a first create that failed", failed_create),
    case(
        "cancel of a first create before its change set is executed",
        cancelled_before,
    ),
    case("cancel of a first create while it runs", cancelled_create),
    case("repair of what is not as its stack says", drift),
    case("a rollout that fails", failing_rollout),
    case("a rollout in progress", rollout_in_progress),
    case("container health checks", health_check),
    case("container dependencies", dependencies),
    case("secrets", secrets),
    case("processor architecture", architecture),
    case("ephemeral storage", ephemeral_storage),
    case("a network beside another", other_network),
];

const FIRST: &str = "public.ecr.aws/docker/library/nginx:1.28";
const SECOND: &str = "public.ecr.aws/docker/library/nginx:1.29";

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Bench {
    fn spec(&self, name: &str, image: &str) -> FargateServiceSpec {
        FargateServiceSpec {
            name: name.into(),
            cpu: 256,
            memory: 512,
            containers: vec![ContainerSpec {
                name: "web".into(),
                image: image.into(),
                ports: vec![PortSpec {
                    container_port: 8080,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            network: Some(NetworkSpec {
                subnets: vec![self.emulator.subnet.clone()],
                security_groups: vec![self.emulator.security_group.clone()],
                ..Default::default()
            }),
            desired_count: Some(2),
            ..Default::default()
        }
    }

    fn deploy(&self, spec: FargateServiceSpec) -> Result<Outcome, String> {
        self.agent.deploy(request(spec))
    }

    fn deploys(&self, spec: FargateServiceSpec, verdict: Verdict) -> Result<Outcome, String> {
        let outcome = self.deploy(spec)?;
        ensure(outcome.finished.verdict() == verdict, || {
            format!("wanted {}, got {}", verdict.as_str_name(), outcome.words())
        })?;
        Ok(outcome)
    }

    /// The agent reads what it deployed, task definition included.
    fn deploys_and_reads(&self, spec: FargateServiceSpec) -> Result<(), String> {
        let (service, containers) = (spec.name.clone(), spec.containers.len());
        self.deploys(spec, Verdict::Succeeded)?;
        let described = self.agent.describe(DescribeServiceRequest {
            region: REGION.into(),
            cluster: CLUSTER.into(),
            service,
            ..Default::default()
        })?;
        let found = described.service.map_or(0, |service| service.containers.len());
        ensure(found == containers, || {
            format!("{found} of {containers} containers are described")
        })
    }

    fn runs(&self, service: &str, image: &str) -> Result<(), String> {
        let definition = self.emulator.task_definition(service);
        let found = &definition["containerDefinitions"][0]["image"];
        ensure(found == image, || {
            format!("{service} runs {found} and not {image}")
        })
    }

    fn stack_is(&self, service: &str, wanted: Option<&str>) -> Result<(), String> {
        let found = self.emulator.stack_status(&stack(service));
        ensure(found.as_deref() == wanted, || {
            format!("stack {} is {found:?} and not {wanted:?}", stack(service))
        })
    }
}

fn request(spec: FargateServiceSpec) -> DeployFargateServiceRequest {
    DeployFargateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: Some(spec),
        ..Default::default()
    }
}

/// The name that the agent derives for a name without hyphens.
pub fn stack(service: &str) -> String {
    format!("towline-{CLUSTER}-{service}")
}

/// A change that IAM refuses: two tags of a role whose keys differ by case alone.
fn with_refused_tags(mut spec: FargateServiceSpec) -> FargateServiceSpec {
    spec.tags = [("team", "shop"), ("Team", "shop")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    spec
}

fn create(bench: &Bench) -> Result<(), String> {
    bench.deploys(bench.spec("create", FIRST), Verdict::Succeeded)?;
    bench.stack_is("create", Some("CREATE_COMPLETE"))?;
    let service = bench.emulator.service("create");
    ensure(service["runningCount"] == 2, || {
        format!("two tasks run: {service}")
    })?;
    bench.runs("create", FIRST)
}

fn update(bench: &Bench) -> Result<(), String> {
    bench.deploys(bench.spec("update", FIRST), Verdict::Succeeded)?;
    bench.deploys(bench.spec("update", SECOND), Verdict::Succeeded)?;
    bench.stack_is("update", Some("UPDATE_COMPLETE"))?;
    let input = json!({ "familyPrefix": "update", "status": "ACTIVE" });
    let kept = bench.emulator.json("ecs", "ListTaskDefinitions", &input);
    let kept = kept["taskDefinitionArns"].as_array().map_or(0, Vec::len);
    ensure(kept == 2, || {
        format!("the revision to go back to is kept: {kept}")
    })?;
    bench.runs("update", SECOND)
}

fn no_op(bench: &Bench) -> Result<(), String> {
    bench.deploys(bench.spec("noop", FIRST), Verdict::Succeeded)?;
    let before = bench.emulator.stack_events(&stack("noop"));
    bench.deploys(bench.spec("noop", FIRST), Verdict::Unchanged)?;
    let after = bench.emulator.stack_events(&stack("noop"));
    ensure(before == after && before > 0, || {
        format!("{before} stack events became {after}")
    })
}

fn rollback(bench: &Bench) -> Result<(), String> {
    bench.deploys(bench.spec("rollback", FIRST), Verdict::Succeeded)?;
    let spec = with_refused_tags(bench.spec("rollback", SECOND));
    let outcome = bench.deploys(spec, Verdict::Failed)?;
    let cause = outcome
        .finished
        .diagnosis
        .map(|d| d.root_cause)
        .unwrap_or_default();
    ensure(cause.to_lowercase().contains("tag"), || {
        format!("the root cause is IAM's: {cause:?}")
    })?;
    bench.stack_is("rollback", Some("UPDATE_ROLLBACK_COMPLETE"))?;
    bench.runs("rollback", FIRST)
}

fn failed_create(bench: &Bench) -> Result<(), String> {
    bench.deploys(with_refused_tags(bench.spec("failed", FIRST)), Verdict::Failed)?;
    bench.stack_is("failed", Some("ROLLBACK_COMPLETE"))?;
    let outcome = bench.deploys(bench.spec("failed", FIRST), Verdict::Succeeded)?;
    bench.stack_is("failed", Some("CREATE_COMPLETE"))?;
    let is_told = |event: &Event| matches!(event, Event::Finding(f) if f.reason == "stack_made_anew");
    let told = outcome
        .events
        .iter()
        .filter_map(|e| e.event.as_ref())
        .any(is_told);
    ensure(told, || {
        "that the stack was deleted and made anew was not said".into()
    })
}

fn cancelled_before(bench: &Bench) -> Result<(), String> {
    let begun = |event: &OperationEvent| {
        matches!(&event.event, Some(Event::StepChanged(changed))
            if changed.step() == Step::ChangeSet && changed.state() == StepState::Started)
    };
    cancelled(bench, "unwanted", begun)
}

fn cancelled_create(bench: &Bench) -> Result<(), String> {
    let begun = |event: &OperationEvent| matches!(&event.event, Some(Event::StackResource(_)));
    cancelled(bench, "cancelled", begun)
}

fn cancelled(bench: &Bench, name: &str, is_time: impl Fn(&OperationEvent) -> bool) -> Result<(), String> {
    let outcome = bench
        .agent
        .deploy_and(request(bench.spec(name, FIRST)), is_time)?;
    ensure(outcome.finished.verdict() == Verdict::Cancelled, || {
        outcome.words()
    })?;
    bench.stack_is(name, None)?;
    ensure(bench.emulator.is_deleted(&stack(name)), || {
        format!("stack {} was never made, so its end shows nothing", stack(name))
    })
}

/// Somebody sets the service back to an older revision; the same deployment again repairs it.
fn drift(bench: &Bench) -> Result<(), String> {
    bench.deploys(bench.spec("drift", FIRST), Verdict::Succeeded)?;
    bench.deploys(bench.spec("drift", SECOND), Verdict::Succeeded)?;
    let input = json!({ "cluster": CLUSTER, "service": "drift", "taskDefinition": "drift:1" });
    bench.emulator.json("ecs", "UpdateService", &input);
    bench.runs("drift", FIRST)?;
    bench.deploys(bench.spec("drift", SECOND), Verdict::Succeeded)?;
    bench.runs("drift", SECOND)
}

fn failing_rollout(bench: &Bench) -> Result<(), String> {
    let outcome = bench.deploy(bench.spec("failing", "public.ecr.aws/no/such/image:1"))?;
    ensure(outcome.finished.verdict() == Verdict::Failed, || outcome.words())
}

fn rollout_in_progress(bench: &Bench) -> Result<(), String> {
    let outcome = bench.deploys(bench.spec("progress", FIRST), Verdict::Succeeded)?;
    let waits = |event: &Event| matches!(event, Event::Rollout(r) if r.deployments.iter().any(|d| d.running < d.desired));
    let seen = outcome.events.iter().filter_map(|e| e.event.as_ref()).any(waits);
    ensure(seen, || "no rollout was seen on its way".into())
}

fn health_check(bench: &Bench) -> Result<(), String> {
    let mut spec = bench.spec("health", FIRST);
    spec.containers[0].health_check = Some(HealthCheckSpec {
        command: vec!["CMD-SHELL".into(), "curl -f http://localhost:8080/".into()],
        ..Default::default()
    });
    bench.deploys_and_reads(spec)
}

fn dependencies(bench: &Bench) -> Result<(), String> {
    let mut spec = bench.spec("depends", FIRST);
    let mut sidecar = spec.containers[0].clone();
    sidecar.name = "sidecar".into();
    sidecar.ports.clear();
    spec.containers[0].depends_on = vec![DependencySpec {
        container: "sidecar".into(),
        condition: DependencyCondition::Start.into(),
    }];
    spec.containers.push(sidecar);
    bench.deploys_and_reads(spec)
}

fn secrets(bench: &Bench) -> Result<(), String> {
    let mut spec = bench.spec("secrets", FIRST);
    let parameter = json!({ "Name": "db", "Type": "SecureString", "Value": "secret" });
    bench.emulator.json("ssm", "PutParameter", &parameter);
    let arn = format!("arn:aws:ssm:{REGION}:{}:parameter/db", crate::emulator::ACCOUNT);
    spec.containers[0].secrets = [("DB".to_owned(), arn)].into();
    bench.deploys_and_reads(spec)
}

fn architecture(bench: &Bench) -> Result<(), String> {
    let mut spec = bench.spec("arm", FIRST);
    spec.architecture = CpuArchitecture::Arm64.into();
    bench.deploys(spec, Verdict::Succeeded)?;
    let definition = bench.emulator.task_definition("arm");
    let found = &definition["runtimePlatform"]["cpuArchitecture"];
    ensure(found == "ARM64", || {
        format!("the task definition's architecture is {found}")
    })
}

fn ephemeral_storage(bench: &Bench) -> Result<(), String> {
    let mut spec = bench.spec("storage", FIRST);
    spec.ephemeral_storage = 40;
    bench.deploys(spec, Verdict::Succeeded)?;
    let definition = bench.emulator.task_definition("storage");
    let found = &definition["ephemeralStorage"]["sizeInGiB"];
    ensure(found == 40, || format!("the task's ephemeral storage is {found}"))
}

fn other_network(bench: &Bench) -> Result<(), String> {
    let (subnet, group) = bench.emulator.another_network();
    let mut spec = bench.spec("network", FIRST);
    spec.network = Some(NetworkSpec {
        subnets: vec![subnet],
        security_groups: vec![group],
        ..Default::default()
    });
    bench.deploys(spec, Verdict::Succeeded).map(drop)
}
