//! A link to an agent is cut in the middle of a deployment, closed and
//! half-open, in both modes: both ends log the loss in time, the link heals,
//! and the deployment goes on to its right verdict with one UpdateService.

use std::time::{Duration, Instant};

use towline_tests::{
    proxy::{Line, Proxy},
    wait_for,
    world::{Options, World, repository},
};

/// What both ends log when a link has gone.
const LOST: &str = "link lost";

#[derive(Clone, Copy, Debug)]
enum Cut {
    Closed,
    HalfOpen,
}

fn world(agent: &'static str) -> World {
    let world = World::start(Options {
        agents: vec![agent],
        proxied: vec![agent],
        speed: 2,
        ..Options::default()
    });
    let file = repository().join(format!("tests/projects/orders-{agent}.yaml"));
    world.run(["apply", "-f", file.to_str().unwrap()]).expect_code(0);
    world
}

fn proxy<'a>(world: &'a World, agent: &str) -> &'a Proxy {
    world.agent(agent).proxy.as_ref().unwrap()
}

fn losses(log: &str) -> usize {
    log.lines().filter(|line| line.contains(LOST)).count()
}

fn cut(proxy: &Proxy, how: Cut) {
    match how {
        Cut::Closed => {
            proxy.set(Line::Refuses);
            proxy.close_all();
        }
        Cut::HalfOpen => proxy.set(Line::HalfOpen),
    }
}

/// Seconds until both ends have logged one more loss than before.
fn both_notice(world: &World, agent: &str, before: (usize, usize), within: Duration) -> f32 {
    let start = Instant::now();
    wait_for("both ends log the loss", within, || {
        let now = (losses(&world.orchestrator_log()), losses(&world.agent_log(agent)));
        (now.0 > before.0 && now.1 > before.1).then_some(())
    });
    start.elapsed().as_secs_f32()
}

fn cut_in_mid_operation(agent: &'static str, how: Cut) {
    let world = world(agent);
    let before = world.sim.last();
    world
        .run([
            "release",
            "create",
            "--version",
            "1.0.0",
            "--image",
            "orders=1.0.0",
            "--no-wait",
        ])
        .expect_code(0);
    wait_for("the rollout has begun", Duration::from_secs(20), || {
        world
            .sim
            .applied_writes(before)
            .iter()
            .any(|effect| effect.action == "UpdateService")
            .then_some(())
    });
    let seen = (losses(&world.orchestrator_log()), losses(&world.agent_log(agent)));
    cut(proxy(&world, agent), how);
    let seconds = both_notice(&world, agent, seen, Duration::from_secs(10));
    println!("{agent}, {how:?}, operation running: both ends noticed after {seconds:.1} s");
    proxy(&world, agent).set(Line::Forwards);
    let watched = world.run(["watch", "1.0.0"]).expect_code(0);
    assert!(watched.stdout.contains("succeeded"), "{}", watched.stdout);
    let updates = world.sim.applied_writes(before);
    assert_eq!(
        updates
            .iter()
            .filter(|effect| effect.action == "UpdateService")
            .count(),
        1
    );
    world.stop();
}

#[test]
fn a_polling_link_that_is_closed() {
    cut_in_mid_operation("dev", Cut::Closed);
}

#[test]
fn a_polling_link_that_is_half_open() {
    cut_in_mid_operation("dev", Cut::HalfOpen);
}

#[test]
fn a_listening_link_that_is_half_open() {
    cut_in_mid_operation("staging", Cut::HalfOpen);
}

#[test]
fn an_idle_link_that_is_half_open() {
    let mut world = world("dev");
    let seen = (losses(&world.orchestrator_log()), losses(&world.agent_log("dev")));
    cut(proxy(&world, "dev"), Cut::HalfOpen);
    let seconds = both_notice(&world, "dev", seen, Duration::from_secs(25));
    println!("dev, HalfOpen, idle: both ends noticed after {seconds:.1} s");
    proxy(&world, "dev").set(Line::Forwards);
    world.wait_for_agents();
    world.stop();
}
