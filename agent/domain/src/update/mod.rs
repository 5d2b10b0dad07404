//! Changes of a service that somebody else owns. [`spec`] is what was asked;
//! [`revision`] makes the next task definition out of the wire's JSON, losing
//! nothing; [`start`] decides, from what the account shows, whether to write at
//! all; [`preflight`] says what will not work, and [`plan`] what would be done, as a
//! [`diff`] that a person approves by its hash. At most one UpdateService per
//! operation comes out of this, or an honest unknown.

pub mod diff;
mod environment;
mod lists;
pub mod plan;
pub mod preflight;
pub mod references;
pub mod revision;
pub mod spec;
pub mod start;
