//! The resource types that this CloudFormation can make, and what AWS's
//! resource reference says of each: properties, attributes, what replaces it.

use serde_json::Value;

/// `RequiresRecreation`; of a whole resource, `Replacement`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recreation {
    Never,
    Conditionally,
    Always,
}

/// A resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cluster,
    Service,
    TaskDefinition,
    LogGroup,
    Role,
    Policy,
    TargetGroup,
    ListenerRule,
    WaitHandle,
}

/// Every type, for parsing.
const ALL: [Kind; 9] = [
    Kind::Cluster,
    Kind::Service,
    Kind::TaskDefinition,
    Kind::LogGroup,
    Kind::Role,
    Kind::Policy,
    Kind::TargetGroup,
    Kind::ListenerRule,
    Kind::WaitHandle,
];

impl Kind {
    /// The type of this name; `None` for one that is not simulated.
    pub fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "AWS::ECS::Cluster",
            Self::Service => "AWS::ECS::Service",
            Self::TaskDefinition => "AWS::ECS::TaskDefinition",
            Self::LogGroup => "AWS::Logs::LogGroup",
            Self::Role => "AWS::IAM::Role",
            Self::Policy => "AWS::IAM::Policy",
            Self::TargetGroup => "AWS::ElasticLoadBalancingV2::TargetGroup",
            Self::ListenerRule => "AWS::ElasticLoadBalancingV2::ListenerRule",
            Self::WaitHandle => "AWS::CloudFormation::WaitConditionHandle",
        }
    }

    /// What `Fn::GetAtt` can ask.
    pub fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Cluster | Self::LogGroup => &["Arn"],
            Self::Service => &["Name", "ServiceArn"],
            Self::TaskDefinition => &["TaskDefinitionArn"],
            Self::Role => &["Arn", "RoleId"],
            Self::Policy => &["Id"],
            Self::TargetGroup => &[
                "TargetGroupArn",
                "TargetGroupFullName",
                "TargetGroupName",
                "LoadBalancerArns",
            ],
            Self::ListenerRule => &["RuleArn", "IsDefault"],
            Self::WaitHandle => &[],
        }
    }

    /// The property that holds a name of the user's choice. A resource that has one
    /// cannot be replaced in an update.
    pub fn name_property(self) -> Option<&'static str> {
        match self {
            Self::Cluster => Some("ClusterName"),
            Self::Service => Some("ServiceName"),
            Self::LogGroup => Some("LogGroupName"),
            Self::Role => Some("RoleName"),
            Self::TargetGroup => Some("Name"),
            Self::TaskDefinition | Self::Policy | Self::ListenerRule | Self::WaitHandle => None,
        }
    }

    /// Whether a change of this property makes a new physical resource: the
    /// `createOnlyProperties` and `conditionalCreateOnlyProperties` of AWS's
    /// own resource schemas.
    pub fn recreation(self, property: &str) -> Recreation {
        let always = match self {
            Self::Cluster => property == "ClusterName",
            Self::Service => matches!(
                property,
                "ServiceName" | "Cluster" | "Role" | "SchedulingStrategy"
            ),
            Self::TaskDefinition => property != "Tags",
            Self::LogGroup => property == "LogGroupName",
            Self::Role => matches!(property, "RoleName" | "Path"),
            Self::Policy | Self::WaitHandle => false,
            Self::TargetGroup => matches!(
                property,
                "Name" | "Port" | "Protocol" | "ProtocolVersion" | "TargetType" | "VpcId" | "IpAddressType"
            ),
            Self::ListenerRule => property == "ListenerArn",
        };
        match (always, self, property) {
            (true, ..) => Recreation::Always,
            (_, Self::Service, "LaunchType") => Recreation::Conditionally,
            _ => Recreation::Never,
        }
    }

    /// Whether going from one value of the property to the other does so.
    pub fn is_replaced_by(self, property: &str, before: Option<&Value>, after: Option<&Value>) -> bool {
        match self.recreation(property) {
            Recreation::Always => true,
            Recreation::Never => false,
            // From a launch type to capacity providers and back ECS goes in place.
            Recreation::Conditionally => before.is_some() && after.is_some(),
        }
    }

    /// Whether the stack's tags are put on it.
    pub fn is_taggable(self) -> bool {
        !matches!(self, Self::Policy | Self::WaitHandle)
    }

    /// Whether a template with it needs a CAPABILITY_... of the caller.
    pub fn is_iam(self) -> bool {
        matches!(self, Self::Role | Self::Policy)
    }

    /// The properties that AWS's resource reference lists.
    pub fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Cluster => CLUSTER,
            Self::Service => SERVICE,
            Self::TaskDefinition => TASK_DEFINITION,
            Self::LogGroup => LOG_GROUP,
            Self::Role => ROLE,
            Self::Policy => &["Groups", "PolicyDocument", "PolicyName", "Roles", "Users"],
            Self::TargetGroup => TARGET_GROUP,
            Self::ListenerRule => &[
                "Actions",
                "Conditions",
                "ListenerArn",
                "Priority",
                "Tags",
                "Transforms",
            ],
            Self::WaitHandle => &[],
        }
    }

    /// The properties without which the type is refused.
    pub fn required(self) -> &'static [&'static str] {
        match self {
            Self::Role => &["AssumeRolePolicyDocument"],
            Self::Policy => &["PolicyDocument", "PolicyName"],
            Self::ListenerRule => &["Actions", "Conditions", "Priority"],
            _ => &[],
        }
    }
}

