//! Whatever values a variable has, the winner is the one of a slow reference:
//! scopes as sets of pairs, and the largest set that the place has all of.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use proptest::prelude::*;

use super::{Place, Scoped, ScopedValue, VariableValue, Variables, Winner, explain};
use crate::domain::name::{ChannelName, EnvironmentName, ServiceName, TargetId};

const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];
const TARGETS: [&str; 3] = [
    "111111111111/eu-west-1/main",
    "222222222222/eu-west-1/main",
    "333333333333/eu-west-1/main",
];
const CHANNELS: [&str; 2] = ["stable", "beta"];
const SERVICES: [&str; 2] = ["web", "orders"];

/// Which of each is named; `None`: none.
type Named = (Option<usize>, Option<usize>, Option<usize>, Option<usize>);

fn scope_of((environment, target, channel, service): Named) -> Scoped {
    Scoped {
        environment: environment.map(|at| ENVIRONMENTS[at].parse().unwrap()),
        target: target.map(|at| TARGETS[at].parse().unwrap()),
        channel: channel.map(|at| CHANNELS[at].parse().unwrap()),
        service: service.map(|at| SERVICES[at].parse().unwrap()),
    }
}

fn pairs((environment, target, channel, service): Named) -> BTreeSet<(u8, usize)> {
    let all = [(0, environment), (1, target), (2, channel), (3, service)];
    all.into_iter()
        .filter_map(|(kind, at)| Some((kind, at?)))
        .collect()
}

/// The places of the values with the largest matching set: one wins, two tie.
fn reference(values: &[Named], place: Named) -> Vec<usize> {
    let place = pairs(place);
    let sets: Vec<BTreeSet<_>> = values.iter().map(|value| pairs(*value)).collect();
    let matching: Vec<usize> = (0..sets.len()).filter(|at| sets[*at].is_subset(&place)).collect();
    let largest = matching.iter().map(|at| sets[*at].len()).max();
    matching
        .into_iter()
        .filter(|at| Some(sets[*at].len()) == largest)
        .collect()
}

fn named() -> impl Strategy<Value = Named> {
    (
        proptest::option::of(0..ENVIRONMENTS.len()),
        proptest::option::of(0..TARGETS.len()),
        proptest::option::of(0..CHANNELS.len()),
        proptest::option::of(0..SERVICES.len()),
    )
}

/// A place has an environment and a target; channel and service may be open.
fn place() -> impl Strategy<Value = Named> {
    let open = proptest::option::weighted(0.8, 0..CHANNELS.len());
    let service = proptest::option::weighted(0.8, 0..SERVICES.len());
    (0..ENVIRONMENTS.len(), 0..TARGETS.len(), open, service).prop_map(
        |(environment, target, channel, service)| (Some(environment), Some(target), channel, service),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_most_specific_value_wins_and_nothing_breaks_a_tie(
        values in proptest::collection::vec(named(), 0..7),
        at in place(),
    ) {
        let scoped = values.iter().enumerate().map(|(index, named)| ScopedValue {
            scope: scope_of(*named),
            value: VariableValue::Text(index.to_string().parse().unwrap()),
            line: index as u32 + 1,
        });
        let variables = Variables(IndexMap::from([("POOL".to_owned(), scoped.collect())]));
        let of = scope_of(at);
        let (environment, target): (EnvironmentName, TargetId) =
            (of.environment.unwrap(), of.target.unwrap());
        let (channel, service): (Option<ChannelName>, Option<ServiceName>) = (of.channel, of.service);
        let place = Place {
            environment: &environment,
            target: &target,
            channel: channel.as_ref(),
            service: service.as_ref(),
        };
        let best = reference(&values, at);
        let told = explain(&variables, "POOL", &place);
        match (variables.winner("POOL", &place), best.as_slice()) {
            (Winner::None, []) => prop_assert!(told.winner.is_none()),
            (Winner::One(winner), [only]) => {
                prop_assert_eq!(winner.line as usize, only + 1);
                prop_assert_eq!(told.winner, Some(winner));
                prop_assert!(told.others.iter().all(|other| other.scope.rank() < winner.scope.rank()));
            }
            (Winner::Tied(first, second), [one, other, ..]) => {
                prop_assert_eq!((first.line as usize, second.line as usize), (one + 1, other + 1));
                prop_assert!(told.winner.is_none());
            }
            (winner, best) => prop_assert!(false, "{winner:?}, and the reference says {best:?}"),
        }
    }
}
