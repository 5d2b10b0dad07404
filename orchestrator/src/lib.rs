//! Placeholder.

pub mod domain;
pub mod engine;
pub mod fleet;
pub mod store;
