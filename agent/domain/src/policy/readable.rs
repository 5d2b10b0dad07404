//! Which values of the account the agent reads for others, whoever asks: what its own
//! file lists. It bounds what even an orchestrator in the wrong hands can read.

use std::fmt;
use std::str::FromStr;

/// One entry of the list: `/shop/*` (SSM parameters) or `stack:network` (the outputs of
/// a stack). A `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readable {
    Parameter(String),
    Stack(String),
}

/// Why an entry is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReadable {
    #[error("an entry is blank")]
    Blank,
    #[error("an entry names no stack after \"stack:\"")]
    NoStack,
}

impl FromStr for Readable {
    type Err = NotReadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("stack:") {
            Some("") => Err(NotReadable::NoStack),
            Some(stack) => Ok(Self::Stack(stack.to_owned())),
            None if text.trim().is_empty() => Err(NotReadable::Blank),
            None => Ok(Self::Parameter(text.to_owned())),
        }
    }
}

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(pattern) => f.write_str(pattern),
            Self::Stack(pattern) => write!(f, "stack:{pattern}"),
        }
    }
}

/// What may be read. The default is no list: what the agent's IAM role lets it read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadableValues(Option<Vec<Readable>>);

impl ReadableValues {
    /// What is in the list, and nothing else; an empty one lets nothing be read.
    pub fn only(list: Vec<Readable>) -> Self {
        Self(Some(list))
    }

    /// Whether a parameter may be read: by its name, or by an ARN of `account`.
    pub fn allows_parameter(&self, parameter: &str, account: &str) -> bool {
        let Some(list) = &self.0 else {
            return true;
        };
        let Some(names) = names_of(parameter, account) else {
            return false;
        };
        let listed = |name: &String| {
            list.iter()
                .any(|entry| matches!(entry, Readable::Parameter(pattern) if matches(pattern, name)))
        };
        // Whichever of its names is meant.
        names.iter().all(listed)
    }

    pub fn allows_stack(&self, stack: &str) -> bool {
        let Some(list) = &self.0 else {
            return true;
        };
        list.iter().any(|entry| match entry {
            Readable::Stack(pattern) => matches(pattern, stack),
            Readable::Parameter(_) => false,
        })
    }
}

/// The names that a parameter goes by, without its version or label; `None` for one of
/// another account.
fn names_of(parameter: &str, account: &str) -> Option<Vec<String>> {
    let Some(arn) = parameter.strip_prefix("arn:") else {
        let name = parameter.split_once(':').map_or(parameter, |(name, _)| name);
        return Some(vec![name.to_owned()]);
    };
    let mut parts = arn.splitn(5, ':').skip(3);
    let (owner, resource) = (parts.next()?, parts.next()?);
    let name = resource.strip_prefix("parameter/")?;
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    // `parameter/shop/x` is `/shop/x`; `parameter/x` is `x`, or `/x`.
    let names = match name.contains('/') {
        true => vec![format!("/{name}")],
        false => vec![name.to_owned(), format!("/{name}")],
    };
    (owner == account).then_some(names)
}

/// Whether `text` is what `pattern` says, where `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(list: &[&str]) -> ReadableValues {
        ReadableValues::only(list.iter().map(|entry| entry.parse().unwrap()).collect())
    }

    const ACCOUNT: &str = "111111111111";

    #[test]
    fn a_list_lets_nothing_else_be_read() {
        let some = only(&["/shop/*", "stack:network"]);
        assert!(some.allows_parameter("/shop/dev/db-host", ACCOUNT));
        assert!(some.allows_parameter("/shop/dev/db-host:3", ACCOUNT));
        assert!(!some.allows_parameter("/other/db-host", ACCOUNT));
        assert!(!some.allows_parameter("/shopping/db-host", ACCOUNT));
        assert!(some.allows_stack("network"));
        assert!(!some.allows_stack("network-prod"));
        assert!(!only(&[]).allows_parameter("/shop/dev/db-host", ACCOUNT));
        assert!(!only(&["*"]).allows_stack("network"), "an entry is of one kind");
        assert!(ReadableValues::default().allows_parameter("/other/db-host", ACCOUNT));
    }

    #[test]
    fn an_arn_is_judged_by_the_name_in_it() {
        let some = only(&["/shop/*"]);
        let arn = |account: &str, name: &str| format!("arn:aws:ssm:eu-west-1:{account}:parameter/{name}");
        assert!(some.allows_parameter(&arn(ACCOUNT, "shop/dev/db-host"), ACCOUNT));
        assert!(!some.allows_parameter(&arn("222222222222", "shop/dev/db-host"), ACCOUNT));
        assert!(!some.allows_parameter("arn:aws:ssm", ACCOUNT));
    }

    #[test]
    fn a_star_stands_for_any_text_anywhere() {
        for (pattern, text, expected) in [
            ("/shop/*/db-*", "/shop/dev/db-host", true),
            ("/shop/*/db-*", "/shop/dev/smtp", false),
            ("*", "", true),
            ("/shop", "/shop/dev", false),
            ("*host", "/shop/host", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
