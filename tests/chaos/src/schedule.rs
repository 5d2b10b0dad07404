//! What a seed means: which project, which commands when, which faults when.
//! Nothing here runs anything.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng};
use towline::engine::InterventionDecision as Decision;

use crate::{
    operator::{Command, OPERATORS},
    world::ORCHESTRATOR,
};

/// The agents: name, account, whether it listens, what it serves.
pub const AGENTS: [AgentPlan; 3] = [
    AgentPlan {
        name: "dev",
        account: "111111111111",
        listens: false,
        serves: &["eu-west-1"],
    },
    AgentPlan {
        name: "staging",
        account: "222222222222",
        listens: true,
        serves: &["eu-west-1"],
    },
    AgentPlan {
        name: "prod",
        account: "333333333333",
        listens: false,
        serves: &["eu-west-1", "eu-central-1"],
    },
];

#[derive(Clone, Copy, Debug)]
pub struct AgentPlan {
    pub name: &'static str,
    pub account: &'static str,
    pub listens: bool,
    pub serves: &'static [&'static str],
}

/// Commits and sends at which somebody dies on purpose, each in one schedule of so
/// many. Those that a schedule reaches seldom by chance are reached by these.
pub const POINTS: &[&str] = &[
    "commit:epoch_raised",
    "commit:project_applied",
    "commit:release_created",
    "commit:deployment_created",
    "commit:deployment_approved",
    "commit:cancel_requested",
    "commit:decisions_recorded",
    "commit:operation_intended",
    "commit:operation_sent_again",
    "commit:operation_progressed",
    "commit:operation_ended",
    "commit:cancel_sent",
    "commit:agent_invited",
    "commit:agent_seen",
    "commit:operator_invited",
    "commit:token_used",
    "send:update_service",
    "send:deploy_fargate_service",
    "send:cancel_operation",
    "aws:RegisterTaskDefinition",
    "aws:UpdateService",
    "aws:CreateChangeSet",
    "aws:ExecuteChangeSet",
    "aws:DeleteChangeSet",
    "aws:StopServiceDeployment",
    "aws:RunTask",
    "aws:ContinueUpdateRollback",
    "aws:CancelUpdateStack",
    "send:run_task",
    "commit:deployment_rejected",
    "commit:deployment_planned",
    "commit:planning_failed",
    "commit:freeze_changed",
    "commit:standing_changed",
    "commit:intervened",
    "aws:UpdateService",
    "send:update_service",
    "commit:operation_ended",
    "commit:operation_intended",
    "commit:decisions_recorded",
];

/// Where somebody dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrashAt {
    /// At the n-th commit or send of all.
    Number(u64),
    /// At the n-th of a name.
    Named { moment: String, number: u64 },
}

impl CrashAt {
    pub fn is_met(&self, moment: &str, passed: u64, all: u64) -> bool {
        match self {
            Self::Number(number) => {
                *number == all && (moment.starts_with("commit") || moment.starts_with("send"))
            }
            Self::Named { moment: name, number } => name == moment && passed == *number,
        }
    }
}

/// What happens at a moment.
#[derive(Clone, Debug)]
pub enum Happening {
    Command(Command),
    Crash {
        host: &'static str,
    },
    Cut {
        agent: &'static str,
    },
    Mend {
        agent: &'static str,
    },
    /// The link to an agent takes up to so many ms.
    Slow {
        agent: &'static str,
        ms: u64,
    },
    /// Nothing goes through for a while, and then all of it.
    Hold {
        agent: &'static str,
    },
    Release {
        agent: &'static str,
    },
    AwsCut {
        agent: &'static str,
        cut: bool,
    },
    AwsSlow {
        agent: &'static str,
        ms: u64,
    },
    AwsDoubles {
        agent: &'static str,
        doubles: bool,
    },
    /// AWS refuses and loses, by these shares.
    AwsFaults(Vec<(&'static str, f64)>),
    /// The next sends of the orchestrator arrive twice.
    DoubleSends(u64),
}

/// One schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub project: String,
    pub happenings: Vec<(Duration, Happening)>,
    pub crashes_at: Vec<CrashAt>,
    /// How far clocks are off, in s: the orchestrator's, and the most of an agent's.
    skew: (i64, i64),
    /// After so long nothing new goes wrong.
    pub chaos: Duration,
}

impl Schedule {
    pub fn start(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000)
    }

