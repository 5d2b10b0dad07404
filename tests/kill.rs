//! `kill -9` of the orchestrator and of the agent, right before and right after
//! every arrival at AWS and every commit of one deployment with a service of
//! each kind; and of the agent over a Fargate service's update, no-op and failing
//! update. Each run ends in the verdict and the effects of the run that nobody
//! killed. Prints how many kills fell into each step; an empty one fails.

use std::{collections::BTreeMap, fs, time::Duration};

use towline_tests::{
    cli::Ran,
    sim::{Breakpoint, Effect, Hold},
    steps::{Step, effects_of, steps},
    wait_for,
    world::{AGENT_PID, Options, World, repository},
};

const VERSION: &str = "1.0.0";
const SIDES: [Hold; 2] = [Hold::Before, Hold::After];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Agent,
    Orchestrator,
}

/// What is deployed while somebody is killed.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    /// The project file, without the agent's name.
    project: &'static str,
    agent: &'static str,
    /// What runs before: a release of these images, by image key.
    base: Option<&'static [&'static str]>,
    /// The images that are released.
    images: &'static [&'static str],
    /// How `towline watch` ends.
    code: i32,
}

const BOTH_KINDS: Scenario = Scenario {
    project: "both-kinds",
    agent: "dev",
    base: None,
    images: &["web=1.0.0", "orders=1.0.0"],
    code: 0,
};

const WEB: Scenario = Scenario {
    project: "web",
    base: Some(&["web=1.0.0"]),
    ..BOTH_KINDS
};

/// How a run ended: verdict and reason of each operation.
type Verdicts = Vec<(String, String, String)>;

struct Rig {
    scenario: Scenario,
    world: World,
    /// The newest arrival before the release that is watched.
    mark: u64,
    reference: Vec<Effect>,
    /// The same run with what belongs to no operation: what was read for the
    /// release, and to find the state that an operation starts from.
    all: Vec<Effect>,
    verdicts: Verdicts,
    kills: BTreeMap<String, usize>,
}

impl Rig {
    /// An installation, and the run that nobody kills.
    fn start(scenario: Scenario) -> Self {
        let agent = scenario.agent;
        let mut world = World::start(Options {
            agents: vec![agent],
            speed: 60,
            ..Options::default()
        });
        let project = scenario.project;
        world.apply_file(&repository().join(format!("tests/projects/{project}-{agent}.yaml")));
        world.take_snapshot();
        let mut rig = Self {
            scenario,
            world,
            mark: 0,
            reference: Vec::new(),
            all: Vec::new(),
            verdicts: Vec::new(),
            kills: BTreeMap::new(),
        };
        rig.restore(Vec::new());
        rig.create();
        rig.watch("the reference");
        rig.reference = rig.effects();
        rig.all = rig.world.sim.effects(rig.mark);
        rig.verdicts = rig.verdicts();
        rig
    }

    /// Back to the beginning of the scenario.
    fn restore(&mut self, serve_arguments: Vec<String>) {
        self.world.set_serve_arguments(serve_arguments);
        self.world.restore_snapshot();
        self.world.set_serve_arguments(Vec::new());
        if let Some(images) = self.scenario.base {
            self.release("0.1.0", images).expect_code(0);
            self.world.run(["watch", "0.1.0"]).expect_code(0);
        }
        self.mark = self.world.sim.last();
    }

    fn effects(&self) -> Vec<Effect> {
        let mut effects = self.world.sim.effects(self.mark);
        effects.retain(|effect| effect.operation.is_some());
        effects
    }

    fn release(&self, version: &str, images: &[&str]) -> Ran {
        let mut arguments = vec!["release", "create", "--version", version, "--no-wait"];
        for image in images {
            arguments.extend(["--image", image]);
        }
        self.world.run(arguments)
    }

    fn create(&self) -> Ran {
        self.release(VERSION, self.scenario.images)
    }

    fn watch(&self, what: &str) {
        let ran = self.world.run(["watch", VERSION]);
        let (code, said) = (
            ran.code,
            format!("{}\n{}\n{}", ran.stdout, ran.stderr, self.logs()),
        );
        assert_eq!(code, self.scenario.code, "{what}: {said}");
    }

