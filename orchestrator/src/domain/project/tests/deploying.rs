//! Tasks, cells and what is done about failures, as the file says it.

use jiff::SignedDuration;

use super::{SHOP, one_fault_of};
use crate::domain::project::{
    FailureRules, OnFailure, RunAt, Severity, StopAt, Waves, parse, parse_with_warnings, schema, yaml_as_json,
};

const FIRST: &str = "333333333333/eu-west-1/main";
const SECOND: &str = "333333333333/eu-central-1/main";

/// The example with a task, and an environment that says all there is to say.
fn whole() -> String {
    let tasks = "\
tasks:
  migrate:
    run: before
    like: orders
    container: app
    command: [\"./migrate\", \"--level\", \"${environment.level}\"]
    environment: { MODE: migrate }
    timeout: 15m
    only_in: [prod]
environments:
";
    let prod = format!(
        "  prod:
    waves: [[\"{SECOND}\"], [\"{FIRST}\"]]
    stop_at: 25%
    on_failure: roll_back
    guided: {{ deadline: 12h }}
"
    );
    SHOP.replacen("environments:\n", tasks, 1)
        .replacen("  prod:\n", &prod, 1)
}

fn is_valid(text: &str) -> bool {
    let validator = jsonschema::validator_for(&serde_json::from_str(schema()).unwrap()).unwrap();
    validator.is_valid(&yaml_as_json(text).unwrap())
}

#[test]
fn all_of_it_is_read_stored_and_known_to_the_schema() {
    let text = whole();
    let (project, warnings) = parse_with_warnings(&text, "f").unwrap();
    assert_eq!(warnings, []);
    assert!(is_valid(&text));
    let stored = serde_json::to_string(&project).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::domain::project::Project>(&stored).unwrap(),
        project
    );

    let migrate = &project.tasks["migrate"];
    assert_eq!((migrate.run, migrate.like.as_str()), (RunAt::Before, "orders"));
    assert_eq!(migrate.timeout, Some(SignedDuration::from_mins(15)));
    let prod = &project.environments["prod"];
    assert_eq!(
        prod.failures,
        FailureRules {
            stop_at: StopAt::Share(25),
            on_failure: OnFailure::RollBack,
            guided: Some(SignedDuration::from_hours(12)),
        }
    );
    assert!(matches!(&prod.waves, Waves::Cells(cells) if cells.len() == 2));
    assert_eq!(
        (prod.wave(0), prod.wave(1)),
        (1, 0),
        "the cells' order counts, not the list's"
    );
    assert_eq!(project.environments["dev"].failures, FailureRules::default());
}

#[test]
fn what_was_stored_before_there_were_tasks_is_read() {
    let project = parse(SHOP, "f").unwrap();
    let mut stored = serde_json::to_value(&project).unwrap();
    stored.as_object_mut().unwrap().remove("tasks");
    for (_, environment) in stored["environments"].as_object_mut().unwrap() {
        environment.as_object_mut().unwrap().remove("failures");
    }
    assert_eq!(
        serde_json::from_value::<crate::domain::project::Project>(stored).unwrap(),
        project
    );
}

#[test]
fn other_ways_to_say_it() {
    let read = |from: &str, to: &str| {
        let text = whole().replacen(from, to, 1);
        assert!(is_valid(&text), "{to}");
        parse(&text, "f").unwrap().environments["prod"].failures.clone()
    };
    assert_eq!(read("stop_at: 25%", "stop_at: first").stop_at, StopAt::First);
    assert_eq!(read("stop_at: 25%", "stop_at: 3").stop_at, StopAt::Count(3));
    assert_eq!(read("stop_at: 25%", "stop_at: 100%").stop_at, StopAt::Share(100));
    let guided = "guided: { deadline: 12h }";
    assert_eq!(read(guided, "guided: false").guided, None);
    assert_eq!(
        read(guided, "guided: true").guided,
        Some(FailureRules::DEFAULT_DECISION_TIME)
    );
}

#[test]
fn what_cannot_be_meant_is_refused_in_its_place() {
    let cells = format!("waves: [[\"{SECOND}\"], [\"{FIRST}\"]]");
    let table = [
        ("stop_at: 25%", "stop_at: §0", "stop_at cannot be \"0\""),
        ("stop_at: 25%", "stop_at: §101%", "stop_at cannot be \"101%\""),
        (
            "stop_at: 25%",
            "stop_at: §second",
            "a share of the operations such as \"25%\"",
        ),
        (
            "on_failure: roll_back",
            "on_failure: §rollback",
            "did you mean roll_back?",
        ),
        ("{ deadline: 12h }", "§maybe", "guided must be true or false"),
        ("{ deadline: 12h }", "{ deadline: §30d }", "not a time span"),
        ("{ deadline: 12h }", "§{}", "guided lacks deadline"),
        (
            cells.as_str(),
            &format!("waves: §[[\"{SECOND}\"]]"),
            "333333333333/eu-west-1/main is in no cell",
        ),
        (
            cells.as_str(),
            &format!("waves: [[\"{SECOND}\", \"{FIRST}\"], [§\"{SECOND}\"]]"),
            "is in another cell already",
        ),
        (
            cells.as_str(),
            &format!("waves: [[\"{SECOND}\", §\"111111111111/eu-west-1/main\", \"{FIRST}\"]]"),
            "the environment has no target",
        ),
        (cells.as_str(), "waves: §one_by_on", "did you mean one_by_one?"),
        ("run: before", "run: §first", "run cannot be \"first\""),
        ("like: orders", "like: §order", "did you mean orders?"),
        (
            "timeout: 15m",
            "timeout: §0s",
            "more than nothing and at most 24 hours",
        ),
        ("only_in: [prod]", "only_in: [§prd]", "did you mean prod?"),
    ];
    for (from, to, words) in table {
        one_fault_of(&whole(), from, to, words);
    }
    let told = |from: &str, to: &str| {
        let faults = parse(&whole().replacen(from, to, 1), "f").unwrap_err();
        let errors = faults.iter().filter(|it| it.severity == Severity::Error);
        errors
            .map(|it| format!("{it} [{}]", it.hint.clone().unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let like_web = told(
        "    like: orders\n    container: app\n",
        "    like: web\n    container: wep\n",
    );
    assert!(
        matches!(&like_web[..], [one] if one.contains("service web has no container wep") && one.contains("did you mean web?")),
        "{like_web:?}"
    );
    let twice = told("  migrate:\n", "  web:\n");
    assert!(
        matches!(&twice[..], [one] if one.contains("a service has this name already")),
        "{twice:?}"
    );
    // The value is wanted only where the task is run.
    let missing = told(
        "\"--level\", \"${environment.level}\"",
        "\"--level\", \"${target.nothing}\"",
    );
    assert!(
        matches!(&missing[..], [one] if one.contains("nothing") && one.contains("(prod)") && !one.contains("(dev)")),
        "{missing:?}"
    );
}
