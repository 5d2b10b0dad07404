//! What an agent says of itself and of what runs in its account.

use tonic::Code;
use towline_proto::agent::v1::{
    DescribeServiceRequest, GetAgentRequest, ListOperationsRequest, ListServicesRequest, OperatorPermission,
};

use crate::world::{ACCOUNT, CLUSTER, REGION, World, describe, finished, to_the_end, update_orders};

const ID: &str = "11111111-1111-4111-8111-111111111111";

#[tokio::test]
async fn the_agent_says_who_it_is_and_what_it_serves() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let agent = client.get_agent(GetAgentRequest {}).await.unwrap().into_inner();
    assert_eq!(
        (
            agent.name.as_str(),
            agent.account.as_str(),
            agent.partition.as_str()
        ),
        ("dev", ACCOUNT, "aws")
    );
    assert_eq!(agent.regions[0].region, REGION);
    assert_eq!(agent.regions[0].clusters, [CLUSTER]);
    assert_eq!(
        agent.capabilities,
        [
            "fargate",
            "fargate_plan",
            "fargate_template",
            "update",
            "update_plan",
            "run_task",
            "resolve_image",
            "list_image_tags",
            "read_values"
        ]
    );
    let everybody = &agent.operator_rules[0];
    assert_eq!(everybody.operator, "*");
    assert_eq!(everybody.permissions, [i32::from(OperatorPermission::Read)]);
}

#[tokio::test]
async fn services_are_listed_with_their_images_and_what_is_not_there_is_absent() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let request = ListServicesRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        ..Default::default()
    };
    let listed = client.list_services(request).await.unwrap().into_inner();
    let orders = listed
        .services
        .iter()
        .find(|service| service.name == "orders")
        .unwrap();
    assert_eq!(orders.launch_type, "EC2");
    assert!(
        orders
            .containers
            .iter()
            .any(|c| c.name == "app" && c.image.ends_with("shop/orders:0.9.0"))
    );

    let nothing = describe(&mut client, "nothing").await;
    assert!(nothing.service.is_none() && nothing.stack.is_none());
    assert!(nothing.expected.unwrap().absent);

    let elsewhere = DescribeServiceRequest {
        region: "us-east-1".into(),
        cluster: CLUSTER.into(),
        service: "orders".into(),
        ..Default::default()
    };
    let status = client.describe_service(elsewhere).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("it serves eu-west-1/main"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn an_ended_operation_is_still_listed_with_its_end() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.update_service(update_orders(ID, "1.1.0")).await).await;
    let listed = client
        .list_operations(ListOperationsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let operation = &listed.operations[0];
    assert_eq!(operation.operation_id, ID);
    assert_eq!(operation.last_sequence, events.len() as u64);
    assert_eq!(operation.finished.as_ref(), Some(finished(&events)));
}
