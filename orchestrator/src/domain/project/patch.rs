//! A piece of JSON whose texts may have holes: what is merged into a generated
//! resource (RFC 7386).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value as Json};

use super::template::{Scope, Template, Unresolved};

/// A JSON value; a text in it is a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Patch {
    /// Takes a member away.
    Nothing,
    Switch(bool),
    Number(Number),
    Text(Template),
    List(Vec<Patch>),
    Map(IndexMap<String, Patch>),
}

impl Patch {
    /// The JSON with every hole filled.
    ///
    /// # Errors
    /// The first hole that cannot be filled.
    pub fn resolve(&self, scope: Scope<'_>) -> Result<Json, Unresolved> {
        Ok(match self {
            Self::Nothing => Json::Null,
            Self::Switch(switch) => Json::Bool(*switch),
            Self::Number(number) => Json::Number(number.clone()),
            Self::Text(template) => Json::String(template.resolve(scope)?),
            Self::List(items) => Json::Array(
                items
                    .iter()
                    .map(|item| item.resolve(scope))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Map(members) => Json::Object(
                members
                    .iter()
                    .map(|(name, member)| Ok((name.clone(), member.resolve(scope)?)))
                    .collect::<Result<Map<_, _>, Unresolved>>()?,
            ),
        })
    }
}
