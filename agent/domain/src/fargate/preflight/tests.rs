//! Each finding, from the fact that causes it.

use super::*;
use crate::fargate::spec::{
    Architecture, CapacityProvider, Container, FargateService, Link, ListenerRule, LoadBalancer, Network,
    Port,
};
use crate::fargate::validate;
use crate::observed::surroundings::*;
use crate::outside::CallError;

const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/0a1b";
const LISTENER: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/main/0a/0b";
const IMAGE: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/web:1.0.0";
const ROLE: &str = "arn:aws:iam::111122223333:role/tasks";

fn web() -> FargateService {
    FargateService {
        name: "web".to_owned(),
        cpu: 256,
        memory: 512,
        task_role: Some(ROLE.to_owned()),
        containers: vec![Container {
            name: "web".to_owned(),
            image: IMAGE.to_owned(),
            ports: vec![Port {
                port: 8080,
                ..Port::default()
            }],
            ..Container::default()
        }],
        network: Network {
            subnets: vec!["subnet-1".to_owned()],
            ..Network::default()
        },
        load_balancers: vec![LoadBalancer {
            container: "web".to_owned(),
            port: 8080,
            link: Link::TargetGroup(GROUP.to_owned()),
        }],
        ..FargateService::default()
    }
}

fn group() -> TargetGroup {
    TargetGroup {
        arn: GROUP.to_owned(),
        target_type: "ip".to_owned(),
        protocol: "HTTP".to_owned(),
        port: 80,
        vpc: "vpc-1".to_owned(),
        load_balancers: vec!["arn:lb".to_owned()],
        health_check_interval: 10,
        healthy_threshold: 2,
        deregistration_delay: Some(30),
    }
}

/// An account in which nothing is in the way.
fn good() -> Facts {
    Facts {
        cluster: Some(Ok(Some(ObservedCluster {
            name: "main".to_owned(),
            status: "ACTIVE".to_owned(),
            capacity_providers: vec!["FARGATE".to_owned()],
        }))),
        subnets: Some(Ok(vec![Subnet {
            id: "subnet-1".to_owned(),
            vpc: "vpc-1".to_owned(),
            availability_zone: "eu-west-1a".to_owned(),
            public: Some(false),
            free_addresses: Some(200),
        }])),
        security_groups: None,
        target_groups: [(GROUP.to_owned(), Ok(Some(group())))].into(),
        roles: [(
            ROLE.to_owned(),
            RoleFact {
                role: Ok(Some(Role {
                    arn: ROLE.to_owned(),
                    trusted_services: vec!["ecs-tasks.amazonaws.com".to_owned()],
                })),
                passing: Ok(Permission::Allowed),
            },
        )]
        .into(),
        images: [(
            IMAGE.to_owned(),
            Ok(Some(ObservedImage {
                digest: "sha256:1".to_owned(),
                architectures: vec!["amd64".to_owned()],
            })),
        )]
        .into(),
        log_group: Some(Ok(None)),
        ..Facts::default()
    }
}

fn reasons(service: &FargateService, facts: &Facts) -> Vec<(Severity, &'static str)> {
    let findings = judge(&validate(service).unwrap(), facts);
    for finding in &findings {
        assert!(!finding.hint.is_empty(), "{finding:?} says what to do");
    }
    findings
        .iter()
        .map(|finding| (finding.severity, finding.reason))
        .collect()
}

/// The reasons after a change to a good account.
fn after(change: impl FnOnce(&mut Facts)) -> Vec<(Severity, &'static str)> {
    let mut facts = good();
    change(&mut facts);
    reasons(&web(), &facts)
}

fn with_group(change: impl FnOnce(&mut TargetGroup)) -> Vec<(Severity, &'static str)> {
    let mut group = group();
    change(&mut group);
    after(|facts| {
        facts.target_groups.insert(GROUP.to_owned(), Ok(Some(group)));
    })
}

#[test]
fn an_account_in_order_has_no_findings() {
    assert_eq!(after(|_| {}), []);
}

#[test]
fn what_will_not_work_is_an_error() {
    use Severity::Error;
    assert_eq!(
        after(|f| f.cluster = Some(Ok(None))),
        [(Error, "cluster_missing")]
    );
    let inactive = ObservedCluster {
        status: "INACTIVE".to_owned(),
        ..ObservedCluster::default()
    };
    assert_eq!(
        after(|f| f.cluster = Some(Ok(Some(inactive)))),
        [(Error, "cluster_not_active")]
    );
    assert_eq!(
        after(|f| f.subnets = Some(Ok(vec![]))),
        [(Error, "subnet_missing")]
    );
    let missing = |f: &mut Facts| {
        f.target_groups.insert(GROUP.to_owned(), Ok(None));
    };
    assert_eq!(after(missing), [(Error, "target_group_missing")]);
    assert_eq!(
        with_group(|g| g.target_type = "instance".to_owned()),
        [(Error, "target_type_not_ip")]
    );
    assert_eq!(
        with_group(|g| g.vpc = "vpc-2".to_owned()),
        [(Error, "not_one_vpc")]
    );
    assert_eq!(
        with_group(|g| g.protocol = "UDP".to_owned()),
        [(Error, "protocol_does_not_fit")]
    );
    assert_eq!(
        with_group(|g| g.load_balancers.clear()),
        [(Error, "target_group_not_attached")]
    );
    let image = |image: Option<ObservedImage>| {
        after(|f| {
            f.images.insert(IMAGE.to_owned(), Ok(image));
        })
    };
    assert_eq!(image(None), [(Error, "image_missing")]);
    let arm = ObservedImage {
        digest: String::new(),
        architectures: vec!["arm64".to_owned()],
    };
    assert_eq!(image(Some(arm)), [(Error, "image_architecture")]);
    assert_eq!(
        after(|f| {
            f.secrets
                .insert("arn:aws:ssm:eu-west-1:1:parameter/x".to_owned(), Ok(None));
        }),
        [(Error, "secret_missing")]
    );
}

