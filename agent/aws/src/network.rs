//! EC2: subnets and security groups. Asked for by a filter, so that an id that
//! does not exist is left out and does not spoil the answer about the others.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::Node;
use towline_agent_domain::observed::surroundings::{SecurityGroup, Subnet};
use towline_agent_domain::outside::Answer;

use crate::Aws;
use crate::direct::{child, child_text, xml};

/// Which of the subnets lead to the internet by themselves.
#[derive(Debug, Default)]
struct Routes {
    /// By subnet: its own table has a route to an internet gateway.
    own: BTreeMap<String, bool>,
    /// By VPC: the main table has one.
    main: BTreeMap<String, bool>,
}

impl Aws {
    pub(crate) async fn observed_subnets(&self, region: &str, ids: &[String]) -> Answer<Vec<Subnet>> {
        let pages = self
            .described(region, "DescribeSubnets", "subnet-id", ids, "the subnets")
            .await?;
        let mut subnets = Vec::new();
        for page in &pages {
            subnets.extend(items(xml(page)?.root_element(), "subnetSet").map(subnet));
        }
        let vpcs: BTreeSet<String> = subnets.iter().map(|subnet: &Subnet| subnet.vpc.clone()).collect();
        let vpcs: Vec<String> = vpcs.into_iter().collect();
        // Without the route tables the subnets are still worth their answer.
        if let Ok(routes) = self.routes(region, &vpcs).await {
            for subnet in &mut subnets {
                let of_vpc = routes.main.get(&subnet.vpc);
                subnet.public = routes.own.get(&subnet.id).or(of_vpc).copied();
            }
        }
        Ok(subnets)
    }

    pub(crate) async fn observed_security_groups(
        &self,
        region: &str,
        ids: &[String],
    ) -> Answer<Vec<SecurityGroup>> {
        let what = "the security groups";
        let pages = self
            .described(region, "DescribeSecurityGroups", "group-id", ids, what)
            .await?;
        let group = |node: Node<'_, '_>| SecurityGroup {
            id: child_text(node, "groupId"),
            vpc: child_text(node, "vpcId"),
        };
        let mut groups = Vec::new();
        for page in &pages {
            groups.extend(items(xml(page)?.root_element(), "securityGroupInfo").map(group));
        }
        Ok(groups)
    }

    async fn routes(&self, region: &str, vpcs: &[String]) -> Answer<Routes> {
        let pages = self
            .described(region, "DescribeRouteTables", "vpc-id", vpcs, "the route tables")
            .await?;
        let mut routes = Routes::default();
        for page in &pages {
            for table in items(xml(page)?.root_element(), "routeTableSet") {
                read_table(&mut routes, table);
            }
        }
        Ok(routes)
    }

    /// All pages of what a filter lets through; none for no values.
    async fn described(
        &self,
        region: &str,
        action: &str,
        filter: &str,
        values: &[String],
        what: &str,
    ) -> Answer<Vec<String>> {
        let mut pages = Vec::new();
        if values.is_empty() {
            return Ok(pages);
        }
        let ec2 = self.inner.clients.ec2(region);
        let mut next = String::new();
        loop {
            let mut members = vec![("Filter.1.Name".to_owned(), filter)];
            for (index, value) in values.iter().enumerate() {
                members.push((format!("Filter.1.Value.{}", index + 1), value));
            }
            if !next.is_empty() {
                members.push(("NextToken".to_owned(), &next));
            }
            let page = ec2.query(action, &members, what).await?;
            next = child_text(xml(&page)?.root_element(), "nextToken");
            pages.push(page);
            if next.is_empty() {
                return Ok(pages);
            }
        }
    }
}

/// The `item`s of a list.
fn items<'a, 'input>(node: Node<'a, 'input>, list: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    child(node, list)
        .into_iter()
        .flat_map(|list| list.children().filter(Node::is_element))
}

fn subnet(node: Node<'_, '_>) -> Subnet {
    Subnet {
        id: child_text(node, "subnetId"),
        vpc: child_text(node, "vpcId"),
        availability_zone: child_text(node, "availabilityZone"),
        public: None,
        free_addresses: child_text(node, "availableIpAddressCount").parse().ok(),
    }
}

/// A subnet without a table of its own uses the main one of its VPC.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html>
fn read_table(routes: &mut Routes, table: Node<'_, '_>) {
    let leads_out = items(table, "routeSet").any(|route| {
        let destination = child_text(route, "destinationCidrBlock");
        let gateway = child_text(route, "gatewayId");
        destination == "0.0.0.0/0" && gateway.starts_with("igw-")
    });
    for association in items(table, "associationSet") {
        let subnet = child_text(association, "subnetId");
        if child_text(association, "main") == "true" {
            routes.main.insert(child_text(table, "vpcId"), leads_out);
        } else if !subnet.is_empty() {
            routes.own.insert(subnet, leads_out);
        }
    }
}
