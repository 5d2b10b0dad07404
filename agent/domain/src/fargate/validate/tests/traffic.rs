//! The links to load balancers that are made by a rule.

use super::limits::{only, text};
use super::*;
use crate::fargate::spec::*;

fn rule() -> ListenerRule {
    ListenerRule {
        listener: text("arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/main/1/2"),
        paths: vec![text("/*")],
        vpc: text("vpc-1"),
        ..ListenerRule::default()
    }
}

fn with_rule(change: impl FnOnce(&mut ListenerRule)) -> Vec<String> {
    let mut rule = rule();
    change(&mut rule);
    faults(|s| {
        s.load_balancers = vec![LoadBalancer {
            container: text("web"),
            port: 8080,
            link: Link::ListenerRule(rule),
        }];
    })
}

#[test]
fn a_listener_rule_has_a_condition_a_place_and_its_ranges() {
    assert!(with_rule(|_| {}).is_empty());
    let path = |member: &str| vec![format!("load_balancers[0].listener_rule.{member}")];
    assert_eq!(with_rule(|r| r.paths.clear()), path("hosts"));
    assert_eq!(
        with_rule(|r| r.hosts = vec![text("shop.example.com/x")]),
        path("hosts[0]")
    );
    assert_eq!(with_rule(|r| r.paths = vec![text("api")]), path("paths[0]"));
    assert_eq!(with_rule(|r| r.paths = vec![text("/a"); 6]), path("hosts"));
    assert_eq!(with_rule(|r| r.priority = Some(50_001)), path("priority"));
    assert_eq!(with_rule(|r| r.vpc = text("main")), path("vpc"));
    assert_eq!(with_rule(|r| r.protocol = Some(text("TCP"))), path("protocol"));
    assert_eq!(
        with_rule(|r| r.protocol_version = Some(text("HTTP3"))),
        path("protocol_version")
    );
    assert_eq!(
        with_rule(|r| r.deregistration_delay = Some(3601)),
        path("deregistration_delay")
    );
    assert_eq!(
        with_rule(|r| r.health_check.matcher = Some(text("ok"))),
        path("health_check.matcher")
    );
    assert_eq!(
        with_rule(|r| r.health_check.timeout = Some(10)),
        path("health_check.timeout")
    );
    assert_eq!(
        with_rule(|r| r.health_check.healthy_threshold = Some(1)),
        path("health_check.healthy_threshold")
    );
    let net = "arn:aws:elasticloadbalancing:eu-west-1:1:listener/net/main/1/2";
    assert_eq!(with_rule(|r| r.listener = text(net)), path("listener"));
}

#[test]
fn two_rules_of_one_service_do_not_take_one_place() {
    let link = |priority| LoadBalancer {
        container: text("web"),
        port: 8080,
        link: Link::ListenerRule(ListenerRule { priority, ..rule() }),
    };
    assert!(faults(|s| s.load_balancers = vec![link(None), link(None)]).is_empty());
    let twice = |s: &mut FargateService| s.load_balancers = vec![link(Some(5)), link(Some(5))];
    assert_eq!(only(twice), "load_balancers[1].listener_rule.priority");
}
