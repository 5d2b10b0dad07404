//! Questions about a fargate service: what is wrong with one, and whom it leads to.

use towline_link::status::Details;

use super::{
    agent::FakeAgent,
    registry::digest_of,
    world::{World, caller, patiently},
};
use crate::{
    api,
    engine::{EngineError, FindingSeverity, PlanAction, ServiceQuestion},
};

const SIMPLE: &str = include_str!("../../../../examples/fargate/simple.yaml");

fn question() -> ServiceQuestion {
    ServiceQuestion {
        project: "hello".to_owned(),
        service: "hello".to_owned(),
        environment: "dev".to_owned(),
        target: String::new(),
        images: vec![("web".to_owned(), "1.0.0".to_owned())],
        ..ServiceQuestion::default()
    }
}

async fn world() -> World {
    let world = World::new().await;
    world
        .engine
        .apply(&caller("ann"), SIMPLE, "simple.yaml", false)
        .await
        .expect("a good file");
    world
}

fn told(error: EngineError) -> Vec<(String, Option<String>)> {
    match error {
        EngineError::Invalid { faults } => faults
            .into_iter()
            .map(|fault| (fault.to_string(), fault.hint))
            .collect(),
        other => panic!("not a wrong question: {other}"),
    }
}

#[tokio::test]
async fn all_that_is_wrong_with_a_question_is_told_at_once() {
    let world = world().await;
    let wrong = ServiceQuestion {
        service: "helo".to_owned(),
        environment: "deV".to_owned(),
        ..question()
    };
    let faults = told(world.engine.plan_service(&wrong).await.unwrap_err());
    assert_eq!(
        faults,
        [
            (
                "service: project hello has no service \"helo\"".to_owned(),
                Some("did you mean hello?".to_owned())
            ),
            (
                "environment: project hello has no environment \"deV\"".to_owned(),
                Some("did you mean dev?".to_owned())
            ),
        ]
    );
    let wrong = ServiceQuestion {
        target: "111111111111/eu-west-1/other".to_owned(),
        images: vec![("wep".to_owned(), "1".to_owned())],
        ..question()
    };
    let faults = told(world.engine.service_template(&wrong).await.unwrap_err());
    let words: Vec<&str> = faults.iter().map(|(fault, _)| fault.as_str()).collect();
    assert_eq!(
        words,
        [
            "target: environment dev has no target \"111111111111/eu-west-1/other\"",
            "images[wep]: the project has no image wep",
            "images[web]: image web has no tag",
        ]
    );
}

#[tokio::test]
async fn an_agent_that_is_gone_is_named_with_the_next_step() {
    let world = world().await;
    let error = world.engine.plan_service(&question()).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("not yet: waiting on agent dev offline since "),
        "{said}"
    );
    assert!(!said.contains("hint"), "{said}");
    let hint = error.hint().unwrap_or_default();
    assert!(
        hint.contains("see that towline-agent runs in the account of dev"),
        "{hint}"
    );
}

#[tokio::test]
async fn the_targets_agent_answers_and_its_refusal_arrives_whole() {
    let world = world().await;
    let (agent, _calls) = FakeAgent::new("dev", "one");
    let mut changes = world.engine.fleet().changes();
    let _link = agent.connect(&world.engine);
    let name = "dev".parse().expect("a name");
    patiently(async {
        while world.engine.fleet().client(&name).is_none() {
            changes.changed().await.expect("a fleet");
        }
    })
    .await;
    let plan = world.engine.plan_service(&question()).await.expect("a plan");
    assert_eq!(plan.planned.action, PlanAction::Create);
    assert_eq!(
        plan.planned.summary,
        format!(
            "creates 111111111111.dkr.ecr.eu-west-1.amazonaws.com/shop/web@{}",
            digest_of("1.0.0")
        )
    );
    let severities: Vec<FindingSeverity> = plan.planned.findings.iter().map(|it| it.severity).collect();
    assert_eq!(
        severities,
        [
            FindingSeverity::Error,
            FindingSeverity::Warning,
            FindingSeverity::Unknown,
            FindingSeverity::Note
        ]
    );
    let error = world.engine.service_template(&question()).await.unwrap_err();
    let status = api::status(error);
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.message(), "agent dev: one fault");
    let details = Details::of(&status);
    assert_eq!(details.reason.as_deref(), Some("INVALID_SPEC"));
    assert_eq!(details.hint.as_deref(), Some("change it"));
    assert_eq!(
        details.violations,
        [("service.containers[0].cpu".to_owned(), "too much".to_owned())]
    );
}
