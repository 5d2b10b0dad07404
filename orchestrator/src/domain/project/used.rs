//! Tries every use of a value in every place that it reaches. Start at
//! [`uses_on_targets`]. A use with variables is tried for each service and
//! channel; what an agent reads is not known here, and only what is missing
//! beside it is told.

use crate::domain::{
    name::{ChannelName, EnvironmentName, ServiceName},
    variable::{InPlace, Place, Readings, channels_into},
};

use super::{
    check::{Reach, Use, Wants, way_out},
    definition::{Environment, Project, Service, Target},
    report::Report,
    template::{Amount, Scope, Source, Switch, Template, Texts, Unresolved},
};

type Here<'a> = (&'a EnvironmentName, &'a Environment, &'a Target);

/// Tries every use on every target that it reaches.
pub fn uses_on_targets(
    project: &Project,
    uses: &[Use],
    reaches: &[(std::ops::Range<usize>, Reach)],
    report: &mut Report,
) {
    for (index, used) in uses.iter().enumerate() {
        let reach = reaches
            .iter()
            .find(|(range, _)| range.contains(&index))
            .map(|(_, reach)| reach);
        let mut faults: Vec<(String, String, Vec<String>)> = Vec::new();
        for (name, environment) in &project.environments {
            for target in &environment.targets {
                if !reach.is_none_or(|reach| reach.covers(project, name, target)) {
                    continue;
                }
                let on = format!("{} ({name})", target.id());
                for (message, hint) in on_target(project, used, reach, (name, environment, target)) {
                    match faults.iter_mut().find(|(same, _, _)| *same == message) {
                        Some((_, _, targets)) if targets.contains(&on) => {}
                        Some((_, _, targets)) => targets.push(on.clone()),
                        None => faults.push((message, hint, vec![on.clone()])),
                    }
                }
            }
        }
        for (message, hint, targets) in faults {
            let told = report.error(used.at, format!("{message} on target {}", targets.join(", ")));
            if !hint.is_empty() {
                told.hint(hint);
            }
        }
    }
}

/// What is wrong with a use on one target.
fn on_target(
    project: &Project,
    used: &Use,
    reach: Option<&Reach>,
    (name, environment, target): Here<'_>,
) -> Vec<(String, String)> {
    let plain = Scope {
        environment: &environment.values,
        target: &target.values,
        variables: None,
    };
    let templates = used.wants.templates();
    let holes = || templates.iter().flat_map(|template| template.holes());
    if !holes().any(|(from, _)| from == Source::Variable) {
        return used.wants.fault(plain).into_iter().collect();
    }
    let (id, read) = (target.id(), Readings::new());
    let mut faults = Vec::new();
    for (service, channel) in combinations(project, reach, (name, environment, target)) {
        let place = Place {
            environment: name,
            target: &id,
            channel: Some(channel),
            service,
        };
        let scope = Scope {
            variables: Some(InPlace {
                all: &project.variables,
                place,
                read: &read,
            }),
            ..plain
        };
        let open: Vec<(Source, Unresolved)> = holes()
            .filter_map(|hole| Some((hole.0, scope.try_hole(hole).err()?)))
            .collect();
        // A hole inside a variable's own text is told with the variable.
        let own = |(hole, why): &&(Source, Unresolved)| matches!(why, Unresolved::Missing { from, .. } if from == hole);
        let missing = open.iter().find(own).map(|(_, why)| why);
        match missing {
            Some(
                why @ Unresolved::Missing {
                    from: Source::Variable,
                    ..
                },
            ) => {
                let where_to = match service {
                    Some(service) => format!("{why} for service {service}, channel {channel},"),
                    None => format!("{why} for channel {channel}"),
                };
                faults.push((where_to, way_out(why)));
            }
            Some(why) => faults.push((why.to_string(), way_out(why))),
            // Unread: an agent will say. Tied: told with the variable itself.
            None if !open.is_empty() => {}
            None => faults.extend(used.wants.fault(scope)),
        }
    }
    faults
}

/// The services that a use is of, here, and the channels that come here.
fn combinations<'a>(
    project: &'a Project,
    reach: Option<&Reach>,
    (name, _, target): Here<'_>,
) -> Vec<(Option<&'a ServiceName>, &'a ChannelName)> {
    let is_of = |key: &ServiceName, service: &Service| match reach {
        Some(Reach::Service(wanted)) => key.as_str() == wanted,
        Some(Reach::Task(task)) => {
            let task = project.tasks.get(task.as_str());
            task.is_some_and(|task| task.like == *key)
        }
        Some(Reach::Image(image)) => service.images().iter().any(|it| it.as_str() == image),
        None => true,
    };
    let services = project.services.iter();
    let here = services.filter(|(key, it)| it.goes_to(name, target) && is_of(key, it));
    let mut services: Vec<Option<&ServiceName>> = here.map(|(key, _)| Some(key)).collect();
    if services.is_empty() {
        services.push(None);
    }
    let channels = channels_into(project, name);
    let all = services
        .into_iter()
        .flat_map(|service| channels.iter().map(move |channel| (service, *channel)));
    all.collect()
}

impl Wants {
    /// Every text with holes that it looks at.
    fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(template) => vec![template],
            Self::Texts(texts) | Self::Form { texts, .. } => of_texts(texts),
            Self::Share { parts, whole, .. } => parts.iter().chain([whole]).flat_map(of_amount).collect(),
            Self::Off { switch, .. } | Self::Switch(switch) => match switch {
                Switch::Fixed(_) => Vec::new(),
                Switch::Of(template) => vec![template],
            },
            Self::Amount { amount, .. } => of_amount(amount),
            Self::Rollout {
                desired,
                minimum,
                maximum,
                ..
            } => [desired, minimum, maximum]
                .into_iter()
                .flatten()
                .flat_map(of_amount)
                .collect(),
            Self::FargateCpu { cpu, .. } => of_amount(cpu),
            Self::FargateMemory { cpu, memory, .. } => {
                [cpu, memory].into_iter().flat_map(of_amount).collect()
            }
        }
    }
}

fn of_texts(texts: &Texts) -> Vec<&Template> {
    match texts {
        Texts::Whole(template) => vec![template],
        Texts::Items(items) => items.iter().collect(),
    }
}

fn of_amount(amount: &Amount) -> Vec<&Template> {
    match amount {
        Amount::Fixed(_) => Vec::new(),
        Amount::Of(template) => vec![template],
    }
}
