//! ECS's request rates: token buckets per account and region.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>.
//! They are filled by the machine's time unless the seed says `simulated`: the
//! clients that pace themselves do so by the machine's clock.

use std::collections::BTreeMap;

/// A group of actions that share a bucket: its name, burst, and refill per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    pub name: &'static str,
    burst: u32,
    per_second: u32,
}

/// Calls of others that are followed one by one; more only keep a bucket empty.
const FOLLOWED: i64 = 100_000;

impl Bucket {
    /// What is left of `level` tokens of `from_ms` at `to_ms`: filled steadily, and
    /// emptied by others, who call at every multiple of their own interval.
    fn level_after(self, level: f64, from_ms: i64, to_ms: i64, others: f64) -> f64 {
        let (burst, per_second) = (f64::from(self.burst), f64::from(self.per_second));
        let (from, to) = (seconds(from_ms), seconds(to_ms.max(from_ms)));
        let (mut level, mut at) = (level, from);
        if others > 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "calls of a test's length")]
            let (first, last) = ((from * others).floor() as i64 + 1, (to * others).floor() as i64);
            for call in first.max(last - FOLLOWED)..=last {
                let when = (seconds(call * 1000) / others).max(at);
                level = (level + (when - at) * per_second).min(burst);
                at = when;
                if level >= 1.0 {
                    level -= 1.0;
                }
            }
        }
        (level + (to - at) * per_second).min(burst)
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

const fn bucket(name: &'static str, burst: u32, per_second: u32) -> Option<Bucket> {
    Some(Bucket {
        name,
        burst,
        per_second,
    })
}

/// The bucket of an ECS action; `None` for one without a published rate.
pub fn bucket_of(action: &str) -> Option<Bucket> {
    match action {
        "RegisterTaskDefinition" | "DeregisterTaskDefinition" => bucket("task definition writes", 20, 1),
        "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies" => {
            bucket("task definition reads", 50, 20)
        }
        "CreateService" | "UpdateService" | "DeleteService" => bucket("service writes", 50, 5),
        "DescribeServices" | "ListServices" => bucket("service reads", 100, 20),
        // No rate is published for StopServiceDeployment: it is counted with what it is about.
        "ListServiceDeployments" | "DescribeServiceDeployments" | "StopServiceDeployment" => {
            bucket("service deployments", 50, 20)
        }
        "DescribeServiceRevisions" => bucket("service revisions", 50, 20),
        "ListTasks"
        | "DescribeTasks"
        | "ListAttributes"
        | "ListContainerInstances"
        | "DescribeContainerInstances" => bucket("cluster resource reads", 100, 20),
        "DeregisterContainerInstance" | "RunTask" | "StartTask" | "StopTask" => {
            bucket("cluster resource writes", 100, 40)
        }
        "TagResource" | "UntagResource" => bucket("tag writes", 20, 10),
        "ListTagsForResource" => bucket("tag reads", 50, 20),
        "DescribeClusters" | "ListClusters" => bucket("cluster reads", 50, 20),
        "CreateCluster" | "DeleteCluster" | "UpdateCluster" | "PutClusterCapacityProviders" => {
            bucket("cluster writes", 20, 1)
        }
        "DescribeCapacityProviders" => bucket("capacity provider reads", 50, 20),
        _ => None,
    }
}

/// The levels of all buckets of one account and region.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// Tokens left, and when (in milliseconds) that was so.
    levels: BTreeMap<Bucket, (f64, i64)>,
}

impl Buckets {
    /// Takes one token of `bucket` at `now_ms`; false when it is empty. Others ask
    /// for `others` tokens a second meanwhile, and have done so for long.
    pub fn take(&mut self, bucket: Bucket, now_ms: i64, others: f64) -> bool {
        let first = if others >= f64::from(bucket.per_second) {
            0.0
        } else {
            f64::from(bucket.burst)
        };
        let (level, at) = self.levels.entry(bucket).or_insert((first, now_ms));
        *level = bucket.level_after(*level, *at, now_ms, others);
        *at = now_ms;
        if *level < 1.0 {
            return false;
        }
        *level -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registering_is_limited_to_a_burst_of_twenty_and_one_per_second() {
        let register = bucket_of("RegisterTaskDefinition").unwrap();
        let mut buckets = Buckets::default();
        let granted = (0..30).filter(|_| buckets.take(register, 0, 0.0)).count();
        assert_eq!(granted, 20);
        assert!(!buckets.take(register, 900, 0.0));
        assert!(buckets.take(register, 2_000, 0.0));
    }

    #[test]
    fn others_who_eat_the_budget_leave_some_of_it_to_whoever_comes_at_the_right_moment() {
        let reads = bucket_of("DescribeServices").unwrap();
        let mut buckets = Buckets::default();
        let asked = 1_000;
        let granted = (0..asked)
            .filter(|call| buckets.take(reads, 10_000 + call * 37, 60.0))
            .count();
        assert!((1..asked as usize / 2).contains(&granted), "{granted}");
        let mut slow = Buckets::default();
        let granted = (0..asked)
            .filter(|call| slow.take(reads, call * 100, 5.0))
            .count();
        assert_eq!(
            granted, asked as usize,
            "15 a second are left, and 10 are asked for"
        );
    }
}
