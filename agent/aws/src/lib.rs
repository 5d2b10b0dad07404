//! The AWS SDK behind the agent's traits; the only crate that links it, and no
//! type of it leaves. Start with [`Aws`]: one value for one account, which makes
//! its clients per region when they are first needed.
//!
//! What always holds: a write that AWS does not deduplicate is sent once
//! (no retries below us); an answer that was lost is [`CallError::Unknown`],
//! never an error that says "it did not happen"; task definitions cross as the
//! wire's JSON, so that no member is lost that the SDK does not know; every call to
//! ECS waits for its turn in the account's budget.
//!
//! [`CallError::Unknown`]: towline_agent_domain::outside::CallError::Unknown

mod account;
mod alarms;
mod budget;
mod call;
mod change_sets;
mod clients;
mod digests;
mod direct;
mod ecs;
mod images;
mod instances;
mod load_balancing;
mod network;
mod observe;
mod one_off;
mod operation;
mod parameters;
mod poller;
mod records;
mod registry;
mod roles;
mod secrets;
mod stacks;
mod surroundings;
mod tasks;
mod templates;
mod together;
mod wire;

pub use account::{AccessKey, Aws, AwsSettings, ConnectError};
pub use operation::in_operation;
