//! Fills the holes of a project for one target.

use indexmap::IndexMap;

use super::{
    ContainerMembers, FargateAlarms, FargateContainer, FargateEfs, FargateHealthCheck, FargateListenerRule,
    FargateLogging, FargateMount, FargatePayload, FargateProvider, FargateRollout, FargateTargetCheck,
    FargateVolume, LinkedPort, LinkedTo, NewImage, Payload, PinnedImage, PlanFault,
};
use crate::domain::{
    name::{BadName, ImageKey, ServiceName, TargetId},
    project::{
        Amount, Container, FargateService, HealthCheck, Link, ListenerRule, LoadBalancer, Logging, Project,
        Repository, Rollout, Scope, Service, ServiceKind, Switch, Template, Texts, Unresolved, Volume,
    },
    release::ReleaseImage,
};

pub(super) struct Filling<'a> {
    pub project: &'a Project,
    pub images: &'a IndexMap<ImageKey, ReleaseImage>,
    pub scope: Scope<'a>,
}

pub(super) enum Missing {
    Image(ImageKey),
    Value(Unresolved),
    Name(BadName),
}

impl Missing {
    pub fn of(self, service: &ServiceName, target: TargetId) -> PlanFault {
        let service = service.clone();
        match self {
            Self::Image(image) => PlanFault::MissingImage { service, image },
            Self::Value(why) => PlanFault::Unresolved { service, target, why },
            Self::Name(why) => PlanFault::BadName { service, target, why },
        }
    }
}

impl From<Unresolved> for Missing {
    fn from(why: Unresolved) -> Self {
        Self::Value(why)
    }
}

