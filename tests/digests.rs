//! What a release holds is fixed when it is created: a tag that moves changes
//! nothing, a replica that is late is waited for, and a preview says today what
//! would fail in prod.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use towline_tests::{
    cli::Ran,
    wait_for,
    world::{Options, World, shop_file},
};

/// The shop of which nothing begins by itself.
fn shop() -> World {
    let world = World::start(Options::default());
    let text = fs::read_to_string(shop_file()).unwrap();
    let by_hand = text.replace("automatic: true", "automatic: false");
    assert_ne!(text, by_hand);
    let file = world.path().join("shop.yaml");
    fs::write(&file, by_hand).unwrap();
    world.run(["apply", "-f", file.to_str().unwrap()]).expect_code(0);
    world
}

/// Pushes an image of the web service.
fn push(world: &World, tag: &str, more: &Value) {
    let mut image = json!({ "repository": "shop/web", "tag": tag, "log": [format!("shop/web {tag}")] });
    for (key, value) in more.as_object().unwrap() {
        image[key] = value.clone();
    }
    ureq::post(format!("{}/_sim/images", world.sim.url()))
        .send_json(&image)
        .unwrap();
}

fn create<'a>(world: &World, tag: &'a str, more: &[&'a str]) -> Ran {
    let web = format!("web={tag}");
    let arguments = ["release", "create", "--image", &web, "--image", "orders=1.0.0"];
    world.run(arguments.into_iter().chain(more.iter().copied()))
}

fn show(world: &World, version: &str) -> Value {
    let shown = world.run(["release", "show", version, "--output", "json"]);
    shown.expect_code(0).json()
}

#[test]
fn a_tag_that_moves_changes_nothing_and_is_told() {
    let world = shop();
    push(&world, "3.0.0", &json!({}));
    create(&world, "3.0.0", &["--version", "3.0.0", "--no-wait"]).expect_code(0);
    let digest = show(&world, "3.0.0")["release"]["images"][0]["digest"].clone();
    world.run(["promote", "3.0.0", "--to", "dev"]).expect_code(0);
    // Under the same tag there is something now that crashes.
    push(&world, "3.0.0", &json!({ "behaviour": "crash" }));
    world.run(["promote", "3.0.0", "--to", "staging"]).expect_code(0);
    let shown = show(&world, "3.0.0");
    let web = &shown["release"]["images"][0];
    assert_eq!(web["digest"], digest);
    assert_ne!(web["moved"][0]["digest"], digest);
    let text = world.run(["release", "show", "3.0.0"]).expect_code(0).stdout;
    assert!(text.contains("tag 3.0.0 of web has moved"), "{text}");
    let status = world.run(["status"]).expect_code(0).stdout;
    assert!(status.contains("3.0.0"), "{status}");
}

#[test]
fn a_replica_that_is_late_is_waited_for() {
    let world = shop();
    let home = json!({ "home": "111111111111/eu-west-1", "replicates_s": 400.0 });
    push(&world, "3.1.0", &home);
    create(&world, "3.1.0", &["--version", "3.1.0", "--no-wait"]).expect_code(0);
    world.run(["promote", "3.1.0", "--to", "dev"]).expect_code(0);
    world
        .run(["promote", "3.1.0", "--to", "staging", "--no-wait"])
        .expect_code(0);
    let waits = wait_for(
        "the deployment says what it waits on",
        Duration::from_secs(5),
        || {
            let shown = show(&world, "3.1.0");
            let deployments = shown["deployments"].as_array().unwrap();
            let waiting = deployments.last().unwrap()["waiting_on"]
                .as_str()
                .unwrap()
                .to_owned();
            waiting.contains("is not there yet").then_some(waiting)
        },
    );
    assert!(
        waits.contains("image web on 222222222222/eu-west-1/main: 222222222222.dkr.ecr"),
        "{waits}"
    );
    world.run(["watch", "3.1.0"]).expect_code(6);
    let shown = show(&world, "3.1.0");
    let last = shown["deployments"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["state"], "succeeded", "{last}");
}

#[test]
fn a_preview_says_today_what_would_fail_in_prod() {
    let mut world = shop();
    push(&world, "3.2.0", &json!({ "home": "111111111111/eu-west-1" }));
    let before = world.sim.last();
    let preview = create(&world, "3.2.0", &["--plan"]).expect_code(3);
    let text = &preview.stdout;
    for words in [
        "dev  phase dev  would do",
        "prod  phase production  would fail",
        "fails: web on 333333333333/eu-central-1/main",
    ] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    let list = world
        .run(["release", "list", "--output", "json"])
        .expect_code(0)
        .json();
    assert_eq!(list["releases"].as_array().unwrap().len(), 0, "nothing is stored");
    let plans = ["CreateChangeSet", "DeleteChangeSet", "DeleteStack"];
    let changed = world.sim.applied_writes(before);
    assert!(changed.iter().all(|it| plans.contains(&it.action.as_str())));

    let good = create(&world, "1.0.0", &["--plan", "--output", "json"])
        .expect_code(0)
        .json();
    assert_eq!(good["environments"].as_array().unwrap().len(), 3);
    assert_eq!(good["would_fail"], false);
    world.kill_agent("prod");
    wait_for("prod is seen to be away", Duration::from_secs(20), || {
        let agents = world.run(["agent", "list"]).expect_code(0).stdout;
        agents.contains("offline").then_some(())
    });
    let away = create(&world, "1.0.0", &["--plan"]).expect_code(4).stdout;
    assert!(away.contains("prod  phase production  not known"), "{away}");
    assert!(away.contains("agent prod offline since"), "{away}");
}
