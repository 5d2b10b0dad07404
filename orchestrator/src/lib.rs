//! The orchestrator: it decides what is released where, and when. Start with
//! [`engine`] (load, decide, record, act); [`domain`] holds the decisions and is
//! pure. [`store`], [`fleet`], [`registry`], [`api`], [`web`] and [`cli`] are the edges, and
//! [`serve`] puts them behind one port.
//!
//! What always holds: what happens next is a function of what is stored, every
//! face uses the API and nothing else, and clock, randomness and network enter
//! through `towline_link::seams`.

pub mod api;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod fleet;
pub mod found;
pub mod planted;
pub mod registry;
pub mod serve;
pub mod store;
pub mod tasks;
pub mod web;
mod webhook;
