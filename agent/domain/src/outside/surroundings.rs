//! Reads of what a service stands in and needs. Each answers for itself: what AWS
//! will not say is an answer too, and the pre-flight tells it as unknown.

use std::future::Future;

use super::Answer;
use crate::image_reference::ImageReference;
use crate::observed::surroundings::{
    ContainerInstance, Listener, ObservedCluster, ObservedImage, ObservedLogGroup, ObservedSecret,
    Permission, Role, SecurityGroup, Subnet, TargetGroup,
};
use crate::observed::{ClusterRef, TaskDefinitionArn};

/// What a service stands in: ECS, EC2, Elastic Load Balancing and CloudWatch Logs.
pub trait Surroundings: Send + Sync {
    /// DescribeClusters; `None` when there is none of this name. INACTIVE ones are returned.
    fn cluster(&self, at: &ClusterRef) -> impl Future<Output = Answer<Option<ObservedCluster>>> + Send;

    /// Container names and the digests that ECS resolved for them when it deployed this
    /// revision of the service; empty where ECS keeps no record.
    fn resolved_digests(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> impl Future<Output = Answer<Vec<(String, String)>>> + Send;

    /// The container instances of a cluster, at most 100.
    fn container_instances(
        &self,
        at: &ClusterRef,
    ) -> impl Future<Output = Answer<Vec<ContainerInstance>>> + Send;

    /// The subnets of these ids that exist.
    fn subnets(&self, region: &str, ids: &[String]) -> impl Future<Output = Answer<Vec<Subnet>>> + Send;

    /// The security groups of these ids that exist.
    fn security_groups(
        &self,
        region: &str,
        ids: &[String],
    ) -> impl Future<Output = Answer<Vec<SecurityGroup>>> + Send;

    /// A target group with attributes and the load balancers that it is attached to.
    fn target_group(
        &self,
        region: &str,
        arn: &str,
    ) -> impl Future<Output = Answer<Option<TargetGroup>>> + Send;

    /// A listener with all its rules.
    fn listener(&self, region: &str, arn: &str) -> impl Future<Output = Answer<Option<Listener>>> + Send;

    /// The log group of exactly this name.
    fn log_group(
        &self,
        region: &str,
        name: &str,
    ) -> impl Future<Output = Answer<Option<ObservedLogGroup>>> + Send;
}

/// What a service needs to start: IAM, registries and secrets.
pub trait Prerequisites: Send + Sync {
    /// A role, by its ARN.
    fn role(&self, region: &str, arn: &str) -> impl Future<Output = Answer<Option<Role>>> + Send;

    /// Whether whoever makes the service (CloudFormation's role where there is one,
    /// else the agent) may pass this role to `ecs-tasks.amazonaws.com`.
    fn may_pass_role(
        &self,
        region: &str,
        passer: Option<&str>,
        arn: &str,
    ) -> impl Future<Output = Answer<Permission>> + Send;

    /// An image in Amazon ECR. `Refused` with the code `NotEcr` for another registry.
    fn image(
        &self,
        region: &str,
        image: &ImageReference,
    ) -> impl Future<Output = Answer<Option<ObservedImage>>> + Send;

    /// A secret (Secrets Manager) or parameter (SSM), by its ARN.
    fn secret(&self, region: &str, arn: &str) -> impl Future<Output = Answer<Option<ObservedSecret>>> + Send;

    /// Whether there is one of this ARN.
    fn secret_exists(&self, region: &str, arn: &str) -> impl Future<Output = Answer<bool>> + Send {
        let secret = self.secret(region, arn);
        async move { Ok(secret.await?.is_some()) }
    }
}
