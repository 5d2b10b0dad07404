//! What an agent decides, without doing anything: values in, decisions out. No
//! async runtime, clock, I/O or randomness. [`observed`] holds what was seen in
//! the account, [`outside`] the traits by which it is seen and changed.

pub mod observed;
pub mod outside;
