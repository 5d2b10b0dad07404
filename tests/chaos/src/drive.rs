//! Makes a schedule happen: steps the simulation, and between two steps lets
//! hosts die and come back, cuts links, and hands people their next command.

use std::time::Duration;

use aws_sim::server::Schedule as AwsSchedule;
use turmoil::{Builder, Sim};

use crate::{
    hosts,
    operator::{Command, founding_commands},
    record::{FaultKind, Violation},
    schedule::{AGENTS, Happening},
    world::{ORCHESTRATOR, World},
};

/// The grain of simulated time.
const TICK: Duration = Duration::from_millis(5);
/// How long the beginning may take, with crashes.
const BEGINNING: Duration = Duration::from_secs(600);
/// How long after the last fault everything has to be at rest: the longest deadline
/// of a deployment, of which several may wait for each other, and a little.
const REST: Duration = Duration::from_secs(8 * 60 * 4);
const SURVEY_EVERY: Duration = Duration::from_secs(2);

const HOSTS: [&str; 4] = [ORCHESTRATOR, "dev", "staging", "prod"];

struct Driver<'a> {
    world: &'a World,
    sim: Sim<'a>,
    /// Dead hosts, and when they come back.
    back: Vec<(Duration, &'static str)>,
}

/// Runs the whole schedule.
pub fn drive(world: &World) {
    let sim = build(world);
    let mut driver = Driver {
        world,
        sim,
        back: Vec::new(),
    };
    world.state().commands.extend(founding_commands());
    if world.schedule.is_skewed() {
        world.count(FaultKind::ClockSkew);
    }
    if let Err(words) = driver.run() {
        world.note(format!("VIOLATION {words}"));
        let (check, words) = words.split_once(": ").unwrap_or(("host", &words));
        let violation = Violation {
            check: check.to_owned(),
            words: words.to_owned(),
        };
        world.report().violations.push(violation);
    }
    for host in HOSTS {
        if driver.sim.is_host_running(host) {
            driver.sim.crash(host);
        }
    }
    world.report().simulated_s = driver.sim.elapsed().as_secs_f64();
}

fn build(world: &World) -> Sim<'static> {
    let mut sim = Builder::new()
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .simulation_duration(Duration::from_secs(100_000))
        .tcp_capacity(4096)
        .rng_seed(world.schedule.seed)
        .build();
    let shared = world.clone();
    sim.host("aws", move || {
        let world = shared.clone();
        async move { world.cloud.clone().run(world).await }
    });
    let shared = world.clone();
    sim.host(ORCHESTRATOR, move || hosts::orchestrator(shared.clone()));
    for agent in AGENTS {
        let shared = world.clone();
        sim.host(agent.name, move || hosts::agent(shared.clone(), agent.name));
    }
    sim
}

