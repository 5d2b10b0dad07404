//! Where a one-off task goes: as the request says, and where it says nothing, as the
//! service that it is like.

use serde_json::Value;

use super::spec::TaskSpec;
use crate::observed::{
    TaskDefinition,
    one_off::{Capacity, ServicePlacement, TaskNetwork},
};
use crate::verdict::{Reason, Refusal};

/// Where a task goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Of awsvpc tasks alone.
    pub network: Option<TaskNetwork>,
    pub capacity: Capacity,
    /// Fargate's.
    pub platform_version: Option<String>,
}

/// Decides where a task goes whose definition is made from `base`.
///
/// # Errors
///
/// An awsvpc task has no network.
pub fn placement(
    spec: &TaskSpec,
    like: Option<&ServicePlacement>,
    base: &TaskDefinition,
) -> Result<Placement, Refusal> {
    let mode = base.definition.get("networkMode").and_then(Value::as_str);
    let is_awsvpc = mode == Some("awsvpc");
    let network = spec.network.clone();
    let network = network.or_else(|| like.and_then(|like| like.network.clone()));
    if is_awsvpc && network.is_none() {
        return Err(Refusal::new(
            Reason::Refused,
            format!(
                "task {} has no network, and its task definition is awsvpc",
                spec.name
            ),
            "give placement.subnets, or a service that it is like",
        ));
    }
    let capacity = match (&spec.capacity, like) {
        (Some(capacity), _) => capacity.clone(),
        (None, Some(like)) => like.capacity.clone(),
        (None, None) => Capacity::ClustersDefault,
    };
    let platform_version = spec.platform_version.clone();
    // A service's version belongs to the capacity that the service has.
    let like_version = like.filter(|_| spec.capacity.is_none());
    let platform_version =
        platform_version.or_else(|| like_version.and_then(|like| like.platform_version.clone()));
    Ok(Placement {
        network: network.filter(|_| is_awsvpc),
        capacity,
        platform_version,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::task::spec::USUAL_TIMEOUT;

    fn spec() -> TaskSpec {
        TaskSpec {
            name: "migrate".parse().unwrap(),
            like: None,
            base: None,
            network: None,
            capacity: None,
            platform_version: None,
            containers: Vec::new(),
            exit_container: None,
            timeout: USUAL_TIMEOUT,
            tags: BTreeMap::new(),
        }
    }

    fn definition(mode: &str) -> TaskDefinition {
        TaskDefinition {
            definition: json!({"networkMode": mode}).as_object().unwrap().clone(),
            tags: Vec::new(),
        }
    }

    fn service() -> ServicePlacement {
        ServicePlacement {
            network: Some(TaskNetwork {
                subnets: vec!["subnet-1".to_owned()],
                ..TaskNetwork::default()
            }),
            capacity: Capacity::LaunchType("FARGATE".to_owned()),
            platform_version: Some("1.4.0".to_owned()),
            ..ServicePlacement::default()
        }
    }

    #[test]
    fn what_is_left_out_is_the_services() {
        let placed = placement(&spec(), Some(&service()), &definition("awsvpc")).unwrap();
        assert_eq!(placed.network, service().network);
        assert_eq!(placed.capacity, service().capacity);
        assert_eq!(placed.platform_version.as_deref(), Some("1.4.0"));
        let own = TaskSpec {
            capacity: Some(Capacity::LaunchType("EC2".to_owned())),
            ..spec()
        };
        let placed = placement(&own, Some(&service()), &definition("awsvpc")).unwrap();
        assert_eq!(placed.platform_version, None, "EC2 has none");
    }

    #[test]
    fn only_awsvpc_has_a_network_and_needs_one() {
        let placed = placement(&spec(), Some(&service()), &definition("bridge")).unwrap();
        assert_eq!(placed.network, None);
        assert!(placement(&spec(), None, &definition("awsvpc")).is_err());
    }
}
