//! A seed's network.

use serde::Deserialize;

use super::Contents;
use crate::{
    ec2::{SecurityGroup, Subnet, Vpc},
    world::Region,
};

#[derive(Debug, Deserialize)]
pub(super) struct SeedVpc {
    id: String,
    cidr: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedSubnet {
    id: String,
    vpc: String,
    cidr: String,
    zone: String,
    free_addresses: i64,
    /// Its route table leads to an internet gateway.
    #[serde(default)]
    public: bool,
    /// What is launched there gets a public address.
    #[serde(default)]
    map_public_ip: bool,
    /// A private one's way out, `nat-...`; none when absent.
    #[serde(default)]
    nat_gateway: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SeedSecurityGroup {
    id: String,
    name: String,
    vpc: String,
}

pub(super) fn furnish(region: &mut Region, contents: &Contents) {
    let network = &mut region.network;
    network.vpcs.extend(contents.vpcs.iter().map(|vpc| Vpc {
        id: vpc.id.clone(),
        cidr: vpc.cidr.clone(),
    }));
    network.subnets.extend(contents.subnets.iter().map(subnet));
    network
        .security_groups
        .extend(contents.security_groups.iter().map(|group| SecurityGroup {
            id: group.id.clone(),
            name: group.name.clone(),
            vpc: group.vpc.clone(),
        }));
}

fn subnet(seed: &SeedSubnet) -> Subnet {
    let mut made = Subnet::new(
        seed.id.clone(),
        seed.vpc.clone(),
        seed.cidr.clone(),
        seed.zone.clone(),
        seed.free_addresses,
    );
    let way_out = match (&seed.nat_gateway, seed.public) {
        (_, true) => Some(format!("igw-{}", seed.vpc.trim_start_matches("vpc-"))),
        (nat, false) => nat.clone(),
    };
    made.way_out = way_out;
    made.map_public_ip = seed.map_public_ip;
    made
}
