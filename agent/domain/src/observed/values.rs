//! Values that people keep in an account.

use jiff::Timestamp;

/// A parameter of Systems Manager. The value of a secret one is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// By what name it was asked for.
    pub asked: String,
    pub value: ParameterValue,
    pub version: i64,
    /// AWS's time.
    pub changed: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterValue {
    /// A String or a StringList.
    Plain(String),
    /// A SecureString.
    Secret,
}
