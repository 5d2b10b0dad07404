//! What a container is given by reference: secrets, parameters and environment
//! files. A reference of another partition can never resolve, so it is refused.

use crate::fargate::{is_arn, secret_source};

/// ECS takes a parameter of its own region by name as well.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Secret.html>
const LONGEST_PARAMETER: usize = 1011;

/// What is wrong with a secret's `valueFrom`. The text is never repeated: it may be
/// the secret itself, given by mistake.
pub fn secret_fault(text: &str, partition: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("is blank".to_owned());
    }
    if text.starts_with("arn:") {
        return match secret_source(text) {
            Ok(()) => of_another_partition(text, partition),
            Err(hint) => Some(format!("is no ARN of a secret or parameter: {hint}")),
        };
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    let is_name = text.len() <= LONGEST_PARAMETER && text.chars().all(allowed);
    // A name with levels begins with a slash.
    let levels = !text.contains('/') || (text.starts_with('/') && !text.ends_with('/'));
    (!is_name || !levels).then(|| {
        format!(
            "is neither an ARN (arn:{partition}:secretsmanager:... or arn:{partition}:ssm:...) nor a parameter's \
             name, as in /shop/token; values of secrets never go here"
        )
    })
}

/// What is wrong with an environment file's ARN.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html>
pub fn environment_file_fault(text: &str, partition: &str) -> Option<String> {
    let object = text.splitn(6, ':').nth(5).and_then(|rest| rest.split_once('/'));
    let is_file = object.is_some_and(|(bucket, key)| !bucket.is_empty() && key.ends_with(".env"));
    if is_file && is_arn(text, "s3", "") {
        return of_another_partition(text, partition);
    }
    Some(format!(
        "{text:?} is no ARN of a file in S3 that ends in .env, as in arn:{partition}:s3:::bucket/path.env"
    ))
}

fn of_another_partition(arn: &str, own: &str) -> Option<String> {
    let named = arn.split(':').nth(1).unwrap_or_default();
    (named != own).then(|| format!("is of partition {named}, and this account is in {own}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_references_of_this_partition() {
        let good = [
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1b2c3",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1b2c3:password::",
            "arn:aws:ssm:eu-west-1:111122223333:parameter/shop/token",
            "/shop/token",
            "token",
        ];
        for text in good {
            assert_eq!(secret_fault(text, "aws"), None, "{text}");
        }
        let bad = [
            "",
            " ",
            "shop/token",
            "/shop/",
            "hunter2!",
            "arn:aws:s3:::bucket/key",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1b2c3:password",
            "arn:aws-cn:ssm:cn-north-1:111122223333:parameter/token",
        ];
        for text in bad {
            assert!(secret_fault(text, "aws").is_some(), "{text}");
        }
        let told = secret_fault("hunter2!", "aws").unwrap();
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn an_environment_file_is_an_object_that_ends_in_env() {
        assert_eq!(
            environment_file_fault("arn:aws-cn:s3:::b/p/a.env", "aws-cn"),
            None
        );
        for text in [
            "s3://b/a.env",
            "arn:aws:s3:::b/a.txt",
            "arn:aws:s3:::a.env",
            "arn:aws-cn:s3:::b/a.env",
        ] {
            assert!(environment_file_fault(text, "aws").is_some(), "{text}");
        }
    }
}
