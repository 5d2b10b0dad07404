//! `kill -9` of the orchestrator and of the agent, right before and right after
//! every arrival at AWS and every commit of one deployment with a service of
//! each kind. Each run ends in the verdict and the effects of the run that
//! nobody killed. Prints how many kills fell into each step; an empty one fails.

use std::{collections::BTreeMap, fs, time::Duration};

use towline_tests::{
    cli::Ran,
    sim::{Effect, Hold},
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

struct Rig {
    agent: &'static str,
    world: World,
    reference: Vec<Effect>,
    kills: BTreeMap<String, usize>,
}

impl Rig {
    /// An installation with both kinds of service, and the run that nobody kills.
    fn start(agent: &'static str) -> Self {
        let mut world = World::start(Options {
            agents: vec![agent],
            speed: 60,
            ..Options::default()
        });
        world.apply_file(&repository().join(format!("tests/projects/both-kinds-{agent}.yaml")));
        world.take_snapshot();
        let mut rig = Self {
            agent,
            world,
            reference: Vec::new(),
            kills: BTreeMap::new(),
        };
        rig.restore(Vec::new());
        rig.create();
        rig.settle("the reference");
        rig.reference = rig.effects();
        rig
    }

    fn restore(&mut self, serve_arguments: Vec<String>) {
        self.world.set_serve_arguments(serve_arguments);
        self.world.restore_snapshot();
        self.world.set_serve_arguments(Vec::new());
    }

    fn effects(&self) -> Vec<Effect> {
        self.world
            .sim
            .effects(0)
            .into_iter()
            .filter(|effect| effect.operation.is_some())
            .collect()
    }

    fn create(&self) -> Ran {
        self.world.run([
            "release",
            "create",
            "--version",
            VERSION,
            "--image",
            "web=1.0.0",
            "--image",
            "orders=1.0.0",
            "--no-wait",
        ])
    }

    /// The release goes on to the verdict of the reference run.
    fn settle(&self, what: &str) {
        let ran = self.world.run(["watch", VERSION]);
        assert_eq!(
            ran.code,
            0,
            "{what}: {}\n{}\n{}",
            ran.stdout,
            ran.stderr,
            self.logs()
        );
    }

    fn logs(&self) -> String {
        format!(
            "--- orchestrator\n{}\n--- agent\n{}\n--- effects\n{:#?}",
            self.world.orchestrator_log(),
            self.world.agent_log(self.agent),
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
        let mut breakpoint = before_it.is_none().then(|| step.hold(sim, side));
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
                self.world.kill_agent(self.agent);
                self.world.sim.breakpoint(&id).release_dropped();
                self.world.start_agent(self.agent);
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
            Victim::Agent => self.world.agent_program(self.agent)?.ended(),
        });
        assert!(!died.success(), "{what}: it ended by itself");
        match victim {
            Victim::Orchestrator => {
                self.world.kill_orchestrator();
                self.world.start_orchestrator();
            }
            Victim::Agent => {
                self.world.kill_agent(self.agent);
                self.world.start_agent(self.agent);
            }
        }
        if created.code != 0 {
            // Not acknowledged: a person does it again, and may find it done.
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

fn every_arrival(agent: &'static str, victim: Victim) {
    let mut rig = Rig::start(agent);
    let steps = steps(&rig.reference);
    assert!(steps.iter().filter(|step| step.write).count() >= 4, "{steps:#?}");
    for step in &steps {
        for side in SIDES {
            rig.kill_at(step, side, victim);
        }
    }
    let names: Vec<String> = steps.iter().map(Step::name).collect();
    rig.report(&format!("{victim:?} ({agent}), arrivals"), &names, SIDES.len());
    rig.world.stop();
}

fn every_commit(agent: &'static str, victim: Victim) {
    let mut rig = Rig::start(agent);
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
    rig.report(&format!("{victim:?} ({agent}), commits"), &commits, 2);
    rig.world.stop();
}

#[test]
fn the_polling_agent_killed_at_every_arrival() {
    every_arrival("dev", Victim::Agent);
}

#[test]
fn the_listening_agent_killed_at_every_arrival() {
    every_arrival("staging", Victim::Agent);
}

#[test]
fn the_orchestrator_killed_at_every_arrival() {
    every_arrival("dev", Victim::Orchestrator);
}

#[test]
fn the_orchestrator_killed_at_every_commit() {
    every_commit("dev", Victim::Orchestrator);
}

#[test]
fn the_agent_killed_at_every_commit() {
    every_commit("dev", Victim::Agent);
}
