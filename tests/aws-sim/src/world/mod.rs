//! The simulated world: accounts and regions, and the one clock that moves them.
//!
//! Start at [`World`]; everything that exists in one account and region is in
//! its [`Region`]. What always holds: regions share nothing but their
//! account's IAM roles; time moves in steps of [`STEP_MS`] on a fixed grid, so
//! that the same requests at the same simulated times give the same world.

pub mod clock;
mod furnish;
pub mod ids;
pub mod seed;

use std::collections::BTreeMap;

pub use clock::{Clock, Hand, SimTime};
pub use furnish::{SeedInstance, furnish_instances};
pub use ids::Ids;
pub use seed::{Seed, Timing};

use crate::{cloudformation, cloudwatch, ec2, ecs, elb, iam, images, logs, s3, secrets};

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
    /// The request's body, byte for byte; none for what AWS calls by itself.
    pub raw: Option<bytes::Bytes>,
}

impl CallContext {
    /// A call that AWS makes by itself, such as CloudFormation's.
    pub fn service(now: SimTime, account: &str, service: &str) -> Self {
        Self {
            now,
            caller_arn: format!("arn:aws:sts::{account}:assumed-role/{service}/aws-sim"),
            operation: None,
            raw: None,
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
    pub elb: elb::Elb,
    /// The buckets of the whole world.
    pub buckets: s3::Buckets,
    pub alarms: cloudwatch::Alarms,
    pub network: ec2::Network,
    /// ARNs of secrets, and names or ARNs of parameters.
    pub secrets: Vec<String>,
    /// The keys of the account's own that some of them are encrypted with.
    pub secret_keys: BTreeMap<String, String>,
    /// Names of Systems Manager's parameters.
    pub parameters: Vec<String>,
    /// Those of them that are no secret.
    pub plain_parameters: BTreeMap<String, secrets::Plain>,
    /// The registries of the whole world.
    pub images: images::Registry,
    pub timing: Timing,
    /// How far the state machine has moved.
    pub stepped: SimTime,
    deduplicated: bool,
}

impl Region {
    pub fn new(
        account: &str,
        name: &str,
        iam: iam::SharedRoles,
        images: images::Registry,
        buckets: s3::Buckets,
        timing: Timing,
        now: SimTime,
    ) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            ids: Ids::new(account, name),
            ecs: ecs::Ecs::default(),
            logs: logs::Logs::default(),
            iam,
            stacks: cloudformation::Stacks::default(),
            elb: elb::Elb::default(),
            buckets,
            alarms: cloudwatch::Alarms::default(),
            network: ec2::Network::default(),
            secrets: Vec::new(),
            secret_keys: BTreeMap::new(),
            parameters: Vec::new(),
            plain_parameters: BTreeMap::new(),
            images,
            timing,
            stepped: SimTime(now.0 - now.0.rem_euclid(STEP_MS)),
            deduplicated: false,
        }
    }

    /// An action found out that it was asked for before, by its token, and did
    /// nothing: the effect log says `deduplicated`.
    pub fn note_deduplicated(&mut self) {
        self.deduplicated = true;
    }

    /// Whether an action noted so since the last time this was asked.
    pub fn take_deduplicated(&mut self) -> bool {
        std::mem::take(&mut self.deduplicated)
    }

    /// Moves everything on to `now`, step by step.
    pub fn advance(&mut self, now: SimTime) {
        while self.stepped.plus_ms(STEP_MS) <= now {
            self.stepped = self.stepped.plus_ms(STEP_MS);
            let at = self.stepped;
            cloudwatch::step(self, at);
            ecs::engine::step(self, at);
            cloudformation::tick(self, at);
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
#[derive(Debug)]
pub struct World {
    /// By account and region.
    pub regions: BTreeMap<(String, String), Region>,
    pub images: images::Registry,
    pub buckets: s3::Buckets,
    pub clock: Clock,
    roles: BTreeMap<String, iam::SharedRoles>,
    timing: Timing,
}

impl World {
    /// An empty world.
    pub fn new(clock: Clock, timing: Timing) -> Self {
        Self {
            regions: BTreeMap::new(),
            images: images::Registry::default(),
            buckets: s3::Buckets::default(),
            clock,
            roles: BTreeMap::new(),
            timing,
        }
    }

    /// The account's region; an empty one when nobody has been there yet.
    pub fn region(&mut self, account: &str, region: &str) -> &mut Region {
        let now = self.clock.now();
        self.region_at(account, region, now)
    }

    /// The same, for a region that begins at `now`.
    pub fn region_at(&mut self, account: &str, region: &str, now: SimTime) -> &mut Region {
        let roles = self.roles.entry(account.to_owned()).or_default().clone();
        let (images, buckets) = (self.images.clone(), self.buckets.clone());
        let timing = self.timing;
        self.regions
            .entry((account.to_owned(), region.to_owned()))
            .or_insert_with(|| Region::new(account, region, roles, images, buckets, timing, now))
    }

    /// Moves the whole world on to the clock's now, and answers it.
    pub fn advance(&mut self) -> SimTime {
        let now = self.clock.now();
        self.images.set_now(now);
        for region in self.regions.values_mut() {
            region.advance(now);
        }
        now
    }
}