impl Filling<'_> {
    pub fn payload(&self, service: &Service) -> Result<Payload, Missing> {
        match &service.kind {
            ServiceKind::Fargate(fargate) => Ok(Payload::Fargate(Box::new(self.fargate(fargate)?))),
            ServiceKind::Existing(existing) => Ok(Payload::Update(Box::new(self.update(existing)?))),
        }
    }

    pub(super) fn image(&self, key: &ImageKey) -> Result<NewImage, Missing> {
        let missing = || Missing::Image(key.clone());
        let image = self.project.images.get(key).ok_or_else(missing)?;
        let released = self.images.get(key).ok_or_else(missing)?;
        let repository = match &image.repository {
            Repository::Running => None,
            Repository::Named(repository) => Some(repository.resolve(self.scope)?),
        };
        let tag = &released.tag;
        Ok(match (repository, PinnedImage::of(key, released)) {
            (None, None) => NewImage::Tag(tag.to_string()),
            (None, Some(pin)) => NewImage::RunningPinned(pin),
            (Some(repository), None) => NewImage::Whole(format!("{repository}:{tag}")),
            (Some(repository), Some(pin)) => NewImage::Pinned { repository, pin },
        })
    }

    pub(super) fn texts(&self, templates: &[Template]) -> Result<Vec<String>, Unresolved> {
        templates
            .iter()
            .map(|template| template.resolve(self.scope))
            .collect()
    }

    pub(super) fn list(&self, texts: Option<&Texts>) -> Result<Vec<String>, Unresolved> {
        texts.map_or(Ok(Vec::new()), |texts| texts.resolve(self.scope))
    }

    pub(super) fn map(
        &self,
        templates: &IndexMap<String, Template>,
    ) -> Result<IndexMap<String, String>, Unresolved> {
        templates
            .iter()
            .map(|(name, template)| Ok((name.clone(), template.resolve(self.scope)?)))
            .collect()
    }

    /// Empty when absent.
    pub(super) fn text(&self, template: Option<&Template>) -> Result<String, Unresolved> {
        template.map_or(Ok(String::new()), |template| template.resolve(self.scope))
    }

    fn number(&self, amount: Option<&Amount>) -> Result<Option<u32>, Unresolved> {
        amount.map(|amount| amount.resolve(self.scope)).transpose()
    }

    fn switch(&self, switch: Option<&Switch>) -> Result<bool, Unresolved> {
        switch.map_or(Ok(false), |switch| switch.resolve(self.scope))
    }

    pub fn fargate(&self, service: &FargateService) -> Result<FargatePayload, Missing> {
        let containers = service.containers.iter().map(|it| self.container(it));
        let links = service.load_balancers.iter().map(|it| self.link(it));
        let providers = service.capacity_providers.iter().map(|provider| {
            Ok(FargateProvider {
                name: provider.name,
                base: self.number(provider.base.as_ref())?.unwrap_or(0),
                weight: self.number(provider.weight.as_ref())?.unwrap_or(0),
            })
        });
        let overrides = service
            .overrides
            .iter()
            .map(|(resource, patch)| Ok((*resource, patch.resolve(self.scope)?)));
        let mut tags = self.map(&service.tags)?;
        // The agent's own tag says which service a stack is of.
        tags.entry("towline:project".to_owned())
            .or_insert_with(|| self.project.name.to_string());
        Ok(FargatePayload {
            name: service.service.clone(),
            stack_name: self.text(service.stack.as_ref())?,
            adopt: self.switch(service.adopt.as_ref())?,
            cpu: service.cpu.resolve(self.scope)?,
            memory: service.memory.resolve(self.scope)?,
            architecture: service.architecture,
            containers: containers.collect::<Result<_, _>>()?,
            subnets: service.network.subnets.resolve(self.scope)?,
            security_groups: service.network.security_groups.resolve(self.scope)?,
            assign_public_ip: service.network.assign_public_ip.resolve(self.scope)?,
            load_balancers: links.collect::<Result<_, _>>()?,
            desired_count: self.number(service.desired_count.as_ref())?,
            task_role: self.text(service.task_role.as_ref())?,
            execution_role: self.text(service.execution_role.as_ref())?,
            kms_keys: self.list(service.kms_keys.as_ref())?,
            rollout: self.rollout(&service.rollout)?,
            tags,
            volumes: service
                .volumes
                .iter()
                .map(|it| self.volume(it))
                .collect::<Result<_, _>>()?,
            ephemeral_storage: self.number(service.ephemeral_storage.as_ref())?,
            platform_version: self.text(service.platform_version.as_ref())?,
            execute_command: self.switch(service.execute_command.as_ref())?,
            capacity_providers: providers.collect::<Result<_, Unresolved>>()?,
            health_check_grace_period: self.number(service.health_check_grace_period.as_ref())?,
            propagate_tags: service.propagate_tags,
            managed_tags: service.managed_tags,
            availability_zone_rebalancing: service.availability_zone_rebalancing,
            log_retention: self.number(service.log_retention.as_ref())?,
            log_group: self.text(service.log_group.as_ref())?,
            overrides: overrides.collect::<Result<_, Unresolved>>()?,
        })
    }

    fn rollout(&self, rollout: &Rollout) -> Result<FargateRollout, Unresolved> {
        let alarms = rollout.alarms.as_ref().map(|alarms| {
            Ok(FargateAlarms {
                names: alarms.names.resolve(self.scope)?,
                rollback: alarms.rollback,
            })
        });
        Ok(FargateRollout {
            minimum_healthy_percent: self.number(rollout.minimum_healthy_percent.as_ref())?,
            maximum_percent: self.number(rollout.maximum_percent.as_ref())?,
            circuit_breaker: rollout.circuit_breaker,
            alarms: alarms.transpose()?,
        })
    }

    fn volume(&self, volume: &Volume) -> Result<FargateVolume, Unresolved> {
        let efs = volume.efs.as_ref().map(|efs| {
            Ok(FargateEfs {
                file_system: efs.file_system.resolve(self.scope)?,
                root_directory: self.text(efs.root_directory.as_ref())?,
                transit_encryption: efs.transit_encryption,
                access_point: self.text(efs.access_point.as_ref())?,
                iam: efs.iam,
            })
        });
        Ok(FargateVolume {
            name: volume.name.clone(),
            efs: efs.transpose()?,
        })
    }

    fn link(&self, link: &LoadBalancer) -> Result<LinkedPort, Unresolved> {
        Ok(LinkedPort {
            container: link.container.clone(),
            port: link.port,
            to: match &link.link {
                Link::TargetGroup(group) => LinkedTo::TargetGroup(group.resolve(self.scope)?),
                Link::ListenerRule(rule) => LinkedTo::ListenerRule(Box::new(self.listener_rule(rule)?)),
            },
        })
    }

    fn listener_rule(&self, rule: &ListenerRule) -> Result<FargateListenerRule, Unresolved> {
        let check = &rule.health_check;
        Ok(FargateListenerRule {
            listener: rule.listener.resolve(self.scope)?,
            hosts: self.list(rule.hosts.as_ref())?,
            paths: self.list(rule.paths.as_ref())?,
            priority: self.number(rule.priority.as_ref())?,
            vpc: rule.vpc.resolve(self.scope)?,
            protocol: rule.protocol,
            protocol_version: rule.protocol_version,
            health_check: FargateTargetCheck {
                path: self.text(check.path.as_ref())?,
                matcher: self.text(check.matcher.as_ref())?,
                interval: check.interval,
                timeout: check.timeout,
                healthy_threshold: check.healthy_threshold,
                unhealthy_threshold: check.unhealthy_threshold,
            },
            deregistration_delay: self.number(rule.deregistration_delay.as_ref())?,
        })
    }

    fn container(&self, container: &Container) -> Result<FargateContainer, Missing> {
        let image = self.image(&container.image)?;
        Ok(FargateContainer {
            name: container.name.clone(),
            image: image.reference().unwrap_or_else(|| image.to_string()),
            pin: image.pin().cloned(),
            cpu: self.number(container.cpu.as_ref())?,
            memory: self.number(container.memory.as_ref())?,
            memory_reservation: self.number(container.memory_reservation.as_ref())?,
            ports: container.ports.clone(),
            environment: self.map(&container.environment)?,
            secrets: self.map(&container.secrets)?,
            depends_on: container
                .depends_on
                .iter()
                .map(|(name, condition)| (name.clone(), *condition))
                .collect(),
            essential: container.essential,
            entry_point: self.texts(&container.entry_point)?,
            command: self.texts(&container.command)?,
            more: self.members(container)?,
        })
    }

    fn members(&self, container: &Container) -> Result<ContainerMembers, Unresolved> {
        let mounts = container.mounts.iter().map(|mount| {
            Ok(FargateMount {
                volume: mount.volume.clone(),
                container_path: mount.container_path.resolve(self.scope)?,
                read_only: mount.read_only,
            })
        });
        Ok(ContainerMembers {
            working_directory: self.text(container.working_directory.as_ref())?,
            user: self.text(container.user.as_ref())?,
            health_check: container
                .health_check
                .as_ref()
                .map(|it| self.health_check(it))
                .transpose()?,
            environment_files: self.list(container.environment_files.as_ref())?,
            repository_credentials: self.text(container.repository_credentials.as_ref())?,
            readonly_root_filesystem: container.readonly_root_filesystem,
            mounts: mounts.collect::<Result<_, Unresolved>>()?,
            volumes_from: container.volumes_from.clone(),
            logging: container
                .logging
                .as_ref()
                .map(|it| self.logging(it))
                .transpose()?,
            docker_labels: self.map(&container.docker_labels)?,
            ulimits: container.ulimits.clone(),
            start_timeout: container.start_timeout,
            stop_timeout: container.stop_timeout,
            linux: container.linux.clone(),
            restart_policy: container.restart_policy.clone(),
            interactive: container.interactive,
            pseudo_terminal: container.pseudo_terminal,
            system_controls: self.map(&container.system_controls)?,
        })
    }

    fn health_check(&self, check: &HealthCheck) -> Result<FargateHealthCheck, Unresolved> {
        Ok(FargateHealthCheck {
            command: self.texts(&check.command)?,
            interval: check.interval,
            timeout: check.timeout,
            retries: check.retries,
            start_period: check.start_period,
        })
    }

    fn logging(&self, logging: &Logging) -> Result<FargateLogging, Unresolved> {
        Ok(FargateLogging {
            driver: logging.driver,
            options: self.map(&logging.options)?,
            secret_options: self.map(&logging.secret_options)?,
        })
    }
}
