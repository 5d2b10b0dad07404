//! The SDK's clients, one per service and region, made when first needed. They
//! share credentials; a client is cheap to clone once made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_config::{Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};

use crate::direct::{Direct, Service};
use crate::operation::OperationHeader;

#[derive(Debug)]
pub(crate) struct Clients {
    config: SdkConfig,
    ecs: PerRegion<aws_sdk_ecs::Client>,
    cloudformation: PerRegion<aws_sdk_cloudformation::Client>,
    load_balancing: PerRegion<aws_sdk_elasticloadbalancingv2::Client>,
    logs: PerRegion<aws_sdk_cloudwatchlogs::Client>,
    sts: PerRegion<aws_sdk_sts::Client>,
    ecr: PerRegion<aws_sdk_ecr::Client>,
    secrets: PerRegion<aws_sdk_secretsmanager::Client>,
    ec2: PerRegion<Direct>,
    iam: PerRegion<Direct>,
    monitoring: PerRegion<Direct>,
    s3: PerRegion<Direct>,
    ssm: PerRegion<Direct>,
}

type PerRegion<C> = Mutex<HashMap<String, C>>;

macro_rules! clients {
    ($($name:ident: $sdk:ident,)+) => {
        $(pub(crate) fn $name(&self, region: &str) -> $sdk::Client {
            made(&self.$name, region, || {
                let config = $sdk::config::Builder::from(&self.config)
                    .region(Region::new(region.to_owned()))
                    .interceptor(OperationHeader)
                    .build();
                $sdk::Client::from_conf(config)
            })
        })+
    };
}

impl Clients {
    pub(crate) fn new(config: SdkConfig) -> Self {
        Self {
            config,
            ecs: PerRegion::default(),
            cloudformation: PerRegion::default(),
            load_balancing: PerRegion::default(),
            logs: PerRegion::default(),
            sts: PerRegion::default(),
            ecr: PerRegion::default(),
            secrets: PerRegion::default(),
            ec2: PerRegion::default(),
            iam: PerRegion::default(),
            monitoring: PerRegion::default(),
            s3: PerRegion::default(),
            ssm: PerRegion::default(),
        }
    }

    /// Tries nothing again by itself: ECS has no client token for most writes, so a retry
    /// could apply them twice, and a retried read is a call that nobody counted (see
    /// [`crate::budget`]).
    pub(crate) fn ecs(&self, region: &str) -> aws_sdk_ecs::Client {
        made(&self.ecs, region, || {
            let config = aws_sdk_ecs::config::Builder::from(&self.config)
                .region(Region::new(region.to_owned()))
                .retry_config(RetryConfig::disabled())
                .interceptor(OperationHeader)
                .build();
            aws_sdk_ecs::Client::from_conf(config)
        })
    }

    pub(crate) fn ec2(&self, region: &str) -> Direct {
        made(&self.ec2, region, || {
            Direct::new(&self.config, Service::Ec2, region)
        })
    }

    pub(crate) fn iam(&self, region: &str) -> Direct {
        made(&self.iam, region, || {
            Direct::new(&self.config, Service::Iam, region)
        })
    }

    /// Tries nothing again by itself, as [`Clients::ecs`].
    pub(crate) fn monitoring(&self, region: &str) -> Direct {
        made(&self.monitoring, region, || {
            let config = self.config.clone().into_builder();
            let config = config.retry_config(RetryConfig::disabled()).build();
            Direct::new(&config, Service::Monitoring, region)
        })
    }

    pub(crate) fn s3(&self, region: &str) -> Direct {
        made(&self.s3, region, || {
            Direct::new(&self.config, Service::S3, region)
        })
    }

    pub(crate) fn ssm(&self, region: &str) -> Direct {
        made(&self.ssm, region, || {
            Direct::new(&self.config, Service::Ssm, region)
        })
    }

    /// How long calls may take.
    pub(crate) fn timeouts(&self) -> TimeoutConfig {
        self.config
            .timeout_config()
            .cloned()
            .unwrap_or_else(TimeoutConfig::disabled)
    }

    clients! {
        cloudformation: aws_sdk_cloudformation,
        load_balancing: aws_sdk_elasticloadbalancingv2,
        logs: aws_sdk_cloudwatchlogs,
        sts: aws_sdk_sts,
        ecr: aws_sdk_ecr,
        secrets: aws_sdk_secretsmanager,
    }
}

fn made<C: Clone>(clients: &PerRegion<C>, region: &str, make: impl FnOnce() -> C) -> C {
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = clients.get(region) {
        return client.clone();
    }
    let client = make();
    clients.insert(region.to_owned(), client.clone());
    client
}
