//! Reads beside ECS's own: several askers share a call, and all wait for their turn.

use std::time::Duration;

use tokio::task::JoinSet;
use towline_agent_aws::in_operation;
use towline_agent_domain::outside::{Alarms as _, LoadBalancing as _, Tasks as _};
use towline_link::seams::Clock;

use crate::sim::{ACCOUNT, REGION, Sim};

#[tokio::test]
async fn rollouts_behind_one_target_group_share_the_answer_of_a_round() {
    let sim = Sim::start().await;
    let group = format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/web/73e2d6bc24d8a067");
    let mut looks = JoinSet::new();
    for operation in 0..5 {
        let (aws, group) = (sim.aws.clone(), group.clone());
        looks.spawn(async move {
            let look = aws.target_health(REGION, &group);
            in_operation(&format!("operation-{operation}"), look).await
        });
    }
    let answers = looks.join_all().await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    // And once more within the round.
    sim.aws.target_health(REGION, &group).await.unwrap();
    assert_eq!(sim.arrivals("DescribeTargetHealth").await.len(), 1);
    Clock::system().sleep(Duration::from_millis(60)).await;
    sim.aws.target_health(REGION, &group).await.unwrap();
    let all = sim.arrivals("DescribeTargetHealth").await.len();
    assert_eq!(all, 2, "the next round's");
}

#[tokio::test]
async fn alarms_of_several_operations_are_one_call_and_each_gets_its_own() {
    let sim = Sim::start().await;
    let [one, other] = ["orders-errors", "nobody"].map(|name| [name.to_owned()]);
    let (one, other) = tokio::join!(sim.aws.alarms(REGION, &one), sim.aws.alarms(REGION, &other));
    assert_eq!(one.unwrap()[0].name, "orders-errors");
    assert!(other.unwrap().is_empty());
    assert_eq!(sim.arrivals("DescribeAlarms").await.len(), 1);
}

#[tokio::test]
async fn the_logs_of_a_crowd_wait_for_their_turn() {
    let sim = Sim::start().await;
    let began = Clock::system().instant();
    let mut reads = JoinSet::new();
    for stream in 0..10 {
        let aws = sim.aws.clone();
        reads.spawn(async move {
            // A stream that is not there costs a call as well.
            let stream = format!("orders/app/{stream}");
            aws.last_log_lines(REGION, "/ecs/orders", &stream, 10)
                .await
                .unwrap()
        });
    }
    reads.join_all().await;
    let took = Clock::system().instant().duration_since(began);
    assert!(
        took > Duration::from_secs(1),
        "5 at once, then 5 a second at most: {took:?}"
    );
}
