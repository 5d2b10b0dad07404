//! The simulated world: accounts and regions, and the one clock that moves them.
//!
//! Start at [`World`]; everything that exists in one account and region is in
//! its [`Region`]. What always holds: regions share nothing but their
//! account's IAM roles; time moves in steps of [`STEP_MS`] on a fixed grid, so
//! that the same requests at the same simulated times give the same world.

pub mod clock;
pub mod ids;

use std::collections::BTreeMap;

pub use clock::{Clock, SimTime};
pub use ids::Ids;

use crate::{cloudformation, ecs, iam, logs};

/// The grid on which the state machine moves, in simulated milliseconds.
pub const STEP_MS: i64 = 250;

/// Who calls, and when.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Simulated time of the call.
    pub now: SimTime,
    /// The caller's principal, as `registeredBy` and GetCallerIdentity say it.
    pub caller_arn: String,
    /// The operation that an agent says it acts for.
    pub operation: Option<String>,
}

impl CallContext {
    /// A call that AWS makes by itself, such as CloudFormation's.
    pub fn service(now: SimTime, account: &str, service: &str) -> Self {
        Self {
            now,
            caller_arn: format!("arn:aws:sts::{account}:assumed-role/{service}/aws-sim"),
            operation: None,
        }
    }
}

/// One account in one region: everything that AWS keeps there.
#[derive(Debug)]
pub struct Region {
    pub account: String,
    pub name: String,
    pub ids: Ids,
    pub ecs: ecs::Ecs,
    pub logs: logs::Logs,
    /// The account's roles; IAM is global, so its regions share them.
    pub iam: iam::SharedRoles,
    pub stacks: cloudformation::Stacks,
}

impl Region {
    pub fn new(account: &str, name: &str, iam: iam::SharedRoles) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            ids: Ids::new(account, name),
            ecs: ecs::Ecs::default(),
            logs: logs::Logs::default(),
            iam,
            stacks: cloudformation::Stacks::default(),
        }
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!(
            "arn:{}:{service}:{}:{}:{resource}",
            self.partition(),
            self.name,
            self.account
        )
    }

    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &'static str {
        if self.name.starts_with("cn-") {
            "aws-cn"
        } else if self.name.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }
}

/// All accounts and regions.
#[derive(Debug, Default)]
pub struct World {
    /// By account and region.
    pub regions: BTreeMap<(String, String), Region>,
    roles: BTreeMap<String, iam::SharedRoles>,
}

impl World {
    /// The account's region; an empty one when nobody has been there yet.
    pub fn region(&mut self, account: &str, region: &str) -> &mut Region {
        let roles = self.roles.entry(account.to_owned()).or_default().clone();
        self.regions
            .entry((account.to_owned(), region.to_owned()))
            .or_insert_with(|| Region::new(account, region, roles))
    }
}
