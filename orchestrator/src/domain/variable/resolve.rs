//! What a variable is in a place: its text, or what the agent read for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Place, ValueSource, VariableValue, Variables, Winner};
use crate::domain::project::{Environment, Project, Scope, Source, Target, Unresolved, Value};

/// What is known of the values that agents read.
pub type Readings = BTreeMap<ValueSource, Reading>;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Nobody has read it yet: something stands in its place that is never sent.
    Pending,
    Read(String),
}

/// The variables as one place sees them.
#[derive(Clone, Copy, Debug)]
pub struct InPlace<'a> {
    pub all: &'a Variables,
    pub place: Place<'a>,
    pub read: &'a Readings,
}

impl InPlace<'_> {
    /// The value of a variable here. `scope` fills the holes of its own texts:
    /// of environment and target alone.
    ///
    /// # Errors
    /// It has none, two that are equally specific, or one that nobody has read.
    pub fn value(&self, name: &str, scope: Scope<'_>) -> Result<Value, Unresolved> {
        let value = match self.all.winner(name, &self.place) {
            Winner::One(value) => &value.value,
            Winner::None => {
                return Err(Unresolved::Missing {
                    from: Source::Variable,
                    name: name.to_owned(),
                });
            }
            Winner::Tied(first, second) => {
                return Err(Unresolved::Tied {
                    name: name.to_owned(),
                    lines: (first.line, second.line),
                });
            }
        };
        let scope = Scope {
            variables: None,
            ..scope
        };
        match value {
            VariableValue::Text(text) => Ok(Value::Text(text.resolve(scope)?)),
            VariableValue::List(items) => {
                let items = items.iter().map(|item| item.resolve(scope));
                Ok(Value::List(items.collect::<Result<_, _>>()?))
            }
            VariableValue::Parameter { list, .. } | VariableValue::StackOutput { list, .. } => {
                let source = value.source(scope)?;
                match source.map(|source| self.reading(name, source)).transpose()? {
                    Some(text) if *list => Ok(Value::List(items(&text))),
                    Some(text) => Ok(Value::Text(text)),
                    None => Ok(Value::Text(String::new())),
                }
            }
        }
    }

    fn reading(&self, name: &str, source: ValueSource) -> Result<String, Unresolved> {
        match self.read.get(&source) {
            Some(Reading::Read(text)) => Ok(text.clone()),
            Some(Reading::Pending) => Ok(format!("unread-{name}")),
            None => Err(Unresolved::Unread {
                name: name.to_owned(),
                from: source,
            }),
        }
    }

    /// Something stands for a value that nobody has read.
    pub fn is_pending(&self) -> bool {
        self.read.values().any(|reading| *reading == Reading::Pending)
    }
}

/// What fills the holes of a place.
pub fn scope_at<'a>(
    project: &'a Project,
    (environment, target): (&'a Environment, &'a Target),
    place: Place<'a>,
    read: &'a Readings,
) -> Scope<'a> {
    Scope {
        environment: &environment.values,
        target: &target.values,
        variables: Some(InPlace {
            all: &project.variables,
            place,
            read,
        }),
    }
}

impl VariableValue {
    /// What an agent reads for it; `None` for what stands in the file.
    ///
    /// # Errors
    /// A hole in a name that nothing fills.
    pub fn source(&self, scope: Scope<'_>) -> Result<Option<ValueSource>, Unresolved> {
        Ok(match self {
            Self::Text(_) | Self::List(_) => None,
            Self::Parameter { name, .. } => Some(ValueSource::Parameter {
                name: name.resolve(scope)?,
            }),
            Self::StackOutput { stack, output, .. } => Some(ValueSource::StackOutput {
                stack: stack.resolve(scope)?,
                output: output.resolve(scope)?,
            }),
        })
    }
}

/// The items of a list as AWS writes one: with commas between them.
fn items(text: &str) -> Vec<String> {
    text.split(',').map(|item| item.trim().to_owned()).collect()
}
