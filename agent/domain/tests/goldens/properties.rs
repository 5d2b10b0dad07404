//! Any valid service has a template whose references resolve and that is the same
//! the next time; no service, however odd, makes a panic or a fault without a path.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use towline_agent_domain::fargate::spec::{Condition, Container, Dependency, FargateService, Override};
use towline_agent_domain::fargate::{Choices, Template, TemplateError, template, validate};

use crate::odd::{odd, odd_service};
use crate::services::simple;
use crate::settings::{SETTINGS, conflicts};
use crate::{facts, listener};

/// A valid service: a few settings that go together, and drawn names, images and variables.
fn valid() -> impl Strategy<Value = (Vec<&'static str>, FargateService)> {
    let settings = subsequence(SETTINGS.to_vec(), 0..12);
    let name = "[a-zA-Z0-9_-]{1,40}";
    let sides = proptest::collection::btree_set("[a-z]{1,3}[-_]?[a-z]{1,3}", 0..4);
    let variables = proptest::collection::btree_map("[A-Z_]{1,12}", "\\PC{0,40}", 0..6);
    let drawn = (
        settings,
        name,
        sides,
        variables,
        any::<bool>(),
        "[a-z0-9._-]{1,20}",
    );
    drawn.prop_map(|(settings, name, sides, variables, waits, tag)| {
        let mut service = FargateService {
            name,
            cpu: 4096,
            memory: 8192,
            ..simple()
        };
        service.containers[0].environment = variables;
        service.containers[0].image = format!("registry.example/web:v{tag}");
        let mut used: Vec<&'static str> = Vec::new();
        for (setting, set) in settings {
            if !used.iter().any(|other| conflicts(other, setting)) {
                set(&mut service);
                used.push(setting);
            }
        }
        let sides: BTreeSet<String> = sides
            .into_iter()
            .filter(|side| side != "side" && side != "web")
            .collect();
        for side in sides {
            if waits {
                let wait = Dependency {
                    container: side.clone(),
                    condition: Condition::Start,
                };
                service.containers[0].depends_on.push(wait);
            }
            let image = "registry.example/side:1".to_owned();
            service.containers.push(Container {
                name: side,
                image,
                essential: false,
                ..Container::default()
            });
        }
        (used, service)
    })
}

fn made(service: &FargateService) -> Template {
    tried(service).unwrap()
}

fn tried(service: &FargateService) -> Result<Template, TemplateError> {
    let valid = validate(service).unwrap();
    let choices = Choices::default()
        .decided(&valid, "main", false, &[listener()])
        .unwrap();
    template(&valid, &facts(), &choices)
}

/// What is odd may also be too much, which is said.
fn check_where_it_fits(service: &FargateService) {
    match tried(service) {
        Ok(made) => check(&made),
        Err(error) => assert!(
            matches!(error, TemplateError::TaskDefinitionTooLarge { .. }),
            "{error}"
        ),
    }
}

/// What the template refers to, by Ref, GetAtt and DependsOn.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    let Value::Object(members) = value else {
        if let Value::Array(items) = value {
            items.iter().for_each(|item| references(item, found));
        }
        return;
    };
    for (name, value) in members {
        match (name.as_str(), value) {
            ("Ref", Value::String(id)) => drop(found.insert(id.clone())),
            ("Fn::GetAtt", Value::Array(path)) => drop(found.insert(path[0].as_str().unwrap().to_owned())),
            ("DependsOn", Value::Array(ids)) => {
                // A container's DependsOn is a list of objects.
                found.extend(ids.iter().filter_map(|id| Some(id.as_str()?.to_owned())));
            }
            (_, value) => references(value, found),
        }
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn check(template: &Template) {
    let document: Value = serde_json::from_str(template.text()).unwrap();
    let keys =
        |part: &str| -> BTreeSet<String> { document[part].as_object().unwrap().keys().cloned().collect() };
    let (parameters, resources) = (keys("Parameters"), keys("Resources"));
    let mut used = BTreeSet::new();
    references(&document["Resources"], &mut used);
    references(&document["Outputs"], &mut used);
    for id in &used {
        assert!(
            parameters.contains(id) || resources.contains(id),
            "{id} is not declared\n{}",
            template.text()
        );
    }
    assert!(parameters.is_subset(&used), "{parameters:?} are all used");
    assert!(parameters.is_disjoint(&resources), "one space of names");
    let values: BTreeSet<String> = template
        .parameters()
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(values, parameters, "each parameter has a value");
    for id in parameters.iter().chain(&resources) {
        assert!(
            id.chars().all(|c| c.is_ascii_alphanumeric()) && id.len() <= 255,
            "{id}"
        );
    }
    assert!(!has_null(&document), "{}", template.text());
}

#[test]
fn any_valid_service_has_a_template_whose_references_resolve() {
    const CASES: u32 = 400;
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        ..Config::default()
    });
    let drawn = std::cell::RefCell::new(BTreeMap::<&str, u32>::new());
    let rejected = std::cell::Cell::new(0);
    let ran = runner.run(&valid(), |(settings, service)| {
        if let Err(faults) = validate(&service) {
            println!("rejected: {faults:?}");
            rejected.set(rejected.get() + 1);
            return Ok(());
        }
        settings
            .into_iter()
            .for_each(|setting| *drawn.borrow_mut().entry(setting).or_default() += 1);
        let first = made(&service);
        check(&first);
        assert_eq!(made(&service), first, "the same service has the same template");
        // The stack's metadata leads the next release to the same.
        let document: Value = serde_json::from_str(first.text()).unwrap();
        let found = Choices::found(document.get("Metadata"));
        let valid = validate(&service).unwrap();
        assert!(found.open(&valid, "main").is_empty(), "nothing is asked twice");
        assert_eq!(
            template(&valid, &facts(), &found).unwrap().fingerprint(),
            first.fingerprint()
        );
        Ok(())
    });
    let drawn = drawn.into_inner();
    println!("{CASES} drawn, {} rejected; settings: {drawn:?}", rejected.get());
    ran.unwrap();
    assert!(
        rejected.get() * 10 < CASES,
        "{} of {CASES} were rejected",
        rejected.get()
    );
    let never: Vec<&str> = SETTINGS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !drawn.contains_key(name))
        .collect();
    assert!(never.is_empty(), "never drawn: {never:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_service_however_odd_makes_a_panic_or_a_fault_without_a_path(service in odd_service()) {
        match validate(&service) {
            Ok(_) => check_where_it_fits(&service),
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(!fault.field.is_empty() && !fault.message.is_empty(), "{:?}", fault);
                }
            }
        }
    }

    /// One odd thing in a good service: the rest of it must not hide the fault.
    #[test]
    fn a_good_service_with_one_odd_word_makes_no_panic((_, mut service) in valid(), word in odd(), at in 0..8) {
        match at {
            0 => service.containers[0].name = word,
            1 => service.containers[0].image = word,
            2 => service.network.subnets.push(word),
            3 => drop(service.tags.insert(word.clone(), word)),
            4 => service.overrides.push(Override { resource: "task_definition".to_owned(), merge_patch: word }),
            5 => drop(service.containers[0].environment.insert(word.clone(), word)),
            6 => service.log_group = Some(word),
            _ => service.platform_version = Some(word),
        }
        if validate(&service).is_ok() {
            check_where_it_fits(&service);
        }
    }
}
