//! What a blueprint would change in a stack: compared by templates and
//! parameters, as CloudFormation does, never by what really runs.

mod leaves;

use std::collections::BTreeSet;

pub use leaves::Leaf;
use serde_json::{Map, Value, json};

use super::{
    evaluate::{Lookup, Pseudo},
    kind::{Kind, Recreation},
    model::{Blueprint, Resource, Stack},
    operation::step::changed,
    references::{self, Reference},
    template::{Declaration, Policy},
};
use crate::AwsError;

/// What CloudFormation writes for a value that it learns only when it executes.
const KNOWN_LATER: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// All that a blueprint would change.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    pub changes: Vec<ResourceChange>,
    /// The outputs differ; that alone is an update, too.
    pub changes_outputs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Add,
    Modify,
    Remove,
}

impl Action {
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Modify => "Modify",
            Self::Remove => "Remove",
        }
    }
}

/// What happens to one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceChange {
    pub action: Action,
    pub logical_id: String,
    pub physical_id: Option<String>,
    pub kind: Kind,
    pub replacement: Recreation,
    /// `Delete`, `Retain`, `ReplaceAndDelete`, `ReplaceAndRetain`, where one of them applies.
    pub policy_action: Option<&'static str>,
    pub details: Vec<Detail>,
    /// `BeforeContext`: the resource as it is, as JSON.
    pub before: Option<String>,
    /// `AfterContext`: the resource as it will be, as JSON.
    pub after: Option<String>,
}

/// Why and where a resource changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// `Properties`, `Tags`, `Metadata`, `DeletionPolicy`, `UpdateReplacePolicy`.
    pub attribute: &'static str,
    pub property: Option<String>,
    pub recreation: Recreation,
    pub source: Source,
    /// The place inside, shown to those who ask for values.
    pub leaf: Option<Leaf>,
}

impl Detail {
    /// Whether the value is known before the change set is executed.
    pub fn is_static(&self) -> bool {
        matches!(self.source, Source::Parameter(_) | Source::Direct)
    }

    /// `/Properties/ContainerDefinitions/0/Image`.
    pub fn path(&self) -> Option<String> {
        let leaf = self.leaf.as_ref()?;
        let property = match self.attribute {
            "Tags" => Some("Tags"),
            _ => self.property.as_deref(),
        };
        let place = match property {
            Some(property) => format!("/Properties/{property}"),
            None => format!("/{}", self.attribute),
        };
        let inside = leaf.path.iter().map(|part| format!("/{part}"));
        Some(place + &inside.collect::<String>())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Parameter(String),
    Resource(String),
    ResourceAttribute(String),
    Direct,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.changes_outputs
    }
}

/// Compares the stack with a blueprint.
///
/// # Errors
/// `ValidationError` when the blueprint's values cannot be evaluated.
pub fn changes(stack: &Stack, wanted: &Blueprint, pseudo: &Pseudo) -> Result<Diff, AwsError> {
    let mut view = View {
        resources: &stack.resources,
        later: BTreeSet::new(),
    };
    let mut diff = Diff::default();
    for logical_id in references::order(&wanted.template)? {
        let Some(declaration) = wanted.template.resource(&logical_id) else {
            continue;
        };
        let change = change_of(stack, wanted, declaration, pseudo, &view)?;
        if change
            .as_ref()
            .is_some_and(|c| c.action == Action::Add || c.replacement != Recreation::Never)
        {
            view.later.insert(logical_id);
        }
        diff.changes.extend(change);
    }
    diff.changes.extend(removed(stack, wanted));
    let before = stack
        .blueprint
        .as_ref()
        .map(|blueprint| &blueprint.template.outputs);
    diff.changes_outputs = before.is_some_and(|before| *before != wanted.template.outputs);
    Ok(diff)
}

/// The stack's resources, those that will be made anew without values.
struct View<'a> {
    resources: &'a [Resource],
    later: BTreeSet<String>,
}

impl Lookup for View<'_> {
    fn reference(&self, logical_id: &str) -> Option<String> {
        if self.later.contains(logical_id) {
            return Some(KNOWN_LATER.to_owned());
        }
        self.resources.reference(logical_id)
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Option<String> {
        if self.later.contains(logical_id) {
            return Some(KNOWN_LATER.to_owned());
        }
        self.resources.attribute(logical_id, attribute)
    }
}

