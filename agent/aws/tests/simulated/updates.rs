//! An existing service gets a new image, and the outcome is told truthfully.

use towline_agent_domain::outside::{Ecs as _, Tasks as _};
use towline_agent_domain::rollout::diagnosis::{
    ContainerLog, Findings, diagnose, log_source, telling_containers,
};
use towline_agent_domain::rollout::follow::{OurDeployment, RolloutJudgement};
use towline_agent_domain::update::revision::{next_revision, same_content};
use towline_agent_domain::update::spec::{ContainerChange, NewImage, UpdateSpec};
use towline_agent_domain::verdict::Reason;

use crate::sim::{REGION, Sim, main_cluster};

async fn update_to(sim: &Sim, tag: &str) -> OurDeployment {
    let base = sim.aws.task_definition(REGION, "orders").await.unwrap();
    let change = ContainerChange::of_image("app", NewImage::TagOnly(tag.parse().unwrap()));
    let spec = UpdateSpec {
        containers: vec![change],
        ..UpdateSpec::default()
    };
    let next = next_revision(&base, "orders", &spec).unwrap();
    let arn = sim
        .aws
        .register_task_definition(REGION, &next.request)
        .await
        .unwrap();
    let registered = sim.aws.task_definition(REGION, &arn.0).await.unwrap();
    assert!(same_content(&registered, &next), "found again by its content");
    let service = sim
        .aws
        .update_service(&main_cluster(), "orders", &arn)
        .await
        .unwrap();
    let primary = service.primary().unwrap();
    assert_eq!(primary.task_definition, arn);
    OurDeployment {
        id: Some(primary.id.clone()),
        task_definition: arn,
    }
}

#[tokio::test]
async fn a_good_image_succeeds() {
    let sim = Sim::start().await;
    let ours = update_to(&sim, "1.0.0").await;
    let judged = sim.follow("orders", &ours).await;
    assert_eq!(
        judged,
        RolloutJudgement::Succeeded {
            deployment_id: ours.id.unwrap()
        }
    );
}

#[tokio::test]
async fn a_crashing_image_is_rolled_back_and_says_why() {
    let sim = Sim::start().await;
    let ours = update_to(&sim, "1.3.0").await;
    let judged = sim.follow("orders", &ours).await;
    let RolloutJudgement::Ended {
        reason: Reason::RolledBack,
        summary,
    } = judged
    else {
        panic!("{judged:?}")
    };
    assert!(
        summary.contains("orders:2 was rolled back by ECS's circuit breaker; orders:1"),
        "{summary}"
    );

    let stopped = sim.aws.stopped(&main_cluster(), "orders").await.unwrap();
    let definition = sim
        .aws
        .task_definition(REGION, &ours.task_definition.0)
        .await
        .unwrap();
    let mut logs = Vec::new();
    for task in stopped
        .iter()
        .filter(|task| task.task_definition == ours.task_definition)
    {
        let container = telling_containers(task)[0];
        let source = log_source(&definition, container, &task.id).unwrap();
        let lines = sim
            .aws
            .last_log_lines(&source.region, &source.group, &source.stream, 10)
            .await
            .unwrap();
        logs.push(ContainerLog {
            task: task.id.clone(),
            container: container.to_owned(),
            lines,
        });
    }
    let found = diagnose(&Findings {
        task_definition: Some(&ours.task_definition),
        stopped: &stopped,
        logs: &logs,
        ..Findings::default()
    });
    let cause = "container app exited with code 2; its last line: fatal: queue orders: access denied";
    assert!(found.root_cause.starts_with(cause), "{}", found.root_cause);
}

#[tokio::test]
async fn an_image_that_is_not_there_is_rolled_back_and_says_why() {
    let sim = Sim::start().await;
    let ours = update_to(&sim, "9.9.9").await;
    let judged = sim.follow("orders", &ours).await;
    assert!(
        matches!(
            judged,
            RolloutJudgement::Ended {
                reason: Reason::RolledBack,
                ..
            }
        ),
        "{judged:?}"
    );
    let stopped = sim.aws.stopped(&main_cluster(), "orders").await.unwrap();
    let revision = Some(&ours.task_definition);
    let found = diagnose(&Findings {
        task_definition: revision,
        stopped: &stopped,
        ..Findings::default()
    });
    assert!(
        found.root_cause.starts_with("the image cannot be pulled"),
        "{}",
        found.root_cause
    );
    assert!(found.hint.contains("tag exists"), "{}", found.hint);
}
