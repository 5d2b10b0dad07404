//! `kill -9` of an agent around every arrival at AWS of what is rarer than an update: a
//! stack that is taken over, a roll-back that is stuck and is continued, and a plan that
//! is not the approved one. Each run ends in the verdict and the effects of the run that
//! nobody killed; a refusal may be worked out twice, and leaves nothing behind.

use std::{
    collections::BTreeMap,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use towline_proto::agent::v1::{
    ContainerSpec, DeployFargateServiceRequest, DescribeServiceRequest, FargateServiceSpec, NetworkSpec,
    OperationContext,
};
use towline_tests::{
    direct::{Direct, MAY_DEPLOY, Outcome},
    sim::{Effect, Hold},
    steps::{Step, effects_of, steps},
    wait_for,
    world::{Options, World},
};

const AGENT: &str = "staging";
const ACCOUNT: &str = "222222222222";
const REGION: &str = "eu-west-1";
const CLUSTER: &str = "main";
const STACK: &str = "kept-web";
const SIDES: [Hold; 2] = [Hold::Before, Hold::After];
const PATIENCE: Duration = Duration::from_secs(60);

/// What is deployed while the agent is killed.
struct Scenario {
    name: &'static str,
    /// What the account is like before; the service's name.
    prepare: fn(&Rig) -> String,
    tag: &'static str,
    adopt: bool,
    plan_hash: &'static str,
    /// How it ends, and the writes that it applies.
    reason: &'static str,
    writes: &'static [&'static str],
    /// Nothing shows afterwards that it was refused: a repeat works it out again.
    is_refused: bool,
}

struct Rig {
    world: World,
    runs: usize,
    /// Of the operation that is watched.
    id: String,
    kills: BTreeMap<String, usize>,
}

impl Rig {
    fn start() -> Self {
        let world = World::start(Options {
            agents: vec![AGENT],
            speed: 200,
            agent_extra: MAY_DEPLOY.to_owned(),
            ..Options::default()
        });
        Self {
            world,
            runs: 0,
            id: String::new(),
            kills: BTreeMap::new(),
        }
    }

    fn agent(&self) -> Direct {
        let address = self.world.agent(AGENT).listen.clone().expect("it listens");
        wait_for("the agent listens", PATIENCE, || {
            TcpStream::connect(&address).ok()
        });
        Direct::dial(&self.world, AGENT)
    }

    fn log(&self) -> String {
        self.world.agent_log(AGENT)
    }

    fn deploy(&self, tag: &str) -> Outcome {
        self.agent().deploy(request("web", tag)).expect("a verdict")
    }

    /// The scenario's account, and its request.
    fn prepared(&mut self, scenario: &Scenario) -> DeployFargateServiceRequest {
        self.world.sim.reset();
        // The agent remembers the operation of the run before.
        self.runs += 1;
        self.id = format!("11111111-1111-4111-8111-{:012}", self.runs);
        let service = (scenario.prepare)(self);
        let mut request = request(&service, scenario.tag);
        request.expected = self
            .agent()
            .describe(DescribeServiceRequest {
                region: REGION.into(),
                cluster: CLUSTER.into(),
                service,
                stack: STACK.into(),
                ..Default::default()
            })
            .expect("described")
            .expected;
        request.adopt = scenario.adopt;
        request.plan_hash = scenario.plan_hash.into();
        request.context = Some(OperationContext {
            operation_id: self.id.clone(),
            ..Default::default()
        });
        request
    }

    /// What arrived of the operation.
    fn effects(&self) -> Vec<Effect> {
        let mut effects = self.world.sim.effects(0);
        effects.retain(|effect| effect.operation.as_ref() == Some(&self.id));
        effects
    }