#[test]
fn a_secret_under_a_key_of_ones_own_needs_leave_to_use_that_key() {
    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let own = format!("arn:aws:kms:eu-west-1:111122223333:key/{ID}");
    let found = |keys: &[&str], execution_role: Option<&str>, key: Option<&str>| {
        let mut service = web();
        service.kms_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        service.execution_role = execution_role.map(str::to_owned);
        let secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf";
        let key = key.map(str::to_owned);
        let mut facts = good();
        facts
            .secrets
            .insert(secret.to_owned(), Ok(Some(ObservedSecret { key })));
        judge(&validate(&service).unwrap(), &facts)
    };
    let alone = |keys: &[&str], key: &str| {
        let mut found = found(keys, None, Some(key));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    assert_eq!(found(&[], None, None), []);
    assert_eq!(found(&[], Some(ROLE), Some(ID)), []);
    assert_eq!(found(&[&own], None, Some(ID)), []);
    assert_eq!(found(&[&own], None, Some(&own)), []);
    for named in [ID, &own] {
        let warned = alone(&[], named);
        assert_eq!(
            (warned.severity, warned.reason),
            (Severity::Warning, "secret_key_not_allowed")
        );
        assert_eq!(warned.hint, format!("add {own} to kms_keys"));
    }
    let other = own.replace("1234abcd", "ffffffff");
    assert_eq!(alone(&[&other], ID).reason, "secret_key_not_allowed");
    let alias = alone(&[], "alias/shop");
    assert_eq!(alias.reason, "secret_key_not_allowed");
    assert!(
        alias.hint.contains("describe-key --key-id alias/shop"),
        "{}",
        alias.hint
    );
    let unknown = alone(&[&own], "alias/shop");
    assert_eq!(
        (unknown.severity, unknown.reason),
        (Severity::Unknown, "secret_key_unknown")
    );
}

#[test]
fn roles_must_exist_trust_tasks_and_be_passable() {
    let role = |change: &dyn Fn(&mut RoleFact)| {
        after(|facts| {
            if let Some(fact) = facts.roles.get_mut(ROLE) {
                change(fact);
            }
        })
    };
    assert_eq!(role(&|f| f.role = Ok(None)), [(Severity::Error, "role_missing")]);
    let untrusting = Role {
        arn: ROLE.to_owned(),
        trusted_services: vec!["ec2.amazonaws.com".to_owned()],
    };
    assert_eq!(
        role(&|f| f.role = Ok(Some(untrusting.clone()))),
        [(Severity::Error, "role_trusts_not_tasks")]
    );
    assert_eq!(
        role(&|f| f.passing = Ok(Permission::Refused)),
        [(Severity::Error, "role_not_passable")]
    );
    let denied = CallError::Denied {
        message: "iam:SimulatePrincipalPolicy".to_owned(),
    };
    assert_eq!(
        role(&|f| f.passing = Err(denied.clone())),
        [(Severity::Unknown, "not_checked")]
    );
}

#[test]
fn slow_target_groups_are_told_in_seconds() {
    let mut facts = good();
    // The defaults of a target group.
    let slow = TargetGroup {
        health_check_interval: 30,
        healthy_threshold: 5,
        deregistration_delay: Some(300),
        ..group()
    };
    facts.target_groups.insert(GROUP.to_owned(), Ok(Some(slow)));
    let findings = judge(&validate(&web()).unwrap(), &facts);
    let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(
        messages[0].contains("150 s") && messages[1].contains("300 s"),
        "{messages:?}"
    );
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    );
}

#[test]
fn a_public_subnet_without_public_addresses_is_a_warning_and_the_opposite_a_note() {
    let subnet = |public| {
        Some(Ok(vec![Subnet {
            id: "subnet-1".to_owned(),
            vpc: "vpc-1".to_owned(),
            public: Some(public),
            ..Subnet::default()
        }]))
    };
    assert_eq!(
        after(|f| f.subnets = subnet(true)),
        [(Severity::Warning, "public_ip_needed")]
    );
    let mut service = web();
    service.network.assign_public_ip = true;
    let facts = Facts {
        subnets: subnet(false),
        ..good()
    };
    assert_eq!(reasons(&service, &facts), [(Severity::Note, "public_ip_useless")]);
}

