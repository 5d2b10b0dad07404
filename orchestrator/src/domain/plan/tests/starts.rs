//! Tests of what holds a deployment back before it starts, and of the moments
//! at which time alone changes that.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::{
    deployment::{Author, CancelMode, EventKind, NoStart, OperationSlot, OverriddenFreeze},
    freeze::{OverrideRole, Recurring, Window, ZoneName},
    lifecycle::StandingEvent,
    name::{DeploymentId, OperationId},
    project::{ApprovalRule, ApproverRole, Phase, Supersede},
    waiting_on::WaitingOn,
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn after(minutes: i32) -> Timestamp {
    let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    start.checked_add(MINUTE * minutes).unwrap()
}

fn id(number: u128) -> DeploymentId {
    DeploymentId(Uuid::from_u128(number))
}

/// `(environments, automatic, soak in minutes)` of each phase.
fn lifecycle(phases: &[(&[&str], bool, Option<i64>)], supersede: Supersede) -> Lifecycle {
    let phase = |(environments, automatic, soak): &(&[&str], bool, Option<i64>)| Phase {
        name: environments[0].parse().unwrap(),
        environments: environments.iter().map(|name| name.parse().unwrap()).collect(),
        automatic: *automatic,
        approvals: None,
        at_least: None,
        optional: false,
        soak: soak.map(SignedDuration::from_mins),
    };
    Lifecycle {
        phases: phases.iter().map(phase).collect(),
        supersede,
        rollback_needs_approval: false,
        keep: None,
    }
}

fn track(version: &str, lifecycle: Lifecycle) -> ReleaseTrack {
    ReleaseTrack {
        version: version.parse().unwrap(),
        lifecycle,
        standing: Standing::default(),
    }
}

/// Created at 0, with one operation.
fn created(number: u128, release: &str, environment: &str, rule: Option<ApprovalRule>) -> Deployment {
    let target = "111111111111/eu-west-1/main".parse().unwrap();
    let service = "web".parse().unwrap();
    let slot = OperationSlot {
        id: OperationId::of(id(number), &target, &service, 1),
        service,
        target,
        agent: "dev".parse().unwrap(),
        wave: 0,
        after: Vec::new(),
        plan: None,
        kind: Default::default(),
        attempt: 1,
    };
    let kind = EventKind::DeploymentCreated {
        project: "shop".parse().unwrap(),
        release: release.parse().unwrap(),
        environment: environment.parse().unwrap(),
        phase: "any".parse().unwrap(),
        by: Author::Lifecycle,
        time_limit: SignedDuration::from_hours(1),
        approval_rule: rule,
        force: false,
        authors: None,
        manner: Default::default(),
        operations: vec![slot],
    };
    Deployment::create(id(number), &kind.at(after(0))).unwrap()
}

fn with(deployment: Deployment, kind: EventKind, minute: i32) -> Deployment {
    deployment.apply(&kind.at(after(minute))).unwrap()
}

fn scheduled(deployment: Deployment, not_before: Option<i32>, expires: Option<i32>) -> Deployment {
    let kind = EventKind::DeploymentScheduled {
        not_before: not_before.map(after),
        expires: expires.map(after),
    };
    with(deployment, kind, 0)
}

fn freeze(name: &str, environment: &str, from: i32, until: i32) -> Freeze {
    Freeze {
        name: name.parse().unwrap(),
        projects: Vec::new(),
        environments: vec![environment.parse().unwrap()],
        window: Window::Once {
            from: after(from),
            until: after(until),
        },
        because: String::new(),
        override_role: OverrideRole::Admin,
        created: after(0),
        created_by: "ann".to_owned(),
    }
}

/// Two releases whose newer deployments take over as said.
fn snapshot(supersede: Supersede, deployments: Vec<Deployment>) -> Snapshot {
    let way = || lifecycle(&[(&["dev"], false, None), (&["prod"], false, None)], supersede);
    Snapshot {
        releases: vec![track("1.0.0", way()), track("1.1.0", way())],
        deployments,
        ..Snapshot::default()
    }
}

