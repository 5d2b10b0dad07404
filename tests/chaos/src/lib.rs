//! Chaos. One schedule is one seed: a random project, random commands, random
//! faults, with the real link (TLS included), the real orchestrator over the
//! real SQLite, and the real agents, in one process on one thread, under
//! turmoil's network and clock and the simulated AWS. Start at [`run::run`];
//! [`schedule`] makes what happens from the seed, [`drive`] makes it happen,
//! [`oracle`] judges it by the log of every arrival at AWS and by the event log.
//!
//! What always holds: a process runs one schedule, and the same seed gives the
//! same decisions. Nothing that decides comes from outside: not the clock, not
//! the network, not randomness ([`entropy`]), not the threads of SQLite
//! (`towline::tasks::undisturbed`).
#![cfg(feature = "planted-faults")]

pub mod aws;
pub mod drive;
pub mod entropy;
pub mod hosts;
pub mod many;
pub mod network;
pub mod operator;
pub mod oracle;
pub mod record;
pub mod run;
pub mod schedule;
pub mod world;
