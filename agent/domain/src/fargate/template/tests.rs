use std::collections::BTreeMap;

use super::*;
use crate::fargate::spec::{
    Condition, Container, Dependency, FargateService, Link, LoadBalancer, Network, Port, Protocol,
};
use crate::fargate::validate;

/// The service of the golden file: a sidecar, secrets of both kinds, a load balancer.
fn web() -> FargateService {
    let text = |s: &str| s.to_owned();
    FargateService {
        name: text("web"),
        cpu: 512,
        memory: 1024,
        containers: vec![
            Container {
                name: text("web"),
                image: text("111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/web:1.0.0"),
                ports: vec![Port {
                    port: 8080,
                    protocol: Protocol::Tcp,
                    ..Port::default()
                }],
                environment: BTreeMap::from([(text("LEVEL"), text("debug"))]),
                secrets: BTreeMap::from([
                    (
                        text("DB"),
                        text(
                            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/db-AbCdEf:password::",
                        ),
                    ),
                    (
                        text("KEY"),
                        text("arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/key"),
                    ),
                    (
                        text("URL"),
                        text("arn:aws:ssm:eu-west-1:111122223333:parameter/shop/url"),
                    ),
                ]),
                depends_on: vec![Dependency {
                    container: text("envoy-proxy"),
                    condition: Condition::Start,
                }],
                ..Container::default()
            },
            Container {
                name: text("envoy-proxy"),
                image: text("111122223333.dkr.ecr.eu-west-1.amazonaws.com/envoy:v1.31.0"),
                memory: Some(256),
                essential: false,
                ..Container::default()
            },
        ],
        network: Network {
            subnets: vec![text("subnet-0a0000000000000aa"), text("subnet-0b0000000000000bb")],
            security_groups: vec![text("sg-0c0000000000000cc")],
            assign_public_ip: false,
        },
        load_balancers: vec![LoadBalancer {
            container: text("web"),
            port: 8080,
            link: Link::TargetGroup(text(
                "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/0a1b",
            )),
        }],
        tags: BTreeMap::from([(text("team"), text("shop"))]),
        ..FargateService::default()
    }
}

fn facts() -> AccountFacts {
    AccountFacts {
        account: "111122223333".to_owned(),
        partition: "aws".to_owned(),
        region: "eu-west-1".to_owned(),
        cluster: "main".to_owned(),
        permissions_boundary: Some("arn:aws:iam::111122223333:policy/boundary".to_owned()),
        role_path: "/towline/".to_owned(),
        mandatory_tags: BTreeMap::from([("cost-centre".to_owned(), "42".to_owned())]),
    }
}

fn made(service: &FargateService) -> Template {
    template(&validate(service).unwrap(), &facts(), &Choices::default()).unwrap()
}

#[test]
fn images_are_parameters_and_tags_are_the_stacks() {
    let made = made(&web());
    assert_eq!(
        made.parameters(),
        [
            ("ImageWeb".to_owned(), web().containers[0].image.clone()),
            ("ImageEnvoyProxy".to_owned(), web().containers[1].image.clone()),
        ]
    );
    let tags: Vec<_> = made
        .tags()
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(tags, ["cost-centre=42", "team=shop", "towline:service=main/web"]);
}

#[test]
fn a_new_image_changes_a_parameter_and_the_fingerprint_and_nothing_else() {
    let before = made(&web());
    let mut newer = web();
    newer.containers[0].image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/web:1.1.0".to_owned();
    let after = made(&newer);
    assert_ne!(before.fingerprint(), after.fingerprint());
    assert_eq!(
        before.text().replace(before.fingerprint(), ""),
        after.text().replace(after.fingerprint(), "")
    );
    assert_eq!(made(&web()), before, "equal services have equal templates");
    let found = FoundTemplate::read(after.text());
    assert_eq!(found.fingerprint(), Some(after.fingerprint()));
    assert!(after.is(&found) && !before.is(&found));
}

