//! What an agent decides, without doing anything: values in, decisions out. No
//! async runtime, clock, I/O or randomness. [`observed`] holds what was seen in
//! the account, [`outside`] the traits by which it is seen and changed.
//!
//! Start with [`update::start`] and [`fargate::stack`]: what an operation does
//! next, given what the account shows; then [`rollout::follow`], which turns
//! observations into a verdict. All of these answer the same question after a
//! restart as before it, because the account is the agent's only memory.

pub mod fargate;
pub mod image_reference;
pub mod observed;
pub mod operation_id;
pub mod outside;
pub mod policy;
pub mod registry;
pub mod rollout;
#[cfg(test)]
mod sample;
pub mod task;
pub mod update;
pub mod verdict;