/// What is decided of the deployments that have not started, in words.
fn told(snapshot: &Snapshot, minute: i32) -> Vec<String> {
    let decisions = decide(snapshot, after(minute));
    let words = decisions.iter().filter_map(|decision| match decision {
        Decision::Wait {
            subject: Subject::Deployment(of),
            on,
            ..
        } => Some(format!("{} waits on {on}", of.0.as_u128())),
        Decision::StartDeployment { deployment, .. } => Some(format!("{} starts", deployment.0.as_u128())),
        Decision::GiveUpStart { deployment, why } => {
            Some(format!("{} {}", deployment.0.as_u128(), why.reason()))
        }
        _ => None,
    });
    words.collect()
}

#[test]
fn a_scheduled_deployment_starts_at_its_time_and_lets_others_pass_before() {
    let first = scheduled(created(1, "1.0.0", "prod", None), Some(60), None);
    let second = created(2, "1.1.0", "prod", None);
    let both = snapshot(Supersede::Nothing, vec![first.clone(), second]);
    let schedule = "1 waits on its time: not before 2026-11-24 13:00:00Z";
    assert_eq!(told(&both, 59), [schedule, "2 starts"]);
    let busy =
        "2 waits on deployment 00000000-0000-0000-0000-000000000001 of release 1.0.0 is queued in prod";
    assert_eq!(told(&both, 60), ["1 starts", busy]);
    let too_early = EventKind::DeploymentStarted { deadline: after(200) };
    assert!(
        first.apply(&too_early.clone().at(after(59))).is_err(),
        "never before its time"
    );
    assert!(first.apply(&too_early.at(after(60))).is_ok());
}

#[test]
fn what_has_not_started_by_its_expiry_is_given_up_and_nothing_is_sent() {
    let month = 30 * 24 * 60;
    let rows = [
        // not before, expires, when it is given up
        (None, Some(30), 30),
        (Some(10), Some(30), 30),
        (None, None, month),
        (Some(60), None, month + 60),
    ];
    for (not_before, expires, minute) in rows {
        let waiting = scheduled(created(1, "1.0.0", "prod", None), not_before, expires);
        let mut one = snapshot(Supersede::Nothing, vec![waiting]);
        one.freezes = vec![freeze("long", "prod", 0, 10 * month)];
        assert_eq!(told(&one, minute - 1).len(), 1);
        assert!(
            told(&one, minute - 1)[0].contains("waits on"),
            "{not_before:?} {expires:?}"
        );
        assert_eq!(told(&one, minute), ["1 expired"], "{not_before:?} {expires:?}");
        let given_up = with(
            one.deployments[0].clone(),
            EventKind::StartGivenUp {
                why: NoStart::Expired { at: after(minute) },
            },
            minute,
        );
        let ended = carry_out(&mut one, given_up, minute);
        assert_eq!(ended.state, DeploymentState::Errored);
        assert!(ended.operations[0].sends == 0);
    }
}

/// Carries out what is decided of a deployment that is off, up to its end.
fn carry_out(snapshot: &mut Snapshot, deployment: Deployment, minute: i32) -> Deployment {
    snapshot.deployments = vec![deployment];
    for _ in 0..3 {
        for decision in decide(snapshot, after(minute)) {
            for (_, event) in decision.events(after(minute)) {
                snapshot.deployments[0] = snapshot.deployments[0].apply(&event).unwrap();
            }
        }
    }
    snapshot.deployments[0].clone()
}

#[test]
fn a_freeze_holds_its_environment_until_its_end_and_nothing_else() {
    let mut some = snapshot(
        Supersede::Nothing,
        vec![
            created(1, "1.0.0", "prod", None),
            created(2, "1.0.0", "dev", None),
        ],
    );
    some.freezes = vec![freeze("short", "prod", 0, 30), freeze("long", "prod", 10, 60)];
    // The one that ends last is told.
    let short = "1 waits on freeze short until 2026-11-24 12:30:00Z";
    let long = "1 waits on freeze long until 2026-11-24 13:00:00Z";
    for (minute, wait) in [(0, short), (9, short), (10, long), (59, long)] {
        assert_eq!(told(&some, minute), [wait, "2 starts"], "{minute}");
    }
    assert_eq!(told(&some, 60), ["1 starts", "2 starts"]);
    // What runs goes on.
    let running = with(
        created(1, "1.0.0", "prod", None),
        EventKind::DeploymentStarted { deadline: after(100) },
        0,
    );
    some.deployments[0] = running;
    let sent = decide(&some, after(20)).iter().any(|it| {
        matches!(it, Decision::Wait { subject: Subject::Operation(of, _), on: WaitingOn::AgentUnknown { .. }, .. } if *of == id(1))
    });
    assert!(sent, "it waits for its agent, not for the freeze");
}

