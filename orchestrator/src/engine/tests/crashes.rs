//! The orchestrator dies right before and right after every commit of a release;
//! a new one over the same database must come to the same end, with the agents
//! doing each operation once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use tokio_util::task::AbortOnDropHandle;
use towline_proto::agent::v1::Verdict;

use super::{
    agent::{Call, FakeAgent, id_of},
    world::{Calls, SHOP, World},
};
use crate::{engine::DeploymentState, store::Side};

/// What "the account" remembers: which operations took effect, how often.
type Effects = Arc<Mutex<BTreeMap<String, usize>>>;

/// Does what it is asked at once, and an operation that took effect never again.
fn work(agent: FakeAgent, mut calls: Calls, effects: Effects) -> AbortOnDropHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "ends with its handle")]
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let Call::Update(request) = calls.next().await else {
                continue;
            };
            let id = id_of(&request);
            let done = effects.lock().expect("a lock").contains_key(&id);
            assert!(
                !done || request.context.as_ref().expect("one").repeated_send,
                "a repeat that does not say so"
            );
            if !done {
                *effects.lock().expect("a lock").entry(id.clone()).or_default() += 1;
            }
            agent.started(&id);
            agent.service_event(&id, "has started 1 tasks");
            agent.finish(&id, Verdict::Succeeded, "completed");
        }
    }))
}

fn connect(world: &World, incarnation: &str, effects: &Effects) -> Vec<AbortOnDropHandle<()>> {
    ["dev", "staging"]
        .into_iter()
        .map(|name| {
            let (agent, calls) = FakeAgent::new(name, incarnation);
            agent.connect(&world.engine);
            work(agent, Calls(calls), effects.clone())
        })
        .collect()
}

#[tokio::test]
async fn a_death_at_any_commit_comes_to_the_same_end_with_the_same_effects() {
    for side in [Side::Before, Side::After] {
        let mut deaths = BTreeSet::new();
        for number in 1.. {
            match one_death(number, side).await {
                Some(point) => deaths.insert(point),
                None => break,
            };
        }
        for point in ["release_created", "operation_intended", "operation_ended"] {
            assert!(deaths.contains(point), "no death {side:?} {point}: {deaths:?}");
        }
    }
}

/// The name of the commit at which the first orchestrator died; `None` when it
/// came to the end before.
async fn one_death(number: usize, side: Side) -> Option<&'static str> {
    let what = format!("{side:?} commit {number}");
    let world = World::new().await;
    let effects = Effects::default();
    world.apply(SHOP).await;
    world.engine.0.store.die_at(number, side);
    let agents = connect(&world, "first", &effects);
    let to_the_end = async {
        world.release("1.0.0").await;
        world.settled("1.0.0", 0).await;
    };
    let died = tokio::select! {
        point = world.engine.0.store.died() => Some(point),
        () = to_the_end => None,
    };
    drop(agents);

    let world = world.stop().await.start().await;
    let agents = connect(&world, "second", &effects);
    if world.engine.release("shop", "1.0.0").await.is_err() {
        world.release("1.0.0").await;
    }
    let (events, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(
        settled.outcome,
        Some(DeploymentState::Succeeded),
        "{what} ({died:?})"
    );
    let finished = events.iter().filter(|event| event.kind == "operation_finished");
    assert_eq!(finished.count(), 2, "{what} ({died:?})");
    let effects = effects.lock().expect("a lock").clone();
    assert!(
        effects.len() == 2 && effects.values().all(|times| *times == 1),
        "{what} ({died:?}): {effects:?}"
    );
    drop(agents);
    drop(world.stop().await);
    died
}
