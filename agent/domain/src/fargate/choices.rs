//! What a stack's template takes from the account once and then keeps: whether its
//! log group was there before, the priorities of listener rules, and the logical
//! ids and names of an adopted stack. They stand in the template's metadata, so
//! that the next release finds them in the same call as the fingerprint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fargate::ValidService;
use crate::observed::surroundings::Listener;

/// The choices of one stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Choices {
    /// Absent: not decided yet; a log group is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group: Option<LogGroupChoice>,
    /// By the rule's logical id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, RuleChoice>,
    /// Resources of an adopted stack, by their role in it: `service`,
    /// `task_definition`, `log_group`, `execution_role`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, Kept>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogGroupChoice {
    /// The stack makes it.
    Made,
    /// A group of that name was there before, and is used.
    Used,
}

/// The place of a listener rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuleChoice {
    pub listener: String,
    pub priority: u32,
}

/// What an adopted resource keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Kept {
    pub logical_id: String,
    /// Its name; `None` where the template leaves the name to CloudFormation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A role's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What must be read before the template of a service can be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenChoices {
    /// Whether this log group exists.
    pub log_group: Option<String>,
    /// ARNs of listeners whose rules decide a priority.
    pub listeners: Vec<String>,
}

impl OpenChoices {
    pub fn is_empty(&self) -> bool {
        self.log_group.is_none() && self.listeners.is_empty()
    }
}

/// A listener has no priority left, or is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error("listener {listener} has no free priority left (1 to 50000 are taken)")]
    NoPriorityFree { listener: String },
    #[error("listener {listener} does not exist, or its rules cannot be read")]
    ListenerUnknown { listener: String },
}

impl Choices {
    /// The choices in a stack's template metadata.
    pub fn found(metadata: Option<&Value>) -> Self {
        metadata
            .and_then(|metadata| metadata.get("Towline")?.get("Choices"))
            .and_then(|choices| serde_json::from_value(choices.clone()).ok())
            .unwrap_or_default()
    }

    /// What is still open for this service.
    pub fn open(&self, service: &ValidService, cluster: &str) -> OpenChoices {
        let _ = (service, cluster);
        OpenChoices::default()
    }

    /// Decides what is open, by what was read. `log_group_exists` and `listeners`
    /// answer [`Choices::open`].
    ///
    /// # Errors
    /// When a listener has no free priority, or was not read.
    pub fn decided(
        self,
        service: &ValidService,
        cluster: &str,
        log_group_exists: bool,
        listeners: &[Listener],
    ) -> Result<Self, ChoiceError> {
        let _ = (service, cluster, log_group_exists, listeners);
        Ok(self)
    }
}
