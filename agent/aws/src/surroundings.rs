//! What a service stands in and needs: ECS, load balancing and logs here; the
//! network, roles, images and secrets in their own rooms. Each read answers for
//! itself, so that what AWS will not say spoils nothing else.

use aws_sdk_elasticloadbalancingv2::types;
use towline_agent_domain::image_reference::ImageReference;
use towline_agent_domain::observed::surroundings::{
    ContainerInstance, Listener, ObservedCluster, ObservedImage, ObservedLogGroup, ObservedRule,
    ObservedSecret, Permission, Role, SecurityGroup, Subnet, TargetGroup,
};
use towline_agent_domain::observed::{ClusterRef, TaskDefinitionArn};
use towline_agent_domain::outside::{Answer, CallError, Prerequisites, Surroundings};
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::{absent_as_none, answer};
use crate::observe::text;

impl Surroundings for Aws {
    async fn cluster(&self, at: &ClusterRef) -> Answer<Option<ObservedCluster>> {
        let call = self
            .inner
            .clients
            .ecs(&at.region)
            .describe_clusters()
            .clusters(&at.cluster);
        let sent = self
            .budgets()
            .read(&at.region, Group::ClusterReads, Purpose::Acting, || {
                call.clone().send()
            });
        let described = answer(sent.await, &format!("cluster {}", at.cluster))?;
        let failed = described
            .failures()
            .iter()
            .find(|failure| failure.reason() != Some("MISSING"));
        if let Some(failure) = failed {
            return Err(CallError::Refused {
                code: text(failure.reason()),
                message: text(failure.detail()),
            });
        }
        Ok(described.clusters().first().map(|cluster| ObservedCluster {
            name: text(cluster.cluster_name()),
            status: text(cluster.status()),
            capacity_providers: cluster.capacity_providers().to_vec(),
        }))
    }

    async fn resolved_digests(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> Answer<Vec<(String, String)>> {
        self.digests_of(at, service, task_definition).await
    }

    async fn container_instances(&self, at: &ClusterRef) -> Answer<Vec<ContainerInstance>> {
        self.instances_of(at).await
    }

    async fn subnets(&self, region: &str, ids: &[String]) -> Answer<Vec<Subnet>> {
        self.observed_subnets(region, ids).await
    }

    async fn security_groups(&self, region: &str, ids: &[String]) -> Answer<Vec<SecurityGroup>> {
        self.observed_security_groups(region, ids).await
    }

    async fn target_group(&self, region: &str, arn: &str) -> Answer<Option<TargetGroup>> {
        let what = format!("target group {arn}");
        let elb = self.inner.clients.load_balancing(region);
        let call = elb.describe_target_groups().target_group_arns(arn);
        let Some(described) = absent_as_none(answer(call.send().await, &what))? else {
            return Ok(None);
        };
        let Some(group) = described.target_groups().first() else {
            return Ok(None);
        };
        let call = elb.describe_target_group_attributes().target_group_arn(arn);
        // Without its attributes a target group is still worth its answer.
        let attributes = answer(call.send().await, &what).ok();
        let delay = attributes.as_ref().and_then(|attributes| {
            let is_delay = |one: &&types::TargetGroupAttribute| {
                one.key() == Some("deregistration_delay.timeout_seconds")
            };
            attributes
                .attributes()
                .iter()
                .find(is_delay)?
                .value()?
                .parse()
                .ok()
        });
        Ok(Some(TargetGroup {
            deregistration_delay: delay,
            ..target_group(group)
        }))
    }

    async fn listener(&self, region: &str, arn: &str) -> Answer<Option<Listener>> {
        let what = format!("listener {arn}");
        let elb = self.inner.clients.load_balancing(region);
        let call = elb.describe_listeners().listener_arns(arn);
        let Some(described) = absent_as_none(answer(call.send().await, &what))? else {
            return Ok(None);
        };
        let Some(listener) = described.listeners().first() else {
            return Ok(None);
        };
        let mut rules = Vec::new();
        let mut pages = elb.describe_rules().listener_arn(arn).into_paginator().send();
        while let Some(page) = pages.next().await {
            rules.extend(answer(page, &what)?.rules().iter().map(rule));
        }
        Ok(Some(Listener {
            arn: text(listener.listener_arn()),
            protocol: listener
                .protocol()
                .map(|protocol| protocol.as_str().to_owned())
                .unwrap_or_default(),
            vpc: self.vpc_of(region, listener.load_balancer_arn()).await,
            rules,
        }))
    }

    async fn log_group(&self, region: &str, name: &str) -> Answer<Option<ObservedLogGroup>> {
        let logs = self.inner.clients.logs(region);
        let call = logs.describe_log_groups().log_group_name_prefix(name);
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = answer(page, &format!("log group {name}"))?;
            let mut groups = page.log_groups().iter();
            if let Some(group) = groups.find(|group| group.log_group_name() == Some(name)) {
                return Ok(Some(ObservedLogGroup {
                    name: name.to_owned(),
                    retention: group
                        .retention_in_days()
                        .and_then(|days| u32::try_from(days).ok()),
                }));
            }
        }
        Ok(None)
    }
}

