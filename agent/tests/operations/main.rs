//! Operations of a real agent process against the simulated AWS: each test
//! states what a user would miss. The effect log is the oracle of what was written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail loudly, and show what was told"
)]

mod fargate;
mod faults;
mod images;
mod inventory;
mod kills;
mod others;
mod start;
mod task;
mod update;
mod update_plans;
mod values;
mod world;
