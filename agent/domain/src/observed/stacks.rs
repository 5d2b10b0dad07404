//! Stacks, their events and resources, and change sets, as CloudFormation shows them.

use jiff::Timestamp;

/// A CloudFormation stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    pub id: String,
    pub name: String,
    /// CloudFormation's own word; `fargate::stack` parses it.
    pub status: String,
    pub status_reason: String,
    pub parameters: Vec<(String, String)>,
    pub outputs: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
    /// When it was last updated, or created; AWS's time.
    pub updated: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackEvent {
    pub id: String,
    pub logical_id: String,
    pub physical_id: String,
    pub resource_type: String,
    pub status: String,
    pub reason: String,
    /// The ClientRequestToken of the action that caused it.
    pub token: Option<String>,
    /// AWS's time.
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackResource {
    pub logical_id: String,
    pub physical_id: String,
    pub resource_type: String,
    pub status: String,
}

/// A change set as a stack's list of them shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedChangeSet {
    pub name: String,
    /// As [`ChangeSet::status`].
    pub status: String,
    /// As [`ChangeSet::execution_status`].
    pub execution_status: String,
    /// AWS's time.
    pub created: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// CREATE_PENDING, CREATE_IN_PROGRESS, CREATE_COMPLETE, FAILED, DELETE_* ...
    pub status: String,
    pub status_reason: String,
    /// AVAILABLE, UNAVAILABLE, EXECUTE_IN_PROGRESS, EXECUTE_COMPLETE, EXECUTE_FAILED, OBSOLETE ...
    pub execution_status: String,
    pub changes: Vec<ResourceChange>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceChange {
    /// Add, Modify, Remove, Import, Dynamic.
    pub action: String,
    pub logical_id: String,
    pub physical_id: String,
    pub resource_type: String,
    /// True, False, Conditional; empty when not said.
    pub replacement: String,
    /// Delete, Retain, Snapshot, ReplaceAndDelete, ReplaceAndRetain ...; empty when not said.
    pub policy_action: String,
    pub details: Vec<PropertyChange>,
}

/// One `Details` entry of a resource's change (DescribeChangeSet with property values).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyChange {
    /// Properties, Metadata, Tags, CreationPolicy, UpdatePolicy, DeletionPolicy, UpdateReplacePolicy.
    pub attribute: String,
    /// The property's name; empty for other attributes.
    pub name: String,
    /// `/Properties/DesiredCount`, where CloudFormation says.
    pub path: String,
    /// Never, Conditionally, Always.
    pub requires_recreation: String,
    /// Static, Dynamic: whether the new value is known before the change runs.
    pub evaluation: String,
    /// DirectModification, ParameterReference, ResourceReference, ResourceAttribute, Automatic.
    pub source: String,
    /// The parameter or resource that causes it; empty for a direct modification.
    pub cause: String,
    pub before: Option<String>,
    pub after: Option<String>,
}
