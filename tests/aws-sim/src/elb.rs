//! Elastic Load Balancing v2: load balancers, target groups, and the health of
//! what is registered in them.
//!
//! Targets come and go with ECS tasks; their health follows from what the
//! task's containers do.

use std::collections::BTreeMap;

use crate::{
    AwsError,
    wire::query::{element, list, members, wrap},
    world::{CallContext, Region, SimTime},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

impl TargetState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
        }
    }

    fn reason(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Healthy => None,
            Self::Initial => Some(("Elb.InitialHealthChecking", "Initial health checks in progress")),
            Self::Unhealthy => Some((
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [503]",
            )),
            Self::Draining => Some((
                "Target.DeregistrationInProgress",
                "Target deregistration is in progress",
            )),
        }
    }
}

/// One registered target.
#[derive(Clone, Debug)]
pub struct Target {
    pub task: String,
    pub container: String,
    pub zone: String,
    pub state: TargetState,
    /// Since when the checks answer as they do now.
    pub since: SimTime,
    /// What the checks answer.
    pub answers: bool,
}

#[derive(Clone, Debug)]
pub struct TargetGroup {
    pub name: String,
    pub arn: String,
    pub vpc: String,
    pub port: i64,
    pub target_type: String,
    pub path: String,
    pub interval_s: f64,
    pub healthy: u32,
    pub unhealthy: u32,
    pub deregistration_delay_s: f64,
    pub load_balancer: Option<String>,
    /// By id (IP address or instance) and port.
    pub targets: BTreeMap<(String, i64), Target>,
}

#[derive(Clone, Debug)]
pub struct LoadBalancer {
    pub name: String,
    pub arn: String,
    pub vpc: String,
    pub port: i64,
    pub target_group: String,
    /// Subnet and zone.
    pub subnets: Vec<(String, String)>,
    pub security_groups: Vec<String>,
    pub created: SimTime,
}

/// The load balancers of one account and region.
#[derive(Clone, Debug, Default)]
pub struct Elb {
    pub load_balancers: Vec<LoadBalancer>,
    /// By ARN.
    pub target_groups: BTreeMap<String, TargetGroup>,
}

impl Elb {
    /// The states of a task's targets, with the ARN of their group and their port.
    pub fn targets_of<'a>(
        &'a self,
        task: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, i64, TargetState)> {
        self.target_groups.values().flat_map(move |group| {
            group
                .targets
                .iter()
                .filter(move |(_, target)| target.task == task)
                .map(|((id, port), target)| (group.arn.as_str(), id.as_str(), *port, target.state))
        })
    }

    /// Starts draining a task's targets; how many, and for how many seconds at most.
    pub fn deregister(&mut self, task: &str, now: SimTime) -> (usize, f64) {
        let mut count = 0;
        let mut longest: f64 = 0.0;
        for group in self.target_groups.values_mut() {
            for target in group.targets.values_mut() {
                if target.task == task && target.state != TargetState::Draining {
                    target.state = TargetState::Draining;
                    target.since = now;
                    count += 1;
                    longest = longest.max(group.deregistration_delay_s);
                }
            }
        }
        (count, longest)
    }
}

/// Moves the health of every target on to `now`.
pub fn step(region: &mut Region, now: SimTime) {
    let tasks = &region.ecs.tasks;
    for group in region.elb.target_groups.values_mut() {
        let delay = group.deregistration_delay_s;
        group
            .targets
            .retain(|_, target| target.state != TargetState::Draining || now < target.since.plus_s(delay));
        for target in group.targets.values_mut() {
            let answers = tasks
                .get(&target.task)
                .is_some_and(|task| task.answers_checks(&target.container));
            if answers != target.answers {
                target.answers = answers;
                target.since = now;
            }
            let needed = f64::from(if answers { group.healthy } else { group.unhealthy });
            if target.state != TargetState::Draining && now >= target.since.plus_s(needed * group.interval_s)
            {
                target.state = if answers {
                    TargetState::Healthy
                } else {
                    TargetState::Unhealthy
                };
            }
        }
    }
}

/// One awsQuery action. The answer is the XML inside `<ActionResult>`.
pub fn call(
    region: &mut Region,
    _ctx: &CallContext,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    match action {
        "DescribeTargetGroups" => describe_target_groups(region, params),
        "DescribeTargetHealth" => describe_target_health(region, params),
        "DescribeLoadBalancers" => describe_load_balancers(region, params),
        "DescribeListeners" => describe_listeners(region, params),
        "DescribeTags" => describe_tags(region, params),
        _ => Err(AwsError::unknown_action(action)),
    }
}

fn no_target_group() -> AwsError {
    AwsError::client("TargetGroupNotFound", "One or more target groups not found")
}

fn no_load_balancer() -> AwsError {
    AwsError::client("LoadBalancerNotFound", "One or more load balancers not found")
}

fn describe_target_groups(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let arns = list(params, "TargetGroupArns");
    let names = list(params, "Names");
    let groups = &region.elb.target_groups;
    let unknown_arn = arns.iter().any(|arn| !groups.contains_key(arn));
    let unknown_name = names
        .iter()
        .any(|name| !groups.values().any(|group| group.name == *name));
    if unknown_arn || unknown_name {
        return Err(no_target_group());
    }
    let balancer = params.get("LoadBalancerArn");
    let chosen = groups
        .values()
        .filter(|group| arns.is_empty() || arns.contains(&group.arn))
        .filter(|group| names.is_empty() || names.contains(&group.name))
        .filter(|group| balancer.is_none() || group.load_balancer.as_ref() == balancer);
    Ok(members("TargetGroups", chosen.map(target_group_xml)))
}

