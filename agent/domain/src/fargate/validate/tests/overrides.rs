//! Overrides: what they may not touch, and what may not come in by them.

use super::limits::{only, patch, told};
use super::*;

#[test]
fn what_towline_leaves_out_cannot_come_in_by_an_override() {
    for (resource, body, word) in [
        (
            "service",
            r#"{"Properties": {"DeploymentController": {"Type": "CODE_DEPLOY"}}}"#,
            "controllers",
        ),
        (
            "service",
            r#"{"Properties": {"DeploymentConfiguration": {"Strategy": "BLUE_GREEN"}}}"#,
            "blue/green",
        ),
        (
            "service",
            r#"{"Properties": {"ServiceRegistries": [{"RegistryArn": "x"}]}}"#,
            "service discovery",
        ),
        (
            "service",
            r#"{"Properties": {"SchedulingStrategy": "DAEMON"}}"#,
            "DAEMON",
        ),
        (
            "task_definition",
            r#"{"Properties": {"ProxyConfiguration": {"Type": "APPMESH"}}}"#,
            "App Mesh",
        ),
        (
            "task_definition",
            r#"{"Properties": {"ContainerDefinitions": [{"FirelensConfiguration": {}}]}}"#,
            "FireLens",
        ),
    ] {
        let told = told(|s| s.overrides = vec![patch(resource, body)]);
        assert!(told.len() == 1 && told[0].1.contains(word), "{told:?}");
    }
    // What says what is so anyway is no wish.
    assert!(
        faults(|s| s.overrides = vec![patch("task_definition", r#"{"Properties": {"PidMode": "task"}}"#)])
            .is_empty()
    );
    let still = r#"{"Properties": {"DeploymentConfiguration": {"Strategy": "ROLLING"}, "SchedulingStrategy": "REPLICA"}}"#;
    assert!(faults(|s| s.overrides = vec![patch("service", still)]).is_empty());
}

#[test]
fn an_override_names_a_resource_that_is_made_and_leaves_its_identity() {
    assert_eq!(
        only(|s| s.overrides = vec![patch("cluster", "{}")]),
        "overrides[0].resource"
    );
    assert_eq!(
        only(|s| s.overrides = vec![patch("target_group", "{}")]),
        "overrides[0].resource"
    );
    for body in [
        "[1]",
        "{",
        r#"{"Type": "AWS::S3::Bucket"}"#,
        r#"{"Properties": {"ServiceName": "x"}}"#,
        r#"{"Properties": 1}"#,
    ] {
        assert_eq!(
            only(|s| s.overrides = vec![patch("service", body)]),
            "overrides[0].merge_patch",
            "{body}"
        );
    }
}