#[test]
fn an_override_counts_for_the_window_that_was_open() {
    let overridden = with(
        created(1, "1.0.0", "prod", None),
        EventKind::FreezeOverridden {
            operator: "ann".to_owned(),
            because: "INC-481".to_owned(),
            freezes: vec![OverriddenFreeze {
                freeze: "nights".parse().unwrap(),
                until: after(30),
            }],
        },
        5,
    );
    let nights = |from, until| freeze("nights", "prod", from, until);
    let mut one = snapshot(
        Supersede::Nothing,
        vec![overridden, created(2, "1.1.0", "prod", None)],
    );
    one.freezes = vec![nights(0, 30)];
    assert_eq!(told(&one, 5)[0], "1 starts");
    assert!(
        told(&one, 5)[1].starts_with("2 waits on freeze nights"),
        "the other one still waits"
    );
    one.freezes = vec![nights(60, 90)];
    assert!(
        told(&one, 60)[0].starts_with("1 waits on freeze nights"),
        "not the next window"
    );
    one.freezes = vec![nights(0, 30), freeze("incident", "prod", 0, 90)];
    assert!(
        told(&one, 5)[0].starts_with("1 waits on freeze incident"),
        "not another freeze"
    );
}

#[test]
fn nothing_of_a_blocked_release_starts_and_others_pass_it() {
    let block = StandingEvent::ReleaseBlocked {
        by: "ann".to_owned(),
        because: "loses orders".to_owned(),
    };
    let rule = ApprovalRule {
        role: ApproverRole::Approver,
        count: 1,
        not_author: false,
        expires: SignedDuration::from_hours(24),
    };
    let asked = with(
        created(3, "1.0.0", "dev", Some(rule)),
        EventKind::ApprovalRequested,
        0,
    );
    let mut some = snapshot(
        Supersede::Nothing,
        vec![
            created(1, "1.0.0", "prod", None),
            created(2, "1.1.0", "prod", None),
            asked,
        ],
    );
    some.releases[0].standing = Standing::default().apply(&block, after(1)).unwrap();
    let words = "waits on the release is blocked by ann since 2026-11-24 12:01:00Z: loses orders";
    assert_eq!(
        told(&some, 2),
        [format!("1 {words}"), "2 starts".to_owned(), format!("3 {words}")]
    );
}

#[test]
fn a_newer_release_takes_the_place_of_older_ones_that_have_not_started() {
    let old = || created(1, "1.0.0", "prod", None);
    let new = || created(2, "1.1.0", "prod", None);
    let running = |deployment| {
        with(
            deployment,
            EventKind::DeploymentStarted { deadline: after(60) },
            0,
        )
    };
    let cancelled = |deployment| {
        let kind = EventKind::CancelRequested {
            operator: "ann".to_owned(),
            note: String::new(),
            mode: CancelMode::RollBack,
        };
        with(deployment, kind, 0)
    };
    let busy = "waits on deployment 00000000-0000-0000-0000-000000000001 of release 1.0.0 is";
    let rows: Vec<(&str, Supersede, Vec<Deployment>, Vec<String>)> = vec![
        ("as the lifecycle says", Supersede::Queued, vec![old(), new()], vec!["1 superseded_by".into(), format!("2 {busy} queued in prod")]),
        ("not otherwise", Supersede::Nothing, vec![old(), new()], vec!["1 starts".into(), format!("2 {busy} queued in prod")]),
        ("not what runs", Supersede::Queued, vec![running(old()), new()], vec![format!("2 {busy} running in prod")]),
        ("not elsewhere", Supersede::Queued, vec![created(1, "1.0.0", "dev", None), new()], vec!["1 starts".into(), "2 starts".into()]),
        ("not by an older release", Supersede::Queued, vec![created(1, "1.1.0", "prod", None), created(2, "1.0.0", "prod", None)], vec!["1 starts".into(), "2 waits on deployment 00000000-0000-0000-0000-000000000001 of release 1.1.0 is queued in prod".into()]),
        ("not by one that was called off", Supersede::Queued, vec![old(), cancelled(new())], vec!["1 starts".into()]),
        ("not before the newer one's time", Supersede::Queued, vec![old(), scheduled(new(), Some(60), None)], vec!["1 starts".into(), "2 waits on its time: not before 2026-11-24 13:00:00Z".into()]),
    ];
    for (name, supersede, deployments, expected) in rows {
        assert_eq!(told(&snapshot(supersede, deployments), 5), expected, "{name}");
    }
}