impl Driver<'_> {
    fn run(&mut self) -> Result<(), String> {
        while !self.world.state().ready {
            self.step()?;
            if self.sim.elapsed() > BEGINNING {
                return Err("begin: the founding does not come to an end".to_owned());
            }
        }
        self.world.note("-- the schedule begins");
        let begun = self.sim.elapsed();
        let mut happenings = self.world.schedule.happenings.clone();
        happenings.reverse();
        while self.sim.elapsed() < begun + self.world.schedule.chaos {
            while happenings
                .last()
                .is_some_and(|(at, _)| begun + *at <= self.sim.elapsed())
            {
                if let Some((_, happening)) = happenings.pop() {
                    self.happen(happening);
                }
            }
            self.step()?;
        }
        // What people still want is not lost with the faults.
        for (_, happening) in happenings.into_iter().rev() {
            if let Happening::Command(command) = happening {
                self.world.state().commands.push_back(command);
            }
        }
        self.heal();
        self.rest()
    }

    fn step(&mut self) -> Result<(), String> {
        let elapsed = self.sim.elapsed();
        self.world.set_elapsed(elapsed);
        self.world.cloud.set_elapsed(elapsed);
        self.sim.step().map_err(|error| format!("host: {error}"))?;
        let died = std::mem::take(&mut self.world.state().died);
        for host in died {
            self.bury(host);
        }
        let due = |(at, _): &(Duration, &'static str)| *at <= elapsed;
        let (back, still): (Vec<_>, Vec<_>) = self.back.drain(..).partition(due);
        self.back = still;
        for (_, host) in back {
            self.sim.bounce(host);
        }
        let mut state = self.world.state();
        let (due, later): (Vec<_>, Vec<_>) = state.later.drain(..).partition(|(at, _)| *at <= elapsed);
        state.later = later;
        state.commands.extend(due.into_iter().map(|(_, command)| command));
        Ok(())
    }

    fn bury(&mut self, host: &'static str) {
        if !self.sim.is_host_running(host) {
            return;
        }
        self.sim.crash(host);
        let longest = if self.world.state().healed { 300 } else { 15_000 };
        let down = Duration::from_millis(self.world.between(50, longest));
        self.back.push((self.sim.elapsed() + down, host));
    }

    fn happen(&mut self, happening: Happening) {
        let world = self.world;
        if !matches!(happening, Happening::Command(_)) {
            world.note(format!("{happening:?}"));
        }
        match happening {
            Happening::Command(command) => world.state().commands.push_back(command),
            Happening::Crash { host } => {
                if self.sim.is_host_running(host) {
                    world.die(host);
                }
            }
            Happening::Cut { agent } => {
                world.count(FaultKind::Partition);
                self.sim.partition(ORCHESTRATOR, agent);
            }
            Happening::Mend { agent } => self.sim.repair(ORCHESTRATOR, agent),
            Happening::Slow { agent, ms } => {
                if ms > 100 {
                    world.count(FaultKind::Delay);
                }
                let latency = Duration::from_millis(ms);
                self.sim
                    .set_link_max_message_latency(ORCHESTRATOR, agent, latency);
            }
            Happening::Hold { agent } => {
                world.count(FaultKind::Delay);
                self.sim.hold(ORCHESTRATOR, agent);
            }
            Happening::Release { agent } => self.sim.release(ORCHESTRATOR, agent),
            Happening::AwsCut { agent, cut } => {
                if cut {
                    world.count(FaultKind::Partition);
                }
                world.cloud.set_weather(agent, |weather| weather.cut = cut);
            }
            Happening::AwsSlow { agent, ms } => {
                if ms > 100 {
                    world.count(FaultKind::Delay);
                }
                world.cloud.set_weather(agent, |weather| weather.slow_ms = ms);
            }
            Happening::AwsDoubles { agent, doubles } => {
                world
                    .cloud
                    .set_weather(agent, |weather| weather.doubles = doubles);
            }
            Happening::AwsFaults(faults) => self.aws_faults(&faults),
            Happening::DoubleSends(count) => world.state().sends_to_double += count,
        }
    }

    fn aws_faults(&self, faults: &[(&'static str, f64)]) {
        let Some(handle) = self.world.cloud.handle() else {
            return;
        };
        let rules: Vec<_> = faults
            .iter()
            .map(|(kind, probability)| {
                let ms = if *kind == "late" { 3_000 } else { 1_500 };
                serde_json::json!({ "kind": kind, "probability": probability, "ms": ms })
            })
            .collect();
        let schedule = serde_json::json!({ "seed": self.world.schedule.seed, "rules": rules });
        let schedule: AwsSchedule = serde_json::from_value(schedule).expect("a schedule");
        handle.set_faults(schedule);
    }

    fn heal(&mut self) {
        self.world.note("-- all heals");
        self.world.state().healed = true;
        for agent in AGENTS {
            self.sim.release(ORCHESTRATOR, agent.name);
            self.sim.repair(ORCHESTRATOR, agent.name);
            let usual = Duration::from_millis(20);
            self.sim
                .set_link_max_message_latency(ORCHESTRATOR, agent.name, usual);
            self.world
                .cloud
                .set_weather(agent.name, |weather| *weather = Default::default());
        }
        self.aws_faults(&[]);
        self.world.state().commands.push_back(Command::Unfreeze);
        for (at, _) in &mut self.back {
            *at = (*at).min(self.sim.elapsed() + Duration::from_secs(1));
        }
    }

    /// Waits until every deployment has ended; people approve what waits for them.
    fn rest(&mut self) -> Result<(), String> {
        let healed = self.sim.elapsed();
        let mut next = healed + SURVEY_EVERY;
        let mut calm = 0;
        loop {
            self.step()?;
            let now = self.sim.elapsed();
            let survey = self.world.state().survey.take();
            if let Some(survey) = survey {
                let quiet = self.world.state().commands.is_empty() && self.world.state().later.is_empty();
                match (survey.open.is_empty(), survey.waiting_for_approval.is_empty()) {
                    (true, true) if quiet => calm += 1,
                    (_, false) => self.world.state().commands.push_back(Command::ApproveAll),
                    _ => calm = 0,
                }
                if calm >= 2 {
                    return Ok(());
                }
                if now > healed + REST {
                    return Err(format!(
                        "terminal: not at rest {REST:?} after healing: {survey:?}"
                    ));
                }
            }
            if now > healed + REST + Duration::from_secs(60) {
                return Err("terminal: the orchestrator does not answer any more".to_owned());
            }
            if now >= next {
                next = now + SURVEY_EVERY;
                self.world.state().commands.push_back(Command::Survey);
            }
        }
    }
}
