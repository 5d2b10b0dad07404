//! The worked examples of docs/fargate.md, as a reader would run them: apply,
//! plan, print the template, release, release again.

use std::time::Duration;

use serde_json::Value;
use towline_tests::{
    cli::Ran,
    wait_for,
    world::{Options, World, repository},
};

fn world(agents: &[&'static str]) -> World {
    World::start(Options {
        agents: agents.to_vec(),
        ..Options::default()
    })
}

fn apply(world: &World, example: &str) {
    world.apply_file(&repository().join("examples/fargate").join(example));
}

fn plan(world: &World, service: &str, environment: &str, image: &str) -> Value {
    let asked = ["service", "plan", service, "--project", service];
    let place = ["--environment", environment, "--image", image, "--output", "json"];
    world.run(asked.into_iter().chain(place)).expect_code(0).json()
}

/// Releases and waits; the example's dev phase starts by itself.
fn release(world: &World, project: &str, version: &str, image: &str) -> Ran {
    world.run([
        "release",
        "create",
        "--project",
        project,
        "--version",
        version,
        "--image",
        image,
    ])
}

/// The verdicts of a release's operations, in order.
fn verdicts(world: &World, project: &str, version: &str) -> Vec<String> {
    let shown = [
        "release",
        "show",
        version,
        "--project",
        project,
        "--output",
        "json",
    ];
    let json = world.run(shown).expect_code(0).json();
    let deployments = json["deployments"].as_array().expect("deployments");
    deployments
        .iter()
        .flat_map(|deployment| deployment["operations"].as_array().expect("operations"))
        .map(|operation| operation["verdict"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn reasons(plan: &Value, severity: &str) -> Vec<String> {
    let findings = plan["findings"].as_array().expect("findings");
    findings
        .iter()
        .filter(|finding| finding["severity"] == severity)
        .map(|finding| finding["reason"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_simple_service_is_planned_printed_made_and_left_alone_when_nothing_changed() {
    let world = world(&["dev"]);
    apply(&world, "simple.yaml");

    let before = world.sim.last();
    let planned = plan(&world, "hello", "dev", "web=1.0.0");
    assert_eq!(planned["action"], "create", "{planned:#}");
    assert_eq!(reasons(&planned, "error"), Vec::<String>::new(), "{planned:#}");
    assert!(!planned["hash"].as_str().expect("a hash").is_empty());
    assert_eq!(
        world.sim.stacks("111111111111", "eu-west-1"),
        Vec::<String>::new(),
        "a plan leaves nothing behind"
    );
    let writes = world.sim.applied_writes(before);
    let made: Vec<&str> = writes.iter().map(|effect| effect.action.as_str()).collect();
    assert!(
        made.iter()
            .all(|action| action.contains("ChangeSet") || *action == "DeleteStack"),
        "{made:?}"
    );

    let template = [
        "service",
        "template",
        "hello",
        "--project",
        "hello",
        "--environment",
        "dev",
        "--image",
        "web=1.0.0",
    ];
    let json = world.run(template).expect_code(0);
    let document = json.json();
    assert_eq!(document["AWSTemplateFormatVersion"], "2010-09-09");
    assert!(
        json.stderr.contains("aws cloudformation deploy --stack-name"),
        "{}",
        json.stderr
    );
    let yaml = world
        .run(template.into_iter().chain(["--format", "yaml"]))
        .expect_code(0);
    assert!(
        yaml.stdout.contains("Type: AWS::ECS::Service\n"),
        "{}",
        yaml.stdout
    );

    release(&world, "hello", "1.0.0", "web=1.0.0").expect_code(0);
    assert_eq!(verdicts(&world, "hello", "1.0.0"), ["succeeded"]);
    let again = plan(&world, "hello", "dev", "web=1.0.0");
    assert_eq!(again["action"], "unchanged", "{again:#}");
    release(&world, "hello", "1.0.1", "web=1.0.0").expect_code(0);
    assert_eq!(verdicts(&world, "hello", "1.0.1"), ["unchanged"]);

    let next = plan(&world, "hello", "dev", "web=1.2.0");
    assert_eq!(next["action"], "update", "{next:#}");
    let changes = next["changes"].as_array().expect("changes");
    assert!(
        changes.iter().all(|change| change["replacement"] == false),
        "{next:#}"
    );
    let text = world.run([
        "service",
        "plan",
        "hello",
        "--project",
        "hello",
        "--environment",
        "dev",
        "--image",
        "web=1.2.0",
    ]);
    assert!(text.expect_code(0).stdout.starts_with("update  "));
    world.stop();
}

#[test]
fn a_plan_that_cannot_work_is_refused_with_what_to_do() {
    let world = world(&["dev"]);
    apply(&world, "simple.yaml");
    let refused = world.run([
        "service",
        "plan",
        "hello",
        "--environment",
        "dev",
        "--image",
        "web=9.9.9",
    ]);
    let refused = refused.expect_code(1);
    assert!(refused.stdout.starts_with("refused  "), "{}", refused.stdout);
    assert!(refused.stdout.contains("9.9.9"), "{}", refused.stdout);
    assert!(refused.stdout.contains("hint: "), "{}", refused.stdout);
    world.stop();
}

#[test]
fn several_containers_with_volumes_secrets_and_health_checks_are_made() {
    let world = world(&["dev"]);
    apply(&world, "containers.yaml");
    let planned = plan(&world, "catalog", "dev", "web=1.2.0");
    assert_eq!(planned["action"], "create", "{planned:#}");
    release(&world, "catalog", "1.0.0", "web=1.2.0").expect_code(0);
    assert_eq!(verdicts(&world, "catalog", "1.0.0"), ["succeeded"]);
    let again = plan(&world, "catalog", "dev", "web=1.2.0");
    assert_eq!(again["action"], "unchanged", "{again:#}");
    world.stop();
}

#[test]
fn a_listener_rule_with_capacity_providers_and_alarms_goes_to_prod_after_an_approval() {
    let world = world(&["dev", "prod"]);
    apply(&world, "listener-rule.yaml");
    let planned = plan(&world, "api", "prod", "web=1.2.0");
    assert_eq!(planned["action"], "create", "{planned:#}");
    let kinds: Vec<&str> = planned["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|change| change["type"].as_str())
        .collect();
    for kind in [
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "AWS::ECS::Service",
    ] {
        assert!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    release(&world, "api", "1.0.0", "web=1.2.0").expect_code(6);
    assert_eq!(verdicts(&world, "api", "1.0.0"), ["succeeded"]);
    world.run(["promote", "1.0.0", "--project", "api"]).expect_code(6);
    world
        .run([
            "approve",
            "--yes",
            "--release",
            "1.0.0",
            "--environment",
            "prod",
            "--project",
            "api",
        ])
        .expect_code(0);
    assert_eq!(verdicts(&world, "api", "1.0.0"), ["succeeded", "succeeded"]);
    let next = plan(&world, "api", "prod", "web=1.0.0");
    let rules = next["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter(|change| change["type"] == "AWS::ElasticLoadBalancingV2::ListenerRule")
        .count();
    assert_eq!(rules, 0, "the rule keeps its priority: {next:#}");
    world.stop();
}

/// What a person without Towline does: CloudFormation's CreateStack.
fn create_stack(world: &World, stack: &str, template: &Value, parameters: &Value) {
    let mut form = vec![
        ("Action".to_owned(), "CreateStack".to_owned()),
        ("Version".to_owned(), "2010-05-15".to_owned()),
        ("StackName".to_owned(), stack.to_owned()),
        ("TemplateBody".to_owned(), template.to_string()),
        (
            "Capabilities.member.1".to_owned(),
            "CAPABILITY_NAMED_IAM".to_owned(),
        ),
    ];
    for (at, (name, value)) in parameters.as_object().expect("parameters").iter().enumerate() {
        let member = format!("Parameters.member.{}", at + 1);
        form.push((format!("{member}.ParameterKey"), name.clone()));
        form.push((
            format!("{member}.ParameterValue"),
            value.as_str().expect("a text").to_owned(),
        ));
    }
    let scope = "111111111111/20261124/eu-west-1/cloudformation/aws4_request";
    ureq::post(world.sim.url())
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"),
        )
        .send_form(form)
        .unwrap_or_else(|error| panic!("CreateStack {stack}: {error}"));
    let made = format!("{stack} CREATE_COMPLETE");
    wait_for(&made, Duration::from_secs(60), || {
        let stacks = world.sim.stacks("111111111111", "eu-west-1");
        stacks.contains(&made).then_some(())
    });
}

/// The same template with other logical ids, as another tool chose them.
fn with_other_names(value: &Value, names: &[(&str, &str)]) -> Value {
    let renamed = |text: &str| {
        let found = names.iter().find(|(from, _)| *from == text);
        found.map_or(text, |(_, to)| to).to_owned()
    };
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, member)| {
                let reference = matches!(key.as_str(), "Ref" | "Fn::GetAtt" | "DependsOn");
                let member = match member {
                    Value::String(text) if reference => Value::from(renamed(text)),
                    Value::Array(items) if reference => items
                        .iter()
                        .map(|item| {
                            item.as_str()
                                .map_or(item.clone(), |text| Value::from(renamed(text)))
                        })
                        .collect(),
                    member => with_other_names(member, names),
                };
                // Only a resource has a type of its own.
                let is_resource = member["Type"]
                    .as_str()
                    .is_some_and(|kind| kind.starts_with("AWS::"));
                (if is_resource { renamed(key) } else { key.clone() }, member)
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| with_other_names(item, names)).collect(),
        other => other.clone(),
    }
}

#[test]
fn a_stack_of_another_tool_is_taken_over_without_replacing_its_service() {
    let world = world(&["dev"]);
    apply(&world, "simple.yaml");
    let printed = [
        "service",
        "template",
        "hello",
        "--environment",
        "dev",
        "--image",
        "web=1.0.0",
        "--output",
        "json",
    ];
    let answer = world.run(printed).expect_code(0).json();
    let template: Value =
        serde_json::from_str(answer["template"].as_str().expect("a template")).expect("JSON");
    let names = [
        ("Service", "WebService"),
        ("TaskDefinition", "WebTask"),
        ("LogGroup", "Logs"),
    ];
    let mut theirs = with_other_names(&template, &names);
    let document = theirs.as_object_mut().expect("a template");
    document.remove("Metadata");
    document.remove("Outputs");
    let service = theirs["Resources"]["WebService"]["Properties"]
        .as_object_mut()
        .expect("a service");
    service.remove("ServiceName").expect("Towline names its services");
    create_stack(&world, "theirs-hello", &theirs, &answer["parameters"]);

    let services = |world: &World| world.sim.services("111111111111", "eu-west-1");
    let name = services(&world)
        .into_iter()
        .find(|name| name.contains("WebService"))
        .expect("CloudFormation made a name up");
    let file = std::fs::read_to_string(repository().join("examples/fargate/simple.yaml")).expect("the file");
    let described = |adopt: bool| {
        let lines =
            format!("    kind: fargate\n    service: {name}\n    stack: theirs-hello\n    adopt: {adopt}\n");
        let path = world.path().join("theirs.yaml");
        std::fs::write(&path, file.replace("    kind: fargate\n", &lines)).expect("it is written");
        world.apply_file(&path);
    };

    described(false);
    let asked = [
        "service",
        "plan",
        "hello",
        "--environment",
        "dev",
        "--image",
        "web=1.0.0",
    ];
    let refused = world.run(asked).expect_code(1);
    assert!(
        refused.stdout.contains("adopt") || refused.stderr.contains("adopt"),
        "{refused:?}"
    );

    described(true);
    let planned = plan(&world, "hello", "dev", "web=1.0.0");
    assert_eq!(planned["action"], "update", "{planned:#}");
    let changes = planned["changes"].as_array().expect("changes");
    assert!(
        changes.iter().all(|change| change["replacement"] == false),
        "{planned:#}"
    );
    assert!(
        changes.iter().all(|change| change["action"] != "Remove"),
        "{planned:#}"
    );
    release(&world, "hello", "1.0.0", "web=1.2.0").expect_code(0);
    assert_eq!(verdicts(&world, "hello", "1.0.0"), ["succeeded"]);
    assert!(
        services(&world).contains(&name),
        "the service is the same: {:?}",
        services(&world)
    );
    described(false);
    let again = plan(&world, "hello", "dev", "web=1.2.0");
    assert_eq!(again["action"], "unchanged", "adopt may go afterwards: {again:#}");
    world.stop();
}

#[test]
fn every_member_that_the_file_can_spell_is_taken_by_the_agent() {
    let world = world(&["dev"]);
    world.apply_file(&repository().join("orchestrator/src/domain/project/tests/whole.yaml"));
    let printed = world.run([
        "service",
        "template",
        "web",
        "--project",
        "whole",
        "--environment",
        "dev",
        "--image",
        "web=1.0.0",
    ]);
    let template = printed.expect_code(0).json();
    let service = &template["Resources"]["Service"]["Properties"];
    assert_eq!(service["ServiceName"], "whole-web", "{template:#}");
    assert_eq!(
        service["EnableExecuteCommand"], false,
        "an override counts more: {template:#}"
    );
    world.stop();
}
