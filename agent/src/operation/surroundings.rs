//! What all operations of an agent share.

use std::collections::BTreeMap;

use towline_agent_domain::rollout::follow::JudgeOptions;

use super::registration::Registrations;
use crate::config::{Config, TemplateBucket, Timing};

/// The account and the agent's own settings, as drivers see them.
#[derive(Debug)]
pub struct Surroundings<A> {
    /// The outside systems of the account.
    pub aws: A,
    /// 12 digits.
    pub account_id: String,
    /// aws, aws-cn, aws-us-gov.
    pub partition: String,
    pub timing: Timing,
    /// The service role that CloudFormation acts with.
    pub cloudformation_role: Option<String>,
    pub permissions_boundary: Option<String>,
    /// The IAM path of roles that a stack makes.
    pub role_path: String,
    /// On everything that is made.
    pub tags: BTreeMap<String, String>,
    /// By region: where templates go that CloudFormation does not take in a request.
    pub template_buckets: BTreeMap<String, TemplateBucket>,
    pub registrations: Registrations,
    #[cfg(feature = "planted-faults")]
    pub planted: crate::config::Planted,
}

impl<A> Surroundings<A> {
    pub fn new(aws: A, account_id: String, partition: String, config: &Config) -> Self {
        Self {
            aws,
            account_id,
            partition,
            timing: config.timing,
            cloudformation_role: config.aws.cloudformation_role.clone(),
            permissions_boundary: config.aws.permissions_boundary.clone(),
            role_path: config.aws.role_path.clone(),
            tags: config.aws.tags.clone(),
            template_buckets: config.aws.template_buckets(),
            registrations: Registrations::default(),
            #[cfg(feature = "planted-faults")]
            planted: config.planted,
        }
    }

    /// Switches of the judge; only tests ever set one.
    #[cfg(feature = "planted-faults")]
    pub fn judge_options(&self) -> JudgeOptions {
        JudgeOptions {
            rolled_back_is_success: self.planted.rolled_back_is_success,
        }
    }

    /// Switches of the judge; only tests ever set one.
    #[cfg(not(feature = "planted-faults"))]
    pub fn judge_options(&self) -> JudgeOptions {
        JudgeOptions::default()
    }
}
