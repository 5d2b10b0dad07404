//! The template that a stack has, to be held against the one that is wanted. What
//! its metadata says of itself is not enough: who edits a template by hand carries
//! the metadata along.

use serde_json::{Map, Value};

use super::Template;
use crate::fargate::adopt::document::parse;

/// A stack's template, JSON or YAML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundTemplate(Map<String, Value>);

impl FoundTemplate {
    /// One that cannot be read is as good as none: it is not ours.
    pub fn read(body: &str) -> Self {
        match parse(body) {
            Ok(Value::Object(members)) => Self(members),
            _ => Self::default(),
        }
    }

    /// Its `Metadata`.
    pub fn metadata(&self) -> Option<&Value> {
        self.0.get("Metadata")
    }

    /// The fingerprint that it names; `None` when there is none.
    pub fn fingerprint(&self) -> Option<&str> {
        self.metadata()?.get("Towline")?.get("Fingerprint")?.as_str()
    }

    fn without_metadata(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter().filter(|(name, _)| *name != "Metadata")
    }
}

impl Template {
    /// Whether a stack has this very template, member by member, with these
    /// parameters and tags when it was made (they are in the fingerprint).
    pub fn is(&self, found: &FoundTemplate) -> bool {
        if found.fingerprint() != Some(self.fingerprint()) {
            return false;
        }
        let wanted = FoundTemplate::read(self.text());
        found.without_metadata().count() == wanted.without_metadata().count()
            && wanted
                .without_metadata()
                .all(|(name, value)| found.0.get(name) == Some(value))
    }
}
