//! Places: one service on one target of one environment, for releases of one
//! channel. What no release can reach is no place.

use super::{ScopedValue, Variables, Winner};
use crate::domain::{
    name::{ChannelName, EnvironmentName, ServiceName, TargetId},
    project::Project,
};

/// Where a variable is asked for. What is left open meets no scope that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub environment: &'a EnvironmentName,
    pub target: &'a TargetId,
    pub channel: Option<&'a ChannelName>,
    pub service: Option<&'a ServiceName>,
}

/// The channels whose releases come into an environment. When none does, all:
/// what stands in the file is checked, reached or not.
pub fn channels_into<'a>(project: &'a Project, environment: &EnvironmentName) -> Vec<&'a ChannelName> {
    let reaches = |lifecycle: &crate::domain::name::LifecycleName| {
        project.lifecycles.get(lifecycle).is_some_and(|lifecycle| {
            lifecycle
                .phases
                .iter()
                .any(|phase| phase.environments.contains(environment))
        })
    };
    let reaching: Vec<&ChannelName> = project
        .channels
        .iter()
        .filter(|(_, channel)| reaches(&channel.lifecycle))
        .map(|(name, _)| name)
        .collect();
    match reaching.is_empty() {
        true => project.channels.keys().collect(),
        false => reaching,
    }
}

/// Every place of a project, in the order of the file, with its target's id.
pub fn places(project: &Project) -> Vec<(&EnvironmentName, TargetId, &ServiceName, &ChannelName)> {
    let mut all = Vec::new();
    for (environment, definition) in &project.environments {
        let channels = channels_into(project, environment);
        for target in &definition.targets {
            let here = project.services.iter();
            for (service, _) in here.filter(|(_, it)| it.goes_to(environment, target)) {
                all.extend(
                    channels
                        .iter()
                        .map(|channel| (environment, target.id(), service, *channel)),
                );
            }
        }
    }
    all
}

/// Two values of one variable that are equally specific and match one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Tie<'a> {
    pub name: &'a str,
    /// In the order of the file.
    pub values: (&'a ScopedValue, &'a ScopedValue),
    /// The first such place, for a person.
    pub place: String,
}

impl Variables {
    /// Every pair of values that a place cannot choose between, each once.
    pub fn ties<'a>(&'a self, project: &'a Project) -> Vec<Tie<'a>> {
        let mut ties: Vec<Tie<'a>> = Vec::new();
        for (environment, target, service, channel) in places(project) {
            let place = Place {
                environment,
                target: &target,
                channel: Some(channel),
                service: Some(service),
            };
            for name in self.0.keys() {
                let Winner::Tied(first, second) = self.winner(name, &place) else {
                    continue;
                };
                let same =
                    |tie: &Tie<'_>| std::ptr::eq(tie.values.0, first) && std::ptr::eq(tie.values.1, second);
                if !ties.iter().any(same) {
                    ties.push(Tie {
                        name,
                        values: (first, second),
                        place: format!(
                            "service {service} on target {target} ({environment}), channel {channel}"
                        ),
                    });
                }
            }
        }
        ties
    }
}
