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
    /// Where its route table sends what leaves the VPC: `igw-...`, `nat-...`, or nowhere.
    pub way_out: Option<String>,
    /// What is launched there gets a public address.
    pub map_public_ip: bool,
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
            way_out: None,
            map_public_ip: false,
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
    /// How many tasks Fargate has room for, by zone; no limit where none is said.
    pub fargate_room: BTreeMap<String, usize>,
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
            let filters = Filters::read(params, &["vpc-id", "subnet-id", "availability-zone"])?;
            let chosen = network.subnets.iter().filter(|subnet| {
                is_wanted(&wanted, &subnet.id)
                    && filters.pass("vpc-id", &subnet.vpc)
                    && filters.pass("subnet-id", &subnet.id)
                    && filters.pass("availability-zone", &subnet.zone)
            });
            let owner = &region.account;
            Ok(items("subnetSet", chosen.map(|subnet| subnet_xml(subnet, owner))))
        }
        "DescribeSecurityGroups" => {
            let wanted = list(params, "GroupId");
            let known = network.security_groups.iter().map(|group| group.id.as_str());
            refuse_unknown(&wanted, known, "InvalidGroup.NotFound", "security group")?;
            let filters = Filters::read(params, &["vpc-id", "group-id", "group-name"])?;
            let chosen = network.security_groups.iter().filter(|group| {
                is_wanted(&wanted, &group.id)
                    && filters.pass("vpc-id", &group.vpc)
                    && filters.pass("group-id", &group.id)
                    && filters.pass("group-name", &group.name)
            });
            let owner = &region.account;
            Ok(items(
                "securityGroupInfo",
                chosen.map(|group| group_xml(group, owner)),
            ))
        }
        "DescribeRouteTables" => route_tables(region, params),
        _ => Err(AwsError::client(
            "InvalidAction",
            format!("The action {action} is not simulated by aws-sim"),
        )),
    }
}

/// Each VPC's main table, without a way out, and one table for every subnet that has one.
fn route_tables(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let filters = Filters::read(
        params,
        &[
            "vpc-id",
            "association.subnet-id",
            "association.main",
            "route-table-id",
        ],
    )?;
    let network = &region.network;
    let own = network.subnets.iter().filter(|subnet| subnet.way_out.is_some());
    let tables = own.map(|subnet| RouteTable {
        id: subnet.id.replace("subnet-", "rtb-"),
        vpc: &subnet.vpc,
        subnet: Some(&subnet.id),
        way_out: subnet.way_out.as_deref(),
    });
    let main = network.vpcs.iter().map(|vpc| RouteTable {
        id: vpc.id.replace("vpc-", "rtb-"),
        vpc: &vpc.id,
        subnet: None,
        way_out: None,
    });
    let chosen = tables.chain(main).filter(|table| {
        let is_main = if table.subnet.is_none() { "true" } else { "false" };
        filters.pass("vpc-id", table.vpc)
            && filters.pass("association.subnet-id", table.subnet.map_or("", String::as_str))
            && filters.pass("association.main", is_main)
            && filters.pass("route-table-id", &table.id)
    });
    let cidr = |vpc: &str| {
        network
            .vpcs
            .iter()
            .find(|one| one.id == vpc)
            .map_or("", |vpc| &vpc.cidr)
    };
    let owner = &region.account;
    let described = chosen.map(|table| route_table_xml(&table, cidr(table.vpc), owner));
    Ok(items("routeTableSet", described))
}

struct RouteTable<'a> {
    id: String,
    vpc: &'a str,
    /// None: the main one of its VPC.
    subnet: Option<&'a String>,
    way_out: Option<&'a str>,
}

fn route_table_xml(table: &RouteTable<'_>, cidr: &str, owner: &str) -> String {
    let route = |destination: &str, target: String| {
        element("destinationCidrBlock", destination)
            + &target
            + &element("state", "active")
            + &element("origin", "CreateRoute")
    };
    let local = route(cidr, element("gatewayId", "local"));
    let out = table.way_out.map(|target| {
        let member = if target.starts_with("igw-") {
            "gatewayId"
        } else {
            "natGatewayId"
        };
        route("0.0.0.0/0", element(member, target))
    });
    let subnet = table.subnet.map(|subnet| element("subnetId", subnet));
    let association = [
        element("routeTableAssociationId", &table.id.replace("rtb-", "rtbassoc-")),
        element("routeTableId", &table.id),
        subnet.clone().unwrap_or_default(),
        element("main", if subnet.is_none() { "true" } else { "false" }),
        wrap("associationState", &element("state", "associated")),
    ];
    [
        element("routeTableId", &table.id),
        element("vpcId", table.vpc),
        element("ownerId", owner),
        items("routeSet", std::iter::once(local).chain(out)),
        items("associationSet", std::iter::once(association.concat())),
        items("propagatingVgwSet", std::iter::empty()),
        items("tagSet", std::iter::empty()),
    ]
    .concat()
}

/// The filters of a request: a name and the values of which one must fit.
struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// `Filter.N.Name` and `Filter.N.Value.M`.
    fn read(params: &BTreeMap<String, String>, known: &[&str]) -> Result<Self, AwsError> {
        let named = (1..).map_while(|n| Some((n, params.get(&format!("Filter.{n}.Name"))?)));
        let mut filters = BTreeMap::new();
        for (n, name) in named {
            if !known.contains(&name.as_str()) {
                let words = format!("The filter '{name}' is invalid");
                return Err(AwsError::client("InvalidParameterValue", words));
            }
            filters.insert(name.clone(), list(params, &format!("Filter.{n}.Value")));
        }
        Ok(Self(filters))
    }

    fn pass(&self, name: &str, value: &str) -> bool {
        self.0
            .get(name)
            .is_none_or(|values| values.iter().any(|one| one == value))
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
        element(
            "mapPublicIpOnLaunch",
            if subnet.map_public_ip { "true" } else { "false" },
        ),
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
