//! Where a release may go, by tables: phases of one or many environments, soak
//! times, optional phases, blocks; and what stays in sight.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::*;
use crate::domain::{
    deployment::{Author, Event, EventKind},
    lifecycle::retention::{Kept, sort_out},
    project::Supersede,
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn after(minutes: i32) -> Timestamp {
    start().checked_add(MINUTE * minutes).unwrap()
}

/// `dev`, `qa`; `perf` (optional); `prod`, written as `name[environments] words`.
fn lifecycle(phases: &[&str]) -> Lifecycle {
    let phase = |text: &&str| {
        let (head, words) = text.split_once(']').unwrap();
        let (name, environments) = head.split_once('[').unwrap();
        let word = |key: &str| words.split_whitespace().find_map(|word| word.strip_prefix(key));
        Phase {
            name: name.parse().unwrap(),
            environments: environments
                .split(',')
                .map(|name| name.parse().unwrap())
                .collect(),
            automatic: word("auto").is_some(),
            approvals: None,
            at_least: word("least=").map(|count| count.parse().unwrap()),
            optional: word("optional").is_some(),
            soak: word("soak=").map(|span| span.parse().unwrap()),
        }
    };
    Lifecycle {
        phases: phases.iter().map(phase).collect(),
        supersede: Supersede::Nothing,
        rollback_needs_approval: false,
        keep: None,
    }
}

/// `dev=succeeded@10 qa=running`: in this order; the number is the minute of its end.
fn deployments(text: &str) -> Vec<Deployment> {
    let one = |(index, word): (usize, &str)| {
        let (environment, state) = word.split_once('=').unwrap();
        let (state, minute) = state.split_once('@').unwrap_or((state, "0"));
        let created = EventKind::DeploymentCreated {
            project: "shop".parse().unwrap(),
            release: "1.0.0".parse().unwrap(),
            environment: environment.parse().unwrap(),
            phase: "any".parse().unwrap(),
            by: Author::Lifecycle,
            time_limit: SignedDuration::from_hours(1),
            approval_rule: None,
            force: false,
            authors: None,
            manner: Default::default(),
            operations: Vec::new(),
        };
        let id = DeploymentId(Uuid::from_u128(index as u128));
        let event = Event {
            at: start(),
            kind: created,
        };
        let mut deployment = Deployment::create(id, &event).unwrap();
        deployment.state = serde_json::from_value(state.into()).unwrap();
        deployment.ended = deployment
            .state
            .is_terminal()
            .then(|| after(minute.parse().unwrap()));
        deployment
    };
    text.split_whitespace().enumerate().map(one).collect()
}

/// What starts, what a promotion would create or why not, and what it waits on.
fn told(phases: &[&str], done: &str, minute: i32, standing: &Standing) -> [String; 3] {
    let (lifecycle, deployments) = (lifecycle(phases), deployments(done));
    let deployments: Vec<&Deployment> = deployments.iter().collect();
    let journey = Journey {
        lifecycle: &lifecycle,
        standing,
        deployments: &deployments,
        now: after(minute),
    };
    let starts: Vec<String> = journey
        .automatic()
        .iter()
        .map(|it| it.environment.to_string())
        .collect();
    let promotes = match journey.promote(None) {
        Ok(stop) => stop.environment.to_string(),
        Err(why) => why.to_string(),
    };
    let waits = journey.waiting_on().map(|on| on.to_string()).unwrap_or_default();
    [starts.join(","), promotes, waits]
}

#[test]
fn a_phase_begins_when_the_one_before_is_satisfied() {
    let all = &["dev[dev,qa] auto", "prod[prod]"][..];
    let least = &["dev[dev,qa,perf] auto least=2", "prod[prod] auto"][..];
    let optional = &["dev[dev] auto", "perf[perf] optional", "prod[prod] auto"][..];
    let soak = &["dev[dev] auto soak=30m", "prod[prod] auto"][..];
    let manual = &["dev[dev] auto soak=30m", "prod[prod]"][..];
    let many = &[
        "dev[dev,qa] auto least=1 soak=10m",
        "perf[perf] auto optional soak=9h",
        "prod[prod] auto",
    ][..];
    let rows: &[(&[&str], &str, i32, [&str; 3])] = &[
        // All environments of a phase, in any order.
        (all, "", 0, ["dev,qa", "dev", ""]),
        (
            all,
            "dev=running",
            0,
            ["qa", "a deployment of the release into dev has not ended yet", ""],
        ),
        (
            all,
            "dev=succeeded qa=failed",
            0,
            [
                "",
                "qa",
                "phase dev is not satisfied (1 of 2 environments, qa: failed)",
            ],
        ),
        (
            all,
            "dev=succeeded qa=succeeded",
            0,
            ["", "prod", "promotion to prod (phase prod is manual)"],
        ),
        (
            all,
            "dev=succeeded qa=succeeded prod=succeeded",
            0,
            ["", "the release has gone through its whole lifecycle", ""],
        ),
        // The newest deployment counts.
        (
            all,
            "dev=succeeded qa=succeeded qa=failed",
            0,
            [
                "",
                "qa",
                "phase dev is not satisfied (1 of 2 environments, qa: failed)",
            ],
        ),
        // As many as it needs.
        (least, "dev=succeeded qa=failed perf=running", 0, ["", "qa", ""]),
        (
            least,
            "dev=succeeded qa=failed perf=succeeded",
            0,
            ["prod", "prod", ""],
        ),
        (
            least,
            "dev=failed qa=failed perf=succeeded",
            0,
            [
                "",
                "dev",
                "phase dev is not satisfied (1 of 2 environments, dev: failed)",
            ],
        ),
        // Without an optional one, also when it failed; it is gone to by name.
        (optional, "dev=succeeded", 0, ["prod", "prod", ""]),
        (
            optional,
            "dev=succeeded perf=failed prod=succeeded",
            0,
            ["", "the release has gone through its whole lifecycle", ""],
        ),
        (
            optional,
            "dev=failed",
            0,
            ["", "dev", "phase dev is not satisfied (dev: failed)"],
        ),
        // Not before it has soaked: from the end of what satisfied it.
        (
            soak,
            "dev=succeeded@5",
            34,
            [
                "",
                "soak of phase dev until 2026-11-24 12:35:00Z",
                "soak of phase dev until 2026-11-24 12:35:00Z",
            ],
        ),
        (soak, "dev=succeeded@5", 35, ["prod", "prod", ""]),
        (
            soak,
            "dev=succeeded@5 dev=succeeded@40",
            50,
            [
                "",
                "soak of phase dev until 2026-11-24 13:10:00Z",
                "soak of phase dev until 2026-11-24 13:10:00Z",
            ],
        ),
        (
            manual,
            "dev=succeeded@5",
            34,
            [
                "",
                "soak of phase dev until 2026-11-24 12:35:00Z",
                "soak of phase dev until 2026-11-24 12:35:00Z",
            ],
        ),
        (
            manual,
            "dev=succeeded@5",
            35,
            ["", "prod", "promotion to prod (phase prod is manual)"],
        ),
        // The soak counts from the environment that was still needed, and an optional
        // phase's own soak holds nobody.
        (
            many,
            "dev=succeeded@5 qa=succeeded@20",
            14,
            [
                "",
                "soak of phase dev until 2026-11-24 12:15:00Z",
                "soak of phase dev until 2026-11-24 12:15:00Z",
            ],
        ),
        (
            many,
            "dev=succeeded@5 qa=succeeded@20",
            15,
            ["perf,prod", "prod", ""],
        ),
        (
            many,
            "dev=succeeded@5 qa=succeeded@20 perf=succeeded@16",
            17,
            ["prod", "prod", ""],
        ),
    ];
    for (phases, done, minute, expected) in rows {
        let found = told(phases, done, *minute, &Standing::default());
        assert_eq!(&found, expected, "{phases:?}: {done} at {minute}");
    }
}

#[test]
fn a_named_environment_is_gone_to_again_and_out_of_turn_never() {
    let lifecycle = lifecycle(&["dev[dev] auto", "perf[perf] optional", "prod[prod]"]);
    let deployments = deployments("dev=succeeded prod=succeeded");
    let deployments: Vec<&Deployment> = deployments.iter().collect();
    let journey = |deployments| Journey {
        lifecycle: &lifecycle,
        standing: &Standing {
            blocked: None,
            archived: None,
        },
        deployments,
        now: start(),
    };
    let to = |name: &str| Some(name.parse::<EnvironmentName>().unwrap());
    let all = journey(&deployments);
    for name in ["dev", "perf", "prod"] {
        assert_eq!(all.promote(to(name).as_ref()).unwrap().environment.as_str(), name);
    }
    let none = journey(&[]);
    for name in ["perf", "prod"] {
        let why = none.promote(to(name).as_ref()).unwrap_err().to_string();
        assert_eq!(
            why, "phase dev is not satisfied (dev: not deployed yet)",
            "{name}"
        );
    }
    assert!(matches!(
        none.promote(to("mars").as_ref()),
        Err(NoPromotion::NotInLifecycle { .. })
    ));
}

#[test]
fn a_blocked_release_starts_nothing_and_an_archived_one_cannot_be_promoted() {
    let phases = &["dev[dev] auto", "prod[prod] auto"][..];
    let event = StandingEvent::ReleaseBlocked {
        by: "ann".to_owned(),
        because: "loses orders".to_owned(),
    };
    let blocked = Standing::default().apply(&event, start()).unwrap();
    let words = "the release is blocked by ann since 2026-11-24 12:00:00Z: loses orders";
    assert_eq!(told(phases, "dev=succeeded", 1, &blocked), ["", words, words]);
    let done = told(phases, "dev=succeeded prod=succeeded", 1, &blocked);
    assert_eq!(done, ["", "the release has gone through its whole lifecycle", ""]);
    let again = blocked.apply(&event, start()).unwrap_err();
    assert_eq!(
        again.to_string(),
        "the release is blocked already, by ann: loses orders"
    );
    let free = StandingEvent::ReleaseUnblocked {
        by: "bob".to_owned(),
        because: "it was the test".to_owned(),
    };
    let unblocked = blocked.apply(&free, start()).unwrap();
    assert_eq!(unblocked, Standing::default());
    assert_eq!(unblocked.apply(&free, start()), Err(NoChange::NotBlocked));

    let archived = Standing::default()
        .apply(&StandingEvent::ReleaseArchived { keep: 1 }, start())
        .unwrap();
    let why = "the release is archived since 2026-11-24 12:00:00Z";
    assert_eq!(told(phases, "dev=failed", 1, &archived), ["", why, ""]);
}

#[test]
fn what_time_alone_starts_is_known_before() {
    let lifecycle = lifecycle(&[
        "dev[dev] auto soak=10m",
        "qa[qa] auto soak=1h",
        "prod[prod]",
        "mars[mars] auto",
    ]);
    let rows = [
        ("dev=succeeded@0", 0, Some(10)),
        ("dev=succeeded@0 qa=succeeded@20", 30, None),
        ("dev=succeeded@0 qa=succeeded@20 prod=succeeded@90", 95, None),
        ("dev=failed@0", 0, None),
    ];
    for (done, minute, expected) in rows {
        let deployments = deployments(done);
        let deployments: Vec<&Deployment> = deployments.iter().collect();
        let journey = Journey {
            lifecycle: &lifecycle,
            standing: &Standing::default(),
            deployments: &deployments,
            now: after(minute),
        };
        assert_eq!(journey.coming(), expected.map(after), "{done}");
    }
}

#[test]
fn a_channel_keeps_so_many_and_all_that_are_in_use() {
    // Newest first: version, channel, archived, in use.
    let releases = |rows: &[(&str, &str, bool, bool)]| -> Vec<Kept> {
        let kept = |(version, channel, archived, in_use): &(&str, &str, bool, bool)| Kept {
            version: version.parse().unwrap(),
            channel: channel.parse().unwrap(),
            archived: *archived,
            in_use: *in_use,
        };
        rows.iter().map(kept).collect()
    };
    let changes = |all: &[Kept], keep: Option<u32>| -> Vec<String> {
        let changes = sort_out(all, |channel| keep.filter(|_| channel.as_str() == "stable"));
        let told = changes
            .iter()
            .map(|(version, event)| format!("{version} {}", event.name()));
        told.collect()
    };
    let all = releases(&[
        ("1.5", "stable", false, false),
        ("1.4", "stable", false, true),
        ("9.0", "next", false, false),
        ("1.3", "stable", false, false),
        ("1.2", "stable", false, true),
        ("1.1", "stable", false, false),
        ("8.0", "next", true, false),
        ("1.0", "stable", true, false),
    ]);
    let restored = "8.0 release_restored";
    assert_eq!(
        changes(&all, Some(2)),
        ["1.3 release_archived", "1.1 release_archived", restored]
    );
    assert_eq!(changes(&all, Some(5)), [restored]);
    assert_eq!(changes(&all, Some(6)), [restored, "1.0 release_restored"]);
    assert_eq!(changes(&all, None), [restored, "1.0 release_restored"]);
}
