//! What a plan leaves behind whose agent was killed midway: a change set that nobody
//! will execute and, for a stack that did not exist, the empty stack around it. Told
//! from other people's by the plan's name; from a plan that is under way by its age,
//! which is measured from AWS's time to AWS's time.

use jiff::{SignedDuration, Timestamp};

use crate::observed::ListedChangeSet;
use crate::operation_id::OperationId;

/// No plan takes so long.
const AGE: SignedDuration = SignedDuration::from_mins(10);

/// The change sets of plans that nobody is at work on any more. `now` is AWS's time.
pub fn of_plans(listed: &[ListedChangeSet], now: Timestamp) -> Vec<&ListedChangeSet> {
    let is_left = |set: &&ListedChangeSet| {
        OperationId::made_for_a_plan(&set.name)
            && now.duration_since(set.created) > AGE
            && !set.execution_status.starts_with("EXECUTE")
    };
    listed.iter().filter(is_left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::at;

    const ID: &str = "6f1c2b1e-57a4-4b62-9f6e-1f0f4a1d2c3b";
    const MINUTES: i64 = 60;

    fn listed(name: &str, made_s: i64, execution: &str) -> ListedChangeSet {
        ListedChangeSet {
            name: name.to_owned(),
            status: "CREATE_COMPLETE".to_owned(),
            execution_status: execution.to_owned(),
            created: at(made_s),
        }
    }

    #[test]
    fn only_old_plans_are_left_over_and_never_other_peoples_change_sets() {
        let id: OperationId = ID.parse().unwrap();
        let plan = id.plan_change_set_name();
        let all = [
            listed(&plan, 0, "AVAILABLE"),
            listed(&plan, 15 * MINUTES, "AVAILABLE"),
            listed(&plan, 0, "EXECUTE_IN_PROGRESS"),
            listed(&id.change_set_name(), 0, "AVAILABLE"),
            listed("towline-plan-of-the-platform-team", 0, "AVAILABLE"),
            listed("my-change", 0, "AVAILABLE"),
        ];
        assert_eq!(of_plans(&all, at(20 * MINUTES)), [&all[0]]);
    }
}
