//! Windows and what they hold, by tables; the change of the clocks included.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn recurring(every: &str, zone: &str) -> Freeze {
    freeze(Window::Recurring(Recurring {
        every: every.parse().unwrap(),
        zone: zone.parse().unwrap(),
        from: None,
        until: None,
    }))
}

fn freeze(window: Window) -> Freeze {
    Freeze {
        name: "quiet".parse().unwrap(),
        projects: Vec::new(),
        environments: Vec::new(),
        window,
        because: String::new(),
        override_role: OverrideRole::Admin,
        created: at("2026-01-01T00:00:00Z"),
        created_by: "ann".to_owned(),
    }
}

fn told(season: Season) -> String {
    match season {
        Season::InForce { from, until } => format!("{from} - {until}"),
        Season::Ahead { from } => format!("from {from}"),
        Season::Over => "over".to_owned(),
    }
}

#[test]
fn windows_begin_and_end_where_their_clocks_say() {
    let rows = [
        // A Friday in winter and one in summer: 16:00 there is another hour of UTC.
        (
            "fri 16:00 for 64h",
            "Europe/Berlin",
            "2026-11-27T14:59:59Z",
            "from 2026-11-27T15:00:00Z",
        ),
        (
            "fri 16:00 for 64h",
            "Europe/Berlin",
            "2026-11-27T15:00:00Z",
            "2026-11-27T15:00:00Z - 2026-11-30T07:00:00Z",
        ),
        (
            "fri 16:00 for 64h",
            "Europe/Berlin",
            "2026-11-30T06:59:59Z",
            "2026-11-27T15:00:00Z - 2026-11-30T07:00:00Z",
        ),
        (
            "fri 16:00 for 64h",
            "Europe/Berlin",
            "2026-11-30T07:00:00Z",
            "from 2026-12-04T15:00:00Z",
        ),
        (
            "fri 16:00 for 64h",
            "Europe/Berlin",
            "2026-07-03T14:00:00Z",
            "2026-07-03T14:00:00Z - 2026-07-06T06:00:00Z",
        ),
        // The clocks are put back on 25 October, and forward on 29 March: a length is
        // time that passes, an end by the clock is what it shows.
        (
            "fri 16:00 for 64h",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-23T14:00:00Z - 2026-10-26T06:00:00Z",
        ),
        (
            "fri 16:00 to mon 08:00",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-23T14:00:00Z - 2026-10-26T07:00:00Z",
        ),
        (
            "fri 16:00 to mon 08:00",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-27T15:00:00Z - 2026-03-30T06:00:00Z",
        ),
        // 02:30 comes twice: from the first one to the second one.
        (
            "daily 02:30 for 30m",
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
            "2026-10-25T00:30:00Z - 2026-10-25T01:00:00Z",
        ),
        (
            "daily 01:00 to 02:30",
            "Europe/Berlin",
            "2026-10-25T01:15:00Z",
            "2026-10-24T23:00:00Z - 2026-10-25T01:30:00Z",
        ),
        // 02:30 never comes: after the gap.
        (
            "daily 02:30 for 30m",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            "from 2026-03-29T01:30:00Z",
        ),
        // Over midnight, and over the weekend.
        (
            "weekdays 18:00 to 08:00",
            "UTC",
            "2026-11-25T03:00:00Z",
            "2026-11-24T18:00:00Z - 2026-11-25T08:00:00Z",
        ),
        (
            "weekdays 18:00 to 08:00",
            "UTC",
            "2026-11-28T12:00:00Z",
            "from 2026-11-30T18:00:00Z",
        ),
        (
            "weekends 00:00 to 00:00",
            "UTC",
            "2026-11-28T12:00:00Z",
            "2026-11-28T00:00:00Z - 2026-11-30T00:00:00Z",
        ),
        // Windows that touch or overlap are one.
        (
            "mon,tue 12:00 for 30h",
            "UTC",
            "2026-11-23T13:00:00Z",
            "2026-11-23T12:00:00Z - 2026-11-25T18:00:00Z",
        ),
        (
            "fri-sun 00:00 for 24h",
            "UTC",
            "2026-11-27T13:00:00Z",
            "2026-11-27T00:00:00Z - 2026-11-30T00:00:00Z",
        ),
        (
            "mon 10:00 to mon 09:00",
            "UTC",
            "2026-11-29T13:00:00Z",
            "2026-11-23T10:00:00Z - 2026-11-30T09:00:00Z",
        ),
        (
            "sun-mon 22:00 to 23:00",
            "America/New_York",
            "2026-11-24T03:30:00Z",
            "2026-11-24T03:00:00Z - 2026-11-24T04:00:00Z",
        ),
    ];
    for (every, zone, now, season) in rows {
        let found = told(recurring(every, zone).season(at(now)));
        assert_eq!(found, season, "{every} in {zone} at {now}");
    }
}

