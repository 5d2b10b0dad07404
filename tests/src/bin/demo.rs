//! The README's first command, after the build: one release through three
//! accounts against the simulated AWS, then one that is bad. It prints each
//! command before it runs it, and checks what it shows against the
//! orchestrator's API and the simulator's effect log.

use std::{env, fs, path::PathBuf, process::exit, time::Instant};

use serde_json::Value;
use towline_tests::{
    cli::{Ran, line_of},
    sim::Effect,
    world::{Options, World, shop_file},
};

const USAGE: &str = "\
usage: scripts/demo [--keep] [--planted-verdict]

  --keep             leave everything running in ./demo and say how to use it
  --planted-verdict  for the tests: agents call a rolled-back deployment a success,
                     and this demo must notice (needs the feature planted-faults)";

struct Choices {
    keep: bool,
    planted: bool,
}

fn main() {
    let mut choices = Choices {
        keep: false,
        planted: false,
    };
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--keep" => choices.keep = true,
            "--planted-verdict" => choices.planted = true,
            "--help" | "-h" => {
                println!("{USAGE}");
                return;
            }
            other => {
                eprintln!("error: no such option: {other}\n{USAGE}");
                exit(2);
            }
        }
    }
    let start = Instant::now();
    let world = begin(&choices);
    if let Err(DidNotHold(what)) = good_release(&world).and_then(|()| bad_release(&world)) {
        eprintln!("\nerror: this did not hold: {what}");
        // `exit` drops nothing, and the programs must not outlive the demo.
        drop(world);
        exit(1);
    }
    chapter("The end: what runs where");
    show(&world, &["status"]);
    println!(
        "\nAll came out as it should, in {:.1} s.",
        start.elapsed().as_secs_f32()
    );
    if choices.keep {
        keep(world);
    } else {
        world.stop();
    }
}

fn chapter(title: &str) {
    println!("\n== {title}\n");
}

/// Prints a command, runs it with its output on the terminal, returns its exit code.
fn show(world: &World, arguments: &[&str]) -> i32 {
    let mut command = world.towline(arguments.iter().copied());
    println!("$ {}", line_of(&command));
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("towline does not start: {error}"));
    status.code().unwrap_or(-1)
}

/// Something that was to come out and did not.
struct DidNotHold(String);

fn check(what: &str, holds: bool) -> Result<(), DidNotHold> {
    if !holds {
        return Err(DidNotHold(what.to_owned()));
    }
    println!("   checked: {what}");
    Ok(())
}

fn json(world: &World, arguments: &[&str]) -> Value {
    let arguments = arguments.iter().copied().chain(["--output", "json"]);
    Ran::run(world.towline(arguments)).expect_code(0).json()
}

fn begin(choices: &Choices) -> World {
    chapter("An orchestrator, and an agent in each of three accounts (the AWS is simulated)");
    println!("dev and prod dial the orchestrator (polling); staging is dialled (listening).\n");
    let agent_extra = if choices.planted {
        "\n[planted]\nrolled_back_is_success = true\n".to_owned()
    } else {
        String::new()
    };
    let options = Options {
        narrate: true,
        agent_extra,
        ..Options::default()
    };
    let world = if choices.keep {
        let directory = env::current_dir().expect("a current directory").join("demo");
        if directory.exists() {
            eprintln!(
                "error: {} exists already\nhint: remove it, or run without --keep",
                directory.display()
            );
            exit(1);
        }
        World::start_at(&directory, options)
    } else {
        World::start(options)
    };
    show(&world, &["agent", "list"]);
    world
}

fn good_release(world: &World) -> Result<(), DidNotHold> {
    chapter("Release 1.0.0: by itself through dev and staging, then up to the approval");
    let file = shop_file();
    check(
        "the project is applied",
        show(world, &["apply", "-f", file.to_str().expect("UTF-8")]) == 0,
    )?;
    let before = world.sim.last();
    let code = show(
        world,
        &[
            "release",
            "create",
            "--version",
            "1.0.0",
            "--image",
            "web=1.0.0",
            "--image",
            "orders=1.0.0",
        ],
    );
    check("it waits for a person to promote it (exit code 6)", code == 6)?;
    let release = json(world, &["release", "show", "1.0.0"]);
    check("dev succeeded", state_of(&release, "dev") == "succeeded")?;
    check("staging succeeded", state_of(&release, "staging") == "succeeded")?;
    check(
        "promoted to prod, it waits for an approval",
        show(world, &["promote", "1.0.0"]) == 6,
    )?;
    let release = json(world, &["release", "show", "1.0.0"]);
    check(
        "prod awaits its approval",
        state_of(&release, "prod") == "awaiting_approval",
    )?;
    check(
        "nothing runs in prod that did not before: change sets were made for the plan, and deleted",
        changes(world, before, "333333333333").is_empty(),
    )?;

    chapter("Approved: through prod, region by region");
    let approved = world.sim.last();
    check(
        "the approval is taken",
        show(
            world,
            &["approve", "--release", "1.0.0", "--environment", "prod", "--yes"],
        ) == 0,
    )?;
    check(
        "prod succeeded (exit code 0)",
        show(world, &["watch", "1.0.0"]) == 0,
    )?;
    for account in ["111111111111", "222222222222", "333333333333"] {
        let effects = writes(world, before, account);
        let regions = if account == "333333333333" { 2 } else { 1 };
        let count = |action: &str| effects.iter().filter(|effect| effect.action == action).count();
        check(
            &format!(
                "account {account}: one UpdateService and one executed change set in each of {regions} region(s)"
            ),
            count("UpdateService") == regions && count("ExecuteChangeSet") == regions,
        )?;
    }
    check(
        "prod's second region began after the first had ended",
        !interleaved(&changes(world, approved, "333333333333")),
    )?;
    show(world, &["status"]);
    Ok(())
}

