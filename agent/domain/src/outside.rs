//! The outside systems, one small trait each, in our verbs. `towline-agent-aws`
//! implements them over the AWS SDK; nothing here knows that SDK.

use std::future::Future;

use serde_json::Value;

mod alarms;
mod one_off;
mod surroundings;
mod values;

pub use alarms::Alarms;
pub use one_off::OneOffTasks;
pub use surroundings::{Prerequisites, Surroundings};
pub use values::{Parameters, Registries, WantedImage};

use crate::observed::{
    ChangeSet, ClusterRef, ListedChangeSet, ObservedService, ServiceDeployment, Stack, StackEvent,
    StackResource, StoppedTask, TargetHealth, TaskDefinition, TaskDefinitionArn,
};
use crate::rollout::pace::Outlook;

/// Why a call to AWS brought no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// AWS answered that it did not do it, and why: `code` is AWS's own word.
    #[error("{code}: {message}")]
    Refused { code: String, message: String },
    /// AWS answered that there is no such thing.
    #[error("{what} does not exist")]
    Missing { what: String },
    /// The agent's role may not do this.
    #[error("access denied: {message}")]
    Denied { message: String },
    /// AWS asked for patience, or could not be reached; nothing was done.
    #[error("not now: {message}")]
    Throttled { message: String },
    /// No answer, or one that says nothing: a write may or may not have been applied.
    #[error("no answer from AWS: {message}")]
    Unknown { message: String },
}

/// The answer of an outside system.
pub type Answer<T> = Result<T, CallError>;

/// The writes that may have to wait long for their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    RegisterTaskDefinition,
    UpdateService,
}

/// Amazon ECS.
pub trait Ecs: Send + Sync {
    /// One service; `None` when ECS reports it MISSING. INACTIVE ones are returned.
    fn service(
        &self,
        at: &ClusterRef,
        name: &str,
    ) -> impl Future<Output = Answer<Option<ObservedService>>> + Send;

    /// The same for whoever follows a service for long: the answer of the next
    /// round of a poller that paces itself and asks for all followed services of a
    /// cluster in one call. Call it in a loop; the pace is the poller's.
    fn next_service(
        &self,
        at: &ClusterRef,
        name: &str,
    ) -> impl Future<Output = Answer<Option<ObservedService>>> + Send {
        self.service(at, name)
    }

    /// The same, for whoever expects something else of the next look than what the
    /// service itself shows.
    fn next_look(
        &self,
        at: &ClusterRef,
        name: &str,
        outlook: Outlook,
    ) -> impl Future<Output = Answer<Option<ObservedService>>> + Send {
        let _ = outlook;
        self.next_service(at, name)
    }

    /// Waits for the agent's turn to send this write: ECS takes few of them a second.
    /// Unlike the write itself it can be given up at any time. The turn is kept for the
    /// next such write of the caller's operation; a write that nobody waited for waits
    /// by itself.
    fn turn_to_write(&self, region: &str, write: Write) -> impl Future<Output = ()> + Send {
        let _ = (region, write);
        std::future::ready(())
    }

    /// All services of a cluster, by name.
    fn services(&self, at: &ClusterRef) -> impl Future<Output = Answer<Vec<ObservedService>>> + Send;

    /// A task definition as the wire's JSON, tags included. `reference` is a
    /// family (its latest ACTIVE revision), `family:revision` or an ARN.
    fn task_definition(
        &self,
        region: &str,
        reference: &str,
    ) -> impl Future<Output = Answer<TaskDefinition>> + Send;

    /// Registers a revision from the wire's JSON, members unknown to any SDK included.
    /// Never repeated by itself: ECS does not deduplicate it.
    fn register_task_definition(
        &self,
        region: &str,
        request: &Value,
    ) -> impl Future<Output = Answer<TaskDefinitionArn>> + Send;

