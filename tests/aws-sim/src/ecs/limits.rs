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
        "ListServiceDeployments"
        | "DescribeServiceDeployments"
        | "DescribeServiceRevisions"
        | "StopServiceDeployment" => bucket("service deployments", 50, 20),
        "ListTasks" | "DescribeTasks" => bucket("task reads", 100, 20),
        "TagResource" | "UntagResource" => bucket("tag writes", 20, 10),
        "ListTagsForResource" => bucket("tag reads", 50, 20),
        "DescribeClusters" | "ListClusters" | "ListContainerInstances" | "DescribeContainerInstances" => {
            bucket("cluster reads", 50, 20)
        }
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
    /// Takes one token of `bucket` at `now_ms`; false when it is empty.
    pub fn take(&mut self, bucket: Bucket, now_ms: i64) -> bool {
        let burst = f64::from(bucket.burst);
        let (level, at) = self.levels.entry(bucket).or_insert((burst, now_ms));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds between two requests")]
        let elapsed_s = (now_ms - *at).max(0) as f64 / 1000.0;
        *level = (*level + elapsed_s * f64::from(bucket.per_second)).min(burst);
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
        let granted = (0..30).filter(|_| buckets.take(register, 0)).count();
        assert_eq!(granted, 20);
        assert!(!buckets.take(register, 900));
        assert!(buckets.take(register, 2_000));
    }
}
