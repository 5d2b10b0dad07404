//! The hosts: the orchestrator with the people who talk to it, and the agents.

use std::{fs, sync::Arc, time::Duration};

use towline::{
    config::Config,
    engine::EngineError,
    found::{Founding, found},
    serve::Orchestrator,
    store::{Fate, Moment, PlantedFaults, Side, Witness},
    tasks::undisturbed::Undisturbed,
};
use towline_agent::{config::Config as AgentConfig, serve::Agent};
use towline_agent_aws::AccessKey;
use towline_link::{identity::TrustDomain, seams::Seams};

use crate::{
    operator::{Command, kind_of},
    record::FaultKind,
    schedule::AGENTS,
    world::{ORCHESTRATOR, World},
};

/// How often a person looks whether there is something to do.
const LOOK: Duration = Duration::from_millis(25);

/// One life of the orchestrator.
pub async fn orchestrator(world: World) -> turmoil::Result {
    let (life, seams) = world.begin_life(ORCHESTRATOR);
    let lived = Undisturbed::new(async move {
        let config = founded(&world, &seams).await?;
        let witness = witness(&world);
        let planted = PlantedFaults {
            witness: Some(witness),
            ..PlantedFaults::default()
        };
        let orchestrator = Orchestrator::start(&config, seams.clone(), planted).await?;
        loop {
            if life.is_over() {
                std::future::pending::<()>().await;
            }
            serve_people(&world, &orchestrator, &seams).await;
            seams.clock.sleep(LOOK).await;
        }
    });
    let ended: anyhow::Result<()> = lived.await;
    ended.map_err(|error| format!("the orchestrator: {error:#}").into())
}

async fn founded(world: &World, seams: &Seams) -> anyhow::Result<Config> {
    let dir = world.dir.join(ORCHESTRATOR);
    if let Ok(config) = Config::load(&dir) {
        return Ok(config);
    }
    let founding = Founding {
        dir,
        listen: "0.0.0.0:7000".to_owned(),
        names: vec![ORCHESTRATOR.to_owned()],
        trust_domain: "chaos".parse::<TrustDomain>()?,
        admin: "ann".parse()?,
    };
    Ok(found(&founding, seams).await?.config)
}

fn witness(world: &World) -> Witness {
    let world = world.clone();
    Witness(Arc::new(move |moment| match moment {
        Moment::Commit(point, side) => match world.pass(ORCHESTRATOR, &format!("commit:{point}"), side) {
            true => Fate::Dies,
            false => Fate::GoesOn,
        },
        Moment::Send {
            call,
            operation,
            repeated,
            side,
            ..
        } => {
            if world.pass(ORCHESTRATOR, &format!("send:{call}"), side) {
                return Fate::Dies;
            }
            if side == Side::After {
                return Fate::GoesOn;
            }
            let at = world.elapsed();
            let mut state = world.state();
            if call != "cancel_operation" {
                state.sent.push((at, call, operation, repeated));
            }
            if state.sends_to_double == 0 {
                return Fate::GoesOn;
            }
            state.sends_to_double -= 1;
            drop(state);
            world.count(FaultKind::Duplicate);
            Fate::SendsTwice
        }
    }))
}

/// A command that was not done stands first again.
fn put_back(world: &World, command: Command) {
    let mut state = world.state();
    state.begun = None;
    state.commands.push_front(command);
}

/// Does what people asked for, one after the other.
async fn serve_people(world: &World, orchestrator: &Orchestrator, seams: &Seams) {
    let engine = orchestrator.engine();
    loop {
        let command = {
            let mut state = world.state();
            let next = state.begun.take().or_else(|| state.commands.pop_front());
            state.begun.clone_from(&next);
            next
        };
        let Some(command) = command else { return };
        let answer = command.run(engine, world, seams).await;
        let words = match &answer {
            Ok(words) => format!("{command:?}: {words}"),
            Err(error) => format!("{command:?}: {}", kind_of(error)),
        };
        world.note(words);
        if let Err(error) = &answer
            && command.must_work()
        {
            eprintln!("{command:?}: {error}");
            put_back(world, command);
            seams.clock.sleep(Duration::from_secs(1)).await;
            continue;
        }
        let mut state = world.state();
        state.begun = None;
        match answer {
            Ok(_) => state.acknowledged.push(command),
            // Agents may not be there yet: people come back.
            Err(error) if matches!(command, Command::Create { .. }) && state.tries < 60 => {
                if matches!(error, EngineError::NotReady { .. } | EngineError::Agent { .. }) {
                    state.tries += 1;
                    let again = world.elapsed() + Duration::from_secs(3);
                    state.later.push((again, command));
                }
            }
            Err(_) => {}
        }
        let founding = Command::must_work;
        if !state.ready && !state.commands.iter().any(founding) {
            state.ready = true;
        }
    }
}

/// One life of an agent.
pub async fn agent(world: World, name: &'static str) -> turmoil::Result {
    let directory = world.dir.join(name);
    let file = directory.join("agent.toml");
    while !file.exists() {
        tokio::time::sleep(LOOK).await;
    }
    let plan = AGENTS
        .iter()
        .find(|plan| plan.name == name)
        .ok_or("no such agent")?;
    let (life, seams) = world.begin_life(name);
    loop {
        let text = fs::read_to_string(&file)?;
        let config = AgentConfig::parse(&text, &directory).map_err(|faults| format!("{faults:?}"))?;
        let agent = Agent {
            config,
            seams: seams.clone(),
            proxy: None,
        };
        let http = world.cloud.client(&world, name, life.clone());
        let started = agent
            .start_with(|settings| {
                settings.http = Some(http);
                settings.access_key = Some(AccessKey {
                    id: plan.account.to_owned(),
                    secret: "simulated".to_owned(),
                });
            })
            .await;
        match started {
            Ok(running) => {
                std::future::pending::<()>().await;
                drop(running);
            }
            Err(error) => {
                world.note(format!("{name} does not start: {error:#}"));
                seams.clock.sleep(Duration::from_secs(2)).await;
            }
        }
    }
}
