//! A Fargate service that Towline keeps through one CloudFormation stack:
//! [`spec`] (what a person wants) → [`validate`](validate()) (all faults at
//! once) → [`template`](template()) (the stack's template, with a fingerprint
//! that tells "no change" in one call); and [`stack`], which decides what to do
//! with the stack that the account shows. A stack that Towline did not make is
//! never touched, and one that ever was healthy is never deleted.

pub mod adopt;
pub mod choices;
mod cycle;
mod name;
pub mod plan;
pub mod preflight;
pub mod repair;
pub mod spec;
pub mod stack;
pub mod template;
mod validate;

pub use choices::Choices;
pub use name::{log_group_name, stack_name};
pub use spec::FargateService;
pub use template::{AccountFacts, Template, TemplateError, template};
pub use validate::{Target, ValidService, Violation, tag_faults, validate};
pub(crate) use validate::{is_arn, secret_source};