    /// How far a host's clock is off in one of its lives.
    pub fn skew_of(&self, host: &str, life: u64) -> SignedDuration {
        let (orchestrator, most) = self.skew;
        if host == ORCHESTRATOR {
            return SignedDuration::from_secs(orchestrator);
        }
        if most == 0 {
            return SignedDuration::ZERO;
        }
        let name: u64 = host.bytes().map(u64::from).sum();
        let mut rng = StdRng::seed_from_u64(self.seed ^ (name << 32) ^ life);
        SignedDuration::from_secs(rng.random_range(-most..=most))
    }

    pub fn is_skewed(&self) -> bool {
        self.skew != (0, 0)
    }

    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let chaos = Duration::from_secs(rng.random_range(60..=140));
        let mut schedule = Self {
            seed,
            project: project(&mut rng),
            happenings: Vec::new(),
            crashes_at: Vec::new(),
            skew: (0, 0),
            chaos,
        };
        if rng.random_bool(0.4) {
            schedule.skew = (rng.random_range(-60..=60), rng.random_range(1..=60));
        }
        schedule.commands(&mut rng);
        schedule.faults(&mut rng);
        schedule.happenings.sort_by_key(|(at, _)| *at);
        schedule
    }

    fn at(&mut self, ms: u64, happening: Happening) {
        self.happenings.push((Duration::from_millis(ms), happening));
    }

    fn moment(&self, rng: &mut StdRng) -> u64 {
        rng.random_range(0..u64::try_from(self.chaos.as_millis()).unwrap_or(60_000))
    }

    /// What people do. New commands of the product are added here.
    fn commands(&mut self, rng: &mut StdRng) {
        let releases = rng.random_range(1..=3);
        for number in 1..=releases {
            let version = format!("{number}.0.0");
            let at = if number == 1 {
                rng.random_range(0..3_000)
            } else {
                self.moment(rng)
            };
            let tag = pick(
                rng,
                &["1.0.0", "1.1.0", "1.2.0", "0.9.0", "1.0.0", "1.2.0", "1.3.0"],
            );
            let web = pick(rng, &["1.0.0", "1.2.0", "1.0.0", "1.1.0"]);
            let create = Command::Create {
                version: version.clone(),
                orders: tag.into(),
                web: web.into(),
            };
            self.at(at, Happening::Command(create.clone()));
            if rng.random_bool(0.2) {
                self.at(at + rng.random_range(0..500), Happening::Command(create));
            }
            for environment in ["dev", "staging", "prod"] {
                if rng.random_bool(0.35) {
                    let at = at + rng.random_range(100..60_000);
                    let force = rng.random_bool(0.3);
                    let promote = Command::Promote {
                        version: version.clone(),
                        environment,
                        force,
                    };
                    self.at(at, Happening::Command(promote.clone()));
                    if rng.random_bool(0.3) {
                        self.at(at + rng.random_range(0..2_000), Happening::Command(promote));
                    }
                }
                for _ in 0..rng.random_range(0..=3) {
                    let (by, _) = OPERATORS[rng.random_range(0..OPERATORS.len())];
                    let at = at + rng.random_range(100..90_000);
                    let approve = Command::Approve {
                        version: version.clone(),
                        environment,
                        by,
                    };
                    self.at(at, Happening::Command(approve));
                }
                self.troubled(rng, at, &version, environment);
                if rng.random_bool(0.15) {
                    let at = at + rng.random_range(100..60_000);
                    let detach = rng.random_bool(0.3);
                    let cancel = Command::Cancel {
                        version: version.clone(),
                        environment,
                        detach,
                    };
                    self.at(at, Happening::Command(cancel));
                }
            }
        }
    }

    /// What people do when something is not as it should be.
    fn troubled(&mut self, rng: &mut StdRng, at: u64, version: &str, environment: &'static str) {
        let later = |rng: &mut StdRng| at + rng.random_range(1_000..90_000);
        let version = version.to_owned();
        let does = |schedule: &mut Self, rng: &mut StdRng, share: f64, command: Command| {
            if rng.random_bool(share) {
                schedule.at(later(rng), Happening::Command(command));
            }
        };
        let decision = pick(rng, &[Decision::Retry, Decision::Ignore, Decision::Abort]);
        let seconds = rng.random_range(5..60);
        let force = rng.random_bool(0.5);
        does(
            self,
            rng,
            0.4,
            Command::Decide {
                version: version.clone(),
                environment,
                decision,
            },
        );
        does(
            self,
            rng,
            0.04,
            Command::Reject {
                version: version.clone(),
                environment,
            },
        );
        does(self, rng, 0.08, Command::Freeze { environment, seconds });
        does(self, rng, 0.08, Command::RollBack { environment });
        does(self, rng, 0.08, Command::Redeploy { environment, force });
        if rng.random_bool(0.05) {
            let from = later(rng);
            self.at(
                from,
                Happening::Command(Command::Block {
                    version: version.clone(),
                }),
            );
            self.at(from + 20_000, Happening::Command(Command::Unblock { version }));
        }
    }

    fn faults(&mut self, rng: &mut StdRng) {
        for _ in 0..rng.random_range(0..=2) {
            let at = self.moment(rng);
            let host = pick(rng, &[ORCHESTRATOR, "dev", "staging", "prod"]);
            self.at(at, Happening::Crash { host });
        }
        if rng.random_bool(0.6) {
            self.crashes_at.push(CrashAt::Number(rng.random_range(1..=90)));
        }
        if rng.random_bool(0.7) {
            let point = POINTS[usize::try_from(self.seed).unwrap_or(0) % POINTS.len()];
            let side = pick(rng, &["before", "after"]);
            let number = [1, 1, 1, 2, 3, 5][rng.random_range(0..6)];
            self.crashes_at.push(CrashAt::Named {
                moment: format!("{point}:{side}"),
                number,
            });
        }
        let agents = ["dev", "staging", "prod"];
        if rng.random_bool(0.35) {
            for _ in 0..rng.random_range(1..=2) {
                let (at, agent) = (self.moment(rng), pick(rng, &agents));
                self.at(at, Happening::Cut { agent });
                self.at(at + rng.random_range(500..40_000), Happening::Mend { agent });
            }
        }
        if rng.random_bool(0.3) {
            let (at, agent) = (self.moment(rng), pick(rng, &agents));
            let ms = rng.random_range(200..4_000);
            self.at(at, Happening::Slow { agent, ms });
            self.at(
                at + rng.random_range(5_000..40_000),
                Happening::Slow { agent, ms: 20 },
            );
        }
        if rng.random_bool(0.2) {
            let (at, agent) = (self.moment(rng), pick(rng, &agents));
            self.at(at, Happening::Hold { agent });
            self.at(at + rng.random_range(500..8_000), Happening::Release { agent });
        }
        self.aws_faults(rng, &agents);
        if rng.random_bool(0.25) {
            let at = self.moment(rng) / 2;
            let count = rng.random_range(1..=4);
            self.at(at, Happening::DoubleSends(count));
        }
    }

    fn aws_faults(&mut self, rng: &mut StdRng, agents: &[&'static str]) {
        if rng.random_bool(0.25) {
            let (at, agent) = (self.moment(rng), pick(rng, agents));
            self.at(at, Happening::AwsCut { agent, cut: true });
            self.at(
                at + rng.random_range(500..30_000),
                Happening::AwsCut { agent, cut: false },
            );
        }
        if rng.random_bool(0.4) {
            let (at, agent) = (self.moment(rng) / 2, pick(rng, agents));
            let ms = rng.random_range(500..4_000);
            self.at(at, Happening::AwsSlow { agent, ms });
            self.at(
                at + rng.random_range(5_000..60_000),
                Happening::AwsSlow { agent, ms: 10 },
            );
        }
        if rng.random_bool(0.3) {
            for agent in agents {
                self.at(0, Happening::AwsDoubles { agent, doubles: true });
            }
        }
        if rng.random_bool(0.6) {
            let kinds = [
                "throttle",
                "server_error",
                "reset_before",
                "lost_answer",
                "delay",
                "late",
            ];
            let mut faults = Vec::new();
            for kind in kinds {
                if rng.random_bool(0.5) {
                    faults.push((kind, rng.random_range(1..=12) as f64 / 100.0));
                }
            }
            let at = self.moment(rng) / 2;
            self.at(at, Happening::AwsFaults(faults));
            self.at(
                at + rng.random_range(5_000..60_000),
                Happening::AwsFaults(Vec::new()),
            );
        }
    }
}

