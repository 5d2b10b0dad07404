//! The seed file: a world that is written down.
//!
//! [`Seed::read`] parses it; [`build`] makes the world of it, and lets the
//! services that it names come to rest before anyone looks.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Clock, SimTime, World,
    furnish::{Contents, furnish},
};
use crate::images::Image;

/// How long things take, in simulated seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    pub provision_s: f64,
    pub pull_s: f64,
    pub start_s: f64,
    pub stop_s: f64,
    pub reschedule_s: f64,
    pub steady_s: f64,
    pub stopped_tasks_s: f64,
    /// Until a task that waits for an instance of a capacity provider gives up.
    pub capacity_s: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            provision_s: 2.0,
            pull_s: 4.0,
            start_s: 2.0,
            stop_s: 2.0,
            reschedule_s: 1.0,
            steady_s: 2.0,
            stopped_tasks_s: 3600.0,
            capacity_s: 600.0,
        }
    }
}

/// Whose time fills the token buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitTime {
    #[default]
    Machine,
    Simulated,
}

/// Whether ECS's request rates are enforced.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub enforce: bool,
    pub time: LimitTime,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enforce: true,
            time: LimitTime::Machine,
        }
    }
}

/// A seed file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// Simulated time at the start; the machine's time of day when absent.
    #[serde(default)]
    pub start: Option<jiff::Timestamp>,
    #[serde(default)]
    pub timing: Timing,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub images: Vec<Image>,
    #[serde(default)]
    pub regions: Vec<SeedRegion>,
    /// By the name that regions refer to.
    #[serde(default)]
    pub contents: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedRegion {
    pub account: String,
    pub name: String,
    #[serde(default)]
    pub contents: Vec<String>,
    /// What `${…}` in the contents stands for, besides `account` and `region`.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

impl Seed {
    /// Parses a seed file's text.
    pub fn read(text: &str) -> Result<Self> {
        toml::from_str(text).context("the seed file is not a world")
    }
}

/// What the seed wrote down existed this long before anyone looks.
const AGE_S: f64 = 86_400.0;

/// Makes the world of a seed.
pub fn build(seed: &Seed, speed: f64) -> Result<World> {
    let start = seed.start.map(|start| SimTime(start.as_millisecond()));
    build_at(seed, Clock::new(start, speed))
}

/// The same with a clock that is there.
pub fn build_at(seed: &Seed, clock: Clock) -> Result<World> {
    let now = clock.now();
    let mut world = World::new(clock, seed.timing);
    // Pushed one after the other, the last one last.
    for (index, image) in seed.images.iter().enumerate() {
        let before = i64::try_from(seed.images.len() - index).unwrap_or(0) * 1000;
        // A replica is on its way from now on.
        let ago = if image.replicates_s.is_some() { 0 } else { before };
        world.images.set_now(now.plus_ms(-ago));
        world.images.add(image.clone());
    }
    world.images.set_now(now);
    for place in &seed.regions {
        let region = world.region_at(&place.account, &place.name, now.plus_s(-AGE_S));
        for name in &place.contents {
            let contents = seed
                .contents
                .get(name)
                .ok_or_else(|| anyhow!("the seed has no contents.{name}"))?;
            let filled = fill(&repeated(contents), place)?;
            let contents: Contents =
                serde_json::from_value(filled).with_context(|| format!("contents.{name}"))?;
            furnish(region, contents)
                .with_context(|| format!("contents.{name} in {} {}", place.account, place.name))?;
        }
        region.stepped = SimTime(now.0 - now.0.rem_euclid(super::STEP_MS));
    }
    Ok(world)
}

/// Writes out each entry of a list that says `count = N`: N times, with `#` in
/// its texts standing for 001, 002 …
fn repeated(contents: &Value) -> Value {
    let Value::Object(lists) = contents else {
        return contents.clone();
    };
    let written = lists.iter().map(|(name, list)| {
        let Value::Array(entries) = list else {
            return (name.clone(), list.clone());
        };
        let entries: Vec<Value> = entries.iter().flat_map(copies).collect();
        (name.clone(), Value::Array(entries))
    });
    Value::Object(written.collect())
}

fn copies(entry: &Value) -> Vec<Value> {
    let Some(count) = entry.get("count").and_then(Value::as_u64) else {
        return vec![entry.clone()];
    };
    let mut one = entry.clone();
    if let Some(members) = one.as_object_mut() {
        members.shift_remove("count");
    }
    (1..=count).map(|number| numbered(&one, number)).collect()
}

fn numbered(value: &Value, number: u64) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('#', &format!("{number:03}"))),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(members) => {
            let members = members.iter();
            Value::Object(
                members
                    .map(|(name, value)| (name.clone(), numbered(value, number)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// Replaces `${…}` in every text.
fn fill(value: &Value, place: &SeedRegion) -> Result<Value> {
    Ok(match value {
        Value::String(text) => Value::String(fill_text(text, place)?),
        Value::Array(items) => items
            .iter()
            .map(|item| fill(item, place))
            .collect::<Result<_>>()?,
        Value::Object(members) => {
            let filled: Result<serde_json::Map<String, Value>> = members
                .iter()
                .map(|(member, value)| Ok((member.clone(), fill(value, place)?)))
                .collect();
            Value::Object(filled?)
        }
        other => other.clone(),
    })
}

fn fill_text(text: &str, place: &SeedRegion) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| anyhow!("an open ${{ in {text:?}"))?;
        filled.push_str(before);
        filled.push_str(match name {
            "account" => &place.account,
            "region" => &place.name,
            other => place
                .values
                .get(other)
                .ok_or_else(|| anyhow!("nobody says what ${{{other}}} is in {}", place.name))?,
        });
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}
