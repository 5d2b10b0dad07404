use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ZERO: Duration = Duration::ZERO;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// AWS's side: tokens are added once a second, the meanest reading of "every second".
struct Real {
    rate: Rate,
    tokens: u32,
    ticks: u64,
    phase: Duration,
}

impl Real {
    fn new(group: Group, phase: Duration) -> Self {
        let rate = group.published();
        Self {
            rate,
            tokens: rate.burst,
            ticks: 0,
            phase,
        }
    }

    fn takes(&mut self, now: Duration) -> bool {
        let ticks = (now + self.phase).as_secs();
        for _ in self.ticks..ticks {
            self.tokens = (self.tokens + self.rate.per_second).min(self.rate.burst);
        }
        self.ticks = ticks;
        let taken = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        taken
    }
}

/// Whoever asks, and when; the calls in the order in which they went.
fn run(group: Group, askers: &[(u64, Purpose)]) -> Vec<(Ticket, Purpose, Duration)> {
    let mut budget = Budget::default();
    let mut coming: Vec<(Duration, Purpose)> = askers.iter().map(|(at, p)| (ms(*at), *p)).collect();
    coming.sort_by_key(|(at, _)| *at);
    let mut coming = coming.into_iter().peekable();
    let mut waiting: BTreeMap<(Duration, std::cmp::Reverse<Ticket>), Purpose> = BTreeMap::new();
    let mut went = Vec::new();
    loop {
        let next_wake = waiting.keys().next().map(|(at, _)| *at);
        let arrives = coming.peek().map(|(at, _)| *at);
        match (next_wake, arrives) {
            (None, None) => return went,
            (wake, Some(at)) if wake.is_none_or(|wake| at <= wake) => {
                let purpose = coming.next().unwrap().1;
                let ticket = budget.ask(group, purpose, at);
                waiting.insert((at, std::cmp::Reverse(ticket)), purpose);
            }
            _ => {
                let ((now, ticket), purpose) = waiting.pop_first().unwrap();
                match budget.turn(ticket.0, group, now) {
                    Turn::Go => went.push((ticket.0, purpose, now)),
                    Turn::Wait(wait) => {
                        assert!(wait > ZERO);
                        waiting.insert((now + wait, ticket), purpose);
                    }
                }
            }
        }
    }
}