fn bad_release(world: &World) -> Result<(), DidNotHold> {
    chapter("Release 1.1.0: its web image crashes on start");
    let before = world.sim.last();
    let code = show(
        world,
        &[
            "release",
            "create",
            "--version",
            "1.1.0",
            "--image",
            "web=1.1.0",
            "--image",
            "orders=1.1.0",
        ],
    );
    check("it failed (exit code 3)", code == 3)?;
    let release = json(world, &["release", "show", "1.1.0"]);
    check("dev failed", state_of(&release, "dev") == "failed")?;
    let diagnosis = release["deployments"].to_string();
    check(
        "the reason is a rollback by the circuit breaker",
        diagnosis.contains("rolled_back"),
    )?;
    check(
        "the exit code of the dead container is shown",
        diagnosis.contains("exit code 1"),
    )?;
    check(
        "its last log lines are shown",
        diagnosis.contains("missing key DB_POOL"),
    )?;
    let deployments = release["deployments"].as_array().expect("deployments");
    check("it went no further than dev", deployments.len() == 1)?;
    check(
        "nothing was written in the accounts of staging and prod",
        writes(world, before, "222222222222").is_empty() && writes(world, before, "333333333333").is_empty(),
    )?;
    let cells = json(world, &["status"]);
    let dev = &cells["projects"][0]["environments"][0]["cells"];
    let web = dev
        .as_array()
        .expect("cells")
        .iter()
        .find(|cell| cell["service"] == "web")
        .expect("web");
    check("dev still runs web of release 1.0.0", web["release"] == "1.0.0")?;
    Ok(())
}

fn state_of(release: &Value, environment: &str) -> String {
    let deployments = release["deployments"].as_array().expect("deployments");
    let newest = deployments
        .iter()
        .rev()
        .find(|deployment| deployment["environment"] == environment);
    newest.map_or_else(
        || "none".to_owned(),
        |d| d["state"].as_str().unwrap_or("?").to_owned(),
    )
}

fn writes(world: &World, after: u64, account: &str) -> Vec<Effect> {
    world
        .sim
        .applied_writes(after)
        .into_iter()
        .filter(|effect| effect.account == account)
        .collect()
}

/// What an agent writes to know what a deployment would do: a change set, and
/// the stack without resources that it leaves of a service that is new.
fn is_of_a_plan(effect: &Effect) -> bool {
    ["CreateChangeSet", "DeleteChangeSet", "DeleteStack"].contains(&effect.action.as_str())
}

/// The writes that are of no plan.
fn changes(world: &World, after: u64, account: &str) -> Vec<Effect> {
    let all = writes(world, after, account).into_iter();
    all.filter(|effect| !is_of_a_plan(effect)).collect()
}

/// Whether writes of one region stand between writes of another.
fn interleaved(effects: &[Effect]) -> bool {
    let mut regions: Vec<&str> = effects.iter().map(|effect| effect.region.as_str()).collect();
    regions.dedup();
    let distinct: std::collections::BTreeSet<_> = regions.iter().collect();
    regions.len() != distinct.len()
}

fn keep(world: World) {
    let config = world.cli_config("admin");
    let pids = std::iter::once(world.orchestrator.as_ref())
        .chain(world.agents.iter().map(|agent| agent.program.as_ref()))
        .flatten()
        .map(|program| program.pid().to_string());
    let mut pids: Vec<String> = pids.collect();
    let directory: PathBuf = world.path().to_owned();
    let url = world.sim.url();
    let mut world = world;
    pids.push(world.sim.program().pid().to_string());
    fs::write(directory.join("pids"), pids.join("\n")).expect("the list of processes is written");
    println!(
        "\nLeft running. To play:\n  export TOWLINE_CONFIG={}\n  towline status\n  curl -s {url}/_sim/effects\n\
         To stop:\n  kill $(cat {}/pids) && rm -r {}",
        config.display(),
        directory.display(),
        directory.display()
    );
    // The programs outlive this one: their handles must not kill them.
    std::mem::forget(world);
}
