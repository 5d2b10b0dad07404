//! Variables: values of a project by scope. Start at [`Variables::winner`]: of
//! the values that match a place, the one that names the most scopes wins.
//! Nothing breaks a tie: two of the same rank that match one place are a fault
//! of the file ([`Variables::ties`]), told when it is applied.
//!
//! Some values stand in the target's account ([`ValueSource`]): its agent reads
//! them when a plan is made or before the first send, and what it read is kept
//! with the operation ([`Readings`]), so that every send is the same.

mod explain;
mod place;
mod resolve;

#[cfg(test)]
#[path = "tests/any_scopes.rs"]
mod any_scopes;
#[cfg(test)]
mod tests;

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    name::{ChannelName, EnvironmentName, ServiceName, TargetId},
    project::Template,
};

pub use explain::{TOLD_NOWHERE, Told, explain};
pub use place::{Place, Tie, channels_into, places};
pub use resolve::{InPlace, Reading, Readings, scope_at};

/// All variables of a project, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(pub IndexMap<String, Vec<ScopedValue>>);

/// One value, and where it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScopedValue {
    #[serde(default)]
    pub scope: Scoped,
    pub value: VariableValue,
    /// Its line of the project file.
    #[serde(default)]
    pub line: u32,
}

/// Where a value counts: everywhere that has all of what is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Scoped {
    pub environment: Option<EnvironmentName>,
    pub target: Option<TargetId>,
    pub channel: Option<ChannelName>,
    pub service: Option<ServiceName>,
}

/// What a variable is. Texts may have holes of environment and target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableValue {
    Text(Template),
    List(Vec<Template>),
    /// An SSM parameter of the target's account and region.
    Parameter {
        name: Template,
        /// It is a list with commas between its items.
        #[serde(default)]
        list: bool,
    },
    /// An output of a CloudFormation stack there.
    StackOutput {
        stack: Template,
        output: Template,
        #[serde(default)]
        list: bool,
    },
}

/// What an agent reads in its account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueSource {
    Parameter { name: String },
    StackOutput { stack: String, output: String },
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter { name } => write!(f, "SSM parameter {name}"),
            Self::StackOutput { stack, output } => write!(f, "output {output} of stack {stack}"),
        }
    }
}

impl Scoped {
    /// How specific it is: the number of scopes that it names.
    pub fn rank(&self) -> usize {
        usize::from(self.environment.is_some())
            + usize::from(self.target.is_some())
            + usize::from(self.channel.is_some())
            + usize::from(self.service.is_some())
    }

    /// Whether it counts in this place. A scope that the place leaves open is
    /// not met.
    pub fn matches(&self, place: &Place<'_>) -> bool {
        meets(self.environment.as_ref(), Some(place.environment))
            && meets(self.target.as_ref(), Some(place.target))
            && meets(self.channel.as_ref(), place.channel)
            && meets(self.service.as_ref(), place.service)
    }
}

fn meets<T: PartialEq>(named: Option<&T>, there: Option<&T>) -> bool {
    named.is_none_or(|named| there == Some(named))
}

impl fmt::Display for Scoped {
    /// "environment prod, service orders", or "everywhere".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            self.environment.as_ref().map(|it| format!("environment {it}")),
            self.target.as_ref().map(|it| format!("target {it}")),
            self.service.as_ref().map(|it| format!("service {it}")),
            self.channel.as_ref().map(|it| format!("channel {it}")),
        ];
        let named: Vec<String> = named.into_iter().flatten().collect();
        match named.is_empty() {
            true => f.write_str("everywhere"),
            false => f.write_str(&named.join(", ")),
        }
    }
}

/// Which value counts in a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Winner<'a> {
    One(&'a ScopedValue),
    /// No variable has this name, or none of its values matches.
    None,
    /// These are equally specific, in the order of the file.
    Tied(&'a ScopedValue, &'a ScopedValue),
}

impl Variables {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of a variable; none when there is no such variable.
    pub fn values(&self, name: &str) -> &[ScopedValue] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Of the values that match the place, the most specific one.
    pub fn winner(&self, name: &str, place: &Place<'_>) -> Winner<'_> {
        let mut best = Winner::None;
        let mut rank = 0;
        for value in self.values(name).iter().filter(|it| it.scope.matches(place)) {
            let own = value.scope.rank();
            best = match best {
                Winner::None => Winner::One(value),
                _ if own > rank => Winner::One(value),
                Winner::One(first) if own == rank => Winner::Tied(first, value),
                best => best,
            };
            rank = rank.max(own);
        }
        best
    }

    /// The values that match a place, most specific first, then in the file's order.
    pub fn matching(&self, name: &str, place: &Place<'_>) -> Vec<&ScopedValue> {
        let mut all: Vec<&ScopedValue> = self
            .values(name)
            .iter()
            .filter(|value| value.scope.matches(place))
            .collect();
        all.sort_by_key(|value| std::cmp::Reverse(value.scope.rank()));
        all
    }

    /// The names of variables whose value some agent has to read.
    pub fn read_by_agents(&self) -> impl Iterator<Item = &str> {
        let read = |value: &ScopedValue| value.value.is_read();
        self.0
            .iter()
            .filter(move |(_, values)| values.iter().any(read))
            .map(|(name, _)| name.as_str())
    }
}

impl VariableValue {
    /// An agent has to read it.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Parameter { .. } | Self::StackOutput { .. })
    }

    /// The texts that it is made of.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(items) => items.iter().collect(),
            Self::Parameter { name, .. } => vec![name],
            Self::StackOutput { stack, output, .. } => vec![stack, output],
        }
    }
}