    /// Kills the agent while the first arrival of `step` is held, and asks again.
    fn kill_at(&mut self, scenario: &Scenario, reference: &[Effect], step: &Step, side: Hold) {
        let what = format!("{}: killed {side:?} {}", scenario.name, step.name());
        let mut request = self.prepared(scenario);
        let agent = self.agent();
        let first = request.clone();
        let breakpoint = {
            let sim = &self.world.sim;
            let before_it =
                (!step.write && step.phase > 0).then(|| write(reference, step.phase).hold(sim, Hold::After));
            let mut breakpoint = before_it.is_none().then(|| step.hold(sim, side));
            // Its connection ends with the agent.
            thread::spawn(move || agent.deploy(first));
            if let Some(write) = before_it {
                write.wait(PATIENCE);
                breakpoint = Some(step.hold(sim, side));
                write.release();
            }
            let breakpoint = breakpoint.expect("one is armed");
            breakpoint.wait(PATIENCE);
            breakpoint.id().to_owned()
        };
        self.world.kill_agent(AGENT);
        self.world.sim.breakpoint(&breakpoint).release_dropped();
        self.world.start_agent(AGENT);
        if let Some(context) = &mut request.context {
            context.repeated_send = true;
        }
        let outcome = self.agent().deploy(request).expect("a verdict");
        assert_eq!(
            outcome.finished.reason,
            scenario.reason,
            "{what}: {}\n{}",
            outcome.words(),
            self.log()
        );
        self.same_effects(scenario, reference, &what);
        *self.kills.entry(step.name()).or_default() += 1;
    }

    fn same_effects(&self, scenario: &Scenario, reference: &[Effect], what: &str) {
        let (ours, theirs) = (effects_of(&self.effects()), effects_of(reference));
        if scenario.is_refused {
            let rounds = ours
                .chunks(theirs.len())
                .all(|round| theirs.starts_with(round) || round == theirs);
            let executed = ours.iter().any(|effect| effect.contains("ExecuteChangeSet"));
            assert!(rounds && !executed, "{what}: {ours:#?}\n{}", self.log());
            let left = self.cloudformation("ListChangeSets", &[("StackName", STACK)]);
            assert!(!left.contains(&self.id), "{what}: {left}\n{}", self.log());
        } else {
            assert_eq!(ours, theirs, "{what}\n{}", self.log());
        }
    }

    /// Somebody else calls CloudFormation.
    fn cloudformation(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let form = parameters.iter().copied();
        let form = form.chain([("Action", action), ("Version", "2010-05-15")]);
        let request = ureq::post(self.world.sim.url()).header("authorization", signed("cloudformation"));
        let request = request.config().http_status_as_error(false).build();
        let mut answer = request.send_form(form).expect("CloudFormation answers");
        answer.body_mut().read_to_string().expect("text")
    }

    /// Somebody else calls ECS.
    fn ecs(&self, action: &str, body: &Value) {
        let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
        let request = ureq::post(self.world.sim.url())
            .header("authorization", signed("ecs"))
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1");
        request.send(body.to_string()).expect("ECS takes it");
    }

    fn stack_is(&self, status: &str) {
        wait_for(status, PATIENCE, || {
            let stacks = self.world.sim.stacks(ACCOUNT, REGION);
            stacks.contains(&format!("{STACK} {status}")).then_some(())
        });
    }
}

