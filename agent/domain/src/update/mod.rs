//! New images for a service that somebody else owns. [`revision`] makes the next
//! task definition out of the wire's JSON, losing nothing; [`start`] decides,
//! from what the account shows, whether to write at all. At most one
//! UpdateService per operation comes out of this, or an honest unknown.

pub mod revision;
pub mod start;
