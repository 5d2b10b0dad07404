//! Names in the account that follow from cluster and service.

use sha2::{Digest as _, Sha256};

/// The longest stack name.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html>
const LONGEST_STACK_NAME: usize = 128;

/// The name of the stack of a service: `towline-CLUSTER-SERVICE`, with a hash
/// when it had to be cut or rewritten, so that two services never share one.
pub fn stack_name(cluster: &str, service: &str) -> String {
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '-'
        }
    };
    let plain = format!("towline-{cluster}-{service}");
    let name: String = plain.chars().map(allowed).collect();
    // A dash within a name leaves two ways to read the whole: main-a + b, main + a-b.
    let ambiguous = cluster.contains('-') || service.contains('-');
    if name == plain && name.len() <= LONGEST_STACK_NAME && !ambiguous {
        return name;
    }
    let hash = short_hash(cluster, service);
    let kept: String = name.chars().take(LONGEST_STACK_NAME - hash.len() - 1).collect();
    format!("{kept}-{hash}")
}

/// The longest name of a log group.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
const LONGEST_LOG_GROUP_NAME: usize = 512;

/// The log group of a service, with a hash when it had to be cut.
pub fn log_group_name(cluster: &str, service: &str) -> String {
    let name = format!("/towline/{cluster}/{service}");
    if name.len() <= LONGEST_LOG_GROUP_NAME {
        return name;
    }
    let hash = short_hash(cluster, service);
    let kept: String = name
        .chars()
        .take(LONGEST_LOG_GROUP_NAME - hash.len() - 1)
        .collect();
    format!("{kept}-{hash}")
}

fn short_hash(cluster: &str, service: &str) -> String {
    let hash = hex::encode(Sha256::digest(format!("{cluster}/{service}")));
    hash.chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simple_name_stays_readable() {
        assert_eq!(stack_name("main", "web"), "towline-main-web");
    }

    #[test]
    fn a_log_group_name_that_is_cut_stays_the_services_own() {
        let long = "x".repeat(255);
        let (one, two) = (
            log_group_name(&long, &long),
            log_group_name(&long, &"x".repeat(254)),
        );
        assert_eq!(one.len(), 512);
        assert_ne!(one, two);
    }

    #[test]
    fn services_never_share_a_stack() {
        let long = "x".repeat(200);
        for ((c1, s1), (c2, s2)) in [
            (("main", "a_b"), ("main", "a-b")),
            (("main-a", "b"), ("main", "a-b")),
            (("main", &*format!("{long}1")), ("main", &*format!("{long}2"))),
        ] {
            let (one, two) = (stack_name(c1, s1), stack_name(c2, s2));
            assert_ne!(one, two);
            for name in [one, two] {
                assert!(
                    name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
                    "{name}"
                );
            }
        }
    }
}
