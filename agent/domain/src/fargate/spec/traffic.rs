//! How a load balancer's traffic reaches a container.

/// Links a container's port to a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    pub container: String,
    pub port: u32,
    pub link: Link,
}

/// By what the port is linked. Load balancers and listeners themselves are never made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a specification holds at most five")]
pub enum Link {
    /// ARN of a target group that exists.
    TargetGroup(String),
    /// The stack makes a target group, and a rule on a listener that exists.
    ListenerRule(ListenerRule),
}

impl LoadBalancer {
    /// The target group that exists, if it is linked by one.
    pub fn target_group(&self) -> Option<&str> {
        match &self.link {
            Link::TargetGroup(arn) => Some(arn),
            Link::ListenerRule(_) => None,
        }
    }

    /// The rule that the stack makes, if it makes one.
    pub fn listener_rule(&self) -> Option<&ListenerRule> {
        match &self.link {
            Link::TargetGroup(_) => None,
            Link::ListenerRule(rule) => Some(rule),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerRule {
    /// The listener's ARN.
    pub listener: String,
    pub hosts: Vec<String>,
    pub paths: Vec<String>,
    /// 1 to 50000; absent for the next free one, which the plan fixes.
    pub priority: Option<u32>,
    /// The VPC of the target group.
    pub vpc: String,
    /// HTTP or HTTPS; absent for HTTP.
    pub protocol: Option<String>,
    /// HTTP1, HTTP2 or GRPC; absent for HTTP1.
    pub protocol_version: Option<String>,
    pub health_check: TargetHealthCheck,
    /// Seconds that a target is drained; absent for 30.
    pub deregistration_delay: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetHealthCheck {
    /// Absent: "/".
    pub path: Option<String>,
    /// "200" or "200-299"; absent for "200" (GRPC: "12").
    pub matcher: Option<String>,
    /// Seconds, 5 to 300; absent for 10.
    pub interval: Option<u32>,
    /// Seconds, 2 to 120; absent for 5.
    pub timeout: Option<u32>,
    /// 2 to 10; absent for 2.
    pub healthy_threshold: Option<u32>,
    /// 2 to 10; absent for 3.
    pub unhealthy_threshold: Option<u32>,
}
