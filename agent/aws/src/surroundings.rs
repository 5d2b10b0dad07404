//! What a service stands in and needs. Not read yet: every answer says so, and the
//! pre-flight tells it as unknown.

use towline_agent_domain::image_reference::ImageReference;
use towline_agent_domain::observed::ClusterRef;
use towline_agent_domain::observed::surroundings::{
    Listener, ObservedCluster, ObservedImage, ObservedLogGroup, Permission, Role, SecurityGroup, Subnet,
    TargetGroup,
};
use towline_agent_domain::outside::{Answer, CallError, Prerequisites, Surroundings};

use crate::Aws;

fn not_read<T>() -> Answer<T> {
    Err(CallError::Unknown {
        message: "this agent does not ask".to_owned(),
    })
}

impl Surroundings for Aws {
    async fn cluster(&self, _: &ClusterRef) -> Answer<Option<ObservedCluster>> {
        not_read()
    }

    async fn subnets(&self, _: &str, _: &[String]) -> Answer<Vec<Subnet>> {
        not_read()
    }

    async fn security_groups(&self, _: &str, _: &[String]) -> Answer<Vec<SecurityGroup>> {
        not_read()
    }

    async fn target_group(&self, _: &str, _: &str) -> Answer<Option<TargetGroup>> {
        not_read()
    }

    async fn listener(&self, _: &str, _: &str) -> Answer<Option<Listener>> {
        not_read()
    }

    async fn log_group(&self, _: &str, _: &str) -> Answer<Option<ObservedLogGroup>> {
        not_read()
    }
}

impl Prerequisites for Aws {
    async fn role(&self, _: &str, _: &str) -> Answer<Option<Role>> {
        not_read()
    }

    async fn may_pass_role(&self, _: &str, _: Option<&str>, _: &str) -> Answer<Permission> {
        not_read()
    }

    async fn image(&self, _: &str, _: &ImageReference) -> Answer<Option<ObservedImage>> {
        not_read()
    }

    async fn secret_exists(&self, _: &str, _: &str) -> Answer<bool> {
        not_read()
    }
}
