//! A one-off task as the wire's request.

use towline_proto::agent::v1 as agent;

use super::update::{container, duration};
use crate::domain::operation::{TaskContainer, TaskPayload};

/// What is run, without where and on what terms. What is left out is as in the
/// service that it is like.
pub(super) fn request(payload: &TaskPayload) -> agent::RunTaskRequest {
    agent::RunTaskRequest {
        task: payload.task.to_string(),
        like: payload.like.to_string(),
        containers: payload.containers.iter().map(changes).collect(),
        exit_container: payload.exit_container.to_string(),
        timeout: payload.timeout.map(duration),
        ..agent::RunTaskRequest::default()
    }
}

fn changes(changed: &TaskContainer) -> agent::TaskContainer {
    agent::TaskContainer {
        update: Some(container(&changed.update)),
        command: changed.command.clone(),
        entry_point: Vec::new(),
    }
}
