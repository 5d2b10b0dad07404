//! The release model, pure: values in, decisions out. No async, clock, I/O or
//! randomness; times and ids are arguments.
//!
//! Start at [`project::parse`] (what a person writes), then [`operation::plan`]
//! (what a release means on each target), [`deployment::Deployment::apply`]
//! (the state machine) and [`plan::decide`] (what happens next).
//! [`import::import`] goes the other way: from what runs to a project file.
//!
//! What always holds: a [`deployment::Deployment`] is the fold of its events;
//! a terminal state never changes; of one project and environment at most one
//! deployment runs; and whatever does not move says why as a
//! [`waiting_on::WaitingOn`].

pub mod approval;
pub mod audit;
pub mod deployment;
pub mod drift;
pub mod freeze;
pub mod import;
pub mod lifecycle;
pub mod name;
pub mod notification;
pub mod operation;
pub mod plan;
pub mod project;
pub mod release;
pub mod return_to;
pub mod variable;
pub mod waiting_on;
