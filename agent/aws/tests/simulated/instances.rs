//! What is left on container instances, and what ECS resolved images to.

use serde_json::json;
use towline_agent_domain::outside::{Ecs as _, Surroundings as _};

use crate::sim::{REGION, Sim, main_cluster};

#[tokio::test]
async fn room_is_what_ecs_says_is_left() {
    let sim = Sim::start().await;
    let found = sim.aws.container_instances(&main_cluster()).await.unwrap();
    let target = "AmazonEC2ContainerServiceV20141113.ListContainerInstances";
    let listed = sim.raw(target, &json!({ "cluster": "main" })).await;
    assert_eq!(
        found.len(),
        listed["containerInstanceArns"].as_array().unwrap().len()
    );
    assert!(!found.is_empty());
    for instance in &found {
        assert!(
            instance.takes_tasks && instance.cpu > 0 && instance.memory > 0,
            "{instance:?}"
        );
        assert!(instance.ports.contains(&22), "{instance:?}");
        assert_eq!(instance.architecture.as_deref(), Some("x86_64"));
    }
    let mut empty = main_cluster();
    empty.cluster = "nowhere".to_owned();
    assert!(sim.aws.container_instances(&empty).await.is_err());
}

#[tokio::test]
async fn digests_are_those_of_the_revision_that_was_deployed() {
    let sim = Sim::start().await;
    let at = main_cluster();
    let service = sim.aws.service(&at, "orders").await.unwrap().unwrap();
    let digests = sim
        .aws
        .resolved_digests(&at, "orders", &service.task_definition)
        .await
        .unwrap();
    let app = digests.iter().find(|(container, _)| container == "app").unwrap();
    let definition = sim
        .aws
        .task_definition(REGION, &service.task_definition.0)
        .await
        .unwrap();
    let image = definition.images()[0].1.parse().unwrap();
    let observed = towline_agent_domain::outside::Prerequisites::image(&sim.aws, REGION, &image)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(app.1, observed.digest);
    let other = towline_agent_domain::observed::TaskDefinitionArn(format!("{}0", service.task_definition.0));
    assert!(
        sim.aws
            .resolved_digests(&at, "orders", &other)
            .await
            .unwrap()
            .is_empty()
    );
}
