//! What the pre-flight asks, and the answers.

use std::collections::{BTreeMap, BTreeSet};

use crate::fargate::ValidService;
use crate::fargate::name::log_group_name;
use crate::fargate::spec::LoadBalancer;
use crate::fargate::template::AccountFacts;
use crate::image_reference::ImageReference;
use crate::observed::surroundings::{
    Listener, ObservedCluster, ObservedImage, ObservedLogGroup, ObservedSecret, Permission, Role,
    SecurityGroup, Subnet, TargetGroup,
};
use crate::outside::Answer;

/// What to ask, each thing once. All of it can be asked at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    /// ARNs of target groups that exist.
    pub target_groups: Vec<String>,
    /// ARNs of listeners that get a rule.
    pub listeners: Vec<String>,
    /// ARNs of roles that exist.
    pub roles: Vec<String>,
    pub images: Vec<ImageReference>,
    /// ARNs of secrets and parameters, without key, stage and version.
    pub secrets: Vec<String>,
    /// The log group that is used or made; `None` where nothing logs into one.
    pub log_group: Option<String>,
}

/// A role and whether it may be passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFact {
    pub role: Answer<Option<Role>>,
    pub passing: Answer<Permission>,
}

/// One image.
pub type ImageFact = Answer<Option<ObservedImage>>;

/// One secret or parameter.
pub type SecretFact = Answer<Option<ObservedSecret>>;

/// One log group.
pub type LogGroupFact = Answer<Option<ObservedLogGroup>>;

/// The answers, by what was asked. What was not asked is left out and not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub cluster: Option<Answer<Option<ObservedCluster>>>,
    pub subnets: Option<Answer<Vec<Subnet>>>,
    pub security_groups: Option<Answer<Vec<SecurityGroup>>>,
    pub target_groups: BTreeMap<String, Answer<Option<TargetGroup>>>,
    pub listeners: BTreeMap<String, Answer<Option<Listener>>>,
    pub roles: BTreeMap<String, RoleFact>,
    /// By the image's whole reference.
    pub images: BTreeMap<String, ImageFact>,
    pub secrets: BTreeMap<String, SecretFact>,
    pub log_group: Option<LogGroupFact>,
    pub own: OwnResources,
}

/// What the service's own stack has made already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnResources {
    /// The log group is the stack's own.
    pub log_group: bool,
    /// ARNs of the stack's own listener rules.
    pub listener_rules: Vec<String>,
    /// The tasks that the service is to have now; `None` where there is none, or it was
    /// not read.
    pub desired: Option<u32>,
}

/// What to ask about a service.
pub fn questions(service: &ValidService, account: &AccountFacts) -> Questions {
    let spec = service.spec();
    let links = &spec.load_balancers;
    let default_group = service
        .logs_into_default_group()
        .then(|| log_group_name(&account.cluster, &spec.name));
    let mut images = service.images().to_vec();
    let mut seen = BTreeSet::new();
    images.retain(|image| seen.insert(image.to_string()));
    Questions {
        subnets: spec.network.subnets.clone(),
        security_groups: spec.network.security_groups.clone(),
        target_groups: each_once(links.iter().filter_map(LoadBalancer::target_group)),
        listeners: each_once(
            links
                .iter()
                .filter_map(|link| Some(&*link.listener_rule()?.listener)),
        ),
        roles: each_once(
            [&spec.task_role, &spec.execution_role]
                .into_iter()
                .flatten()
                .map(String::as_str),
        ),
        images,
        secrets: each_once(service.secret_arns().map(thing_itself)),
        log_group: spec.log_group.clone().or(default_group),
    }
}

fn each_once<'a>(things: impl Iterator<Item = &'a str>) -> Vec<String> {
    let things: BTreeSet<&str> = things.collect();
    things.into_iter().map(str::to_owned).collect()
}

/// A secret's ARN without the key, stage and version that may follow.
pub(crate) fn thing_itself(arn: &str) -> &str {
    if !arn.contains(":secretsmanager:") {
        return arn;
    }
    arn.match_indices(':')
        .nth(6)
        .map_or(arn, |(at, _)| arn.get(..at).unwrap_or(arn))
}