fn target_group_xml(group: &TargetGroup) -> String {
    [
        element("TargetGroupArn", &group.arn),
        element("TargetGroupName", &group.name),
        element("Protocol", "HTTP"),
        element("Port", &group.port.to_string()),
        element("VpcId", &group.vpc),
        element("HealthCheckProtocol", "HTTP"),
        element("HealthCheckPort", "traffic-port"),
        element("HealthCheckEnabled", "true"),
        element("HealthCheckIntervalSeconds", &group.interval_s.to_string()),
        element("HealthCheckTimeoutSeconds", "2"),
        element("HealthyThresholdCount", &group.healthy.to_string()),
        element("UnhealthyThresholdCount", &group.unhealthy.to_string()),
        element("HealthCheckPath", &group.path),
        wrap("Matcher", &element("HttpCode", "200")),
        members(
            "LoadBalancerArns",
            group
                .load_balancer
                .iter()
                .map(|arn| crate::wire::query::escape(arn)),
        ),
        element("TargetType", &group.target_type),
        element("ProtocolVersion", "HTTP1"),
        element("IpAddressType", "ipv4"),
    ]
    .concat()
}

fn describe_target_health(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let group = params
        .get("TargetGroupArn")
        .and_then(|arn| region.elb.target_groups.get(arn))
        .ok_or_else(no_target_group)?;
    let described = group.targets.iter().map(|((id, port), target)| {
        let port = port.to_string();
        let mut health = element("State", target.state.word());
        if let Some((reason, description)) = target.state.reason() {
            health += &element("Reason", reason);
            health += &element("Description", description);
        }
        wrap(
            "Target",
            &[
                element("Id", id),
                element("Port", &port),
                element("AvailabilityZone", &target.zone),
            ]
            .concat(),
        ) + &element("HealthCheckPort", &port)
            + &wrap("TargetHealth", &health)
    });
    Ok(members("TargetHealthDescriptions", described))
}

fn describe_load_balancers(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let arns = list(params, "LoadBalancerArns");
    let names = list(params, "Names");
    let balancers = &region.elb.load_balancers;
    let unknown_arn = arns.iter().any(|arn| !balancers.iter().any(|lb| lb.arn == *arn));
    let unknown_name = names
        .iter()
        .any(|name| !balancers.iter().any(|lb| lb.name == *name));
    if unknown_arn || unknown_name {
        return Err(no_load_balancer());
    }
    let chosen = balancers
        .iter()
        .filter(|lb| arns.is_empty() || arns.contains(&lb.arn))
        .filter(|lb| names.is_empty() || names.contains(&lb.name));
    let region_name = &region.name;
    Ok(members(
        "LoadBalancers",
        chosen.map(|lb| load_balancer_xml(lb, region_name)),
    ))
}

fn load_balancer_xml(balancer: &LoadBalancer, region: &str) -> String {
    let zones = balancer
        .subnets
        .iter()
        .map(|(subnet, zone)| element("ZoneName", zone) + &element("SubnetId", subnet));
    [
        element("LoadBalancerArn", &balancer.arn),
        element(
            "DNSName",
            &format!("internal-{}.{region}.elb.amazonaws.com", balancer.name),
        ),
        element("CanonicalHostedZoneId", "Z32O12XQLNTSW2"),
        element("CreatedTime", &balancer.created.iso()),
        element("LoadBalancerName", &balancer.name),
        element("Scheme", "internal"),
        element("VpcId", &balancer.vpc),
        wrap("State", &element("Code", "active")),
        element("Type", "application"),
        members("AvailabilityZones", zones),
        members(
            "SecurityGroups",
            balancer
                .security_groups
                .iter()
                .map(|group| crate::wire::query::escape(group)),
        ),
        element("IpAddressType", "ipv4"),
    ]
    .concat()
}

fn describe_listeners(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let wanted = params.get("LoadBalancerArn");
    let arns = list(params, "ListenerArns");
    if let Some(wanted) = wanted
        && !region.elb.load_balancers.iter().any(|lb| lb.arn == *wanted)
    {
        return Err(no_load_balancer());
    }
    let listeners = region
        .elb
        .load_balancers
        .iter()
        .filter(|lb| wanted.is_none_or(|arn| lb.arn == *arn))
        .map(|lb| {
            (
                lb,
                lb.arn.replace(":loadbalancer/", ":listener/") + "/f2f7dc8efc522ab2",
            )
        })
        .filter(|(_, arn)| arns.is_empty() || arns.contains(arn))
        .map(|(lb, arn)| {
            [
                element("ListenerArn", &arn),
                element("LoadBalancerArn", &lb.arn),
                element("Port", &lb.port.to_string()),
                element("Protocol", "HTTP"),
                members(
                    "DefaultActions",
                    [element("Type", "forward") + &element("TargetGroupArn", &lb.target_group)],
                ),
            ]
            .concat()
        });
    Ok(members("Listeners", listeners))
}

fn describe_tags(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let arns = list(params, "ResourceArns");
    let known = |arn: &String| {
        region.elb.target_groups.contains_key(arn)
            || region.elb.load_balancers.iter().any(|lb| lb.arn == *arn)
    };
    if let Some(unknown) = arns.iter().find(|arn| !known(arn)) {
        return Err(if unknown.contains(":targetgroup/") {
            no_target_group()
        } else {
            no_load_balancer()
        });
    }
    let described = arns
        .iter()
        .map(|arn| element("ResourceArn", arn) + &members("Tags", std::iter::empty()));
    Ok(members("TagDescriptions", described))
}
