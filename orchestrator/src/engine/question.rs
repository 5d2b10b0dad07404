//! Where a question about a service leads: service, target and images are found
//! in the project, and everything that is wrong with it is told at once.

use indexmap::IndexMap;

use super::{EngineError, Fault, ServiceQuestion, commands};
use crate::domain::{
    name::{ChannelName, EnvironmentName, ImageKey},
    operation::{self, Payload, Spot},
    project::{Environment, Project, Service, Target, nearest},
    release::{ChoiceFault, Release, ReleaseImage, choose_images_of},
    variable::{Readings, ValueSource},
};

/// Where the question leads, with every hole filled; all that is wrong with it at once.
pub(super) fn payload(
    project: &Project,
    release: Option<&Release>,
    (question, pins): (&ServiceQuestion, &Pins),
    read: &Readings,
) -> Result<(Target, Payload, Vec<ValueSource>), EngineError> {
    let mut faults = Vec::new();
    let service = service(project, &question.service)
        .map_err(|fault| faults.push(fault))
        .ok();
    let place = place(project, question).map_err(|fault| faults.push(fault)).ok();
    let images = service.and_then(|(name, service)| {
        images_of(project, service, release, (question, pins))
            .map_err(|wrong| faults.extend(commands::choice_faults(&wrong)))
            .ok()
            .map(|images| (name, service, images))
    });
    let (Some((name, service, images)), Some(place), []) = (images, place, faults.as_slice()) else {
        return Err(EngineError::Invalid { faults });
    };
    let (environment_name, environment, target) = place;
    let id = target.id();
    if !service.goes_to(environment_name, target) {
        let fault = Fault::of("target", format!("service {name} is not on target {id}"));
        return Err(EngineError::Invalid {
            faults: vec![fault.hint("only_in of the service says where it is")],
        });
    };
    let spot = Spot {
        environment: environment_name,
        definition: environment,
        target,
        channel: channel_of(project, release),
        read,
    };
    let (payload, reads) = operation::pending_payload(project, &images, (name, service), spot)
        .map_err(|why| EngineError::invalid("project", why.to_string()))?;
    Ok((target.clone(), payload, reads))
}

/// The channel whose variables count: of the release, or the only one there is.
pub(super) fn channel_of<'a>(project: &'a Project, release: Option<&'a Release>) -> Option<&'a ChannelName> {
    let mut channels = project.channels.keys();
    match (release, channels.next(), channels.next()) {
        (Some(release), _, _) => Some(&release.channel),
        (None, Some(only), None) => Some(only),
        (None, _, _) => None,
    }
}

/// The images that count: those of the question before those of the release,
/// which come with their digests.
pub(super) fn images_of(
    project: &Project,
    service: &Service,
    release: Option<&Release>,
    (question, pins): (&ServiceQuestion, &Pins),
) -> Result<IndexMap<ImageKey, ReleaseImage>, Vec<ChoiceFault>> {
    let of_release = release.into_iter().flat_map(|release| &release.images);
    let mut chosen: Vec<(String, String)> = of_release
        .map(|(key, image)| (key.to_string(), image.tag.to_string()))
        .collect();
    // Said twice, the last word counts.
    chosen.extend(question.images.iter().cloned());
    let mut images = choose_images_of(project, service, &chosen)?;
    for (key, image) in &mut images {
        let of_release = release.and_then(|release| release.images.get(key));
        let same = of_release
            .filter(|it| it.tag == image.tag)
            .or_else(|| pins.get(key));
        if let Some(same) = same {
            *image = same.clone();
        }
    }
    Ok(images)
}

/// Images whose tags were looked at, with what they hold.
pub(super) type Pins = IndexMap<ImageKey, ReleaseImage>;

pub(super) type Named<'a> = (&'a crate::domain::name::ServiceName, &'a Service);

pub(super) fn service<'a>(project: &'a Project, wanted: &str) -> Result<Named<'a>, Fault> {
    let found = project.services.iter().find(|(name, _)| name.as_str() == wanted);
    found.ok_or_else(|| {
        let known: Vec<&str> = project.services.keys().map(|name| name.as_str()).collect();
        missing("service", project, wanted, &known)
    })
}

pub(super) fn place<'a>(
    project: &'a Project,
    question: &ServiceQuestion,
) -> Result<(&'a EnvironmentName, &'a Environment, &'a Target), Fault> {
    let wanted = question.environment.as_str();
    let (name, environment) = project
        .environments
        .iter()
        .find(|(name, _)| name.as_str() == wanted)
        .ok_or_else(|| {
            let known: Vec<&str> = project.environments.keys().map(|name| name.as_str()).collect();
            missing("environment", project, wanted, &known)
        })?;
    let wanted = question.target.as_str();
    let mut targets = environment.targets.iter();
    let target = match wanted {
        "" => targets.next(),
        wanted => targets.find(|target| target.id().as_str() == wanted),
    };
    target.map(|target| (name, environment, target)).ok_or_else(|| {
        let known: Vec<String> = environment.targets.iter().map(|it| it.id().to_string()).collect();
        Fault::of(
            "target",
            format!("environment {} has no target {wanted:?}", question.environment),
        )
        .hint(format!("its targets: {}", known.join(", ")))
    })
}

fn missing(what: &str, project: &Project, wanted: &str, known: &[&str]) -> Fault {
    let fault = Fault::of(what, format!("project {} has no {what} {wanted:?}", project.name));
    match nearest(wanted, known) {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault.hint(format!("known here: {}", known.join(", "))),
    }
}
