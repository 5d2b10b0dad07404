//! What the planner does when operations end badly, by the rules of the
//! environment; whose turn it is under limits; and whatever comes, once more.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    Decision, Limits, Load, Waiting, decide, next_wake, waiting,
    world::{SHOP, World},
};
use crate::domain::{
    deployment::{Deployment, DeploymentState, OperationState, Verdict},
    name::{DeploymentId, OperationId},
    project,
    waiting_on::WaitingOn,
};

const FIRST: &str = "333333333333/eu-west-1/main";
const SECOND: &str = "333333333333/eu-central-1/main";

/// A world with one release, whose environment says this beside what the example says.
fn world(environment: &str, says: &str, tasks: &str) -> World {
    let head = format!("  {environment}:\n");
    let text = SHOP.replacen(&head, &format!("{head}{says}"), 1).replacen(
        "environments:\n",
        &format!("{tasks}environments:\n"),
        1,
    );
    let mut world = World::new(&[]);
    world.project = project::parse(&text, "f").unwrap();
    world.release("1.0.0");
    world.settle();
    world
}

const SMOKE: &str = "tasks:
  smoke: { run: after, like: orders, container: app, command: [./smoke], only_in: [dev] }
";

/// The operations that are out, by service and region.
fn out(world: &World) -> Vec<(String, DeploymentId, OperationId)> {
    let open = world.open_operations().into_iter();
    open.map(|(id, operation)| {
        let mut all = world.snapshot.deployments.iter();
        let slot = &all.find_map(|it| it.operation(operation)).unwrap().slot;
        let region = slot.target.as_str().split('/').nth(1).unwrap().to_owned();
        let back = if slot.is_roll_back() { "back " } else { "" };
        (format!("{back}{} {region}", slot.service), id, operation)
    })
    .collect()
}

fn names(world: &World) -> Vec<String> {
    out(world).into_iter().map(|it| it.0).collect()
}

#[track_caller]
fn answer(world: &mut World, name: &str, verdict: Verdict) {
    let found = out(world).into_iter().find(|it| it.0 == name);
    let (_, id, operation) = found.unwrap_or_else(|| panic!("{name} is not out: {:?}", names(world)));
    world.answer(id, operation, verdict);
    world.settle();
}

fn into_prod(world: &mut World) -> DeploymentId {
    world.run(Verdict::Succeeded);
    let prod = world.promote(0, Some("prod")).unwrap();
    world.settle();
    world.approve(prod, "bob").unwrap();
    world.settle();
    prod
}

fn skipped(deployment: &Deployment) -> Vec<String> {
    let all = deployment.operations.iter();
    all.filter_map(|it| match &it.state {
        OperationState::Skipped { because } => Some(format!("{}: {because}", it.slot.service)),
        _ => None,
    })
    .collect()
}

#[test]
fn cells_follow_one_another_in_the_order_of_the_file() {
    let cells = format!("    waves: [[\"{SECOND}\"], [\"{FIRST}\"]]\n");
    let mut world = world("prod", &cells, "");
    into_prod(&mut world);
    assert_eq!(names(&world), ["web eu-central-1"]);
    answer(&mut world, "web eu-central-1", Verdict::Succeeded);
    answer(&mut world, "orders eu-central-1", Verdict::Succeeded);
    assert_eq!(names(&world), ["web eu-west-1"]);
}

#[test]
fn below_the_share_the_rest_goes_on_and_what_followed_the_failure_does_not() {
    let mut world = world("prod", "    waves: together\n    stop_at: 50%\n", "");
    let prod = into_prod(&mut world);
    answer(&mut world, "web eu-west-1", Verdict::Failed);
    assert_eq!(
        skipped(world.newest("prod")),
        [format!("orders: web on {FIRST} failed")]
    );
    answer(&mut world, "web eu-central-1", Verdict::Succeeded);
    assert_eq!(names(&world), ["orders eu-central-1"]);
    answer(&mut world, "orders eu-central-1", Verdict::Succeeded);
    assert_eq!(world.state(prod), DeploymentState::Failed, "the worst verdict");
    world.check_logs();
}

