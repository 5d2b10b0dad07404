//! What the pre-flight asks, and the answers.

use std::collections::BTreeMap;

use crate::fargate::ValidService;
use crate::fargate::spec::{Architecture, Link};
use crate::fargate::template::AccountFacts;
use crate::image_reference::ImageReference;
use crate::observed::surroundings::{
    Listener, ObservedCluster, ObservedImage, ObservedLogGroup, Permission, Role, SecurityGroup, Subnet,
    TargetGroup,
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
    pub secrets: BTreeMap<String, Answer<bool>>,
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
}

/// What to ask about a service.
pub fn questions(service: &ValidService, account: &AccountFacts) -> Questions {
    let spec = service.spec();
    let links = || spec.load_balancers.iter().map(|lb| &lb.link);
    let _ = (account, Architecture::default());
    Questions {
        subnets: spec.network.subnets.clone(),
        security_groups: spec.network.security_groups.clone(),
        target_groups: links()
            .filter_map(|link| match link {
                Link::TargetGroup(arn) => Some(arn.clone()),
                Link::ListenerRule(_) => None,
            })
            .collect(),
        listeners: links()
            .filter_map(|link| match link {
                Link::TargetGroup(_) => None,
                Link::ListenerRule(rule) => Some(rule.listener.clone()),
            })
            .collect(),
        roles: [&spec.task_role, &spec.execution_role]
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        images: service.images().to_vec(),
        secrets: Vec::new(),
        log_group: None,
    }
}
