//! The link between agents and orchestrator: identities in certificates, mutual
//! TLS, and connections that either side may open. It knows no ECS and no
//! release. Start with [`identity`], then [`io::LinkStream`]: every connection
//! is one. A listening side makes them in [`accept`], a dialling side in
//! [`dial`]; an agent serves gRPC on them, the orchestrator turns each into a
//! [`channel::LinkChannel`] and finds the newest of an agent in [`links`].
//!
//! What always holds: TLS 1.3 with a certificate of one CA on both ends, and the
//! role in that certificate is checked on both ends before a byte of gRPC flows.
//! The one exception is enrolment ([`join`]), where the caller has no certificate yet.

pub mod accept;
pub mod access;
mod backoff;
pub mod ca;
mod certificate;
pub mod channel;
pub mod counters;
pub mod credentials;
pub mod dial;
mod files;
pub mod identity;
pub mod io;
pub mod join;
pub mod links;
mod proxy;
pub mod seams;
pub mod status;
mod tls;

pub use certificate::{Fingerprint, Serial};