impl Aws {
    /// The VPC of a load balancer, where AWS says it.
    async fn vpc_of(&self, region: &str, load_balancer: Option<&str>) -> Option<String> {
        let elb = self.inner.clients.load_balancing(region);
        let call = elb.describe_load_balancers().load_balancer_arns(load_balancer?);
        let described = call.send().await.ok()?;
        described.load_balancers().first()?.vpc_id().map(str::to_owned)
    }
}

impl Prerequisites for Aws {
    async fn role(&self, region: &str, arn: &str) -> Answer<Option<Role>> {
        // Services that are deployed at once have their roles in common, often as not.
        let (aws, place) = (self.clone(), region.to_owned());
        let fetch = move |arns: Vec<String>| {
            let (aws, region) = (aws.clone(), place.clone());
            async move {
                let mut found = Vec::new();
                for arn in arns {
                    let role = aws.observed_role(&region, &arn).await?;
                    found.push((arn, role));
                }
                Ok(found)
            }
        };
        let shared = &self.inner.seen_roles;
        let mut found = shared.ask(region.to_owned(), vec![arn.to_owned()], fetch).await?;
        Ok(found.remove(arn).flatten())
    }

    async fn may_pass_role(&self, region: &str, passer: Option<&str>, arn: &str) -> Answer<Permission> {
        self.may_pass(region, passer, arn).await
    }

    async fn image(&self, _region: &str, image: &ImageReference) -> Answer<Option<ObservedImage>> {
        let (aws, name) = (self.clone(), image.to_string());
        let fetch = move |names: Vec<String>| {
            let aws = aws.clone();
            async move {
                let mut found = Vec::new();
                for name in names {
                    let image = name
                        .parse::<ImageReference>()
                        .map_err(|error| CallError::Refused {
                            code: "NotAnImage".to_owned(),
                            message: error.to_string(),
                        })?;
                    found.push((name, aws.observed_image(&image).await?));
                }
                Ok(found)
            }
        };
        let mut found = self.inner.seen_images.ask((), vec![name.clone()], fetch).await?;
        Ok(found.remove(&name).flatten())
    }

    async fn secret(&self, region: &str, arn: &str) -> Answer<Option<ObservedSecret>> {
        self.observed_secret(region, arn).await
    }
}

fn target_group(group: &types::TargetGroup) -> TargetGroup {
    let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    TargetGroup {
        arn: text(group.target_group_arn()),
        target_type: group
            .target_type()
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        protocol: group
            .protocol()
            .map(|protocol| protocol.as_str().to_owned())
            .unwrap_or_default(),
        port: count(group.port()),
        vpc: text(group.vpc_id()),
        load_balancers: group.load_balancer_arns().to_vec(),
        health_check_interval: count(group.health_check_interval_seconds()),
        healthy_threshold: count(group.healthy_threshold_count()),
        deregistration_delay: None,
    }
}

fn rule(rule: &types::Rule) -> ObservedRule {
    ObservedRule {
        arn: text(rule.rule_arn()),
        // The default rule's is the word `default`.
        priority: rule.priority().and_then(|priority| priority.parse().ok()),
    }
}