fn change_of(
    stack: &Stack,
    wanted: &Blueprint,
    declaration: &Declaration,
    pseudo: &Pseudo,
    view: &View<'_>,
) -> Result<Option<ResourceChange>, AwsError> {
    let scope = wanted.scope(pseudo, view);
    let is = stack.resource(&declaration.logical_id);
    if !scope.holds(declaration.condition.as_deref())? {
        return Ok(is.map(removal));
    }
    let properties = scope.members(&declaration.properties)?;
    let Some(is) = is else {
        return Ok(Some(ResourceChange {
            action: Action::Add,
            logical_id: declaration.logical_id.clone(),
            physical_id: None,
            kind: declaration.kind,
            replacement: Recreation::Never,
            policy_action: None,
            details: Vec::new(),
            before: None,
            after: Some(context(&properties, declaration.metadata.as_ref())),
        }));
    };
    let details = details(stack, wanted, declaration, is, &properties, view);
    let replacement = replacement(&details);
    let policy_action = (replacement != Recreation::Never).then_some(match declaration.update_replace {
        Policy::Delete => "ReplaceAndDelete",
        Policy::Retain | Policy::RetainExceptOnCreate => "ReplaceAndRetain",
    });
    Ok((!details.is_empty()).then(|| ResourceChange {
        action: Action::Modify,
        logical_id: is.logical_id.clone(),
        physical_id: Some(is.physical_id.clone()),
        kind: is.kind,
        replacement,
        policy_action,
        details,
        before: Some(context(&is.properties, is.metadata.as_ref())),
        after: Some(context(&properties, declaration.metadata.as_ref())),
    }))
}

/// A resource for certain when a value that is known now asks for it; perhaps
/// when it depends on a value that only the execution brings.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html>
fn replacement(details: &[Detail]) -> Recreation {
    let certain = |detail: &Detail| detail.recreation == Recreation::Always && detail.is_static();
    if details.iter().any(certain) {
        Recreation::Always
    } else if details
        .iter()
        .any(|detail| detail.recreation != Recreation::Never)
    {
        Recreation::Conditionally
    } else {
        Recreation::Never
    }
}

fn context(properties: &Map<String, Value>, metadata: Option<&Value>) -> String {
    let mut whole = json!({ "Properties": properties });
    if let Some(metadata) = metadata {
        whole["Metadata"] = metadata.clone();
    }
    whole.to_string()
}

fn details(
    stack: &Stack,
    wanted: &Blueprint,
    declaration: &Declaration,
    is: &Resource,
    properties: &Map<String, Value>,
    view: &View<'_>,
) -> Vec<Detail> {
    let changed = changed(&is.properties, properties).into_iter();
    let mut details: Vec<Detail> = changed
        .flat_map(|property| {
            let leaves = leaves::leaves(is.properties.get(&property), properties.get(&property));
            leaves.into_iter().map(move |leaf| (property.clone(), leaf))
        })
        .map(|(property, leaf)| Detail {
            attribute: if property == "Tags" { "Tags" } else { "Properties" },
            recreation: is.kind.recreation(&property),
            source: source(stack, wanted, declaration, &property, &leaf, view),
            property: (property != "Tags").then_some(property),
            leaf: Some(leaf),
        })
        .collect();
    let whole = [
        ("Tags", is.kind.is_taggable() && is.tags != wanted.tags),
        ("Metadata", is.metadata != declaration.metadata),
        ("DeletionPolicy", is.deletion != declaration.deletion),
        (
            "UpdateReplacePolicy",
            is.update_replace != declaration.update_replace,
        ),
    ];
    for (attribute, differs) in whole {
        if differs && !details.iter().any(|detail| detail.attribute == attribute) {
            details.push(Detail {
                attribute,
                property: None,
                recreation: Recreation::Never,
                source: Source::Direct,
                leaf: None,
            });
        }
    }
    details
}

fn source(
    stack: &Stack,
    wanted: &Blueprint,
    declaration: &Declaration,
    property: &str,
    leaf: &Leaf,
    view: &View<'_>,
) -> Source {
    let Some(value) = declaration.properties.get(property) else {
        return Source::Direct;
    };
    let value = leaves::written(value, &leaf.path);
    let before = stack.blueprint.as_ref();
    for reference in references::of(value) {
        match reference {
            Reference::To(name) if view.later.contains(&name) => return Source::Resource(name),
            Reference::Attribute(name, attribute) if view.later.contains(&name) => {
                return Source::ResourceAttribute(format!("{name}.{attribute}"));
            }
            Reference::To(name) => {
                let was = before.and_then(|before| before.parameters.get(&name));
                if was.is_some() && was != wanted.parameters.get(&name) {
                    return Source::Parameter(name);
                }
            }
            Reference::Attribute(..) | Reference::Condition(_) => {}
        }
    }
    Source::Direct
}

/// The resources that the blueprint no longer declares.
fn removed(stack: &Stack, wanted: &Blueprint) -> Vec<ResourceChange> {
    let gone = stack
        .resources
        .iter()
        .filter(|r| wanted.template.resource(&r.logical_id).is_none());
    gone.map(removal).collect()
}

fn removal(is: &Resource) -> ResourceChange {
    ResourceChange {
        action: Action::Remove,
        logical_id: is.logical_id.clone(),
        physical_id: Some(is.physical_id.clone()),
        kind: is.kind,
        replacement: Recreation::Never,
        policy_action: Some(match is.deletion {
            Policy::Delete => "Delete",
            Policy::Retain | Policy::RetainExceptOnCreate => "Retain",
        }),
        details: Vec::new(),
        before: Some(context(&is.properties, is.metadata.as_ref())),
        after: None,
    }
}
