//! Tasks that run once.

use std::future::Future;

use super::Answer;
use crate::observed::ClusterRef;
use crate::observed::one_off::{LogPage, ObservedTask, Ran, RunTask, ServicePlacement};

/// Tasks of ECS that belong to no service, and their logs.
pub trait OneOffTasks: Send + Sync {
    /// Where a service's tasks run; `None` when there is no such service.
    fn placement(
        &self,
        at: &ClusterRef,
        service: &str,
    ) -> impl Future<Output = Answer<Option<ServicePlacement>>> + Send;

    /// The tasks of a family that ECS shows, those that run and those that stopped
    /// within the last hour.
    fn tasks_of_family(
        &self,
        at: &ClusterRef,
        family: &str,
    ) -> impl Future<Output = Answer<Vec<ObservedTask>>> + Send;

    /// One task; `None` when ECS does not show it (any more).
    fn task(&self, at: &ClusterRef, arn: &str) -> impl Future<Output = Answer<Option<ObservedTask>>> + Send;

    /// RunTask for one task. A repeat with the same token and content is answered with
    /// the task that the first one started. Never repeated by itself.
    fn run_task(&self, at: &ClusterRef, run: &RunTask) -> impl Future<Output = Answer<Ran>> + Send;

    /// StopTask; safe to repeat.
    fn stop_task(&self, at: &ClusterRef, arn: &str, reason: &str) -> impl Future<Output = Answer<()>> + Send;

    /// The lines of a log stream after those that `after` was given with, or from its
    /// beginning. A stream that is not there has none.
    fn log_lines(
        &self,
        region: &str,
        group: &str,
        stream: &str,
        after: Option<&str>,
    ) -> impl Future<Output = Answer<LogPage>> + Send;
}
