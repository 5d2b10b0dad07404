//! What the agent's own file allows: operators who call it directly, and, whoever
//! asks, which values of the account are read ([`ReadableValues`]). What else the
//! orchestrator may is not judged here: its role is checked on the link.

mod readable;

use serde::{Deserialize, Serialize};

pub use readable::{NotReadable, Readable, ReadableValues};

/// What an operator may do on an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// See services, operations and events.
    Read,
    /// Deploy, update and cancel. Includes [`Permission::Read`].
    Deploy,
}

/// One rule of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorRule {
    /// An operator's name, or `*` for all who have no rule of their own.
    pub operator: String,
    pub permissions: Vec<Permission>,
}

/// The rules in force. The default lets every operator read and none deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorRules(Vec<OperatorRule>);

impl Default for OperatorRules {
    fn default() -> Self {
        Self(vec![OperatorRule {
            operator: "*".to_owned(),
            permissions: vec![Permission::Read],
        }])
    }
}

impl OperatorRules {
    /// The rules of a file; a file without rules means the default.
    pub fn new(rules: Vec<OperatorRule>) -> Self {
        if rules.is_empty() {
            Self::default()
        } else {
            Self(rules)
        }
    }

    pub fn rules(&self) -> &[OperatorRule] {
        &self.0
    }

    /// Whether `operator` may do this. Rules that name the operator decide
    /// alone, so that a file can also take away what `*` gives.
    pub fn allows(&self, operator: &str, wanted: Permission) -> bool {
        let named: Vec<_> = self.0.iter().filter(|rule| rule.operator == operator).collect();
        let everybody = self.0.iter().filter(|rule| rule.operator == "*");
        let grants = |rule: &OperatorRule| rule.permissions.iter().any(|granted| *granted >= wanted);
        if named.is_empty() {
            everybody.into_iter().any(grants)
        } else {
            named.into_iter().any(grants)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(operator: &str, permissions: &[Permission]) -> OperatorRule {
        OperatorRule {
            operator: operator.to_owned(),
            permissions: permissions.to_vec(),
        }
    }

    #[test]
    fn by_default_everybody_reads_and_nobody_deploys() {
        for rules in [OperatorRules::default(), OperatorRules::new(vec![])] {
            assert!(rules.allows("anna", Permission::Read));
            assert!(!rules.allows("anna", Permission::Deploy));
        }
    }

    #[test]
    fn a_rule_of_ones_own_replaces_the_rule_for_all() {
        let rules = OperatorRules::new(vec![
            rule("*", &[Permission::Read]),
            rule("anna", &[Permission::Deploy]),
            rule("bert", &[]),
        ]);
        assert!(rules.allows("anna", Permission::Deploy));
        assert!(
            rules.allows("anna", Permission::Read),
            "to deploy is to see what one does"
        );
        assert!(!rules.allows("bert", Permission::Read));
        assert!(rules.allows("carl", Permission::Read));
        assert!(!rules.allows("carl", Permission::Deploy));
    }
}
