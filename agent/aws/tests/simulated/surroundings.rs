//! What pre-flight reads, of things that are there, that are not, and of which
//! AWS will not say.

use serde_json::json;
use towline_agent_domain::observed::ClusterRef;
use towline_agent_domain::observed::surroundings::Permission;
use towline_agent_domain::outside::{CallError, Prerequisites as _, Surroundings as _};

use crate::sim::{ACCOUNT, REGION, Sim, main_cluster};

const VPC: &str = "vpc-0d10000000000000e";

fn load_balancing(resource: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:{resource}")
}

fn role(path: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{path}")
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn code(error: &CallError) -> &str {
    match error {
        CallError::Refused { code, .. } => code,
        _ => "",
    }
}

#[tokio::test]
async fn a_cluster_says_its_state_and_its_capacity_providers() {
    let sim = Sim::start().await;
    let found = sim.aws.cluster(&main_cluster()).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.status.as_str()), ("main", "ACTIVE"));
    assert_eq!(found.capacity_providers, ["FARGATE", "FARGATE_SPOT"]);
    let gone = ClusterRef {
        cluster: "no-such-cluster".to_owned(),
        ..main_cluster()
    };
    assert_eq!(sim.aws.cluster(&gone).await.unwrap(), None);
}

#[tokio::test]
async fn subnets_say_their_network_and_whether_they_are_public() {
    let sim = Sim::start().await;
    let ids = [
        "subnet-0d10000000000000a",
        "subnet-0d10000000000000c",
        "subnet-0d10000000000000d",
        "subnet-0d10000000000000f",
        "subnet-00000000000000000",
    ];
    let found = sim.aws.subnets(REGION, &texts(&ids)).await.unwrap();
    // The one that does not exist is left out; the others are answered.
    let seen: Vec<_> = found
        .iter()
        .map(|subnet| {
            (
                subnet.id.as_str(),
                subnet.public,
                subnet.free_addresses == Some(0),
            )
        })
        .collect();
    let expected = [
        (ids[0], Some(false), false),
        (ids[3], Some(false), true),
        (ids[1], Some(true), false),
        (ids[2], Some(false), false),
    ];
    for one in expected {
        assert!(seen.contains(&one), "{one:?} in {seen:?}");
    }
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
    assert!(found.iter().all(|subnet| subnet.vpc == VPC));
    assert_eq!(sim.aws.subnets(REGION, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn an_agent_that_may_not_read_routes_still_knows_the_subnets() {
    let sim = Sim::start().await;
    let rule = json!({"rules": [{"kind": "server_error", "action": "DescribeRouteTables"}]});
    sim.control("POST", "faults", &rule).await;
    let found = sim
        .aws
        .subnets(REGION, &texts(&["subnet-0d10000000000000c"]))
        .await
        .unwrap();
    assert_eq!((found[0].vpc.as_str(), found[0].public), (VPC, None));
}

#[tokio::test]
async fn security_groups_say_their_network() {
    let sim = Sim::start().await;
    let ids = texts(&[
        "sg-0d10000000000000c",
        "sg-0d1000000000000cc",
        "sg-00000000000000000",
    ]);
    let found = sim.aws.security_groups(REGION, &ids).await.unwrap();
    let vpcs: Vec<_> = found
        .iter()
        .map(|group| (group.id.as_str(), group.vpc.as_str()))
        .collect();
    assert_eq!(
        vpcs,
        [
            ("sg-0d10000000000000c", VPC),
            ("sg-0d1000000000000cc", "vpc-0d10000000000000f")
        ]
    );
}

#[tokio::test]
async fn a_target_group_says_what_it_costs_and_who_uses_it() {
    let sim = Sim::start().await;
    let get = async |resource: &str| {
        sim.aws
            .target_group(REGION, &load_balancing(resource))
            .await
            .unwrap()
    };
    let web = get("targetgroup/web/73e2d6bc24d8a067").await.unwrap();
    assert_eq!(
        web.load_balancers,
        [load_balancing("loadbalancer/app/shop/50dc6c495c0c9188")]
    );
    assert_eq!(
        (web.target_type.as_str(), web.protocol.as_str(), web.port),
        ("ip", "HTTP", 8080)
    );
    assert_eq!((web.health_check_interval, web.healthy_threshold), (5, 2));
    assert_eq!(web.deregistration_delay, Some(5));
    let spare = get("targetgroup/spare/6d0ecf831eec9f09").await.unwrap();
    assert_eq!(
        (spare.load_balancers.len(), spare.deregistration_delay),
        (0, Some(300))
    );
    let machines = get("targetgroup/machines/2b9d4c7e1f0a6358").await.unwrap();
    assert_eq!(
        (machines.target_type.as_str(), machines.vpc.as_str()),
        ("instance", VPC)
    );
    assert_eq!(get("targetgroup/gone/0000000000000000").await, None);
}

#[tokio::test]
async fn a_listener_says_its_rules_and_its_network() {
    let sim = Sim::start().await;
    let arn = load_balancing("listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2");
    let found = sim.aws.listener(REGION, &arn).await.unwrap().unwrap();
    assert_eq!(
        (found.protocol.as_str(), found.vpc.as_deref()),
        ("HTTPS", Some(VPC))
    );
    let priorities: Vec<_> = found.rules.iter().map(|rule| rule.priority).collect();
    assert_eq!(priorities, [Some(1), Some(3), None]);
    let gone = arn.replace("f2f7dc8efc522ab2", "0000000000000000");
    assert_eq!(sim.aws.listener(REGION, &gone).await.unwrap(), None);
}

#[tokio::test]
async fn a_log_group_goes_by_its_whole_name() {
    let sim = Sim::start().await;
    let found = sim.aws.log_group(REGION, "/ecs/orders").await.unwrap().unwrap();
    assert_eq!(found.retention, Some(30));
    assert_eq!(sim.aws.log_group(REGION, "/ecs/order").await.unwrap(), None);
}

#[tokio::test]
async fn a_role_says_whom_it_trusts_and_whether_it_may_be_passed() {
    let sim = Sim::start().await;
    let get = async |arn: &str| sim.aws.role(REGION, arn).await;
    let execution = get(&role("shop-execution")).await.unwrap().unwrap();
    assert_eq!(execution.trusted_services, ["ecs-tasks.amazonaws.com"]);
    let instance = get(&role("shop-instance")).await.unwrap().unwrap();
    assert_eq!(instance.trusted_services, ["ec2.amazonaws.com"]);
    assert_eq!(get(&role("gone")).await.unwrap(), None);
    // A role is its path, too; ECS refuses the name with another one.
    assert!(get(&role("payments/payments-task")).await.unwrap().is_some());
    assert_eq!(get(&role("payments-task")).await.unwrap(), None);
    let foreign = get("arn:aws:iam::222222222222:role/shop-execution")
        .await
        .unwrap_err();
    assert_eq!(code(&foreign), "OtherAccount");

    let may = async |passer: Option<&str>, arn: &str| sim.aws.may_pass_role(REGION, passer, arn).await;
    let own = may(None, &role("shop-execution")).await.unwrap();
    assert_eq!(own, Permission::Allowed);
    let denied = may(None, &role("payments/payments-task")).await.unwrap();
    assert_eq!(denied, Permission::Refused);
    // CloudFormation's role may pass it on; one without any policy may not.
    for (passer, expected) in [
        ("towline-cloudformation", Permission::Allowed),
        ("shop-instance", Permission::Refused),
    ] {
        let other = may(Some(&role(passer)), &role("shop-execution")).await.unwrap();
        assert_eq!(other, expected, "{passer}");
    }
    let nobody = may(Some(&role("gone")), &role("shop-execution"))
        .await
        .unwrap_err();
    assert!(matches!(nobody, CallError::Missing { .. }), "{nobody:?}");
}

#[tokio::test]
async fn an_image_says_its_digest_and_what_it_was_built_for() {
    let sim = Sim::start().await;
    let registry = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web");
    let get = async |reference: &str| sim.aws.image(REGION, &reference.parse().unwrap()).await;
    let index = get(&format!("{registry}:1.2.0")).await.unwrap().unwrap();
    assert_eq!(index.architectures, ["amd64", "arm64"]);
    // One platform: its configuration blob is fetched and says it.
    let arm = get(&format!("{registry}:1.5.0")).await.unwrap().unwrap();
    assert_eq!(arm.architectures, ["arm64"]);
    let pinned = get(&format!("{registry}@{}", arm.digest)).await.unwrap().unwrap();
    assert_eq!(pinned, arm);
    assert_eq!(get(&format!("{registry}:9.9.9")).await.unwrap(), None);
    assert_eq!(get(&format!("{registry}-gone:1.0.0")).await.unwrap(), None);
    let elsewhere = get("public.ecr.aws/datadog/agent:7").await.unwrap_err();
    assert_eq!(code(&elsewhere), "NotEcr");
    let foreign = get(&registry.replace(ACCOUNT, "222222222222")).await.unwrap_err();
    assert!(matches!(foreign, CallError::Denied { .. }), "{foreign:?}");
}

#[tokio::test]
async fn secrets_and_parameters_exist_or_do_not() {
    let sim = Sim::start().await;
    let has = async |arn: &str| sim.aws.secret_exists(REGION, arn).await;
    let secret = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-password-a1b2c3");
    assert!(has(&secret).await.unwrap());
    assert!(has(&format!("{secret}:password::")).await.unwrap());
    assert!(!has(&secret.replace("db-password", "gone")).await.unwrap());
    let parameter = format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/web/smtp-host");
    assert!(has(&parameter).await.unwrap());
    assert!(has("/shop/web/smtp-host").await.unwrap());
    assert!(!has(&format!("{parameter}-gone")).await.unwrap());
    let foreign = has(&parameter.replace(ACCOUNT, "222222222222"))
        .await
        .unwrap_err();
    assert_eq!(code(&foreign), "OtherAccount");
}

#[tokio::test]
async fn services_without_an_sdk_are_asked_again_and_name_the_operation() {
    let sim = Sim::start().await;
    let rules = json!({"rules": [
        {"kind": "throttle", "service": "ec2", "times": 1},
        {"kind": "server_error", "service": "ssm", "times": 1},
        {"kind": "lost_answer", "service": "iam", "times": 1},
    ]});
    sim.control("POST", "faults", &rules).await;
    let reads = async {
        let groups = texts(&["sg-0d10000000000000c"]);
        assert_eq!(sim.aws.security_groups(REGION, &groups).await.unwrap().len(), 1);
        assert!(
            sim.aws
                .secret_exists(REGION, "/shop/web/smtp-host")
                .await
                .unwrap()
        );
        assert!(
            sim.aws
                .role(REGION, &role("shop-execution"))
                .await
                .unwrap()
                .is_some()
        );
    };
    towline_agent_aws::in_operation("6f1c2b1e-57a4-4b62-9f6e-000000000001", reads).await;
    for action in ["DescribeSecurityGroups", "DescribeParameters", "GetRole"] {
        let arrivals = sim.arrivals(action).await;
        assert_eq!(arrivals.len(), 2, "{action}");
        for arrival in arrivals {
            assert_eq!(arrival["operation"], "6f1c2b1e-57a4-4b62-9f6e-000000000001");
            let region = if action == "GetRole" { "us-east-1" } else { REGION };
            assert_eq!(arrival["region"], region);
        }
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_unknown() {
    let sim = Sim::start().await;
    let aws = sim.stop().await;
    let answer = aws.secret_exists(REGION, "/shop/web/smtp-host").await;
    assert!(matches!(answer, Err(CallError::Throttled { .. })), "{answer:?}");
}