    fn verdicts(&self) -> Verdicts {
        let shown = self
            .world
            .run(["release", "show", VERSION, "--output", "json"])
            .expect_code(0)
            .json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let deployments = shown["deployments"].as_array().expect("deployments").clone();
        let operations = deployments
            .iter()
            .flat_map(|d| d["operations"].as_array().expect("operations").clone());
        operations
            .map(|o| (text(&o["service"]), text(&o["verdict"]), text(&o["reason"])))
            .collect()
    }

    /// The release goes on to the verdict of the reference run.
    fn settle(&self, what: &str) {
        self.watch(what);
        assert_eq!(self.verdicts(), self.verdicts, "{what}\n{}", self.logs());
    }

    fn logs(&self) -> String {
        format!(
            "--- orchestrator\n{}\n--- agent\n{}\n--- effects\n{:#?}",
            self.world.orchestrator_log(),
            self.world.agent_log(self.scenario.agent),
            effects_of(&self.effects())
        )
    }

    fn same_effects(&self, what: &str) {
        assert_eq!(
            effects_of(&self.effects()),
            effects_of(&self.reference),
            "{what}\n{}",
            self.logs()
        );
    }

    fn count(&mut self, step: String) {
        *self.kills.entry(step).or_default() += 1;
    }

    /// Kills `victim` while the first arrival of `step` is held.
    fn kill_at(&mut self, step: &Step, side: Hold, victim: Victim) {
        let what = format!("{victim:?} killed {side:?} {}", step.name());
        self.restore(Vec::new());
        let sim = &self.world.sim;
        let before_it =
            (!step.write && step.phase > 0).then(|| self.write(step.phase).hold(sim, Hold::After));
        let mut breakpoint = before_it.is_none().then(|| self.hold_own(step, side));
        self.create().expect_code(0);
        if let Some(write) = before_it {
            write.wait(Duration::from_secs(30));
            breakpoint = Some(step.hold(sim, side));
            write.release();
        }
        let Some(breakpoint) = breakpoint else { return };
        breakpoint.wait(Duration::from_secs(30));
        let id = breakpoint.id().to_owned();
        match victim {
            Victim::Agent => {
                self.world.kill_agent(self.scenario.agent);
                self.world.sim.breakpoint(&id).release_dropped();
                self.world.start_agent(self.scenario.agent);
            }
            Victim::Orchestrator => {
                self.world.kill_orchestrator();
                self.world.sim.breakpoint(&id).release();
                self.world.start_orchestrator();
            }
        }
        self.settle(&what);
        self.same_effects(&what);
        self.count(step.name());
    }

    /// Holds the first arrival of `step` that is an operation's own: the release
    /// itself is made of reads, too.
    fn hold_own(&self, step: &Step, side: Hold) -> Breakpoint<'_> {
        if step.write {
            return step.hold(&self.world.sim, side);
        }
        let same = |it: &&Effect| {
            (&it.action, &it.account, &it.region) == (&step.action, &step.account, &step.region)
        };
        let same = self.all.iter().filter(same);
        let before = same.take_while(|it| it.operation.is_none()).count();
        let sim = &self.world.sim;
        sim.hold(&step.account, &step.region, &step.action, before, side)
    }

    /// The n-th applied write of the reference run, from 1.
    fn write(&self, number: usize) -> Step {
        steps(&self.reference)
            .into_iter()
            .filter(|step| step.write)
            .find(|step| step.phase == number - 1)
            .expect("every phase begins with a write")
    }

    /// Kills `victim` at a commit of the orchestrator.
    fn kill_at_commit(&mut self, commit: &str, side: &str, victim: Victim) {
        let what = format!("{victim:?} killed {side} {commit}");
        let planted = match victim {
            Victim::Orchestrator => format!("{commit}:{side}"),
            Victim::Agent => format!("{commit}:{side}:{AGENT_PID}"),
        };
        self.restore(vec!["--planted-crash".to_owned(), planted]);
        let created = self.create();
        let died = wait_for(&what, Duration::from_secs(60), || match victim {
            Victim::Orchestrator => self.world.orchestrator.as_mut()?.ended(),
            Victim::Agent => self.world.agent_program(self.scenario.agent)?.ended(),
        });
        assert!(!died.success(), "{what}: it ended by itself");
        match victim {
            Victim::Orchestrator => {
                self.world.kill_orchestrator();
                self.world.start_orchestrator();
            }
            Victim::Agent => {
                self.world.kill_agent(self.scenario.agent);
                self.world.start_agent(self.scenario.agent);
            }
        }
        if created.code != 0 {
            // Not acknowledged: a person does it again, and may find it done. The
            // agent has to be there: it says what the tags are.
            self.world.wait_for_agents();
            self.create();
        }
        self.settle(&what);
        self.same_effects(&what);
        self.count(commit.to_owned());
    }

    fn report(&self, title: &str, expected: &[String], each: usize) {
        println!("{title}: kills per step");
        for step in expected {
            let kills = self.kills.get(step).copied().unwrap_or(0);
            println!("  {kills:>3}  {step}");
            assert_eq!(kills, each, "step {step} was not hit on both sides");
        }
    }
}

