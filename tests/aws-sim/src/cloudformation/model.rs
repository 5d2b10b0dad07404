//! What CloudFormation keeps: stacks, their resources, events and change sets.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use super::{
    change_set::ChangeSet,
    evaluate::{Lookup, Pseudo, Scope},
    kind::Kind,
    operation::Operation,
    template::{Policy, Template},
};
use crate::world::{Region, SimTime};

/// The stacks of one account and region, deleted ones included.
#[derive(Debug, Default)]
pub struct Stacks {
    pub(super) all: Vec<Stack>,
}

/// Key and value, in the order given.
pub type Tags = Vec<(String, String)>;

/// What a stack is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    pub template: Template,
    pub parameters: BTreeMap<String, String>,
    pub tags: Tags,
    pub capabilities: Vec<String>,
    pub role_arn: Option<String>,
}

/// One stack.
#[derive(Debug)]
pub struct Stack {
    pub id: String,
    pub name: String,
    pub status: StackStatus,
    pub status_reason: Option<String>,
    pub created: SimTime,
    pub updated: Option<SimTime>,
    pub deleted: Option<SimTime>,
    /// `None` while it only waits for its first change set.
    pub blueprint: Option<Blueprint>,
    pub resources: Vec<Resource>,
    pub outputs: Vec<Given>,
    /// Oldest first.
    pub events: Vec<Event>,
    pub change_sets: Vec<ChangeSet>,
    /// The change set that was executed last.
    pub executed: Option<String>,
    pub operation: Option<Operation>,
    /// ClientRequestTokens that were used, each with what for.
    pub tokens: Vec<(String, String)>,
    pub keeps_failures: bool,
    pub is_protected: bool,
}

/// An output with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub name: String,
    pub value: String,
    pub description: Option<String>,
    pub export: Option<String>,
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub logical_id: String,
    pub kind: Kind,
    /// Empty when it was never made.
    pub physical_id: String,
    pub attributes: BTreeMap<String, String>,
    /// Evaluated.
    pub properties: Map<String, Value>,
    /// The stack's tags that it carries.
    pub tags: Tags,
    pub metadata: Option<Value>,
    pub deletion: Policy,
    pub update_replace: Policy,
    pub status: &'static str,
    pub status_reason: Option<String>,
    pub at: SimTime,
}

/// One stack event.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: String,
    pub logical_id: String,
    pub physical_id: String,
    pub resource_type: &'static str,
    pub at: SimTime,
    pub status: &'static str,
    pub reason: Option<String>,
    pub properties: Option<String>,
    pub token: Option<String>,
    pub operation_id: Option<String>,
}

/// `StackStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackStatus {
    ReviewInProgress,
    CreateInProgress,
    CreateFailed,
    CreateComplete,
    RollbackInProgress,
    RollbackFailed,
    RollbackComplete,
    UpdateInProgress,
    UpdateCompleteCleanupInProgress,
    UpdateComplete,
    UpdateFailed,
    UpdateRollbackInProgress,
    UpdateRollbackFailed,
    UpdateRollbackCompleteCleanupInProgress,
    UpdateRollbackComplete,
    DeleteInProgress,
    DeleteFailed,
    DeleteComplete,
}

impl StackStatus {
    /// CloudFormation's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::ReviewInProgress => "REVIEW_IN_PROGRESS",
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateFailed => "CREATE_FAILED",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackFailed => "ROLLBACK_FAILED",
            Self::RollbackComplete => "ROLLBACK_COMPLETE",
            Self::UpdateInProgress => "UPDATE_IN_PROGRESS",
            Self::UpdateCompleteCleanupInProgress => "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::UpdateFailed => "UPDATE_FAILED",
            Self::UpdateRollbackInProgress => "UPDATE_ROLLBACK_IN_PROGRESS",
            Self::UpdateRollbackFailed => "UPDATE_ROLLBACK_FAILED",
            Self::UpdateRollbackCompleteCleanupInProgress => "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            Self::UpdateRollbackComplete => "UPDATE_ROLLBACK_COMPLETE",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
            Self::DeleteFailed => "DELETE_FAILED",
            Self::DeleteComplete => "DELETE_COMPLETE",
        }
    }

    /// Whether an update may start from here.
    pub fn can_be_updated(self) -> bool {
        matches!(
            self,
            Self::CreateComplete | Self::UpdateComplete | Self::UpdateRollbackComplete | Self::UpdateFailed
        )
    }

    /// Whether DeleteStack may start from here.
    pub fn can_be_deleted(self) -> bool {
        !matches!(
            self,
            Self::UpdateInProgress
                | Self::UpdateCompleteCleanupInProgress
                | Self::UpdateRollbackInProgress
                | Self::UpdateRollbackCompleteCleanupInProgress
                | Self::DeleteComplete
        )
    }
}

