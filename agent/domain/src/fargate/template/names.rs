//! Logical ids and parameter names. They never change for the same service, and no
//! two are the same: CloudFormation has one space for both.

use std::collections::BTreeSet;

use crate::fargate::ValidService;
use crate::fargate::choices::Choices;
use crate::fargate::validate::Target;

/// CloudFormation allows 255 characters; what is cut is numbered where it collides.
const LONGEST_PART: usize = 200;

/// One container's image.
pub(crate) struct ImageParameter {
    pub container: String,
    pub name: String,
    pub image: String,
}

/// The resources of one load balancer link.
pub(crate) struct LinkNames {
    /// The link's place in the service's list.
    pub index: usize,
    pub target_group: String,
    pub listener_rule: String,
}

/// All names of one template.
pub(crate) struct Names {
    pub service: String,
    pub task_definition: String,
    pub log_group: String,
    pub execution_role: String,
    /// In the containers' order.
    pub images: Vec<ImageParameter>,
    /// Those links that are made by a rule.
    pub links: Vec<LinkNames>,
}

impl Names {
    pub fn of(service: &ValidService, choices: &Choices) -> Self {
        let mut taken = BTreeSet::new();
        // What is kept has its name already, so it comes first.
        for kept in choices.kept.values() {
            taken.insert(kept.logical_id.clone());
        }
        let mut fixed = |target: Target, default: &str| match choices.kept.get(target.as_str()) {
            Some(kept) => kept.logical_id.clone(),
            None => free(default.to_owned(), &mut taken),
        };
        let (own, task_definition) = (
            fixed(Target::Service, "Service"),
            fixed(Target::TaskDefinition, "TaskDefinition"),
        );
        let (log_group, execution_role) = (
            fixed(Target::LogGroup, "LogGroup"),
            fixed(Target::ExecutionRole, "ExecutionRole"),
        );
        let image = |(container, image): (&crate::fargate::spec::Container, &_)| ImageParameter {
            container: container.name.clone(),
            name: free(format!("Image{}", camel(&container.name)), &mut taken),
            image: format!("{image}"),
        };
        let images = service.containers().map(image).collect();
        let links = service.spec().load_balancers.iter().enumerate();
        let links = links.filter(|(_, link)| link.listener_rule().is_some());
        let links = links
            .enumerate()
            .map(|(at, (index, link))| {
                let part = format!("{}{}", camel(&link.container), link.port);
                // What was taken over is the first link's.
                let mut named = |target: Target, kind: &str| match choices.kept.get(target.as_str()) {
                    Some(kept) if at == 0 => kept.logical_id.clone(),
                    _ => free(format!("{kind}{part}"), &mut taken),
                };
                LinkNames {
                    index,
                    target_group: named(Target::TargetGroup, "TargetGroup"),
                    listener_rule: named(Target::ListenerRule, "ListenerRule"),
                }
            })
            .collect();
        Self {
            service: own,
            task_definition,
            log_group,
            execution_role,
            images,
            links,
        }
    }
}

/// The name itself, or with the first number that makes it free.
fn free(plain: String, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{plain}{n}"));
    let name = std::iter::once(plain.clone())
        .chain(numbered)
        .find(|name| !taken.contains(name));
    let name = name.unwrap_or(plain);
    taken.insert(name.clone());
    name
}

/// `my-web_app` → `MyWebApp`: logical ids are alphanumeric.
fn camel(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let letters = words.flat_map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters)
    });
    letters.take(LONGEST_PART).collect()
}
