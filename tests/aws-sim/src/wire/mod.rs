//! The two wire protocols: awsJson 1.1 ([`json`]) and awsQuery ([`query`]).

pub mod json;
pub mod query;
