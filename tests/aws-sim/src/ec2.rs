//! Amazon EC2: the network that services are placed in.

use std::collections::BTreeMap;

use crate::{
    AwsError,
    wire::query::{element, list, wrap},
    world::{CallContext, Region},
};

#[derive(Clone, Debug)]
pub struct Vpc {
    pub id: String,
    pub cidr: String,
}

#[derive(Clone, Debug)]
pub struct Subnet {
    pub id: String,
    pub vpc: String,
    pub cidr: String,
    pub zone: String,
    /// Addresses that nobody holds.
    pub free: i64,
    handed_out: u8,
}

impl Subnet {
    pub fn new(id: String, vpc: String, cidr: String, zone: String, free: i64) -> Self {
        Self {
            id,
            vpc,
            cidr,
            zone,
            free,
            handed_out: 0,
        }
    }

    /// An address of it; `None` when none is free.
    pub fn take(&mut self) -> Option<String> {
        if self.free <= 0 {
            return None;
        }
        self.free -= 1;
        self.handed_out = self.handed_out % 200 + 1;
        let network = self
            .cidr
            .rsplit_once('.')
            .map_or("10.0.0", |(network, _)| network);
        Some(format!("{network}.{}", u16::from(self.handed_out) + 20))
    }
}

#[derive(Clone, Debug)]
pub struct SecurityGroup {
    pub id: String,
    pub name: String,
    pub vpc: String,
}

/// The networks of one account and region.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub vpcs: Vec<Vpc>,
    pub subnets: Vec<Subnet>,
    pub security_groups: Vec<SecurityGroup>,
}

impl Network {
    pub fn subnet_mut(&mut self, id: &str) -> Option<&mut Subnet> {
        self.subnets.iter_mut().find(|subnet| subnet.id == id)
    }
}

/// One action of EC2's query protocol. The answer is the XML inside `<ActionResponse>`.
pub fn call(
    region: &mut Region,
    _ctx: &CallContext,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    let network = &region.network;
    match action {
        "DescribeVpcs" => {
            let wanted = list(params, "VpcId");
            let known = network.vpcs.iter().map(|vpc| vpc.id.as_str());
            refuse_unknown(&wanted, known, "InvalidVpcID.NotFound", "vpc ID")?;
            let chosen = network.vpcs.iter().filter(|vpc| is_wanted(&wanted, &vpc.id));
            let owner = &region.account;
            Ok(items("vpcSet", chosen.map(|vpc| vpc_xml(vpc, owner))))
        }
        "DescribeSubnets" => {
            let wanted = list(params, "SubnetId");
            let known = network.subnets.iter().map(|subnet| subnet.id.as_str());
            refuse_unknown(&wanted, known, "InvalidSubnetID.NotFound", "subnet ID")?;
            let chosen = network
                .subnets
                .iter()
                .filter(|subnet| is_wanted(&wanted, &subnet.id));
            let owner = &region.account;
            Ok(items("subnetSet", chosen.map(|subnet| subnet_xml(subnet, owner))))
        }
        "DescribeSecurityGroups" => {
            let wanted = list(params, "GroupId");
            let known = network.security_groups.iter().map(|group| group.id.as_str());
            refuse_unknown(&wanted, known, "InvalidGroup.NotFound", "security group")?;
            let chosen = network
                .security_groups
                .iter()
                .filter(|group| is_wanted(&wanted, &group.id));
            let owner = &region.account;
            Ok(items(
                "securityGroupInfo",
                chosen.map(|group| group_xml(group, owner)),
            ))
        }
        _ => Err(AwsError::client(
            "InvalidAction",
            format!("The action {action} is not simulated by aws-sim"),
        )),
    }
}

fn is_wanted(wanted: &[String], id: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|one| one == id)
}

fn refuse_unknown<'a>(
    wanted: &[String],
    known: impl Iterator<Item = &'a str>,
    code: &str,
    what: &str,
) -> Result<(), AwsError> {
    let known: Vec<&str> = known.collect();
    match wanted.iter().find(|id| !known.contains(&id.as_str())) {
        Some(id) => Err(AwsError::client(
            code,
            format!("The {what} '{id}' does not exist"),
        )),
        None => Ok(()),
    }
}

fn items(name: &str, pieces: impl Iterator<Item = String>) -> String {
    wrap(
        name,
        &pieces.map(|piece| wrap("item", &piece)).collect::<String>(),
    )
}

fn vpc_xml(vpc: &Vpc, owner: &str) -> String {
    [
        element("vpcId", &vpc.id),
        element("ownerId", owner),
        element("state", "available"),
        element("cidrBlock", &vpc.cidr),
        element("isDefault", "false"),
    ]
    .concat()
}

fn subnet_xml(subnet: &Subnet, owner: &str) -> String {
    [
        element("subnetId", &subnet.id),
        element("vpcId", &subnet.vpc),
        element("ownerId", owner),
        element("state", "available"),
        element("cidrBlock", &subnet.cidr),
        element("availabilityZone", &subnet.zone),
        element("availableIpAddressCount", &subnet.free.max(0).to_string()),
        element("mapPublicIpOnLaunch", "false"),
    ]
    .concat()
}

fn group_xml(group: &SecurityGroup, owner: &str) -> String {
    [
        element("groupId", &group.id),
        element("groupName", &group.name),
        element("groupDescription", &group.name),
        element("vpcId", &group.vpc),
        element("ownerId", owner),
    ]
    .concat()
}