#[test]
fn a_window_that_comes_once_begins_at_its_first_moment_and_is_over_at_its_last() {
    let once = freeze(Window::Once {
        from: at("2026-12-23T18:00:00Z"),
        until: at("2027-01-02T08:00:00Z"),
    });
    let rows = [
        ("2026-12-23T17:59:59Z", "from 2026-12-23T18:00:00Z"),
        (
            "2026-12-23T18:00:00Z",
            "2026-12-23T18:00:00Z - 2027-01-02T08:00:00Z",
        ),
        (
            "2027-01-02T07:59:59Z",
            "2026-12-23T18:00:00Z - 2027-01-02T08:00:00Z",
        ),
        ("2027-01-02T08:00:00Z", "over"),
    ];
    for (now, season) in rows {
        assert_eq!(told(once.season(at(now))), season, "{now}");
    }
}

#[test]
fn a_recurring_window_is_cut_where_the_freeze_begins_and_ends() {
    let mut some = Recurring {
        every: "daily 10:00 for 4h".parse().unwrap(),
        zone: ZoneName::utc(),
        from: Some(at("2026-12-10T12:00:00Z")),
        until: Some(at("2026-12-11T11:00:00Z")),
    };
    let rows = [
        ("2026-11-01T10:30:00Z", "from 2026-12-10T12:00:00Z"),
        (
            "2026-12-10T12:00:00Z",
            "2026-12-10T12:00:00Z - 2026-12-10T14:00:00Z",
        ),
        ("2026-12-10T20:00:00Z", "from 2026-12-11T10:00:00Z"),
        (
            "2026-12-11T10:30:00Z",
            "2026-12-11T10:00:00Z - 2026-12-11T11:00:00Z",
        ),
        ("2026-12-11T11:00:00Z", "over"),
    ];
    for (now, season) in rows {
        assert_eq!(told(some.season(at(now))), season, "{now}");
    }
    some.until = Some(at("2026-12-11T09:00:00Z"));
    assert_eq!(some.season(at("2026-12-10T20:00:00Z")), Season::Over);
}

#[test]
fn a_recurrence_is_written_as_it_is_read() {
    let rows = [
        ("fri 16:00 for 64h", "fri 16:00 for 64h"),
        ("Friday 16:00 to Monday 8:00", "fri 16:00 to mon 08:00"),
        ("mon-fri 18:00 to 08:00", "weekdays 18:00 to 08:00"),
        ("sat,sun 00:00 for 23h30m", "weekends 00:00 for 23h30m"),
        ("sun-tue 9:05 for 90m", "mon,tue,sun 09:05 for 1h30m"),
        ("daily 22:00 for 10h", "daily 22:00 for 10h"),
    ];
    for (typed, written) in rows {
        let every: Every = typed.parse().unwrap();
        assert_eq!(every.to_string(), written, "{typed}");
        assert_eq!(written.parse::<Every>().unwrap(), every);
        let json = serde_json::to_string(&every).unwrap();
        assert_eq!(serde_json::from_str::<Every>(&json).unwrap(), every);
    }
}

