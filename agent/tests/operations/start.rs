//! Starting an agent, and what keeps it from starting: one clear error with a hint.

use std::time::Duration;

use towline_link::identity::Identity;

use crate::world::{ACCOUNT, World, identity_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_one_clear_error() {
    let world = World::start(1.0).await;
    let _client = world.orchestrator().await;
    let (code, said) = world.run(["serve"], ACCOUNT);
    assert_eq!(code, 1);
    assert!(
        said.contains("is in use by another program") && said.contains("hint:"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_another_account_are_refused() {
    let mut world = World::start(1.0).await;
    world.kill_agent();
    let (code, said) = world.run(["serve"], "999999999999");
    assert_eq!(code, 1);
    assert!(said.contains("expects account 111111111111"), "{said}");
    assert!(
        said.contains("belong to account 999999999999") && said.contains("hint:"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_one_clear_error() {
    let world = World::start(1.0).await;
    let agent = Identity::Agent("dev".parse().unwrap());
    let past = world.seams.clock.now() - Duration::from_secs(7200);
    identity_of(&world.path().join("identity"), &agent, past);
    let (code, said) = world.run(["serve"], ACCOUNT);
    assert_eq!(code, 1);
    assert!(said.contains("expired") && said.contains("hint:"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_all_faults_at_once_and_what_is_good() {
    let world = World::start(1.0).await;
    let _client = world.orchestrator().await;
    let (code, said) = world.run(["check"], ACCOUNT);
    assert_eq!(code, 0, "{said}");
    for good in [
        "agent dev",
        "account: 111111111111 (aws)",
        "cluster eu-west-1/main",
        "good until",
        "CloudFormation acts with the agent's own rights",
    ] {
        assert!(said.contains(good), "{good:?} in {said}");
    }
    std::fs::remove_file(world.path().join("identity/cert.pem")).unwrap();
    let (code, said) = world.run(["check"], "999999999999");
    assert_eq!(code, 1);
    assert!(
        said.contains("cert.pem") && said.contains("expects account"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_looked_at_before_anything_is_written() {
    let world = World::start(1.0).await;
    let (code, said) = world.run(["join", "nonsense", "--serves", "eu-west-1/main"], ACCOUNT);
    assert_eq!(code, 1);
    assert!(said.contains("no join token") && said.contains("hint:"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_configuration_says_how_to_get_one() {
    let world = World::start(1.0).await;
    std::fs::remove_file(world.path().join("agent.toml")).unwrap();
    let (code, said) = world.run(["serve"], ACCOUNT);
    assert_eq!(code, 1);
    assert!(said.contains("agent.toml"), "{said}");
    assert!(
        said.trim_end().ends_with("--dir names another directory"),
        "the hint comes last: {said}"
    );
}
