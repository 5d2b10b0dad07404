//! The engine against agents that speak the real protocol over a link in
//! memory, and a real database in a temporary file.

mod account;
mod agent;
mod approvals;
mod asking;
mod crashes;
mod deployments;
mod environments;
mod freezes;
mod importing;
mod lifecycles;
mod registry;
mod releases;
mod releasing;
mod storage;
mod terms;
mod trouble;
mod values;
mod world;