#[test]
fn a_superseded_deployment_ends_cancelled_and_says_by_which() {
    let why = NoStart::SupersededBy {
        deployment: id(2),
        release: "1.1.0".parse().unwrap(),
    };
    let off = with(
        created(1, "1.0.0", "prod", None),
        EventKind::StartGivenUp { why },
        1,
    );
    let ended = carry_out(&mut snapshot(Supersede::Queued, Vec::new()), off, 1);
    assert_eq!(ended.state, DeploymentState::Cancelled);
    let words = "superseded by release 1.1.0 (deployment 00000000-0000-0000-0000-000000000002)";
    assert!(
        matches!(&ended.operations[0].state, crate::domain::deployment::OperationState::Skipped { because } if because == words)
    );
}

#[test]
fn a_watch_goes_on_through_what_ends_by_itself_and_ends_where_a_person_is_needed() {
    let way = |soak| {
        lifecycle(
            &[(&["dev"], true, soak), (&["prod"], true, None)],
            Supersede::Nothing,
        )
    };
    let done = |deployment: Deployment| Deployment {
        state: DeploymentState::Succeeded,
        ended: Some(after(1)),
        ..deployment
    };
    let dev = || done(created(1, "1.0.0", "dev", None));
    let prod = || created(2, "1.0.0", "prod", None);
    let block = StandingEvent::ReleaseBlocked {
        by: "ann".to_owned(),
        because: "no".to_owned(),
    };
    let ends = |track: &ReleaseTrack, deployments: &[Deployment]| {
        let deployments: Vec<&Deployment> = deployments.iter().collect();
        let settled = settled(track, &deployments, after(5));
        settled.map(|settled| settled.waiting_on.map(|on| on.to_string()).unwrap_or_default())
    };
    let mut one = track("1.0.0", way(Some(60)));
    assert_eq!(ends(&one, &[dev()]), None, "a soak before an automatic phase");
    assert_eq!(
        ends(&one, &[dev(), scheduled(prod(), Some(60), None)]),
        None,
        "a schedule, or a freeze"
    );
    one.standing = one.standing.apply(&block, after(2)).unwrap();
    let blocked = Some("the release is blocked by ann since 2026-11-24 12:02:00Z: no".to_owned());
    assert_eq!(ends(&one, &[dev()]), blocked);
    assert_eq!(ends(&one, &[dev(), prod()]), blocked);
    let mut manual = track("1.0.0", way(Some(60)));
    manual.lifecycle.phases[1].automatic = false;
    let soak = Some("soak of phase dev until 2026-11-24 13:01:00Z".to_owned());
    assert_eq!(ends(&manual, &[dev()]), soak, "then a person has to promote");
    assert_eq!(ends(&manual, &[dev(), done(prod())]), Some(String::new()));
}

fn any_freeze() -> impl Strategy<Value = Freeze> {
    let once = (0..300, 1..200).prop_map(|(from, length)| Window::Once {
        from: after(from),
        until: after(from + length),
    });
    let every = prop::sample::select(vec![
        "daily 13:00 for 45m",
        "tue 12:30 to 14:10",
        "weekdays 15:00 to 12:20",
    ]);
    let recurring =
        (every, prop::option::of(0..200), prop::option::of(250..400)).prop_map(|(every, from, until)| {
            Window::Recurring(Recurring {
                every: every.parse().unwrap(),
                zone: ZoneName::utc(),
                from: from.map(after),
                until: until.map(after),
            })
        });
    let environment = prop::sample::select(vec!["dev", "prod"]);
    (prop_oneof![once, recurring], environment, prop::bool::ANY).prop_map(|(window, environment, all)| {
        Freeze {
            environments: match all {
                true => Vec::new(),
                false => vec![environment.parse().unwrap()],
            },
            window,
            ..freeze("some", "dev", 0, 1)
        }
    })
}