impl fmt::Display for StackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Stacks {
    /// A stack by name (one that is not deleted) or by id (deleted ones too).
    pub fn find(&self, name_or_id: &str) -> Option<&Stack> {
        self.place(name_or_id).and_then(|place| self.all.get(place))
    }

    pub(super) fn find_mut(&mut self, name_or_id: &str) -> Option<&mut Stack> {
        self.place(name_or_id).and_then(|place| self.all.get_mut(place))
    }

    fn place(&self, name_or_id: &str) -> Option<usize> {
        let by_id = self.all.iter().position(|stack| stack.id == name_or_id);
        by_id.or_else(|| {
            self.all
                .iter()
                .position(|stack| stack.name == name_or_id && stack.status != StackStatus::DeleteComplete)
        })
    }
}

impl Stack {
    /// A stack that has nothing yet.
    pub fn new(region: &mut Region, name: &str, now: SimTime) -> Self {
        let unique = region.ids.uuid("stack");
        Self {
            id: region.arn("cloudformation", &format!("stack/{name}/{unique}")),
            name: name.to_owned(),
            status: StackStatus::ReviewInProgress,
            status_reason: None,
            created: now,
            updated: None,
            deleted: None,
            blueprint: None,
            resources: Vec::new(),
            outputs: Vec::new(),
            events: Vec::new(),
            change_sets: Vec::new(),
            executed: None,
            operation: None,
            tokens: Vec::new(),
            keeps_failures: false,
            is_protected: false,
        }
    }

    pub fn resource(&self, logical_id: &str) -> Option<&Resource> {
        self.resources.iter().find(|found| found.logical_id == logical_id)
    }

    /// Puts a resource in the place of the one with its logical id.
    pub fn put(&mut self, resource: Resource) {
        match self
            .resources
            .iter_mut()
            .find(|r| r.logical_id == resource.logical_id)
        {
            Some(place) => *place = resource,
            None => self.resources.push(resource),
        }
    }

    pub fn forget(&mut self, logical_id: &str) {
        self.resources
            .retain(|resource| resource.logical_id != logical_id);
    }

    pub fn pseudo(&self, region: &Region) -> Pseudo {
        Pseudo {
            account: region.account.clone(),
            region: region.name.clone(),
            partition: region.partition().to_owned(),
            stack_name: self.name.clone(),
            stack_id: self.id.clone(),
        }
    }

    /// Moves the stack to `status` and says so in an event.
    pub fn enter(&mut self, region: &mut Region, mark: &Mark, status: StackStatus, reason: Option<String>) {
        self.status = status;
        self.status_reason.clone_from(&reason);
        let event = Event {
            id: region.ids.uuid("stack-event"),
            logical_id: self.name.clone(),
            physical_id: self.id.clone(),
            resource_type: "AWS::CloudFormation::Stack",
            at: mark.now,
            status: status.word(),
            reason,
            properties: None,
            token: mark.token.clone(),
            operation_id: mark.operation_id.clone(),
        };
        self.events.push(event);
    }

    /// Says what happens to a resource.
    pub fn tell(&mut self, mark: &Mark, resource: &Resource, status: &'static str, reason: Option<String>) {
        let properties = Value::Object(resource.properties.clone()).to_string();
        self.events.push(Event {
            id: format!("{}-{status}-{}", resource.logical_id, mark.now.iso()),
            logical_id: resource.logical_id.clone(),
            physical_id: resource.physical_id.clone(),
            resource_type: resource.kind.name(),
            at: mark.now,
            status,
            reason,
            properties: Some(properties),
            token: mark.token.clone(),
            operation_id: mark.operation_id.clone(),
        });
    }
}

/// What every event of one operation carries, and the moment.
#[derive(Clone, Debug)]
pub struct Mark {
    pub now: SimTime,
    pub token: Option<String>,
    pub operation_id: Option<String>,
}

impl Lookup for [Resource] {
    fn reference(&self, logical_id: &str) -> Option<String> {
        let found = self.iter().find(|resource| resource.logical_id == logical_id)?;
        Some(found.physical_id.clone()).filter(|id| !id.is_empty())
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Option<String> {
        let found = self.iter().find(|resource| resource.logical_id == logical_id)?;
        found.attributes.get(attribute).cloned()
    }
}

impl Lookup for Vec<Resource> {
    fn reference(&self, logical_id: &str) -> Option<String> {
        self.as_slice().reference(logical_id)
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Option<String> {
        self.as_slice().attribute(logical_id, attribute)
    }
}

impl Blueprint {
    pub fn scope<'a>(&'a self, pseudo: &'a Pseudo, resources: &'a dyn Lookup) -> Scope<'a> {
        Scope {
            template: &self.template,
            parameters: &self.parameters,
            pseudo,
            resources,
        }
    }
}