fn pick<T: Copy>(rng: &mut impl Rng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}

/// A project file: which services, in which order, which approvals.
fn project(rng: &mut StdRng) -> String {
    let with_web = rng.random_bool(0.5);
    let (services, web_image) = if with_web {
        (WEB, "  web: { repository: \"${target.registry}/shop/web\" }\n")
    } else {
        ("", "")
    };
    let after = if with_web && rng.random_bool(0.5) {
        "\n    after: [web]"
    } else {
        ""
    };
    let staging = if rng.random_bool(0.8) {
        ", automatic: true"
    } else {
        ""
    };
    let approvals = match rng.random_range(0..4) {
        0 => String::new(),
        1 => ", approvals: { role: approver, count: 2 }".to_owned(),
        2 => ", approvals: { role: admin, count: 1 }".to_owned(),
        _ => ", approvals: { role: approver, count: 1 }".to_owned(),
    };
    let prod = if rng.random_bool(0.3) {
        ", automatic: true"
    } else {
        ""
    };
    let supersede = if rng.random_bool(0.3) {
        "    supersede: queued\n"
    } else {
        ""
    };
    let guided = if rng.random_bool(0.25) {
        "\n    guided: true"
    } else {
        ""
    };
    let failure = if rng.random_bool(0.25) {
        "\n    on_failure: roll_back"
    } else {
        ""
    };
    let soak = if rng.random_bool(0.2) { ", soak: 5s" } else { "" };
    let tasks = if rng.random_bool(0.25) { TASKS } else { "" };
    let together = if rng.random_bool(0.5) {
        "together"
    } else {
        "one_by_one"
    };
    let target = |agent: &str, account: &str, region: &str, n: &str| {
        format!(
            "      - agent: {agent}\n        account: \"{account}\"\n        region: {region}\n        cluster: main\n        values:\n          registry: {account}.dkr.ecr.{region}.amazonaws.com\n          subnets: [subnet-0{n}0000000000000a, subnet-0{n}0000000000000b]\n          web_sg: sg-0{n}0000000000000c\n"
        )
    };
    format!(
        "project: shop\n{tasks}images:\n{web_image}  orders: {{ repository: running }}\nservices:\n{services}  orders:\n    kind: existing\n    service: orders\n    containers: {{ app: orders }}{after}\nenvironments:\n  dev:\n    deadline: 6m{guided}{failure}\n    targets:\n{}  staging:\n    deadline: 6m\n    targets:\n{}  prod:\n    deadline: 8m{failure}\n    waves: {together}\n    targets:\n{}{}channels:\n  stable: {{ lifecycle: standard }}\nlifecycles:\n  standard:\n{supersede}    phases:\n    - {{ phase: dev, environments: [dev], automatic: true{soak} }}\n    - {{ phase: staging, environments: [staging]{staging} }}\n    - {{ phase: production, environments: [prod]{prod}{approvals} }}\n",
        target("dev", "111111111111", "eu-west-1", "d1"),
        target("staging", "222222222222", "eu-west-1", "51"),
        target("prod", "333333333333", "eu-west-1", "a1"),
        target("prod", "333333333333", "eu-central-1", "c1"),
    )
}

const TASKS: &str = "tasks:
  migrate: { run: before, like: orders, container: app, command: [./migrate], timeout: 3m }
";

const WEB: &str = "  web:
    kind: fargate
    cpu: 512
    memory: 1024
    only_in: [dev, staging]
    containers:
      - { name: web, image: web, ports: [8080] }
    network:
      subnets: \"${target.subnets}\"
      security_groups: [\"${target.web_sg}\"]
";
