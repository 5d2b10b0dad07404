//! `${target.x}`, `${environment.x}` and `${variable.x}`: texts with holes, and what fills them.

use std::{borrow::Cow, fmt, str::FromStr};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::domain::variable::{InPlace, ValueSource};

/// A value that an environment or a target brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Text(String),
    List(Vec<String>),
}

/// Whose value a hole takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    Environment,
    Target,
    Variable,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "environment",
            Self::Target => "target",
            Self::Variable => "variable",
        })
    }
}

/// A text with holes: `${target.registry}/shop/web`. `$${` stands for `${`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(Source, String),
}

/// A `${` that is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTemplate(pub String);

/// A hole that nothing fills, or not with what is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    #[error("{from}.{name} has no value")]
    Missing { from: Source, name: String },
    #[error("{from}.{name} is a list, and a text is needed here")]
    List { from: Source, name: String },
    #[error("{text:?} is not a whole number from 0 to 4294967295")]
    NotANumber { text: String },
    #[error("{text:?} is neither true nor false")]
    NotASwitch { text: String },
    #[error("variable {name} has two values that are equally specific (lines {} and {})", lines.0, lines.1)]
    Tied { name: String, lines: (u32, u32) },
    /// Its agent has to read it first.
    #[error("variable {name} is read in the account ({from}), and nobody has read it yet")]
    Unread { name: String, from: ValueSource },
}

/// What holes are filled from: one target of one environment.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub environment: &'a IndexMap<String, Value>,
    pub target: &'a IndexMap<String, Value>,
    /// `None` where variables are not known: they have no value then.
    pub variables: Option<InPlace<'a>>,
}

/// A list whose items are texts with holes, or one hole that brings the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    Whole(Template),
    Items(Vec<Template>),
}

/// A whole number, here or from a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    Fixed(u32),
    Of(Template),
}

/// On or off, here or from a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Switch {
    Fixed(bool),
    Of(Template),
}

impl Scope<'_> {
    fn is_pending(&self) -> bool {
        self.variables.is_some_and(|variables| variables.is_pending())
    }

    fn value(&self, from: Source, name: &str) -> Result<Cow<'_, Value>, Unresolved> {
        let values = match (from, self.variables) {
            (Source::Environment, _) => self.environment,
            (Source::Target, _) => self.target,
            (Source::Variable, Some(variables)) => return Ok(Cow::Owned(variables.value(name, *self)?)),
            (Source::Variable, None) => return Err(missing(from, name)),
        };
        let value = values.get(name).ok_or_else(|| missing(from, name))?;
        Ok(Cow::Borrowed(value))
    }

    /// Whether a hole can be filled.
    ///
    /// # Errors
    /// Why not.
    pub fn try_hole(&self, (from, name): (Source, &str)) -> Result<(), Unresolved> {
        self.value(from, name).map(drop)
    }

    fn text(&self, from: Source, name: &str) -> Result<String, Unresolved> {
        match self.value(from, name)?.into_owned() {
            Value::Text(text) => Ok(text),
            Value::List(_) => Err(Unresolved::List {
                from,
                name: name.to_owned(),
            }),
        }
    }
}

fn missing(from: Source, name: &str) -> Unresolved {
    Unresolved::Missing {
        from,
        name: name.to_owned(),
    }
}

impl Template {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text with every hole filled.
    ///
    /// # Errors
    /// The first hole that cannot be filled.
    pub fn resolve(&self, scope: Scope<'_>) -> Result<String, Unresolved> {
        let mut whole = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => whole.push_str(text),
                Part::Hole(from, name) => whole.push_str(&scope.text(*from, name)?),
            }
        }
        Ok(whole)
    }

    /// The holes, in order.
    pub fn holes(&self) -> impl Iterator<Item = (Source, &str)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Hole(from, name) => Some((*from, name.as_str())),
        })
    }
}

