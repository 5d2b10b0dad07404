//! A secret that is encrypted with a key of the account's own.

use towline_proto::agent::v1::{
    DeployFargateServiceRequest, FargatePlanAction, PlanFargateServiceRequest, Severity, Verdict,
    operation_event::Event,
};

use super::{FIRST, SECOND, deploy_web};
use crate::world::{World, finished, to_the_end, told};

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:card-key-d4e5f6";
const KEY: &str = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn with_secret(id: &str) -> DeployFargateServiceRequest {
    let mut deploy = deploy_web(id, "1.0.0");
    let container = &mut deploy.service.as_mut().unwrap().containers[0];
    container.secrets.insert("CARD_KEY".into(), SECRET.into());
    deploy
}

#[tokio::test]
async fn a_key_that_is_not_listed_is_told_beforehand_and_is_what_fails() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let deploy = with_secret(FIRST);
    let request = PlanFargateServiceRequest {
        region: deploy.region.clone(),
        cluster: deploy.cluster.clone(),
        service: deploy.service.clone(),
        ..Default::default()
    };
    let planned = client.plan_fargate_service(request).await.unwrap();
    let plan = planned.into_inner().plan.unwrap();
    assert_eq!(plan.action(), FargatePlanAction::Create, "{plan:#?}");
    let finding = plan
        .findings
        .iter()
        .find(|finding| finding.reason == "secret_key_not_allowed")
        .unwrap_or_else(|| panic!("{plan:#?}"));
    assert_eq!(finding.severity(), Severity::Warning);
    assert!(
        finding.message.contains(SECRET) && finding.message.contains(KEY),
        "{}",
        finding.message
    );
    assert_eq!(finding.hint, format!("add {KEY} to kms_keys"));
    // It was no false alarm: no task starts.
    let events = to_the_end(client.deploy_fargate_service(deploy).await).await;
    let end = finished(&events);
    assert_eq!(end.verdict(), Verdict::Failed, "{:#?}", told(&events));
    let cause = &end.diagnosis.as_ref().unwrap().root_cause;
    assert!(cause.contains("Access to KMS is not allowed"), "{cause}");

    let mut listed = with_secret(SECOND);
    listed.service.as_mut().unwrap().kms_keys.push(KEY.into());
    let events = to_the_end(client.deploy_fargate_service(listed).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let warned = |event: &&towline_proto::agent::v1::OperationEvent| {
        matches!(&event.event,
        Some(Event::Finding(finding)) if finding.reason.starts_with("secret_key"))
    };
    assert_eq!(events.iter().filter(warned).count(), 0, "{:#?}", told(&events));
}