#[test]
fn a_template_edited_by_hand_is_another_one_whatever_its_metadata_says() {
    let wanted = made(&web());
    let edited = |edit: fn(&mut Value)| {
        let mut body: Value = serde_json::from_str(wanted.text()).unwrap();
        edit(&mut body);
        let found = FoundTemplate::read(&body.to_string());
        assert_eq!(found.fingerprint(), Some(wanted.fingerprint()));
        wanted.is(&found)
    };
    // Members in another order are the same.
    assert!(edited(|_| {}));
    assert!(!edited(
        |body| body["Resources"]["TaskDefinition"]["Properties"]["Cpu"] = "4096".into()
    ));
    assert!(!edited(|body| body["Outputs"]["Mine"] = json!({ "Value": "x" })));
    assert!(!edited(|body| body["Conditions"] = json!({})));
    assert!(!edited(|body| {
        body.as_object_mut().unwrap().remove("Outputs");
    }));
    for unreadable in ["", "null", "[]", "{", "a: &b c"] {
        assert!(!wanted.is(&FoundTemplate::read(unreadable)), "{unreadable}");
    }
}

#[test]
fn the_desired_count_is_named_only_when_it_was_set() {
    // aws/containers-roadmap#493: naming it resets what autoscaling has set.
    assert!(!made(&web()).text().contains("DesiredCount"));
    let set = FargateService {
        desired_count: Some(3),
        ..web()
    };
    assert!(made(&set).text().contains(r#""DesiredCount":3"#));
}

#[test]
fn a_role_that_is_given_is_used_and_none_is_made() {
    let role = "arn:aws:iam::111122223333:role/execution";
    let given = FargateService {
        execution_role: Some(role.to_owned()),
        ..web()
    };
    let text = made(&given).text().to_owned();
    assert!(!text.contains("AWS::IAM::Role"));
    assert!(text.contains(role));
}

#[test]
fn containers_whose_names_collide_in_a_logical_id_keep_their_own_parameters() {
    let mut service = web();
    service.containers[0].name = "envoy_proxy".to_owned();
    service.load_balancers.clear();
    let made = made(&service);
    let names: Vec<_> = made.parameters().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ImageEnvoyProxy", "ImageEnvoyProxy2"]);
}

#[test]
fn a_template_that_cloudformation_would_not_take_is_refused_here() {
    let mut service = web();
    service.containers[0]
        .environment
        .insert("BIG".to_owned(), "x".repeat(LARGEST_TEMPLATE));
    assert!(!made(&service).fits_inline());
    let told = made(&service).too_large_inline("eu-west-1");
    assert!(
        told.contains("the agent has none in eu-west-1 (template_bucket in its agent.toml)"),
        "{told}"
    );
    service.containers[0].environment.insert(
        "MORE".to_owned(),
        "x".repeat(LARGEST_TASK_DEFINITION - LARGEST_TEMPLATE),
    );
    let made_larger = template(&validate(&service).unwrap(), &facts(), &Choices::default());
    assert!(
        matches!(made_larger, Err(TemplateError::TaskDefinitionTooLarge { bytes }) if bytes > LARGEST_TASK_DEFINITION)
    );
    service.containers[0]
        .environment
        .insert("BIGGER".to_owned(), "x".repeat(LARGEST_TEMPLATE_IN_BUCKET));
    let made = template(&validate(&service).unwrap(), &facts(), &Choices::default());
    assert!(matches!(made, Err(TemplateError::TooLarge { bytes }) if bytes > LARGEST_TEMPLATE_IN_BUCKET));
}

#[test]
fn a_templates_key_names_its_content() {
    let key = made(&web()).key("towline/", "towline-main-web");
    assert_eq!(key, made(&web()).key("towline/", "towline-main-web"));
    let content = key
        .strip_prefix("towline/towline-main-web/")
        .and_then(|rest| rest.strip_suffix(".json"));
    assert_eq!(content.map(str::len), Some(64), "{key}");
    let mut other = web();
    other.containers[0]
        .environment
        .insert("NEW".to_owned(), "1".to_owned());
    assert_ne!(key, made(&other).key("towline/", "towline-main-web"));
}
