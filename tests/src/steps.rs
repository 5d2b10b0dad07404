//! The steps of a deployment as the simulated AWS saw it: arrivals, where
//! repeated polls of one kind between two writes count as one.

use crate::sim::{Effect, Hold, Sim};

/// One step of the reference run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub action: String,
    pub account: String,
    pub region: String,
    /// How many writes had been applied when it first arrived.
    pub phase: usize,
    pub write: bool,
    /// For a write: how many applied writes of this action, in this region, came before it.
    pub skip: usize,
}

impl Step {
    /// As a table row shows it.
    pub fn name(&self) -> String {
        format!("{}@{}", self.action, self.phase)
    }

    /// Holds this write when it arrives.
    pub fn hold<'a>(&self, sim: &'a Sim, when: Hold) -> crate::sim::Breakpoint<'a> {
        sim.hold(&self.account, &self.region, &self.action, self.skip, when)
    }
}

/// The distinct steps of a run, in the order of their first arrival.
pub fn steps(effects: &[Effect]) -> Vec<Step> {
    let mut found: Vec<Step> = Vec::new();
    let mut writes: Vec<&Effect> = Vec::new();
    for effect in effects {
        let phase = writes.len();
        let same = |write: &&&Effect| write.action == effect.action && write.region == effect.region;
        let step = Step {
            action: effect.action.clone(),
            account: effect.account.clone(),
            region: effect.region.clone(),
            phase,
            write: effect.write,
            skip: if effect.write {
                writes.iter().filter(same).count()
            } else {
                0
            },
        };
        if !found.contains(&step) {
            found.push(step);
        }
        if effect.write && effect.applied {
            writes.push(effect);
        }
    }
    found
}

/// The applied writes as `action subject`, with what differs from run to run
/// (ids) blanked: two runs with the same list had the same effects.
pub fn effects_of(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .filter(|effect| effect.write && effect.applied)
        .map(|effect| {
            format!(
                "{} {} {}",
                effect.region,
                effect.action,
                blank_ids(&effect.subject)
            )
        })
        .collect()
}

/// Replaces every UUID by `*`.
fn blank_ids(text: &str) -> String {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uuid = |candidate: &str| {
        let parts: Vec<&str> = candidate.split('-').collect();
        parts.len() == 5
            && parts.iter().zip(LENGTHS).all(|(part, length)| {
                part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if rest.get(..36).is_some_and(is_uuid) {
            out.push('*');
            rest = &rest[36..];
        } else {
            out.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(action: &str, write: bool) -> Effect {
        Effect {
            seq: 0,
            account: "111111111111".into(),
            region: "eu-west-1".into(),
            action: action.into(),
            write,
            applied: true,
            subject: String::new(),
            operation: None,
            code: None,
            at: String::new(),
        }
    }

    #[test]
    fn repeated_polls_between_two_writes_are_one_step() {
        let run = [
            effect("DescribeServices", false),
            effect("UpdateService", true),
            effect("DescribeServices", false),
            effect("DescribeServices", false),
        ];
        let names: Vec<String> = steps(&run).iter().map(Step::name).collect();
        assert_eq!(
            names,
            ["DescribeServices@0", "UpdateService@0", "DescribeServices@1"]
        );
    }

    #[test]
    fn ids_do_not_make_two_runs_differ() {
        assert_eq!(
            blank_ids("towline-main-web/towline-0e984725-c51c-4bf4-9960-e1c80e27aba0!"),
            "towline-main-web/towline-*!"
        );
    }
}
