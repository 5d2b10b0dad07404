//! What is imported: the services that Towline could update, of clusters each
//! of which stands once; in the order of the lifecycle.

use std::collections::HashSet;

use super::{FoundCluster, Note, Reason, Unfit, names};
use crate::domain::name::EnvironmentName;

pub fn sift(
    mut clusters: Vec<FoundCluster>,
    order: &[EnvironmentName],
    notes: &mut Vec<Note>,
) -> Vec<FoundCluster> {
    clusters.sort_by_cached_key(|it| {
        (
            order
                .iter()
                .position(|name| *name == it.environment)
                .unwrap_or(order.len()),
            names::rank(it.environment.as_str()),
            it.environment.clone(),
            it.agent.clone(),
            it.target(),
        )
    });
    let mut seen = HashSet::new();
    clusters.retain(|it| {
        let first = seen.insert(it.target());
        if !first {
            notes.push(Note {
                service: String::new(),
                reason: Reason::ClusterTwice,
                message: format!(
                    "agent {} serves {}, which stands in the file with another agent already",
                    it.agent,
                    it.target()
                ),
            });
        }
        first
    });
    for cluster in &mut clusters {
        let target = cluster.target();
        cluster.services.sort_by(|a, b| a.name.cmp(&b.name));
        cluster.services.retain(|service| {
            let Some(unfit) = &service.unfit else {
                return true;
            };
            let (reason, why) = why(unfit);
            notes.push(Note {
                service: service.name.to_string(),
                reason,
                message: format!("{} on {target} is left out: {why}", service.name),
            });
            false
        });
    }
    clusters.retain(|cluster| !cluster.services.is_empty());
    clusters
}

fn why(unfit: &Unfit) -> (Reason, String) {
    match unfit {
        Unfit::NotActive(status) => (Reason::NotActive, format!("it is {status}")),
        Unfit::OwnStack => (
            Reason::OwnedByStack,
            "a stack of Towline keeps it, which a project describes as kind fargate".to_owned(),
        ),
        Unfit::Controller(controller) => (
            Reason::Controller,
            format!("its deployments go by {controller}, which Towline does not follow"),
        ),
        Unfit::Claimed(project) => (Reason::Claimed, format!("it belongs to project {project}")),
    }
}