    /// One UpdateService that changes the task definition and nothing else.
    /// Never repeated by itself. Returns the service right after.
    fn update_service(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> impl Future<Output = Answer<ObservedService>> + Send;

    /// One UpdateService to this revision with forceNewDeployment: a new deployment
    /// also when the service runs it already. Never repeated by itself. Returns the
    /// service right after.
    fn force_deployment(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> impl Future<Output = Answer<ObservedService>> + Send;

    /// The service's deployments that ECS keeps a record of, newest first, at most 100.
    fn service_deployments(
        &self,
        at: &ClusterRef,
        service: &str,
    ) -> impl Future<Output = Answer<Vec<ServiceDeployment>>> + Send;

    /// The same for whoever follows the deployment of this revision for long: while it is
    /// under way, it is asked for together with those of other services.
    fn next_service_deployments(
        &self,
        at: &ClusterRef,
        service: &str,
        of: &TaskDefinitionArn,
    ) -> impl Future<Output = Answer<Vec<ServiceDeployment>>> + Send {
        let _ = of;
        self.service_deployments(at, service)
    }

    /// StopServiceDeployment with ROLLBACK.
    fn stop_service_deployment(
        &self,
        region: &str,
        service_deployment_arn: &str,
    ) -> impl Future<Output = Answer<()>> + Send;
}

/// The tasks of ECS and what they left behind (ECS and CloudWatch Logs).
pub trait Tasks: Send + Sync {
    /// The stopped tasks that ECS still shows for a service, newest first.
    fn stopped(
        &self,
        at: &ClusterRef,
        service: &str,
    ) -> impl Future<Output = Answer<Vec<StoppedTask>>> + Send;

    /// The private IPs (awsvpc) or container instance ids of the running tasks of
    /// a task definition: what a target group knows them by.
    fn running_target_ids(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> impl Future<Output = Answer<Vec<String>>> + Send;

    /// The last `count` lines of a log stream, oldest of them first.
    fn last_log_lines(
        &self,
        region: &str,
        group: &str,
        stream: &str,
        count: u32,
    ) -> impl Future<Output = Answer<Vec<crate::observed::LoggedLine>>> + Send;

    /// DeleteLogGroup, for the log group of a stack whose first creation was
    /// cancelled: deleting such a stack leaves it behind, and the next creation
    /// would find its name taken. Safe to repeat; `Missing` when it is gone.
    fn delete_log_group(&self, region: &str, group: &str) -> impl Future<Output = Answer<()>> + Send;
}

/// Elastic Load Balancing.
pub trait LoadBalancing: Send + Sync {
    /// The targets registered in a target group with their health.
    fn target_health(
        &self,
        region: &str,
        target_group: &str,
    ) -> impl Future<Output = Answer<Vec<TargetHealth>>> + Send;
}

/// Where CloudFormation takes a template from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateSource {
    /// JSON text in the request, at most 51,200 bytes.
    Inline(String),
    /// The URL of an object in a bucket of the stack's region ([`TemplateStore`]).
    Stored(String),
}

/// A template on its way to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateUpload {
    pub region: String,
    pub bucket: String,
    /// Letters, digits and `-_./` only; names the content as well, so that storing it
    /// again changes nothing.
    pub key: String,
    pub text: String,
}

/// Amazon S3, as far as templates pass through it.
pub trait TemplateStore: Send + Sync {
    /// PutObject into a bucket of the agent's own account; safe to repeat. The URL
    /// that CloudFormation takes the template from. `Missing`: there is no such bucket.
    fn store_template(&self, upload: &TemplateUpload) -> impl Future<Output = Answer<String>> + Send;
}

/// What a change set is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSetRequest {
    pub region: String,
    pub stack_name: String,
    /// At most 128 characters, starts with a letter.
    pub change_set_name: String,
    /// True for a stack that does not exist yet.
    pub creates_stack: bool,
    pub template: TemplateSource,
    pub parameters: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
    /// The service role that CloudFormation acts with.
    pub role_arn: Option<String>,
    /// Deduplicates the request (ClientToken).
    pub token: String,
}

