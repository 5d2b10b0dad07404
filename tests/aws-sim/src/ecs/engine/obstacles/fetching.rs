//! What AWS says of a secret or an image that cannot be fetched. Fargate's agent
//! says it of the task; that of an EC2 instance says it in Docker's words of
//! the container, or in its own of the task.
//!
//! Sources: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html>,
//! and what users report.

use crate::images::Reference;

/// Who fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetcher {
    Fargate,
    /// The agent of an instance, in a region.
    Instance,
}

/// Where a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    SecretsManager,
    Parameters,
}

const INITIALISING: &str = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve";

impl Fetcher {
    pub fn of(launch_type: &str) -> Self {
        if launch_type == "FARGATE" {
            Self::Fargate
        } else {
            Self::Instance
        }
    }

    /// A secret whose store answers `refusal`.
    pub fn secret(self, store: Store, region: &str, from: &str, refusal: &str) -> String {
        match (self, store) {
            (Self::Fargate, Store::SecretsManager) => format!(
                "{INITIALISING} secret from asm: service call has been retried 1 time(s): failed to fetch secret {from} from secrets manager: {refusal}"
            ),
            (Self::Fargate, Store::Parameters) => {
                format!("{INITIALISING} secrets from ssm: service call has been retried 1 time(s): {refusal}")
            }
            (Self::Instance, Store::SecretsManager) => {
                format!(
                    "Fetching secret data from AWS Secrets Manager in region {region}: secret {from}: {refusal}"
                )
            }
            (Self::Instance, Store::Parameters) => {
                format!("Fetching secret data from SSM Parameter Store in {region}: {refusal}")
            }
        }
    }

    /// Parameters that there are not.
    pub fn no_parameter(self, from: &str) -> String {
        match self {
            Self::Fargate => format!("invalid ssm parameters: {from}"),
            Self::Instance => format!("invalid parameters: {from}"),
        }
    }

    /// A registry whose login is refused.
    pub fn login(self, refusal: &str) -> String {
        match self {
            Self::Fargate => format!(
                "{INITIALISING} ecr registry auth: service call has been retried 1 time(s): {refusal}"
            ),
            Self::Instance => format!("CannotPullECRContainerError: {refusal} status code: 400"),
        }
    }

    /// An image that the registry does not give to the role.
    pub fn forbidden(self, image: &str, refusal: &str) -> String {
        let reference = Reference::parse(image);
        let tag = reference.tag.as_deref().unwrap_or("latest");
        match self {
            Self::Fargate => format!(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: unexpected status from HEAD request to https://{}/v2/{}/manifests/{tag}: 403 Forbidden",
                reference.registry, reference.repository
            ),
            Self::Instance => format!(
                "CannotPullContainerError: Error response from daemon: pull access denied for {}/{}, repository does not exist or may require 'docker login': denied: {refusal}",
                reference.registry, reference.repository
            ),
        }
    }

    /// An index without a manifest for the platform (`linux/arm64`).
    pub fn no_platform(self, platform: &str) -> String {
        match self {
            Self::Fargate => format!(
                "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform '{platform}'"
            ),
            Self::Instance => format!(
                "CannotPullContainerError: Error response from daemon: no matching manifest for {platform} in the manifest list entries"
            ),
        }
    }

    /// An image that is not there.
    pub fn not_found(self, image: &str) -> String {
        match self {
            Self::Fargate => format!(
                "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref {image}: {image}: not found"
            ),
            Self::Instance => format!(
                "CannotPullContainerError: Error response from daemon: manifest for {image} not found: manifest unknown: Requested image not found"
            ),
        }
    }

    /// A log group that is not there.
    pub fn no_log_group(self) -> String {
        match self {
            Self::Fargate => "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1",
            Self::Instance => "CannotStartContainerError: Error response from daemon: failed to create task for container: failed to initialize logging driver: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.",
        }
        .to_owned()
    }
}
