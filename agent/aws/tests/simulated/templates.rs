//! A template's way through a bucket.

use serde_json::json;
use towline_agent_domain::outside::{
    CallError, ChangeSetRequest, StackChanges as _, Stacks as _, TemplateSource, TemplateStore as _,
    TemplateUpload,
};

use crate::sim::{ACCOUNT, REGION, Sim};

fn upload(bucket: &str) -> TemplateUpload {
    let resources = json!({ "Logs": { "Type": "AWS::Logs::LogGroup" } });
    let large = json!({ "Metadata": { "Long": "x".repeat(60_000) }, "Resources": resources });
    TemplateUpload {
        region: REGION.to_owned(),
        bucket: bucket.to_owned(),
        key: "towline/stack/1.json".to_owned(),
        text: large.to_string(),
    }
}

#[tokio::test]
async fn a_stored_template_is_what_cloudformation_reads() {
    let sim = Sim::start().await;
    let bucket = format!("towline-templates-{ACCOUNT}-{REGION}");
    let upload = upload(&bucket);
    let url = sim.aws.store_template(&upload).await.unwrap();
    assert!(url.ends_with(&format!("/{bucket}/towline/stack/1.json")), "{url}");
    assert_eq!(sim.aws.store_template(&upload).await.unwrap(), url);
    let request = ChangeSetRequest {
        region: REGION.to_owned(),
        stack_name: "large".to_owned(),
        change_set_name: "first".to_owned(),
        creates_stack: true,
        template: TemplateSource::Stored(url.clone()),
        parameters: Vec::new(),
        tags: Vec::new(),
        role_arn: None,
        token: "1".to_owned(),
    };
    sim.aws.create_change_set(&request).await.unwrap();
    assert!(sim.aws.stack(REGION, "large").await.unwrap().is_some());
    let nowhere = ChangeSetRequest {
        stack_name: "other".to_owned(),
        template: TemplateSource::Stored(url.replace("/1.json", "/2.json")),
        ..request
    };
    let refused = sim.aws.create_change_set(&nowhere).await.unwrap_err();
    assert!(
        matches!(&refused, CallError::Refused { message, .. } if message.contains("key does not exist")),
        "{refused}"
    );
    assert_eq!(sim.aws.stack(REGION, "other").await.unwrap(), None);
}

#[tokio::test]
async fn a_bucket_that_is_missing_elsewhere_or_somebody_elses_is_told_apart() {
    let sim = Sim::start().await;
    let missing = sim.aws.store_template(&upload("no-such-bucket")).await;
    assert_eq!(
        missing,
        Err(CallError::Missing {
            what: "bucket no-such-bucket".to_owned()
        })
    );
    let elsewhere = upload("towline-templates-333333333333-eu-central-1");
    let elsewhere = sim.aws.store_template(&elsewhere).await;
    assert!(
        matches!(&elsewhere, Err(CallError::Refused { code, .. }) if code == "PermanentRedirect"),
        "{elsewhere:?}"
    );
    let others = sim
        .aws
        .store_template(&upload("towline-templates-222222222222-eu-west-1"))
        .await;
    assert!(matches!(others, Err(CallError::Denied { .. })), "{others:?}");
}