const CLUSTER: &[&str] = &[
    "CapacityProviders",
    "ClusterName",
    "ClusterSettings",
    "Configuration",
    "DefaultCapacityProviderStrategy",
    "ServiceConnectDefaults",
    "Tags",
];

const SERVICE: &[&str] = &[
    "AvailabilityZoneRebalancing",
    "CapacityProviderStrategy",
    "Cluster",
    "DeploymentConfiguration",
    "DeploymentController",
    "DesiredCount",
    "EnableECSManagedTags",
    "EnableExecuteCommand",
    "ForceNewDeployment",
    "GatewayConnectors",
    "HealthCheckGracePeriodSeconds",
    "LaunchType",
    "LoadBalancers",
    "Monitoring",
    "NetworkConfiguration",
    "PlacementConstraints",
    "PlacementStrategies",
    "PlatformVersion",
    "PropagateTags",
    "Role",
    "SchedulingStrategy",
    "ServiceConnectConfiguration",
    "ServiceName",
    "ServiceRegistries",
    "Tags",
    "TaskDefinition",
    "VolumeConfigurations",
    "VpcLatticeConfigurations",
];

const TASK_DEFINITION: &[&str] = &[
    "ContainerDefinitions",
    "Cpu",
    "EnableFaultInjection",
    "EphemeralStorage",
    "ExecutionRoleArn",
    "Family",
    "InferenceAccelerators",
    "IpcMode",
    "Memory",
    "NetworkMode",
    "PidMode",
    "PlacementConstraints",
    "ProxyConfiguration",
    "RequiresCompatibilities",
    "RuntimePlatform",
    "Tags",
    "TaskRoleArn",
    "Volumes",
];

const LOG_GROUP: &[&str] = &[
    "DataProtectionPolicy",
    "DeletionProtectionEnabled",
    "FieldIndexPolicies",
    "KmsKeyId",
    "LogGroupClass",
    "LogGroupName",
    "ResourcePolicyDocument",
    "RetentionInDays",
    "Tags",
];

const ROLE: &[&str] = &[
    "AssumeRolePolicyDocument",
    "Description",
    "ManagedPolicyArns",
    "MaxSessionDuration",
    "Path",
    "PermissionsBoundary",
    "Policies",
    "RoleName",
    "Tags",
];

const TARGET_GROUP: &[&str] = &[
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "IpAddressType",
    "Matcher",
    "Name",
    "Port",
    "Protocol",
    "ProtocolVersion",
    "Tags",
    "TargetControlPort",
    "TargetGroupAttributes",
    "TargetType",
    "Targets",
    "UnhealthyThresholdCount",
    "VpcId",
];