impl FromStr for Template {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let before = &rest[..start];
            let inside = &rest[start + 2..];
            if let Some(escaped) = before.strip_suffix('$') {
                literal.push_str(escaped);
                literal.push_str("${");
                rest = inside;
                continue;
            }
            let (reference, after) = inside
                .split_once('}')
                .ok_or_else(|| BadTemplate(format!("\"${{{inside}\" has no closing brace")))?;
            literal.push_str(before);
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(hole(reference)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

fn hole(reference: &str) -> Result<Part, BadTemplate> {
    let unknown = || {
        BadTemplate(format!(
            "${{{reference}}} is not a reference: write ${{target.NAME}}, ${{environment.NAME}} or ${{variable.NAME}}"
        ))
    };
    let (from, name) = reference.trim().split_once('.').ok_or_else(unknown)?;
    let from = match from {
        "target" => Source::Target,
        "environment" => Source::Environment,
        "variable" => Source::Variable,
        _ => return Err(unknown()),
    };
    if is_value_name(name) {
        Ok(Part::Hole(from, name.to_owned()))
    } else {
        Err(unknown())
    }
}

/// Whether this can be the name of a value: `[A-Za-z_][A-Za-z0-9_-]*`.
pub fn is_value_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl TryFrom<String> for Template {
    type Error = BadTemplate;

    fn try_from(text: String) -> Result<Self, BadTemplate> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.text
    }
}

impl Texts {
    /// The list with every hole filled.
    ///
    /// # Errors
    /// The first hole that cannot be filled.
    pub fn resolve(&self, scope: Scope<'_>) -> Result<Vec<String>, Unresolved> {
        match self {
            Self::Items(items) => items.iter().map(|item| item.resolve(scope)).collect(),
            Self::Whole(template) => match template.parts.as_slice() {
                [Part::Hole(from, name)] => match scope.value(*from, name)?.into_owned() {
                    Value::List(items) => Ok(items),
                    Value::Text(text) => Ok(vec![text]),
                },
                _ => Ok(vec![template.resolve(scope)?]),
            },
        }
    }
}

impl Amount {
    /// The number.
    ///
    /// # Errors
    /// A hole that cannot be filled, or a text that is not a number.
    pub fn resolve(&self, scope: Scope<'_>) -> Result<u32, Unresolved> {
        match self {
            Self::Fixed(number) => Ok(*number),
            Self::Of(template) => {
                let text = template.resolve(scope)?;
                match text.parse() {
                    // What stands for an unread value is never sent.
                    Err(_) if scope.is_pending() => Ok(0),
                    parsed => parsed.map_err(|_| Unresolved::NotANumber { text }),
                }
            }
        }
    }
}

impl Switch {
    /// Whether it is on.
    ///
    /// # Errors
    /// A hole that cannot be filled, or a text that is neither `true` nor `false`.
    pub fn resolve(&self, scope: Scope<'_>) -> Result<bool, Unresolved> {
        match self {
            Self::Fixed(on) => Ok(*on),
            Self::Of(template) => {
                let text = template.resolve(scope)?;
                match text.parse() {
                    Err(_) if scope.is_pending() => Ok(false),
                    parsed => parsed.map_err(|_| Unresolved::NotASwitch { text }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<String, String> {
        let environment = IndexMap::from([("level".to_owned(), Value::Text("info".to_owned()))]);
        let target = IndexMap::from([("subnets".to_owned(), Value::List(vec!["a".to_owned()]))]);
        let scope = Scope {
            environment: &environment,
            target: &target,
            variables: None,
        };
        let template: Template = text.parse().map_err(|fault: BadTemplate| fault.to_string())?;
        template.resolve(scope).map_err(|why| why.to_string())
    }

    #[test]
    fn holes_are_filled_and_everything_else_stays() {
        assert_eq!(
            resolve("a ${environment.level}-${ environment.level } $5 {x} }"),
            Ok("a info-info $5 {x} }".into())
        );
        assert_eq!(
            resolve("sh -c 'echo $${HOME}'"),
            Ok("sh -c 'echo ${HOME}'".into())
        );
        assert_eq!(resolve("$${a} ${environment.level}"), Ok("${a} info".into()));
    }

    #[test]
    fn what_is_no_reference_is_told() {
        for text in ["${HOME}", "${target.}", "${target.a b}", "${env.level}", "${}"] {
            assert!(
                resolve(text).unwrap_err().contains("is not a reference"),
                "{text}"
            );
        }
        assert!(
            resolve("${environment.level")
                .unwrap_err()
                .contains("no closing brace")
        );
        assert_eq!(
            resolve("${target.level}").unwrap_err(),
            "target.level has no value"
        );
        assert_eq!(
            resolve("${target.subnets}").unwrap_err(),
            "target.subnets is a list, and a text is needed here"
        );
    }
}
