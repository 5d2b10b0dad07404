//! How large a template may be, and the way of one that is too large for a request.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Template, TemplateError};

/// The largest TemplateBody, in bytes.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html>
pub const LARGEST_TEMPLATE: usize = 51_200;

/// The largest template that CloudFormation reads from a bucket, in bytes. AWS says
/// "1 MB", which its own cfn-lint takes for a million; the smaller reading is safe.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
pub const LARGEST_TEMPLATE_IN_BUCKET: usize = 1_000_000;

/// The largest task definition that ECS registers, in bytes of its JSON.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
pub const LARGEST_TASK_DEFINITION: usize = 65_536;

/// What is counted is no more than what ECS gets: references stand where it finds the
/// longer names of images and roles.
pub(super) fn check_task_definition(resource: Option<&Value>) -> Result<(), TemplateError> {
    let properties = resource.and_then(|resource| resource.get("Properties"));
    let bytes = properties.map_or(0, |properties| properties.to_string().len());
    match bytes > LARGEST_TASK_DEFINITION {
        true => Err(TemplateError::TaskDefinitionTooLarge { bytes }),
        false => Ok(()),
    }
}

impl Template {
    /// Whether CloudFormation takes it in the request; otherwise only from a bucket.
    pub fn fits_inline(&self) -> bool {
        self.text.len() <= LARGEST_TEMPLATE
    }

    /// What to tell a person when it does not fit, and the agent has no bucket for it.
    pub fn too_large_inline(&self, region: &str) -> String {
        format!(
            "the stack's template has {} bytes, and CloudFormation takes at most {LARGEST_TEMPLATE} in a request; \
             a larger one goes through an S3 bucket, and the agent has none in {region} \
             (template_bucket in its agent.toml)",
            self.text.len()
        )
    }

    /// Its key in a bucket. Another content has another key, so that it can be stored
    /// again at any time, and nobody's change set gets another's template.
    pub fn key(&self, prefix: &str, stack: &str) -> String {
        let content = hex::encode(Sha256::digest(&self.text));
        format!("{prefix}{stack}/{content}.json")
    }
}