fn signed(service: &str) -> String {
    let scope = format!("{ACCOUNT}/20260101/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
}

/// The n-th applied write, from 1.
fn write(reference: &[Effect], number: usize) -> Step {
    let writes = steps(reference).into_iter().filter(|step| step.write);
    let mut of_phase = writes.filter(|step| step.phase == number - 1);
    of_phase.next().expect("every phase begins with a write")
}

fn request(service: &str, tag: &str) -> DeployFargateServiceRequest {
    DeployFargateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: Some(FargateServiceSpec {
            name: service.into(),
            stack_name: STACK.into(),
            cpu: 512,
            memory: 1024,
            containers: vec![ContainerSpec {
                name: "web".into(),
                image: image(tag),
                ..Default::default()
            }],
            network: Some(NetworkSpec {
                subnets: vec!["subnet-0510000000000000a".into()],
                security_groups: vec!["sg-0510000000000000c".into()],
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn image(tag: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web:{tag}")
}

/// A stack of another tool, with ids of its own.
fn foreign(rig: &Rig) -> String {
    let role = json!({
        "Type": "AWS::IAM::Role",
        "Properties": { "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "ecs-tasks.amazonaws.com" },
                "Action": "sts:AssumeRole",
            }],
        } },
    });
    let task = json!({
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {
            "Family": "web", "Cpu": "512", "Memory": "1024", "NetworkMode": "awsvpc",
            "RequiresCompatibilities": ["FARGATE"],
            "ExecutionRoleArn": { "Fn::GetAtt": ["RoleWeb", "Arn"] },
            "ContainerDefinitions": [{ "Name": "web", "Image": image("1.0.0"), "Essential": true }],
        },
    });
    let service = json!({
        "Type": "AWS::ECS::Service",
        "Properties": {
            "Cluster": CLUSTER, "LaunchType": "FARGATE", "DesiredCount": 1, "ServiceName": "theirs",
            "TaskDefinition": { "Ref": "TaskWeb" },
            "NetworkConfiguration": { "AwsvpcConfiguration": {
                "Subnets": ["subnet-0510000000000000a"],
                "SecurityGroups": ["sg-0510000000000000c"],
            } },
        },
    });
    let template = json!({ "Resources": { "RoleWeb": role, "TaskWeb": task, "ServiceWeb": service } });
    let parameters = [
        ("StackName", STACK),
        ("TemplateBody", &template.to_string()),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
    ];
    let answer = rig.cloudformation("CreateStack", &parameters);
    assert!(answer.contains("<StackId>"), "{answer}");
    rig.stack_is("CREATE_COMPLETE");
    "theirs".to_owned()
}

/// The service `web`, healthy.
fn healthy(rig: &Rig) -> String {
    let made = rig.deploy("1.0.0");
    assert_eq!(
        made.finished.reason,
        "completed",
        "{}\n{}",
        made.words(),
        rig.log()
    );
    "web".to_owned()
}

/// An update that crashes, and the revision that it would go back to is gone.
fn stuck(rig: &Rig) -> String {
    let made = rig.deploy("1.0.0");
    let first = made
        .finished
        .outputs
        .get("task_definition")
        .expect("a revision")
        .clone();
    rig.ecs("DeregisterTaskDefinition", &json!({ "taskDefinition": first }));
    let failed = rig.deploy("1.1.0");
    assert_eq!(
        failed.finished.reason,
        "stack_failed",
        "{}\n{}",
        failed.words(),
        rig.log()
    );
    rig.stack_is("UPDATE_ROLLBACK_FAILED");
    "web".to_owned()
}

/// Looks before the first write have done nothing yet: they are hit on one side, in turn.
fn sides(number: usize, step: &Step) -> &'static [Hold] {
    match step.write || step.phase > 0 {
        true => &SIDES,
        false if number.is_multiple_of(2) => &SIDES[..1],
        false => &SIDES[1..],
    }
}

fn sweep(scenario: &Scenario) {
    let began = Instant::now();
    let mut rig = Rig::start();
    let request = rig.prepared(scenario);
    let outcome = rig.agent().deploy(request).expect("a verdict");
    let words = outcome.words();
    assert_eq!(outcome.finished.reason, scenario.reason, "{words}\n{}", rig.log());
    let reference = rig.effects();
    let writes = reference.iter().filter(|effect| effect.write && effect.applied);
    let writes: Vec<&str> = writes.map(|effect| effect.action.as_str()).collect();
    assert_eq!(writes, scenario.writes, "{words}");
    let steps = steps(&reference);
    for (number, step) in steps.iter().enumerate() {
        for side in sides(number, step) {
            rig.kill_at(scenario, &reference, step, *side);
        }
    }
    println!("{}: kills per step ({:.0?})", scenario.name, began.elapsed());
    for (number, step) in steps.iter().enumerate() {
        let kills = rig.kills.get(&step.name()).copied().unwrap_or(0);
        println!("  {kills:>3}  {}", step.name());
        assert_eq!(kills, sides(number, step).len(), "{} was not hit", step.name());
    }
    rig.world.stop();
}

#[test]
fn the_agent_killed_over_a_stack_that_is_taken_over() {
    sweep(&Scenario {
        name: "adoption",
        prepare: foreign,
        tag: "1.2.0",
        adopt: true,
        plan_hash: "",
        reason: "completed",
        writes: &["CreateChangeSet", "ExecuteChangeSet"],
        is_refused: false,
    });
}

#[test]
fn the_agent_killed_over_a_roll_back_that_is_stuck() {
    sweep(&Scenario {
        name: "a stuck roll-back",
        prepare: stuck,
        tag: "1.2.0",
        adopt: false,
        plan_hash: "",
        reason: "stack_stuck",
        writes: &["ContinueUpdateRollback"],
        is_refused: false,
    });
}

#[test]
fn the_agent_killed_over_a_plan_that_is_not_the_approved_one() {
    sweep(&Scenario {
        name: "another plan",
        prepare: healthy,
        tag: "1.2.0",
        adopt: false,
        plan_hash: "0000000000000000000000000000000000000000000000000000000000000000",
        reason: "plan_changed",
        writes: &["CreateChangeSet", "DeleteChangeSet"],
        is_refused: true,
    });
}
