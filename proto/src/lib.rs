//! The wire contract: what `build.rs` generates from the `.proto` files beside
//! this crate, and in [`access`] the table of who may call which RPC. Start
//! with `towline/agent/v1/agent.proto`. Every RPC appears in the table, or the
//! crate does not build.

pub mod access;

/// Generated from `towline/agent/v1`.
#[allow(clippy::all, clippy::pedantic)]
pub mod agent {
    pub mod v1 {
        tonic::include_proto!("towline.agent.v1");
    }
}

/// Generated from `towline/orchestrator/v1`.
#[allow(clippy::all, clippy::pedantic)]
pub mod orchestrator {
    pub mod v1 {
        tonic::include_proto!("towline.orchestrator.v1");
    }
}

/// The encoded `FileDescriptorSet` of all files, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The domain of every `google.rpc.ErrorInfo` that Towline sends.
pub const ERROR_DOMAIN: &str = "towline";