#[test]
fn what_is_no_recurrence_is_told_with_what_is_one() {
    let rows = [
        ("", "is not `DAYS HH:MM"),
        ("fri 16:00", "is not `DAYS HH:MM"),
        ("someday 16:00 for 1h", "\"someday\" is no day"),
        ("fr 16:00 for 1h", "\"fr\" is no day"),
        ("frithjof 16:00 for 1h", "\"frithjof\" is no day"),
        ("fri 25:00 for 1h", "\"25:00\" is not a time of day"),
        ("fri 16 for 1h", "\"16\" is not a time of day"),
        ("fri +1:00 for 1h", "\"+1:00\" is not a time of day"),
        ("fri 16:00 for -1h", "\"-1h\" is not a time span"),
        ("fri 16:00 for 1000h", "\"1000h\" is not a time span"),
        ("daily 00:00 for 24h", "it never ends"),
        ("daily 08:00 to 08:00", "it never ends"),
        ("fri 00:00 for 168h", "it never ends"),
        ("mon-sun 12:00 to 11:59", ""),
    ];
    for (typed, fault) in rows {
        match typed.parse::<Every>() {
            Err(found) => {
                assert!(
                    !fault.is_empty() && found.to_string().contains(fault),
                    "{typed}: {found}"
                );
                assert!(found.hint().contains("fri 16:00"));
            }
            Ok(every) => assert!(fault.is_empty(), "{typed} is {every}"),
        }
    }
    assert_eq!(
        "europe/berlin".parse::<ZoneName>().unwrap().as_str(),
        "Europe/Berlin"
    );
    assert!(
        "Mars/Olympus"
            .parse::<ZoneName>()
            .unwrap_err()
            .hint()
            .contains("Europe/Berlin")
    );
}

#[test]
fn a_freeze_covers_what_it_names_or_all() {
    let mut some = recurring("daily 10:00 for 4h", "UTC");
    let (shop, blog) = ("shop".parse().unwrap(), "blog".parse().unwrap());
    let (dev, prod) = ("dev".parse().unwrap(), "prod".parse().unwrap());
    assert!(some.covers(&shop, &dev) && some.covers(&blog, &prod));
    some.projects = vec!["shop".parse().unwrap()];
    some.environments = vec!["prod".parse().unwrap()];
    assert!(some.covers(&shop, &prod) && some.covers_project(&shop));
    assert!(!some.covers(&shop, &dev) && !some.covers(&blog, &prod) && !some.covers_project(&blog));
}

fn any_every() -> impl Strategy<Value = Every> {
    let days = prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..7);
    let lasts = prop_oneof![
        (1_i64..120).prop_map(|hours| format!("for {hours}h")),
        (1_i64..600).prop_map(|minutes| format!("for {minutes}m")),
        (0_i8..24, 0_i8..60).prop_map(|(hour, minute)| format!("to {hour:02}:{minute:02}")),
        (0_i8..24, prop::sample::select(vec!["mon", "thu", "sun"]))
            .prop_map(|(hour, day)| format!("to {day} {hour:02}:00")),
    ];
    (days, 0_i8..24, 0_i8..60, lasts)
        .prop_map(|(days, hour, minute, lasts)| format!("{} {hour:02}:{minute:02} {lasts}", days.join(",")))
        .prop_filter_map("it ends", |text| text.parse().ok())
}

proptest! {
    /// Whatever the window, the zone and the moment: until the change that a season
    /// tells, it stays what it is; there it is another one.
    #[test]
    fn a_season_lasts_until_the_change_that_it_tells(
        every in any_every(),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
        start in 1_760_000_000_i64..1_800_000_000,
    ) {
        let freeze = recurring(&every.to_string(), zone);
        let mut now = Timestamp::new(start, 0).unwrap();
        for _ in 0..6 {
            let season = freeze.season(now);
            let change = season.changes().expect("it goes on for ever");
            prop_assert!(change > now);
            prop_assert!(change.duration_since(now) <= SignedDuration::from_hours(15 * 24), "{season:?}");
            let length = change.duration_since(now).as_secs();
            for part in 0..8 {
                let between = now.checked_add(SignedDuration::from_secs(length * part / 8)).unwrap();
                let there = freeze.season(between);
                prop_assert_eq!(matches!(there, Season::InForce { .. }), matches!(season, Season::InForce { .. }));
                prop_assert_eq!(there.changes(), Some(change));
            }
            let after = freeze.season(change);
            prop_assert_ne!(matches!(after, Season::InForce { .. }), matches!(season, Season::InForce { .. }));
            now = change;
        }
    }
}
