//! The keys that the execution role made in the stack may decrypt with.

use super::Reading;
use crate::domain::project::{forms::Form, report::Fields, template::Texts};

impl<'a> Reading<'a> {
    pub(super) fn kms_keys(&mut self, what: &str, fields: &Fields<'a>) -> Option<Texts> {
        let node = fields.get("kms_keys")?;
        if fields.get("execution_role").is_some() {
            self.report
                .error(
                    node.at,
                    format!("{what}: kms_keys are for the role that the stack makes, and execution_role names another"),
                )
                .hint("allow that role kms:Decrypt on the keys, and leave kms_keys out");
        }
        self.formed_texts(node, &format!("{what}: kms_keys"), Form::KmsKey)
    }
}