#[test]
fn at_the_share_nothing_more_starts_and_what_is_out_is_followed() {
    let mut world = world("prod", "    waves: together\n    stop_at: 25%\n", "");
    let prod = into_prod(&mut world);
    answer(&mut world, "web eu-west-1", Verdict::Errored);
    let because = format!("web on {FIRST} errored");
    assert_eq!(
        skipped(world.newest("prod")),
        [format!("orders: {because}"), format!("orders: {because}")]
    );
    assert_eq!(world.state(prod), DeploymentState::Running, "one is out");
    answer(&mut world, "web eu-central-1", Verdict::Failed);
    assert_eq!(world.state(prod), DeploymentState::Failed);
}

#[test]
fn a_person_who_is_asked_has_a_deadline_of_their_own() {
    let mut world = world("dev", "    guided: { deadline: 3h }\n", "");
    answer(&mut world, "web eu-west-1", Verdict::Failed);
    let dev = world.newest("dev").id;
    assert_eq!(world.state(dev), DeploymentState::AwaitingIntervention);
    let until = world.now.checked_add(SignedDuration::from_hours(3)).unwrap();
    assert_eq!(next_wake(&world.snapshot, world.now), Some(until));
    let waits = world.settle();
    let told = waits.iter().find_map(|it| match it {
        Decision::Wait {
            on: on @ WaitingOn::Intervention { .. },
            ..
        } => Some(on),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!(
        told.to_string(),
        "a decision about web on 111111111111/eu-west-1/main failed, until 2026-11-24 15:00:00Z"
    );
    assert_eq!(
        told.hint(),
        format!("towline deployment retry|ignore|abort {dev}")
    );
    assert_eq!(world.settled(0).unwrap().waiting_on.as_ref(), Some(told));
    // A retry has the environment's whole time again.
    world.pass(SignedDuration::from_mins(170));
    world.decide_about_all(dev, 2).unwrap();
    world.settle();
    let deadline = world.now.checked_add(SignedDuration::from_hours(1)).unwrap();
    assert_eq!(world.newest("dev").deadline, Some(deadline));
    answer(&mut world, "web eu-west-1", Verdict::Succeeded);
    answer(&mut world, "orders eu-west-1", Verdict::Succeeded);
    assert_eq!(world.state(dev), DeploymentState::Succeeded);
    world.check_logs();
}

#[test]
fn nobody_decides_and_it_ends() {
    let mut world = world("dev", "    guided: true\n", "");
    answer(&mut world, "web eu-west-1", Verdict::Failed);
    let dev = world.newest("dev").id;
    world.pass(SignedDuration::from_hours(24));
    world.settle();
    assert_eq!(world.state(dev), DeploymentState::Failed);
    assert_eq!(
        skipped(world.newest("dev")),
        ["orders: nobody said in time how to go on"]
    );
}

#[test]
fn another_deployment_waits_while_people_are_asked() {
    let mut world = world("dev", "    guided: true\n", "");
    answer(&mut world, "web eu-west-1", Verdict::Failed);
    world.release("1.1.0");
    let decisions = world.settle();
    let busy = decisions.iter().any(|it| {
        matches!(
            it,
            Decision::Wait {
                on: WaitingOn::EnvironmentBusy {
                    state: DeploymentState::AwaitingIntervention,
                    ..
                },
                ..
            }
        )
    });
    assert!(busy, "{decisions:#?}");
}

#[test]
fn what_was_changed_is_put_back_in_reverse_order() {
    let mut world = world("dev", "    on_failure: roll_back\n", SMOKE);
    answer(&mut world, "web eu-west-1", Verdict::Succeeded);
    world.pass(SignedDuration::from_mins(1));
    answer(&mut world, "orders eu-west-1", Verdict::Succeeded);
    world.pass(SignedDuration::from_mins(1));
    answer(&mut world, "smoke eu-west-1", Verdict::Failed);
    let dev = world.newest("dev").id;
    assert_eq!(
        names(&world),
        ["back orders eu-west-1"],
        "what came last goes first"
    );
    // One that fails does not keep the others from being put back.
    answer(&mut world, "back orders eu-west-1", Verdict::Failed);
    assert_eq!(names(&world), ["back web eu-west-1"]);
    assert_eq!(world.state(dev), DeploymentState::Running);
    answer(&mut world, "back web eu-west-1", Verdict::Succeeded);
    assert_eq!(world.state(dev), DeploymentState::Failed);
    assert_eq!(world.newest("dev").aftermath(), "1 of 2 rolled back");
    world.check_logs();
}

#[test]
fn a_roll_back_that_is_cancelled_stops_and_one_without_its_agent_ends() {
    for cancel in [true, false] {
        let mut world = world("dev", "    on_failure: roll_back\n", SMOKE);
        answer(&mut world, "web eu-west-1", Verdict::Succeeded);
        answer(&mut world, "orders eu-west-1", Verdict::Succeeded);
        answer(&mut world, "smoke eu-west-1", Verdict::Errored);
        let dev = world.newest("dev").id;
        world.agent("dev", false);
        if cancel {
            world.cancel(dev).unwrap();
        }
        world.settle();
        assert_eq!(
            world.state(dev),
            DeploymentState::Running,
            "one is out, its agent away"
        );
        world.pass(SignedDuration::from_hours(1));
        world.settle();
        assert_eq!(world.state(dev), DeploymentState::Errored);
        let words = if cancel { "web: cancelled by ann" } else { "" };
        assert_eq!(skipped(world.newest("dev")).join(""), words);
        world.check_logs();
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn load(limits: (u32, u32), out: &[(&str, u32)], waits: &[(i64, &str)]) -> Load {
    Load {
        limits: Limits {
            operations_per_agent: Some(limits.0),
            operations: Some(limits.1),
        },
        out: out
            .iter()
            .map(|(agent, count)| (agent.parse().unwrap(), *count))
            .collect(),
        waiting: waits
            .iter()
            .map(|(second, agent)| Waiting {
                since: at(*second),
                agent: agent.parse().unwrap(),
            })
            .collect(),
    }
}

#[test]
fn whoever_waits_longest_has_its_turn_first() {
    let at_dev = |limit: u32| format!("its turn: {limit} operations run at agent dev, the limit");
    let in_all = |limit: u32| format!("its turn: {limit} operations run, the limit");
    // The deployment of this world is younger than everything that waits elsewhere.
    let table = [
        (load((2, 9), &[("dev", 1)], &[]), None),
        (load((1, 9), &[("dev", 1)], &[]), Some(at_dev(1))),
        (load((9, 2), &[("dev", 1), ("prod", 1)], &[]), Some(in_all(2))),
        (load((2, 9), &[("dev", 1)], &[(1, "dev")]), Some(at_dev(2))),
        // Who waits for another agent that is full takes nobody's place.
        (load((1, 2), &[("prod", 1)], &[(1, "prod"), (2, "prod")]), None),
        (load((2, 2), &[("prod", 1)], &[(1, "prod")]), Some(in_all(2))),
    ];
    for (load, told) in table {
        let mut world = World::new(&[]);
        world.snapshot.load = load;
        world.release("1.0.0");
        let decisions = world.settle();
        let waits = decisions.iter().find_map(|it| match it {
            Decision::Wait {
                on: on @ WaitingOn::Limit { .. },
                ..
            } => Some(on.to_string()),
            _ => None,
        });
        assert_eq!(waits, told, "{:?}", world.snapshot.load);
        assert_eq!(
            waiting(&world.snapshot, &decisions).len(),
            usize::from(told.is_some())
        );
        assert_eq!(out(&world).len(), usize::from(told.is_none()));
    }
}

#[test]
fn what_this_process_begins_already_keeps_its_room() {
    let mut world = World::new(&[]);
    world.release("1.0.0");
    world.snapshot.load = load((1, 1), &[("dev", 1)], &[]);
    world.settle();
    let operation = world.newest("dev").operations[0].slot.id;
    world.snapshot.attached.insert(operation);
    let decisions = decide(&world.snapshot, world.now);
    let goes_on = |it: &Decision| matches!(it, Decision::Dispatch { operation: it, .. } if *it == operation);
    assert!(decisions.iter().any(goes_on), "{decisions:#?}");
}

/// What is out, as the engine would count it.
fn count(world: &mut World) {
    let mut out: BTreeMap<_, u32> = BTreeMap::new();
    for operation in world.snapshot.deployments.iter().flat_map(|it| &it.operations) {
        if operation.state.is_out() {
            *out.entry(operation.slot.agent.clone()).or_default() += 1;
        }
    }
    world.snapshot.load.out = out;
}

/// As the engine does: what is out is counted before each round.
fn settle_within_limits(world: &mut World) {
    for _ in 0..50 {
        count(world);
        let decisions = decide(&world.snapshot, world.now);
        if !world.carry_out(&decisions) {
            break;
        }
    }
    count(world);
    let out = &world.snapshot.load.out;
    assert!(out.values().all(|out| *out <= 2), "{out:?}");
    assert!(out.values().sum::<u32>() <= 3, "{out:?}");
}

const TASKS: &str = "tasks:
  migrate: { run: before, like: orders, container: app }
  smoke: { run: after, like: orders, container: app }
environments:
";

proptest::proptest! {
    #[test]
    fn whatever_ends_badly_the_promises_hold(
        rules in (0_usize..4, 0_usize..2, 0_usize..2),
        steps in proptest::collection::vec((0_u8..12, proptest::prelude::any::<u8>(), proptest::prelude::any::<u8>()), 1..100)
    ) {
        let stop_at = ["first", "2", "50%", "100%"][rules.0];
        let on_failure = ["leave", "roll_back"][rules.1];
        let guided = ["false", "{ deadline: 90m }"][rules.2];
        let says = format!("    waves: together\n    stop_at: {stop_at}\n    on_failure: {on_failure}\n    guided: {guided}\n");
        let text = SHOP
            .replace("  prod:\n", &format!("  prod:\n{says}"))
            .replacen("environments:\n", TASKS, 1)
            .replace(", approvals: { role: approver, count: 1 }", "");
        let mut world = World::new(&[]);
        world.project = project::parse(&text, "f").unwrap();
        world.release("1.0.0");
        world.run(Verdict::Succeeded);
        world.snapshot.load.limits = Limits { operations_per_agent: Some(2), operations: Some(3) };
        drop(world.promote(0, Some("prod")));
        let verdicts = [Verdict::Succeeded, Verdict::Succeeded, Verdict::Succeeded, Verdict::Failed, Verdict::Errored, Verdict::Cancelled];
        for (kind, a, b) in steps {
            let (a, b) = (usize::from(a), usize::from(b));
            let prod = world.snapshot.deployments.iter().rev().find(|it| it.environment.as_str() == "prod").map(|it| it.id);
            match kind {
                0..=4 => {
                    let open = world.open_operations();
                    if let Some((id, operation)) = open.get(a % open.len().max(1)) {
                        world.answer(*id, *operation, verdicts[b % verdicts.len()]);
                    }
                }
                5 => world.agent("prod", b % 3 != 0),
                6 => world.snapshot.attached.clear(),
                7 => world.pass(SignedDuration::from_mins(i64::try_from(b % 40).unwrap())),
                8 => drop(world.promote(0, Some("prod"))),
                9 | 10 => if let Some(id) = prod { drop(world.decide_about_all(id, u8::try_from(a).unwrap())) },
                _ => if let Some(id) = prod.filter(|_| b % 4 == 0) { drop(world.cancel(id)) },
            }
            settle_within_limits(&mut world);
        }
        world.check_logs();
        // Healing, and people who say stop, bring everything to its end.
        world.agent("prod", true);
        world.snapshot.load = Load::default();
        for _ in 0..20 {
            world.run(Verdict::Succeeded);
            let asked = world.snapshot.deployments.iter().find(|it| it.state == DeploymentState::AwaitingIntervention).map(|it| it.id);
            let Some(asked) = asked else { break };
            world.decide_about_all(asked, 0).unwrap();
        }
        let stuck = world.snapshot.deployments.iter().find(|it| !it.state.is_terminal());
        assert!(stuck.is_none(), "{stuck:#?}");
        world.check_logs();
    }
}
