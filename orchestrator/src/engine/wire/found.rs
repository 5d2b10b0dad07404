//! A service that an agent lists, as an import takes it.

use towline_proto::agent::v1 as agent;

use crate::domain::import::{FoundContainer, FoundService, Unfit};

/// The tag of what Towline's own stacks make.
const STACK_TAG: &str = "towline:service";

/// `None` for what has no name of ECS's.
pub fn found_service(told: &agent::ServiceDescription) -> Option<FoundService> {
    let unfit = if told.task_definition_tags.contains_key(STACK_TAG) {
        Some(Unfit::OwnStack)
    } else if told.status != "ACTIVE" {
        Some(Unfit::NotActive(told.status.clone()))
    } else if !matches!(told.deployment_controller.as_str(), "" | "ECS") {
        Some(Unfit::Controller(told.deployment_controller.clone()))
    } else if !told.deployment_strategy.is_empty() {
        Some(Unfit::Controller(told.deployment_strategy.clone()))
    } else {
        None
    };
    let containers = told.containers.iter().filter_map(|container| {
        Some(FoundContainer {
            name: container.name.parse().ok()?,
            image: container.image.clone(),
        })
    });
    Some(FoundService {
        name: told.name.parse().ok()?,
        containers: containers.collect(),
        unfit,
    })
}