fn every_arrival(scenario: Scenario, victim: Victim, least_writes: usize) {
    let mut rig = Rig::start(scenario);
    let steps = steps(&rig.reference);
    assert!(
        steps.iter().filter(|step| step.write).count() >= least_writes,
        "{steps:#?}"
    );
    for step in &steps {
        for side in SIDES {
            rig.kill_at(step, side, victim);
        }
    }
    let names: Vec<String> = steps.iter().map(Step::name).collect();
    rig.report(
        &format!("{victim:?} ({}), arrivals", scenario.agent),
        &names,
        SIDES.len(),
    );
    rig.world.stop();
}

fn every_commit(victim: Victim) {
    let mut rig = Rig::start(BOTH_KINDS);
    let log = rig.world.path().join("commits");
    rig.restore(vec!["--planted-commit-log".to_owned(), log.display().to_string()]);
    rig.create().expect_code(0);
    rig.settle("the reference");
    let mut commits: Vec<String> = Vec::new();
    for line in fs::read_to_string(&log).unwrap().lines() {
        if !commits.iter().any(|commit| commit == line) {
            commits.push(line.to_owned());
        }
    }
    assert!(commits.len() >= 6, "{commits:?}");
    for commit in &commits {
        for side in ["before", "after"] {
            rig.kill_at_commit(commit, side, victim);
        }
    }
    rig.report(&format!("{victim:?}, commits"), &commits, 2);
    rig.world.stop();
}

#[test]
fn the_polling_agent_killed_at_every_arrival() {
    every_arrival(BOTH_KINDS, Victim::Agent, 4);
}

#[test]
fn the_listening_agent_killed_at_every_arrival() {
    every_arrival(
        Scenario {
            agent: "staging",
            ..BOTH_KINDS
        },
        Victim::Agent,
        4,
    );
}

#[test]
fn the_orchestrator_killed_at_every_arrival() {
    every_arrival(BOTH_KINDS, Victim::Orchestrator, 4);
}

#[test]
fn the_orchestrator_killed_at_every_commit() {
    every_commit(Victim::Orchestrator);
}

#[test]
fn the_agent_killed_at_every_commit() {
    every_commit(Victim::Agent);
}

#[test]
fn the_agent_killed_over_a_stack_update() {
    every_arrival(
        Scenario {
            images: &["web=1.2.0"],
            ..WEB
        },
        Victim::Agent,
        2,
    );
}

#[test]
fn the_agent_killed_over_a_stack_that_needs_no_change() {
    every_arrival(
        Scenario {
            images: &["web=1.0.0"],
            ..WEB
        },
        Victim::Agent,
        0,
    );
}

#[test]
fn the_agent_killed_over_a_stack_update_that_fails() {
    every_arrival(
        Scenario {
            images: &["web=1.1.0"],
            code: 3,
            ..WEB
        },
        Victim::Agent,
        2,
    );
}
