//! The agent's eyes and hands against the simulated AWS, over HTTP: what is read
//! is judged by the pure rooms, as the agent does it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod changes;
mod crowd;
mod instances;
mod lossless;
mod shared;
mod sim;
mod stacks;
mod surroundings;
mod templates;
mod updates;
mod wire;
