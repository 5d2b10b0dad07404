//! A Fargate service through its stack: made, unchanged, and rolled back.

use std::collections::BTreeMap;

use towline_agent_domain::fargate::spec::{
    Container, FargateService, Link, LoadBalancer, Network, Port, Protocol,
};
use towline_agent_domain::fargate::stack::{
    StackDecision, StackOutcome, StackView, decide, task_definition_of, trace,
};
use towline_agent_domain::fargate::template::FoundTemplate;
use towline_agent_domain::fargate::{AccountFacts, Choices, Template, stack_name, template, validate};
use towline_agent_domain::operation_id::OperationId;
use towline_agent_domain::outside::{
    ChangeSetRequest, Ecs as _, StackChanges as _, Stacks as _, TemplateSource,
};
use towline_agent_domain::rollout::follow::{OurDeployment, RolloutJudgement};

use crate::sim::{ACCOUNT, REGION, Sim, main_cluster};

fn web(tag: &str) -> Template {
    let service = FargateService {
        name: "web".to_owned(),
        cpu: 256,
        memory: 512,
        containers: vec![Container {
            name: "web".to_owned(),
            image: format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web:{tag}"),
            ports: vec![Port {
                port: 8080,
                protocol: Protocol::Tcp,
                ..Port::default()
            }],
            secrets: BTreeMap::from([(
                "DB".to_owned(),
                format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-password-a1b2c3"),
            )]),
            ..Container::default()
        }],
        network: Network {
            subnets: vec!["subnet-0d10000000000000a".to_owned()],
            security_groups: vec!["sg-0d10000000000000c".to_owned()],
            assign_public_ip: false,
        },
        load_balancers: vec![LoadBalancer {
            container: "web".to_owned(),
            port: 8080,
            link: Link::TargetGroup(format!(
                "arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/web/73e2d6bc24d8a067"
            )),
        }],
        ..FargateService::default()
    };
    let facts = AccountFacts {
        account: ACCOUNT.to_owned(),
        partition: "aws".to_owned(),
        region: REGION.to_owned(),
        cluster: "main".to_owned(),
        permissions_boundary: None,
        role_path: "/towline/".to_owned(),
        mandatory_tags: BTreeMap::new(),
    };
    template(&validate(&service).unwrap(), &facts, &Choices::default()).unwrap()
}

fn operation(n: u128) -> OperationId {
    format!("6f1c2b1e-57a4-4b62-9f6e-{n:012x}").parse().unwrap()
}

/// One operation, as the agent carries it out: decide, act, look again.
async fn deploy(sim: &Sim, wanted: &Template, id: OperationId) -> StackDecision {
    let (aws, name) = (&sim.aws, stack_name("main", "web"));
    loop {
        let stack = aws.stack(REGION, &name).await.unwrap();
        let events = match &stack {
            Some(stack) => aws.stack_events(REGION, &stack.id, None).await.unwrap(),
            None => Vec::new(),
        };
        let change_set = aws.change_set(REGION, &name, &id.change_set_name()).await.ok();
        let body = aws.template_body(REGION, &name).await.unwrap();
        let service = aws.service(&main_cluster(), "web").await.unwrap();
        let decision = decide(&StackView {
            name: &name,
            stack: stack.as_ref(),
            trace: trace(&events, id),
            deleted_by_us: false,
            change_set: change_set.as_ref(),
            service: service.as_ref(),
            same_template: body.is_some_and(|body| wanted.is(&FoundTemplate::read(&body))),
            expected: None,
            repeated_send: false,
            settled: false,
            ..StackView::default()
        });
        match decision {
            StackDecision::CreateChangeSet { creates_stack } => {
                let request = ChangeSetRequest {
                    region: REGION.to_owned(),
                    stack_name: name.clone(),
                    change_set_name: id.change_set_name(),
                    creates_stack,
                    template: TemplateSource::Inline(wanted.text().to_owned()),
                    parameters: wanted.parameters().to_vec(),
                    tags: wanted.tags().to_vec(),
                    role_arn: None,
                    token: id.token(),
                };
                aws.create_change_set(&request).await.unwrap();
            }
            StackDecision::ExecuteChangeSet => {
                aws.execute_change_set(REGION, &name, &id.change_set_name(), &id.token())
                    .await
                    .unwrap();
            }
            StackDecision::AwaitChangeSet | StackDecision::Follow | StackDecision::KeepObserving { .. } => {
                // The poller's pace; the service may not exist yet.
                aws.next_service(&main_cluster(), "web").await.unwrap();
            }
            end => return end,
        }
    }
}

async fn service_is_on_the_stacks_revision(sim: &Sim) -> RolloutJudgement {
    let stack = sim
        .aws
        .stack(REGION, &stack_name("main", "web"))
        .await
        .unwrap()
        .unwrap();
    let ours = OurDeployment {
        id: None,
        task_definition: task_definition_of(&stack).unwrap(),
    };
    sim.follow("web", &ours).await
}

#[tokio::test]
async fn a_service_is_made_then_unchanged_then_a_bad_release_is_rolled_back() {
    let sim = Sim::start().await;
    let done = StackDecision::Conclude(StackOutcome::Done);
    assert_eq!(deploy(&sim, &web("1.0.0"), operation(1)).await, done);
    let judged = service_is_on_the_stacks_revision(&sim).await;
    assert!(matches!(judged, RolloutJudgement::Succeeded { .. }), "{judged:?}");

    // The same operation again sees its own trace; another one sees that nothing is to be done.
    assert_eq!(deploy(&sim, &web("1.0.0"), operation(1)).await, done);
    let unchanged = deploy(&sim, &web("1.0.0"), operation(2)).await;
    assert!(
        matches!(unchanged, StackDecision::Unchanged { .. }),
        "{unchanged:?}"
    );
    assert_eq!(sim.arrivals("CreateChangeSet").await.len(), 1);

    let rolled_back = StackDecision::Conclude(StackOutcome::RolledBack);
    assert_eq!(deploy(&sim, &web("1.1.0"), operation(3)).await, rolled_back);
    // And the way forward is open.
    assert_eq!(deploy(&sim, &web("1.2.0"), operation(4)).await, done);
    let judged = service_is_on_the_stacks_revision(&sim).await;
    assert!(matches!(judged, RolloutJudgement::Succeeded { .. }), "{judged:?}");
}

#[tokio::test]
async fn a_first_release_that_crashes_leaves_a_stack_that_is_deleted_and_made_anew() {
    let sim = Sim::start().await;
    let failed = StackDecision::Conclude(StackOutcome::CreateRolledBack);
    assert_eq!(deploy(&sim, &web("1.1.0"), operation(1)).await, failed);
    let next = deploy(&sim, &web("1.2.0"), operation(2)).await;
    let StackDecision::DeleteNeverHealthy { stack_id } = next else {
        panic!("{next:?}")
    };
    sim.aws
        .delete_stack(REGION, &stack_id, &operation(2).delete_token())
        .await
        .unwrap();
    while sim
        .aws
        .stack(REGION, &stack_name("main", "web"))
        .await
        .unwrap()
        .is_some()
    {
        sim.aws.next_service(&main_cluster(), "web").await.unwrap();
    }
    let done = StackDecision::Conclude(StackOutcome::Done);
    assert_eq!(deploy(&sim, &web("1.2.0"), operation(2)).await, done);
}
