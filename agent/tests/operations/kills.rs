//! `kill -9` of the agent around every write of an operation, whether the write
//! is lost, was applied and its answer lost, or lands after the agent's death:
//! the same verdict and the same applied writes as the run that nobody killed.

use serde_json::json;
use towline_proto::agent::v1::{DeployFargateServiceRequest, UpdateServiceRequest, Verdict};

use crate::{
    fargate::deploy_web,
    world::{ACCOUNT, REGION, World, describe, finished, to_the_end, told, update_orders},
};

const ID: &str = "11111111-1111-4111-8111-111111111111";

enum Wanted {
    Update(Box<UpdateServiceRequest>),
    Fargate(Box<DeployFargateServiceRequest>),
}

impl Wanted {
    fn update(tag: &str) -> Self {
        Self::Update(Box::new(update_orders(ID, tag)))
    }

    fn deploy(tag: &str) -> Self {
        Self::Fargate(Box::new(deploy_web(ID, tag)))
    }

    fn service(&self) -> &'static str {
        match self {
            Self::Update(_) => "orders",
            Self::Fargate(_) => "web",
        }
    }

    async fn expect_what_is_there(&mut self, world: &World) {
        let expected = describe(&mut world.orchestrator().await, self.service())
            .await
            .expected;
        match self {
            Self::Update(request) => request.expected = expected,
            Self::Fargate(request) => request.expected = expected,
        }
    }

    /// Sends it, and forgets about the answer.
    async fn send(&self, world: &World) {
        let mut client = world.orchestrator().await;
        match self {
            Self::Update(request) => drop(client.update_service(*request.clone()).await.unwrap()),
            Self::Fargate(request) => drop(client.deploy_fargate_service(*request.clone()).await.unwrap()),
        }
    }

    /// Sends it again; verdict and reason.
    async fn repeat(&self, world: &World) -> (Verdict, String) {
        let mut client = world.orchestrator().await;
        let events = match self {
            Self::Update(request) => {
                let mut request = request.clone();
                request.context.as_mut().unwrap().repeated_send = true;
                to_the_end(client.update_service(*request).await).await
            }
            Self::Fargate(request) => {
                let mut request = request.clone();
                request.context.as_mut().unwrap().repeated_send = true;
                to_the_end(client.deploy_fargate_service(*request).await).await
            }
        };
        let end = finished(&events);
        assert!(!end.summary.is_empty(), "{:#?}", told(&events));
        (end.verdict(), end.reason.clone())
    }
}

/// Kills around each of `writes`, in every way.
async fn sweep(wanted: fn() -> Wanted, writes: &[&str], verdict: Verdict, reason: &str) {
    for action in writes {
        for (when, then) in [
            ("before", "drop"),
            ("before", "continue"),
            ("after", "drop"),
            ("after", "continue"),
        ] {
            let mut world = World::start(40.0).await;
            let mut wanted = wanted();
            wanted.expect_what_is_there(&world).await;
            let hold =
                json!({"account": ACCOUNT, "region": REGION, "action": action, "skip": 0, "when": when});
            let hold = world.sim_post("breakpoints", hold).await;
            wanted.send(&world).await;
            world.wait_hit(&hold).await;
            world.kill_agent();
            world.release(&hold, then).await;
            world.start_agent();
            let ended = wanted.repeat(&world).await;
            assert_eq!(
                ended,
                (verdict, reason.to_owned()),
                "{action} {when} {then}\n{}",
                world.log()
            );
            assert_eq!(
                world.writes(ID).await,
                writes,
                "{action} {when} {then}\n{}",
                world.log()
            );
        }
    }
}

#[tokio::test]
async fn a_good_update() {
    let writes = ["RegisterTaskDefinition", "UpdateService"];
    sweep(
        || Wanted::update("1.1.0"),
        &writes,
        Verdict::Succeeded,
        "completed",
    )
    .await;
}

#[tokio::test]
async fn a_crashing_update() {
    let writes = ["RegisterTaskDefinition", "UpdateService"];
    sweep(
        || Wanted::update("1.3.0"),
        &writes,
        Verdict::Failed,
        "rolled_back",
    )
    .await;
}

#[tokio::test]
async fn a_good_creation() {
    let writes = ["CreateChangeSet", "ExecuteChangeSet"];
    sweep(
        || Wanted::deploy("1.0.0"),
        &writes,
        Verdict::Succeeded,
        "completed",
    )
    .await;
}

#[tokio::test]
async fn a_crashing_creation() {
    let writes = ["CreateChangeSet", "ExecuteChangeSet"];
    sweep(
        || Wanted::deploy("1.1.0"),
        &writes,
        Verdict::Failed,
        "create_rolled_back",
    )
    .await;
}
