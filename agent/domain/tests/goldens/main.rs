//! What stacks get, as files to read: a simple service, one of several containers,
//! one with everything, and each option alone. cfn-lint judges all of them, where
//! the environment's CFN_LINT names it.
//!
//! A golden that differs is written to the target directory; the failure says where.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helpers fail as its assertions do"
)]

mod odd;
mod properties;
mod services;
mod settings;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use serde_json::Value;
use towline_agent_domain::fargate::choices::LogGroupChoice;
use towline_agent_domain::fargate::spec::FargateService;
use towline_agent_domain::fargate::{AccountFacts, Choices, template, validate};
use towline_agent_domain::observed::surroundings::{Listener, ObservedRule};

use crate::services::{LISTENER, golden};

fn facts() -> AccountFacts {
    AccountFacts {
        account: "111122223333".to_owned(),
        partition: "aws".to_owned(),
        region: "eu-west-1".to_owned(),
        cluster: "main".to_owned(),
        permissions_boundary: Some("arn:aws:iam::111122223333:policy/boundary".to_owned()),
        role_path: "/towline/".to_owned(),
        mandatory_tags: BTreeMap::from([("cost-centre".to_owned(), "42".to_owned())]),
    }
}

/// The listener of the rules, with one rule of somebody else.
fn listener() -> Listener {
    Listener {
        arn: LISTENER.to_owned(),
        protocol: "HTTPS".to_owned(),
        vpc: None,
        rules: vec![ObservedRule {
            arn: "rule/1".to_owned(),
            priority: Some(10),
        }],
    }
}

fn made(name: &str, service: &FargateService) -> String {
    let valid = validate(service).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
    let there = name == "log_group_that_was_there";
    let choices = Choices::default()
        .decided(&valid, "main", there, &[listener()])
        .unwrap();
    assert_eq!(there, choices.log_group == Some(LogGroupChoice::Used), "{name}");
    let made = template(&valid, &facts(), &choices).unwrap();
    let value: Value = serde_json::from_str(made.text()).unwrap();
    format!("{}\n", serde_json::to_string_pretty(&value).unwrap())
}

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/templates"))
}

#[test]
fn templates_are_what_the_goldens_show() {
    let now = Path::new(env!("CARGO_TARGET_TMPDIR")).join("goldens");
    fs::create_dir_all(&now).unwrap();
    let mut differ = Vec::new();
    for (name, service) in golden() {
        let text = made(name, &service);
        let file = format!("{name}.json");
        let kept = fs::read_to_string(directory().join(&file)).unwrap_or_default();
        if kept != text {
            fs::write(now.join(&file), text).unwrap();
            differ.push(file);
        }
    }
    let known: Vec<String> = golden().iter().map(|(name, _)| format!("{name}.json")).collect();
    let kept = fs::read_dir(directory())
        .into_iter()
        .flatten()
        .collect::<io::Result<Vec<_>>>()
        .unwrap();
    let kept = kept.iter().map(|entry| entry.file_name().into_string().unwrap());
    let left_over: Vec<String> = kept.filter(|file| !known.contains(file)).collect();
    assert!(
        left_over.is_empty(),
        "these goldens belong to no test any more: {left_over:?}"
    );
    let (from, to) = (now.display(), directory().display());
    assert!(
        differ.is_empty(),
        "{differ:?} differ; look at them, then: cp {from}/*.json {to}/"
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the linter is"
)]
fn cfn_lint_passes_on_every_golden_without_a_warning() {
    let Ok(cfn_lint) = std::env::var("CFN_LINT") else {
        assert!(
            std::env::var("CI").is_err(),
            "under CI cfn-lint must be there: scripts/tools cfn-lint"
        );
        println!("SKIPPED: CFN_LINT names no cfn-lint; `scripts/test` installs one");
        return;
    };
    let templates = format!("{}/*.json", directory().display());
    let linted = Command::new(cfn_lint)
        .args(["--regions", "eu-west-1", "--", &templates])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&linted.stdout);
    assert!(
        linted.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&linted.stderr)
    );
}
