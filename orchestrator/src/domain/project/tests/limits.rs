//! What a fargate service cannot have: each is told by name, with a way around it.

use super::{
    fargate::{CONTAINERS, SIMPLE, WHOLE},
    one_fault_of,
};
use crate::domain::project::parse;

#[test]
fn what_is_not_offered_is_told_by_name() {
    let service = |key: &str, why: &str| {
        let text = SIMPLE.replace("    cpu: 256\n", &format!("    {key}: {{}}\n    cpu: 256\n"));
        let faults = parse(&text, "f").expect_err(key);
        assert_eq!(faults.len(), 1, "{faults:?}");
        let words = format!("service hello: {key}: ");
        assert!(faults[0].message.starts_with(&words), "{faults:?}");
        assert!(faults[0].message.contains(why), "{faults:?}");
        assert!(faults[0].hint.is_some(), "{key} has no way out");
    };
    service("auto_scaling", "no auto scaling");
    service("app_mesh", "no App Mesh");
    service("service_discovery", "no service discovery");
    service("service_connect", "no Service Connect");
    service("blue_green", "no blue/green");
    service("strategy", "no blue/green");
    service("scheduled", "no scheduled tasks");
    service("launch_type", "Fargate alone");
    let container = |key: &str, why: &str| {
        let text = SIMPLE.replace(
            "        ports: [8080]\n",
            &format!("        ports: [8080]\n        {key}: 1\n"),
        );
        let faults = parse(&text, "f").expect_err(key);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].message.contains(why), "{faults:?}");
        assert_eq!(faults[0].line, 25, "{faults:?}");
    };
    container("gpu", "Fargate offers no GPUs");
    container("dns_servers", "Fargate takes no DNS servers");
    container("dns_search_domains", "Fargate takes no DNS search domains");
    container("extra_hosts", "Fargate takes no extra hosts");
    container(
        "disable_networking",
        "Fargate cannot switch a container's network off",
    );
    container("firelens", "no FireLens");
    container("privileged", "no privileged containers");
    let driver = CONTAINERS.replace(
        "        stop_timeout: 60\n",
        "        stop_timeout: 60\n        logging: { driver: awsfirelens }\n",
    );
    let faults = parse(&driver, "f").unwrap_err();
    assert!(
        faults[0]
            .message
            .contains("driver awsfirelens: Towline makes no FireLens"),
        "{faults:?}"
    );
}

#[test]
fn overrides_are_of_what_the_stack_makes() {
    one_fault_of(
        WHOLE,
        "      log_group: { Properties",
        "      §execution_role: { Properties: { Path: /x/ } }\n      log_group: { Properties",
        "the stack makes no execution_role: execution_role names one that exists",
    );
    one_fault_of(
        WHOLE,
        "      log_group: { Properties",
        "      §loggroup: { Properties",
        "did you mean log_group?",
    );
    one_fault_of(
        WHOLE,
        "target_group: { Properties: { Port: 8081 } }",
        "target_group: §8081",
        "must be a map",
    );
    one_fault_of(
        WHOLE,
        "target_group: { Properties: { Port: 8081 } }",
        "target_group: { §Port: 8081 }",
        "[known here: Properties,",
    );
    one_fault_of(
        WHOLE,
        "listener_rule: { Properties: { Priority: 7 } }",
        "listener_rule: { Properties: { §Tags: [] } }",
        "Tags is not to be patched",
    );
}
