//! A task that runs once: a database migration, say. [`spec`] is what was asked;
//! [`revision`] makes its task definition out of another one; [`placement`] says where
//! it goes; [`start`] decides whether to run it at all, or to follow what an earlier
//! send began; [`judge`] turns a stopped task into a verdict.
//!
//! What always holds: an operation runs one task at most. ECS drops a repeated RunTask
//! by its client token for as long as it shows the task itself, which is an hour after
//! its end; a repeat that comes later than that runs nothing.

pub mod judge;
pub mod placement;
pub mod revision;
pub mod spec;
pub mod start;
