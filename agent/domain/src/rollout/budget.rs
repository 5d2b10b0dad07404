//! How often ECS, and for reads CloudFormation, load balancing and CloudWatch, may be
//! asked: a model of their token buckets in one account and region. Values in,
//! decisions out; the time is an argument.
//!
//! A call takes a place in the line of its group ([`Budget::ask`]) and asks for its
//! turn ([`Budget::turn`]) until that is [`Turn::Go`]. What always holds: never more
//! calls than AWS's buckets allow; the oldest that may go goes first; whoever only
//! watches leaves room for whoever acts, and for the account's other tools. When AWS
//! throttles all the same, others have used the bucket up: the model is emptied, rests
//! for growing pauses, and comes back slowly.
//!
//! Source of the numbers:
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>.

use std::collections::BTreeMap;
use std::time::Duration;

mod bucket;
#[cfg(test)]
mod tests;

use bucket::Bucket;

/// Actions that share a bucket; those that an agent calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// DescribeClusters.
    ClusterReads,
    /// ListTasks, DescribeTasks, DescribeContainerInstances.
    ClusterResourceReads,
    /// RunTask, StopTask.
    TaskWrites,
    /// DescribeServices, ListServices.
    ServiceReads,
    /// UpdateService.
    ServiceWrites,
    /// ListServiceDeployments, DescribeServiceDeployments; StopServiceDeployment, for
    /// which no rate is published, is counted with them.
    ServiceDeployments,
    /// DescribeServiceRevisions.
    ServiceRevisions,
    /// DescribeTaskDefinition, ListTaskDefinitions.
    TaskDefinitionReads,
    /// RegisterTaskDefinition, DeregisterTaskDefinition.
    TaskDefinitionWrites,
    /// CloudFormation's reads of stacks, their events and change sets. AWS publishes no
    /// rate for them, and throttles them in practice: this one is a guess that leaves room.
    StackReads,
    /// DescribeTargetHealth. All reads of load balancing share its bucket.
    /// <https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html>
    TargetReads,
    /// DescribeAlarms.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>
    AlarmReads,
    /// GetLogEvents.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
    LogReads,
}

/// A token bucket as AWS publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls at once, when the bucket is full.
    pub burst: u32,
    /// Calls per second for ever.
    pub per_second: u32,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::ClusterReads,
        Self::ClusterResourceReads,
        Self::TaskWrites,
        Self::ServiceReads,
        Self::ServiceWrites,
        Self::ServiceDeployments,
        Self::ServiceRevisions,
        Self::TaskDefinitionReads,
        Self::TaskDefinitionWrites,
        Self::StackReads,
        Self::TargetReads,
        Self::AlarmReads,
        Self::LogReads,
    ];

    /// The rate that AWS publishes for an account and region, where it does. CloudWatch
    /// names calls per second alone: half of them count as its refill.
    pub fn published(self) -> Rate {
        let (burst, per_second) = match self {
            Self::ClusterResourceReads | Self::ServiceReads => (100, 20),
            Self::ClusterReads
            | Self::ServiceDeployments
            | Self::ServiceRevisions
            | Self::TaskDefinitionReads => (50, 20),
            Self::TaskWrites => (100, 40),
            Self::ServiceWrites => (50, 5),
            Self::TaskDefinitionWrites => (20, 1),
            Self::StackReads => (20, 10),
            Self::TargetReads => (40, 10),
            Self::AlarmReads => (9, 4),
            Self::LogReads => (10, 5),
        };
        Rate { burst, per_second }
    }
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A look at something that goes on for long: it may wait a moment, and takes at
    /// most half of the bucket.
    Watching,
    /// A write, what a write waits for, or evidence that vanishes.
    Acting,
}

/// A place in the line of a group; the lower, the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Whether a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now. The ticket has left the line.
    Go,
    /// Not now. Ask again after this long, or when the line has moved.
    Wait(Duration),
}

/// The buckets of one account and region. All times are measured from one moment
/// that the caller chooses.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    buckets: BTreeMap<Group, Bucket>,
    tickets: u64,
}

impl Budget {
    /// Takes a place at the end of the group's line.
    pub fn ask(&mut self, group: Group, purpose: Purpose, now: Duration) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.ask_again(ticket, group, purpose, now);
        ticket
    }

    /// Takes the same place again, for a call that AWS sent away.
    pub fn ask_again(&mut self, ticket: Ticket, group: Group, purpose: Purpose, now: Duration) {
        self.bucket(group, now).join(ticket, purpose);
    }

    /// Whether it is the ticket's turn; a ticket that is not in line may not go.
    pub fn turn(&mut self, ticket: Ticket, group: Group, now: Duration) -> Turn {
        self.bucket(group, now).turn(ticket, now)
    }

    /// Leaves the line without a call.
    pub fn leave(&mut self, ticket: Ticket, group: Group) {
        if let Some(bucket) = self.buckets.get_mut(&group) {
            bucket.leave(ticket);
        }
    }

    /// AWS throttled a call that was sent at `sent`: others have used the bucket up.
    /// Returns how long the group rests. Calls that were under way at the same time
    /// say the same thing again, and make it no worse.
    pub fn throttled(&mut self, group: Group, sent: Duration, now: Duration) -> Duration {
        self.bucket(group, now).throttled(sent, now)
    }

    /// AWS took a call that was sent at `sent`.
    pub fn taken(&mut self, group: Group, sent: Duration, now: Duration) {
        self.bucket(group, now).taken(sent);
    }

    fn bucket(&mut self, group: Group, now: Duration) -> &mut Bucket {
        let bucket = self
            .buckets
            .entry(group)
            .or_insert_with(|| Bucket::full(group.published(), now));
        bucket.refill(now);
        bucket
    }
}
