//! Cluster, subnets, security groups, public addresses.

use super::said::said;
use super::{Facts, Findings};
use crate::fargate::ValidService;
use crate::observed::surroundings::{ObservedCluster, Subnet};

pub(super) fn judge(service: &ValidService, facts: &Facts, found: &mut Findings) {
    if let Some(answer) = &facts.cluster {
        match said(answer, "the cluster", found) {
            Some(Some(cluster)) => judge_cluster(service, cluster, found),
            Some(None) => found.error(
                "cluster_missing",
                "the cluster does not exist in this account and region".to_owned(),
                "compare its name and the region; Towline makes no clusters",
            ),
            None => {}
        }
    }
    let spec = service.spec();
    if let Some(subnets) = facts
        .subnets
        .as_ref()
        .and_then(|answer| said(answer, "the subnets", found))
    {
        for id in spec
            .network
            .subnets
            .iter()
            .filter(|id| !subnets.iter().any(|subnet| subnet.id == **id))
        {
            let hint = "compare it with the subnets of this account and region";
            found.error("subnet_missing", format!("subnet {id} does not exist"), hint);
        }
        one_vpc(
            "subnets",
            subnets.iter().map(|subnet| (&subnet.id, &subnet.vpc)),
            found,
        );
        judge_subnets(service, subnets, found);
    }
    let groups = facts.security_groups.as_ref();
    if let Some(groups) = groups.and_then(|answer| said(answer, "the security groups", found)) {
        let asked = &spec.network.security_groups;
        for id in asked
            .iter()
            .filter(|id| !groups.iter().any(|group| group.id == **id))
        {
            let hint = "compare it with the security groups of this account and region";
            found.error(
                "security_group_missing",
                format!("security group {id} does not exist"),
                hint,
            );
        }
        let vpc = vpc(facts);
        for group in groups
            .iter()
            .filter(|group| vpc.is_some_and(|vpc| *vpc != group.vpc))
        {
            let vpc = vpc.map_or("", String::as_str);
            found.error(
                "not_one_vpc",
                format!(
                    "security group {} is in {}, and the subnets are in {vpc}",
                    group.id, group.vpc
                ),
                "take security groups and subnets of one VPC",
            );
        }
    }
}

/// The VPC of the service's subnets, where they agree on one.
pub(super) fn vpc(facts: &Facts) -> Option<&String> {
    let subnets = facts.subnets.as_ref()?.as_ref().ok()?;
    let first = &subnets.first()?.vpc;
    subnets.iter().all(|subnet| subnet.vpc == *first).then_some(first)
}

fn one_vpc<'a>(what: &str, members: impl Iterator<Item = (&'a String, &'a String)>, found: &mut Findings) {
    let members: Vec<_> = members.collect();
    let Some((_, first)) = members.first() else { return };
    if members.iter().any(|(_, vpc)| vpc != first) {
        let listed: Vec<String> = members.iter().map(|(id, vpc)| format!("{id} in {vpc}")).collect();
        found.error(
            "not_one_vpc",
            format!("the {what} are not in one VPC: {}", listed.join(", ")),
            "a task has one network interface: take subnets of one VPC",
        );
    }
}

fn judge_cluster(service: &ValidService, cluster: &ObservedCluster, found: &mut Findings) {
    if cluster.status != "ACTIVE" {
        found.error(
            "cluster_not_active",
            format!("cluster {} is {}", cluster.name, cluster.status),
            "an inactive cluster was deleted: create it again, or deploy into another one",
        );
    }
    for provider in &service.spec().capacity_providers {
        if !cluster.capacity_providers.contains(&provider.name) {
            found.error(
                "capacity_provider_not_attached",
                format!("capacity provider {} is not attached to cluster {}", provider.name, cluster.name),
                format!(
                    "aws ecs put-cluster-capacity-providers --cluster {} --capacity-providers FARGATE FARGATE_SPOT \
                     --default-capacity-provider-strategy []",
                    cluster.name
                ),
            );
        }
    }
}

fn judge_subnets(service: &ValidService, subnets: &[Subnet], found: &mut Findings) {
    let public_ip = service.spec().network.assign_public_ip;
    for subnet in subnets {
        match (subnet.public, public_ip) {
            // It works where VPC endpoints lead to all that the tasks need.
            (Some(true), false) => found.warning(
                "public_ip_needed",
                format!(
                    "subnet {} is public and assign_public_ip is off: without VPC endpoints its tasks reach no \
                     registry and no AWS service",
                    subnet.id
                ),
                "set assign_public_ip: true, or take private subnets with a NAT gateway or VPC endpoints",
            ),
            (Some(false), true) => found.note(
                "public_ip_useless",
                format!("subnet {} is private: a public IP address is of no use there", subnet.id),
                "set assign_public_ip: false, or take public subnets",
            ),
            _ => {}
        }
        if let Some(free) = subnet.free_addresses.filter(|free| *free < 8) {
            found.warning(
                "few_addresses",
                format!(
                    "subnet {} has only {free} free addresses, and each task takes one",
                    subnet.id
                ),
                "take a larger subnet, or another one beside it",
            );
        }
    }
}
