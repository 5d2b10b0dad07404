//! A row's order as the agent's API takes it.

use std::time::Duration;

use towline_proto::agent::v1::{self as pb, UpdateServiceRequest};

use crate::{
    row::{Base, OnFailure, Row, WaitFor},
    world::{CLUSTER, REGION},
};

pub(super) fn request(row: &Row, id: &str) -> UpdateServiceRequest {
    let order = &row.order;
    let tag = order.tag.clone().unwrap_or_else(|| "2.0.0".to_owned());
    let of_agent = |seconds: f64| {
        let duration = Duration::from_secs_f64(seconds / row.speed);
        prost_types::Duration::try_from(duration).expect("a duration")
    };
    let environment = (!order.environment.is_empty()).then(|| pb::NamedValues {
        set: order.environment.clone().into_iter().collect(),
        ..Default::default()
    });
    UpdateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: order.service.clone().unwrap_or_else(|| "orders".to_owned()),
        containers: vec![pb::ContainerUpdate {
            name: order.container.clone().unwrap_or_else(|| "app".to_owned()),
            tag: order.image.is_none().then_some(tag),
            image: order.image.clone(),
            environment,
            ..Default::default()
        }],
        context: Some(pb::OperationContext {
            operation_id: id.into(),
            ..Default::default()
        }),
        base: match order.base {
            Some(Base::Running) => pb::BaseRevision::Running.into(),
            None => pb::BaseRevision::Unspecified.into(),
        },
        force: order.force,
        on_failure: match order.on_failure {
            Some(OnFailure::RollBack) => pb::OnFailure::RollBack.into(),
            None => pb::OnFailure::Unspecified.into(),
        },
        wait_for: match order.wait_for {
            Some(WaitFor::Started) => pb::WaitFor::Started.into(),
            None => pb::WaitFor::Unspecified.into(),
        },
        timeout: order.timeout_s.map(of_agent),
        bake_time: order.bake_s.map(of_agent),
        bake_alarms: order.alarms.clone(),
        plan_hash: order.plan_hash.clone(),
        ..Default::default()
    }
}
