//! Who is at an end of a connection. An identity is written into a certificate
//! as one URI of the form `spiffe://<trust domain>/<role>[/<name>]`, and read
//! from there and from nowhere else.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: 1 to 63 characters of a-z, 0-9 and `-`, with no `-` at the ends")]
pub struct NameError {
    what: &'static str,
    text: String,
}

fn label(what: &'static str, text: &str) -> Result<String, NameError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(NameError {
            what,
            text: text.to_owned(),
        })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                label($what, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An agent's name: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`.
    AgentName,
    "agent name"
);
name!(
    /// An operator's name: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`.
    OperatorName,
    "operator name"
);

/// The first part of every identity of one installation: dot-separated labels
/// of the form `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`, at most 253 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The trust domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URI of the trust domain itself, which its CA certificate carries.
    pub fn uri(&self) -> String {
        format!("{SCHEME}{self}")
    }
}

impl FromStr for TrustDomain {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let what = "trust domain";
        if text.len() > 253 {
            return Err(NameError {
                what,
                text: text.to_owned(),
            });
        }
        for part in text.split('.') {
            label(what, part)?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a certificate says about its holder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    Agent(AgentName),
    Orchestrator,
    Operator(OperatorName),
}

const SCHEME: &str = "spiffe://";

/// Why a URI is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("`{0}` is no identity: spiffe://<trust domain>/agent/<name>, /orchestrator or /operator/<name>")]
    Form(String),
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Identity {
    /// The URI of this identity in a trust domain.
    pub fn uri(&self, domain: &TrustDomain) -> String {
        match self {
            Self::Agent(name) => format!("{SCHEME}{domain}/agent/{name}"),
            Self::Orchestrator => format!("{SCHEME}{domain}/orchestrator"),
            Self::Operator(name) => format!("{SCHEME}{domain}/operator/{name}"),
        }
    }

    /// Reads [`Identity::uri`] back.
    pub fn from_uri(uri: &str) -> Result<(TrustDomain, Self), IdentityError> {
        let form = || IdentityError::Form(uri.to_owned());
        let rest = uri.strip_prefix(SCHEME).ok_or_else(form)?;
        let mut parts = rest.split('/');
        let domain = parts.next().ok_or_else(form)?.parse()?;
        let identity = match (parts.next(), parts.next(), parts.next()) {
            (Some("agent"), Some(name), None) => Self::Agent(name.parse()?),
            (Some("orchestrator"), None, None) => Self::Orchestrator,
            (Some("operator"), Some(name), None) => Self::Operator(name.parse()?),
            _ => return Err(form()),
        };
        Ok((domain, identity))
    }

    /// The agent's or operator's name; `None` for the orchestrator.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Agent(name) => Some(name.as_str()),
            Self::Operator(name) => Some(name.as_str()),
            Self::Orchestrator => None,
        }
    }
}

/// For people: `agent dev`, `orchestrator`, `operator ann`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(name) => write!(f, "agent {name}"),
            Self::Orchestrator => f.write_str("orchestrator"),
            Self::Operator(name) => write!(f, "operator {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_survive_their_uri() {
        let domain: TrustDomain = "towline.example".parse().unwrap();
        for identity in [
            Identity::Agent("dev-1".parse().unwrap()),
            Identity::Orchestrator,
            Identity::Operator("ann".parse().unwrap()),
        ] {
            let uri = identity.uri(&domain);
            assert_eq!(Identity::from_uri(&uri), Ok((domain.clone(), identity)));
        }
    }

    #[test]
    fn what_only_resembles_an_identity_is_refused() {
        for uri in [
            "https://d/agent/a",
            "spiffe://d",
            "spiffe://d/agent",
            "spiffe://d/agent/",
            "spiffe://d/agent/a/b",
            "spiffe://d/orchestrator/x",
            "spiffe://d/admin/a",
            "spiffe://D/agent/a",
            "spiffe:///agent/a",
            "spiffe://d/agent/A",
            "spiffe://d/agent/-a",
        ] {
            assert!(Identity::from_uri(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn names_have_1_to_63_characters() {
        assert!("a".parse::<AgentName>().is_ok());
        assert!("a".repeat(63).parse::<AgentName>().is_ok());
        assert!("a".repeat(64).parse::<AgentName>().is_err());
        assert!("".parse::<AgentName>().is_err());
        assert!("a-".parse::<AgentName>().is_err());
    }
}
