//! What a service stands in and needs: cluster, network, load balancing, roles,
//! images, secrets, logs. Read before anything is written, to say what will not work.

/// An ECS cluster (DescribeClusters).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedCluster {
    pub name: String,
    /// ACTIVE, PROVISIONING, DEPROVISIONING, FAILED, INACTIVE.
    pub status: String,
    /// FARGATE, FARGATE_SPOT and the cluster's own.
    pub capacity_providers: Vec<String>,
}

/// A container instance with what is left on it (DescribeContainerInstances).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerInstance {
    pub id: String,
    /// ACTIVE and connected: ECS places tasks on it.
    pub takes_tasks: bool,
    /// CPU units that are left.
    pub cpu: u32,
    /// MiB that are left.
    pub memory: u32,
    /// Ports of the host that are taken.
    pub ports: Vec<u32>,
    /// x86_64 or arm64, in ECS's words; `None` where it does not say.
    pub architecture: Option<String>,
}

/// A subnet (EC2 DescribeSubnets, and the route table that it uses).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    pub id: String,
    pub vpc: String,
    pub availability_zone: String,
    /// Its route table leads to an internet gateway; `None` where that is not known.
    pub public: Option<bool>,
    pub free_addresses: Option<u32>,
}

/// A security group (EC2 DescribeSecurityGroups).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroup {
    pub id: String,
    pub vpc: String,
}

/// A target group with its attributes and health check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    pub arn: String,
    /// ip, instance, lambda, alb.
    pub target_type: String,
    /// HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP, GENEVE.
    pub protocol: String,
    pub port: u32,
    pub vpc: String,
    /// Load balancers that a listener of which forwards to it.
    pub load_balancers: Vec<String>,
    /// Seconds (HealthCheckIntervalSeconds).
    pub health_check_interval: u32,
    /// Checks in a row (HealthyThresholdCount).
    pub healthy_threshold: u32,
    /// Seconds (deregistration_delay.timeout_seconds).
    pub deregistration_delay: Option<u32>,
}

/// A listener with its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    pub arn: String,
    /// HTTP, HTTPS: an application load balancer's; others have no rules.
    pub protocol: String,
    /// The VPC of its load balancer, where known.
    pub vpc: Option<String>,
    pub rules: Vec<ObservedRule>,
}

/// One rule of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedRule {
    pub arn: String,
    /// `None`: the default rule.
    pub priority: Option<u32>,
}

/// An IAM role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    pub arn: String,
    /// Services that its trust policy lets assume it: `ecs-tasks.amazonaws.com`.
    pub trusted_services: Vec<String>,
}

/// Whether the agent's role, or CloudFormation's, may do something. AWS may not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    Allowed,
    Refused,
}

/// An image in its registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedImage {
    /// `sha256:...`
    pub digest: String,
    /// What it was built for, in the registry's words (amd64, arm64); empty where the
    /// registry does not say.
    pub architectures: Vec<String>,
}

/// A secret of Secrets Manager, or a parameter of Systems Manager. No value of one is
/// ever read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedSecret {
    /// The KMS key of the account's own that it is encrypted with, as AWS names it: id,
    /// ARN or alias. `None` for AWS's keys, and for none.
    pub key: Option<String>,
}

/// A log group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedLogGroup {
    pub name: String,
    /// Days; `None` keeps lines for ever.
    pub retention: Option<u32>,
}