/// AWS CloudFormation, changes.
pub trait StackChanges: Send + Sync {
    /// CreateChangeSet. A change set of this name that exists is the answer `Refused` with
    /// code `AlreadyExistsException`.
    fn create_change_set(&self, request: &ChangeSetRequest) -> impl Future<Output = Answer<()>> + Send;

    /// DescribeChangeSet with all its pages; `Missing` when there is none.
    fn change_set(
        &self,
        region: &str,
        stack: &str,
        change_set: &str,
    ) -> impl Future<Output = Answer<ChangeSet>> + Send;

    /// ListChangeSets: all change sets of a stack, nobody's left out.
    fn change_sets(
        &self,
        region: &str,
        stack: &str,
    ) -> impl Future<Output = Answer<Vec<ListedChangeSet>>> + Send;

    /// ExecuteChangeSet; `token` becomes the ClientRequestToken of the stack's events.
    fn execute_change_set(
        &self,
        region: &str,
        stack: &str,
        change_set: &str,
        token: &str,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// DeleteChangeSet.
    fn delete_change_set(
        &self,
        region: &str,
        stack: &str,
        change_set: &str,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// CancelUpdateStack: CloudFormation rolls an update in progress back.
    fn cancel_update(
        &self,
        region: &str,
        stack: &str,
        token: &str,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// ContinueUpdateRollback, without resources to skip: CloudFormation tries again
    /// to take a failed update back. `token` becomes the ClientRequestToken of the
    /// stack's events.
    fn continue_rollback(
        &self,
        region: &str,
        stack: &str,
        role_arn: Option<&str>,
        token: &str,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// DeleteStack, for a stack that never was healthy.
    fn delete_stack(&self, region: &str, stack: &str, token: &str)
    -> impl Future<Output = Answer<()>> + Send;
}

/// AWS CloudFormation, reads.
pub trait Stacks: Send + Sync {
    /// DescribeStacks for one name or id; `None` when it does not exist.
    fn stack(&self, region: &str, stack: &str) -> impl Future<Output = Answer<Option<Stack>>> + Send;

    /// ListStacks: the ids of deleted stacks of this name, the last deleted first, as
    /// far back as a few pages go. CloudFormation keeps them for 90 days.
    fn deleted_stacks(&self, region: &str, name: &str) -> impl Future<Output = Answer<Vec<String>>> + Send;

    /// DescribeStackEvents, newest first, paged until the event with id `until`
    /// (exclusive), the stack's first event, or 500 events.
    fn stack_events(
        &self,
        region: &str,
        stack: &str,
        until: Option<&str>,
    ) -> impl Future<Output = Answer<Vec<StackEvent>>> + Send;

    /// DescribeStackResources.
    fn stack_resources(
        &self,
        region: &str,
        stack: &str,
    ) -> impl Future<Output = Answer<Vec<StackResource>>> + Send;

    /// The stack's template as it was given (GetTemplate, TemplateStage Original),
    /// JSON or YAML; `None` when the stack has none.
    fn template_body(&self, region: &str, stack: &str)
    -> impl Future<Output = Answer<Option<String>>> + Send;
}

/// All outside systems of one account.
pub trait Account:
    Ecs
    + Tasks
    + LoadBalancing
    + Alarms
    + StackChanges
    + Stacks
    + TemplateStore
    + Surroundings
    + Prerequisites
    + OneOffTasks
    + Registries
    + Parameters
    + 'static
{
}

impl<
    T: Ecs
        + Tasks
        + LoadBalancing
        + Alarms
        + StackChanges
        + Stacks
        + TemplateStore
        + Surroundings
        + Prerequisites
        + OneOffTasks
        + Registries
        + Parameters
        + 'static,
> Account for T
{
}
