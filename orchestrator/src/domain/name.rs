//! Names and ids, each parsed once at the edge. A value of one of these types
//! is well formed wherever it is met.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}: {rule}")]
pub struct BadName {
    /// What was wanted, with its article: "a project name".
    pub what: &'static str,
    pub text: String,
    /// What such a name looks like.
    pub rule: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $check:ident, $rule:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if $check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadName { what: $what, text: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

names! {
    ProjectName: "a project name", is_label, LABEL;
    /// The key of a service in the project file.
    ServiceName: "a service name", is_label, LABEL;
    EnvironmentName: "an environment name", is_label, LABEL;
    /// The key of an image in the project file.
    ImageKey: "an image key", is_label, LABEL;
    ChannelName: "a channel name", is_label, LABEL;
    LifecycleName: "a lifecycle name", is_label, LABEL;
    PhaseName: "a phase name", is_label, LABEL;
    FreezeName: "a freeze's name", is_label, LABEL;
    /// The name in an agent's certificate.
    AgentName: "an agent name", is_label, LABEL;
    /// `1.2.0`, or whatever a team calls its releases.
    ReleaseVersion: "a release version", is_version, VERSION;
    /// An image's tag (the grammar of the OCI distribution specification).
    Tag: "an image tag", is_tag, TAG;
    /// An image's digest: what it holds, wherever it lies.
    Digest: "an image digest", is_digest, DIGEST;
    /// The 12 digits of an AWS account.
    AccountId: "an account", is_account, ACCOUNT;
    /// An AWS region's name.
    Region: "a region", is_region, REGION;
    /// The name of an ECS cluster, not its ARN.
    ClusterName: "a cluster name", is_ecs_name, ECS_NAME;
    /// The name of an ECS service.
    EcsServiceName: "an ECS service name", is_ecs_name, ECS_NAME;
    /// The name of a container in a task definition.
    ContainerName: "a container name", is_ecs_name, ECS_NAME;
    /// The name of a task's volume.
    VolumeName: "a volume name", is_ecs_name, ECS_NAME;
    /// The name of a container's port, by which other things speak of it.
    PortName: "a port name", is_port_name, PORT_NAME;
    /// What an agent calls a plan by.
    PlanHash: "a plan's hash", is_plan_hash, PLAN_HASH;
    /// `account/region/cluster`: one ECS cluster.
    TargetId: "a target", is_target, TARGET;
}

impl Digest {
    /// Enough of it for a person to tell two apart: `sha256:4f2a9c01ab12`.
    pub fn short(&self) -> &str {
        self.0.get(.."sha256:".len() + 12).unwrap_or(&self.0)
    }
}

impl TargetId {
    pub fn of(account: &AccountId, region: &Region, cluster: &ClusterName) -> Self {
        Self(format!("{account}/{region}/{cluster}"))
    }
}

const LABEL: &str = "1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
const VERSION: &str =
    "1 to 128 letters, digits, dots, underscores, plus signs and hyphens, with a letter or digit first";
const TAG: &str = "1 to 128 letters, digits, underscores, dots and hyphens, not a dot or hyphen first";
const DIGEST: &str = "sha256: and 64 hexadecimal digits";
const ACCOUNT: &str = "exactly 12 digits";
const REGION: &str = "such as eu-west-1";
const ECS_NAME: &str = "1 to 255 letters, digits, hyphens and underscores";
const PORT_NAME: &str = "1 to 64 lower-case letters, digits, hyphens and underscores, not a hyphen first";
const PLAN_HASH: &str = "1 to 128 letters, digits, colons and hyphens";
const TARGET: &str = "account/region/cluster";

fn is_label(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inside)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_version(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    (1..=128).contains(&text.len())
        && text.bytes().all(inside)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_tag(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(inside) && !text.starts_with(['.', '-'])
}

fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64
        && hex
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_region(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 32
        && text.bytes().all(inside)
        && text.contains('-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_digit())
}

fn is_ecs_name(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=255).contains(&text.len()) && text.bytes().all(inside)
}

fn is_port_name(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(inside) && !text.starts_with('-')
}

fn is_plan_hash(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b':';
    (1..=128).contains(&text.len()) && text.bytes().all(inside)
}

fn is_target(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts[..], [account, region, cluster]
        if is_account(account) && is_region(region) && is_ecs_name(cluster))
}

/// One deployment. Random: a deployment of a database that was made anew must
/// never be taken for an earlier one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeploymentId(pub Uuid);

/// One service on one target inside a deployment, one attempt: the same over
/// all repeats of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub Uuid);

impl OperationId {
    /// UUIDv5 of the parts, in the deployment's namespace. `attempt` starts at 1.
    pub fn of(deployment: DeploymentId, target: &TargetId, service: &ServiceName, attempt: u32) -> Self {
        let name = format!("{target}/{service}/{attempt}");
        Self(Uuid::new_v5(&deployment.0, name.as_bytes()))
    }

    /// Of a one-off task. No service's name has a colon.
    pub fn of_task(deployment: DeploymentId, target: &TargetId, task: &ServiceName, attempt: u32) -> Self {
        let name = format!("{target}/task:{task}/{attempt}");
        Self(Uuid::new_v5(&deployment.0, name.as_bytes()))
    }

    /// Of what puts a service back that the deployment had changed in this attempt.
    pub fn of_roll_back(
        deployment: DeploymentId,
        target: &TargetId,
        service: &ServiceName,
        attempt: u32,
    ) -> Self {
        let name = format!("{target}/roll_back:{service}/{attempt}");
        Self(Uuid::new_v5(&deployment.0, name.as_bytes()))
    }
}

macro_rules! ids {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids!(DeploymentId, OperationId);
