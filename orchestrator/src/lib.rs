//! Placeholder.

pub mod domain;