fn any_deployment(number: u128) -> impl Strategy<Value = Deployment> {
    let release = prop::sample::select(vec!["1.0.0", "1.1.0"]);
    let environment = prop::sample::select(vec!["dev", "prod"]);
    let times = (prop::option::of(0..250), prop::option::of(10..300));
    let rule = prop::option::of((1_i64..5).prop_map(|hours| ApprovalRule {
        role: ApproverRole::Approver,
        count: 1,
        not_author: false,
        expires: SignedDuration::from_hours(hours),
    }));
    (release, environment, times, rule, 0..6).prop_map(
        move |(release, environment, (not_before, expires), rule, what)| {
            let fresh = created(number, release, environment, rule.clone().filter(|_| what < 2));
            match what {
                0 if rule.is_some() => {
                    // With authors it is one whose approvals are of a plan.
                    let authors = Some(Vec::new());
                    with(Deployment { authors, ..fresh }, EventKind::PlanRequested, 0)
                }
                1 if rule.is_some() => with(fresh, EventKind::ApprovalRequested, 0),
                4 => Deployment {
                    state: DeploymentState::Succeeded,
                    ended: Some(after(not_before.unwrap_or(3))),
                    ..fresh
                },
                5 => {
                    let deadline = after(expires.unwrap_or(60));
                    with(fresh, EventKind::DeploymentStarted { deadline }, 0)
                }
                _ => scheduled(fresh, not_before, expires),
            }
        },
    )
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let soak = || prop::option::of(1_i64..200);
    let way =
        (prop::bool::ANY, soak(), soak(), prop::bool::ANY).prop_map(|(automatic, first, second, queued)| {
            let supersede = if queued {
                Supersede::Queued
            } else {
                Supersede::Nothing
            };
            lifecycle(
                &[(&["dev"], true, first), (&["prod"], automatic, second)],
                supersede,
            )
        });
    let deployments = (
        any_deployment(1),
        any_deployment(2),
        any_deployment(3),
        any_deployment(4),
    );
    let deployments = (deployments, 0_usize..=4).prop_map(|((a, b, c, d), some)| {
        let mut all = vec![a, b, c, d];
        all.truncate(some);
        all
    });
    let freezes = prop::collection::vec(any_freeze(), 0..3);
    (way.clone(), way, deployments, freezes, prop::bool::ANY).prop_map(
        |(first, second, deployments, freezes, blocked)| {
            let mut tracks = vec![track("1.0.0", first), track("1.1.0", second)];
            if blocked {
                let block = StandingEvent::ReleaseBlocked {
                    by: "ann".to_owned(),
                    because: "no".to_owned(),
                };
                tracks[0].standing = Standing::default().apply(&block, after(0)).unwrap();
            }
            Snapshot {
                releases: tracks,
                deployments,
                freezes,
                ..Snapshot::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whoever looks again only at the told moments misses nothing: while all waits,
    /// the answer changes at a wake and at no other time.
    #[test]
    fn no_moment_at_which_the_answer_changes_is_missed(snapshot in any_snapshot()) {
        let mut seen = decide(&snapshot, after(0));
        let mut wake = next_wake(&snapshot, after(0));
        for minute in 1..420 {
            let now = after(minute);
            let answer = decide(&snapshot, now);
            if wake.is_some_and(|at| at <= now) {
                wake = next_wake(&snapshot, now);
                prop_assert!(wake.is_none_or(|at| at > now));
            } else if seen.iter().all(|it| matches!(it, Decision::Wait { .. })) {
                prop_assert_eq!(&answer, &seen, "changed at minute {} without a wake", minute);
            }
            seen = answer;
        }
    }
}
