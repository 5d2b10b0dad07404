//! A simulated AWS: ECS, CloudFormation and what stands around them, over
//! AWS's own wire protocols, on one loopback port.
//!
//! Start reading at [`Simulator`] (the server) and [`world`] (the state, one
//! [`world::Region`] per account and region). What always holds: state moves
//! only in `world::World::advance` and in the actions of the services, under
//! one lock and one clock, so everything that a client can ask agrees;
//! situations emerge from causes (an image that crashes, a subnet without
//! room), never from a flag that names the outcome; and every arrival stands
//! in the effect log.

pub mod cloudformation;
pub mod cloudwatch;
pub mod ec2;
pub mod ecr;
pub mod ecs;
pub mod elb;
pub mod error;
pub mod iam;
pub mod images;
pub mod logs;
pub mod s3;
pub mod secrets;
pub mod server;
pub mod sts;
pub mod wire;
pub mod world;

pub use error::AwsError;
pub use server::{Handle, Simulator};
