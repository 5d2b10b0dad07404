//! The agent: one in each AWS account, holding that account's power. Start with
//! [`serve::Agent::start`], which puts it together; [`rpc`] takes the calls,
//! [`operation`] carries them out, and what is decided is decided in the pure
//! rooms of `towline-agent-domain`. AWS is reached through `towline-agent-aws` alone.
//!
//! What always holds: the agent keeps no state on disk but its identity and its
//! configuration. The account is its memory: after any crash it finds there what
//! an operation had done, and goes on from it.

mod access;
mod account;
pub mod cli;
pub mod config;
pub mod logging;
pub mod operation;
mod rpc;
pub mod serve;
mod time;
mod wire;
