//! Forms of texts that AWS knows: what a filled text must look like. The agent
//! checks more; here is what can be told with the file's places.

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A Secrets Manager secret or an SSM parameter.
    Secret,
    /// A Secrets Manager secret.
    Credentials,
    /// A file in S3 with lines NAME=value.
    EnvironmentFile,
    TargetGroup,
    /// Of an application load balancer.
    Listener,
    Role,
    /// A key itself; policies take no alias in its place.
    KmsKey,
    Vpc,
    Subnet,
    SecurityGroup,
    FileSystem,
    AccessPoint,
    /// Of a service, a task definition family or a container in ECS.
    EcsName,
    /// What ECS knows as a secret's valueFrom: an ARN, or a parameter's name.
    SecretReference,
    /// Begins with a slash.
    Path,
    PlatformVersion,
    StackName,
    LogGroup,
}

impl Form {
    /// What is wrong with a text, and how it should look.
    pub fn fault(self, text: &str) -> Option<(String, &'static str)> {
        (!self.fits(text)).then(|| (format!("{text:?} is no {}", self.name()), self.looks()))
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::Secret => is_arn(text, "secretsmanager", "secret:") || is_arn(text, "ssm", "parameter/"),
            Self::Credentials => is_arn(text, "secretsmanager", "secret:"),
            Self::EnvironmentFile => is_arn(text, "s3", "") && text.ends_with(".env"),
            Self::TargetGroup => is_arn(text, "elasticloadbalancing", "targetgroup/"),
            Self::Listener => is_arn(text, "elasticloadbalancing", "listener/app/"),
            Self::Role => is_arn(text, "iam", "role/"),
            Self::KmsKey => is_arn(text, "kms", "key/"),
            Self::Vpc => is_id(text, "vpc-"),
            Self::Subnet => is_id(text, "subnet-"),
            Self::SecurityGroup => is_id(text, "sg-"),
            Self::FileSystem => is_id(text, "fs-"),
            Self::AccessPoint => is_id(text, "fsap-"),
            Self::EcsName => text.parse::<crate::domain::name::EcsServiceName>().is_ok(),
            Self::SecretReference => is_secret_reference(text),
            Self::Path => text.starts_with('/'),
            Self::PlatformVersion => matches!(text, "LATEST" | "1.4.0"),
            Self::StackName => {
                let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                text.len() <= 128
                    && text.starts_with(|c: char| c.is_ascii_alphabetic())
                    && text.bytes().all(inside)
            }
            Self::LogGroup => {
                let inside = |b: u8| b.is_ascii_alphanumeric() || b"._/#-".contains(&b);
                (1..=512).contains(&text.len()) && text.bytes().all(inside)
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Secret => "ARN of a secret or parameter",
            Self::Credentials => "ARN of a Secrets Manager secret",
            Self::EnvironmentFile => "ARN of a file in S3 that ends in .env",
            Self::TargetGroup => "ARN of a target group",
            Self::Listener => "ARN of an application load balancer's listener",
            Self::Role => "ARN of a role",
            Self::KmsKey => "ARN of a KMS key",
            Self::Vpc => "id of a VPC",
            Self::Subnet => "id of a subnet",
            Self::SecurityGroup => "id of a security group",
            Self::FileSystem => "id of an EFS file system",
            Self::AccessPoint => "id of an EFS access point",
            Self::EcsName => "name in ECS",
            Self::SecretReference => "reference to a secret or parameter",
            Self::Path => "absolute path",
            Self::PlatformVersion => "platform version that Fargate starts tasks on",
            Self::StackName => "name for a stack",
            Self::LogGroup => "name of a log group",
        }
    }

    fn looks(self) -> &'static str {
        match self {
            Self::Secret => {
                "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME; the value of a secret never goes here"
            }
            Self::Credentials => "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME",
            Self::EnvironmentFile => "arn:aws:s3:::BUCKET/PATH.env",
            Self::TargetGroup => "arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID",
            Self::Listener => {
                "arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/NAME/ID/ID; only those have rules"
            }
            Self::Role => "arn:aws:iam::ACCOUNT:role/NAME",
            Self::KmsKey => {
                "arn:aws:kms:REGION:ACCOUNT:key/ID; for an alias: aws kms describe-key --key-id alias/NAME"
            }
            Self::Vpc => "vpc-...",
            Self::Subnet => "subnet-...",
            Self::SecurityGroup => "sg-...",
            Self::FileSystem => "fs-...",
            Self::AccessPoint => "fsap-...",
            Self::EcsName => "1 to 255 letters, digits, hyphens and underscores",
            Self::SecretReference => {
                "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, arn:aws:ssm:REGION:ACCOUNT:parameter/NAME or /NAME/OF/PARAMETER; the value of a secret never goes here"
            }
            Self::Path => "it begins with /",
            Self::PlatformVersion => "LATEST or 1.4.0",
            Self::StackName => "a letter, then up to 127 letters, digits and hyphens",
            Self::LogGroup => "1 to 512 letters, digits and . _ / # -",
        }
    }
}

/// A parameter's name counts only as a path: a bare word may be a secret itself.
pub fn is_secret_reference(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"_./-".contains(&b);
    let parameter = text.len() <= 1011 && text.len() > 1 && text.starts_with('/') && text.bytes().all(inside);
    parameter || is_arn(text, "secretsmanager", "secret:") || is_arn(text, "ssm", "parameter/")
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, the resource beginning as given.
fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, found, _, _, rest] = parts.as_slice() else {
        return false;
    };
    let goes_on = rest.strip_prefix(resource).is_some_and(|rest| !rest.is_empty());
    *arn == "arn"
        && partition.starts_with("aws")
        && *found == service
        && goes_on
        && text.chars().all(|c| c.is_ascii_graphic())
}