#[test]
fn a_listener_rule_needs_its_place() {
    let mut service = web();
    let rule = ListenerRule {
        listener: LISTENER.to_owned(),
        paths: vec!["/*".to_owned()],
        priority: Some(7),
        vpc: "vpc-1".to_owned(),
        ..ListenerRule::default()
    };
    service.load_balancers[0].link = Link::ListenerRule(rule);
    let listener = Listener {
        arn: LISTENER.to_owned(),
        protocol: "HTTPS".to_owned(),
        vpc: Some("vpc-1".to_owned()),
        rules: vec![ObservedRule {
            arn: "rule/7".to_owned(),
            priority: Some(7),
        }],
    };
    let mut facts = Facts {
        listeners: [(LISTENER.to_owned(), Ok(Some(listener)))].into(),
        ..good()
    };
    assert_eq!(reasons(&service, &facts), [(Severity::Error, "priority_taken")]);
    facts.own.listener_rules = vec!["rule/7".to_owned()];
    assert_eq!(reasons(&service, &facts), [], "it is the stack's own");
    facts.listeners.insert(LISTENER.to_owned(), Ok(None));
    assert_eq!(reasons(&service, &facts), [(Severity::Error, "listener_missing")]);
}

#[test]
fn a_spot_service_needs_the_provider_on_its_cluster() {
    let mut service = web();
    service.capacity_providers = vec![CapacityProvider {
        name: "FARGATE_SPOT".to_owned(),
        base: 0,
        weight: 1,
    }];
    assert_eq!(
        reasons(&service, &good()),
        [(Severity::Error, "capacity_provider_not_attached")]
    );
}

#[test]
fn what_cannot_be_known_or_only_should_be_known_stops_nothing() {
    use Severity::{Note, Unknown, Warning};
    let denied = || CallError::Denied {
        message: "ecr:BatchGetImage".to_owned(),
    };
    let image = |answer: ImageFact| {
        after(|f| {
            f.images.insert(IMAGE.to_owned(), answer);
        })
    };
    assert_eq!(image(Err(denied())), [(Unknown, "not_checked")]);
    let other = CallError::Refused {
        code: "NotEcr".to_owned(),
        message: String::new(),
    };
    assert_eq!(image(Err(other)), [(Note, "image_not_checked")]);
    assert_eq!(
        image(Ok(Some(ObservedImage::default()))),
        [(Unknown, "image_architecture_unknown")]
    );
    let there = ObservedLogGroup {
        name: "/towline/main/web".to_owned(),
        retention: None,
    };
    assert_eq!(
        after(|f| f.log_group = Some(Ok(Some(there.clone())))),
        [(Note, "log_group_used")]
    );
    let own = after(|f| {
        f.log_group = Some(Ok(Some(there.clone())));
        f.own.log_group = true;
    });
    assert_eq!(own, []);
    let mut service = web();
    service.containers[0].image = IMAGE.replace("1.0.0", "latest");
    service.architecture = Architecture::X86_64;
    assert_eq!(reasons(&service, &good()), [(Warning, "image_tag_moves")]);
}

#[test]
fn each_thing_is_asked_once_and_secrets_without_their_keys() {
    let mut service = web();
    let secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf";
    service.containers[0].secrets = [
        ("A".to_owned(), format!("{secret}:user::")),
        ("B".to_owned(), format!("{secret}:password::")),
        (
            "C".to_owned(),
            "arn:aws:ssm:eu-west-1:111122223333:parameter/c".to_owned(),
        ),
    ]
    .into();
    let account = crate::fargate::AccountFacts {
        account: "111122223333".to_owned(),
        partition: "aws".to_owned(),
        region: "eu-west-1".to_owned(),
        cluster: "main".to_owned(),
        permissions_boundary: None,
        role_path: "/".to_owned(),
        mandatory_tags: Default::default(),
    };
    let asked = questions(&validate(&service).unwrap(), &account);
    assert_eq!(
        asked.secrets,
        [secret, "arn:aws:ssm:eu-west-1:111122223333:parameter/c"]
    );
    assert_eq!(
        (asked.roles.len(), asked.log_group.as_deref()),
        (1, Some("/towline/main/web"))
    );
}

#[test]
fn percentages_are_judged_by_the_count_that_there_is() {
    let mut service = web();
    service.rollout.minimum_healthy_percent = Some(50);
    service.rollout.maximum_percent = Some(150);
    let with = |desired| {
        let mut facts = good();
        facts.own.desired = desired;
        reasons(&service, &facts)
    };
    assert_eq!(with(Some(1)), [(Severity::Error, "deployment_deadlock")]);
    assert_eq!(with(Some(10)), []);
    assert_eq!(with(None), [(Severity::Warning, "deployment_deadlock")]);
}