fn group() -> impl Strategy<Value = Group> {
    prop::sample::select(Group::ALL.to_vec())
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![1 => Just(Purpose::Watching), 3 => Just(Purpose::Acting)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn aws_never_has_a_reason_to_throttle(
        group in group(),
        phase in 0_u64..1000,
        askers in prop::sample::select(vec![1_000_u64, 5_000, 60_000])
            .prop_flat_map(|within| vec((0..within, purpose()), 1..400)),
    ) {
        let mut real = Real::new(group, ms(phase));
        let mut went = run(group, &askers);
        went.sort_by_key(|(_, _, at)| *at);
        for (_, _, at) in &went {
            prop_assert!(real.takes(*at), "{:?} at {:?}", group, at);
        }
    }

    #[test]
    fn everybody_is_served_and_as_soon_as_the_rate_allows(
        group in group(),
        askers in vec((0_u64..10_000, purpose()), 1..300),
    ) {
        let went = run(group, &askers);
        prop_assert_eq!(went.len(), askers.len());
        let watching = f64::from(group.published().per_second) * 0.5;
        let longest = 10.0 + askers.len() as f64 / watching + 1.0;
        let last = went.iter().map(|(_, _, at)| *at).max().unwrap();
        prop_assert!(last.as_secs_f64() <= longest, "{:?}: {:?} of at most {}", group, last, longest);
    }

    #[test]
    fn nobody_goes_while_someone_older_of_the_same_purpose_must_wait(
        group in group(),
        askers in vec((0_u64..5_000, purpose()), 1..200),
    ) {
        let mut waiting: BTreeMap<Ticket, Purpose> = BTreeMap::new();
        let mut budget = Budget::default();
        let mut asked = askers.clone();
        asked.sort_by_key(|(at, _)| *at);
        let mut now = ZERO;
        for (at, purpose) in asked {
            now = ms(at);
            waiting.insert(budget.ask(group, purpose, now), purpose);
        }
        while !waiting.is_empty() {
            // The youngest asks first: the most unfair order there is.
            for (ticket, purpose) in waiting.clone().into_iter().rev() {
                let older: Vec<Ticket> = waiting
                    .iter()
                    .filter(|(t, p)| **t < ticket && **p == purpose)
                    .map(|(t, _)| *t)
                    .collect();
                if budget.turn(ticket, group, now) == Turn::Go {
                    for older in older {
                        let mut as_it_is = budget.clone();
                        prop_assert_eq!(as_it_is.turn(older, group, now), Turn::Go);
                    }
                    waiting.remove(&ticket);
                }
            }
            now += ms(50);
        }
    }
}

#[test]
fn registering_is_nineteen_at_once_and_then_a_little_less_than_one_a_second() {
    let went = run(Group::TaskDefinitionWrites, &[(0, Purpose::Acting); 28]);
    let at_once = went.iter().filter(|(_, _, at)| *at == ZERO).count();
    assert_eq!(at_once, 19);
    let last = went.last().unwrap().2;
    assert!(
        last > ms(9_990) && last < ms(10_100),
        "nine more in ten seconds: {last:?}"
    );
}

#[test]
fn watching_leaves_half_of_the_bucket_to_whoever_acts() {
    let mut budget = Budget::default();
    let group = Group::ServiceReads;
    let mut go = |purpose| {
        let ticket = budget.ask(group, purpose, ZERO);
        let went = budget.turn(ticket, group, ZERO) == Turn::Go;
        budget.leave(ticket, group);
        went
    };
    let watched = (0..100).filter(|_| go(Purpose::Watching)).count();
    let acted = (0..100).filter(|_| go(Purpose::Acting)).count();
    assert_eq!((watched, acted), (40, 40));
}

#[test]
fn whoever_acts_is_not_held_up_by_older_watchers_without_a_share() {
    let mut budget = Budget::default();
    let group = Group::ServiceReads;
    let watchers: Vec<Ticket> = (0..60)
        .map(|_| budget.ask(group, Purpose::Watching, ZERO))
        .collect();
    for watcher in &watchers {
        budget.turn(*watcher, group, ZERO);
    }
    let write = budget.ask(group, Purpose::Acting, ZERO);
    assert_eq!(budget.turn(write, group, ZERO), Turn::Go);
}

#[test]
fn a_throttle_empties_the_model_and_each_further_one_rests_longer() {
    let mut budget = Budget::default();
    let group = Group::ServiceReads;
    let mut now = ZERO;
    let mut rests = Vec::new();
    for _ in 0..7 {
        let ticket = budget.ask(group, Purpose::Acting, now);
        while let Turn::Wait(wait) = budget.turn(ticket, group, now) {
            now += wait;
        }
        let sent = now;
        now += ms(20);
        rests.push(budget.throttled(group, sent, now).as_secs());
        // What was under way at the same time says nothing new.
        assert_eq!(
            budget.throttled(group, sent, now).as_secs(),
            *rests.last().unwrap()
        );
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn after_a_throttle_the_oldest_is_first_again_and_the_pace_recovers() {
    let mut budget = Budget::default();
    let group = Group::ServiceReads;
    let first = budget.ask(group, Purpose::Acting, ZERO);
    assert_eq!(budget.turn(first, group, ZERO), Turn::Go);
    let second = budget.ask(group, Purpose::Acting, ms(10));
    budget.throttled(group, ZERO, ms(20));
    budget.ask_again(first, group, Purpose::Acting, ms(20));
    let (wait_first, wait_second) = (
        budget.turn(first, group, ms(1_100)),
        budget.turn(second, group, ms(1_100)),
    );
    let (Turn::Wait(first_waits), Turn::Wait(second_waits)) = (wait_first, wait_second) else {
        panic!("{wait_first:?} {wait_second:?}")
    };
    assert!(first_waits < second_waits);
    assert_eq!(budget.turn(first, group, ms(1_400)), Turn::Go);
    budget.taken(group, ms(1_400), ms(1_450));
    // A minute later a whole burst is there again, and a throttle is a first one.
    let later = ms(90_000);
    budget.leave(second, group);
    let went = (0..100)
        .filter(|_| {
            let ticket = budget.ask(group, Purpose::Acting, later);
            let went = budget.turn(ticket, group, later) == Turn::Go;
            budget.leave(ticket, group);
            went
        })
        .count();
    assert_eq!(went, 80);
    assert_eq!(
        budget.throttled(group, later, later + ms(10)),
        Duration::from_secs(1)
    );
}
