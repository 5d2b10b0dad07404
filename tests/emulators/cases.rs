//! What an existing service goes through, case by case: each makes a service of
//! its own, as somebody else would have, and says in one sentence what was not
//! as it should be.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use towline_proto::agent::v1::{
    ContainerUpdate, DescribeServiceRequest, NamedValues, OperationContext, PlanServiceUpdateRequest,
    UpdateServiceRequest, Verdict,
};
use towline_tests::{
    direct::{Direct, Outcome},
    emulator::{CLUSTER, Emulator, REGION},
};

/// Tasks of every service.
pub const TASKS: u32 = 2;

/// Longer than any case takes that ends by itself.
const PATIENCE: Duration = Duration::from_secs(6);

/// What a case works with.
pub struct Bench {
    pub emulator: Emulator,
    pub agent: Direct,
}

type Case = (&'static str, fn(&Bench) -> Result<(), String>);

/// Every case.
pub const CASES: [Case; 12] = [
    ("update", update),
    ("unchanged", unchanged),
    ("a copy that loses nothing", lossless),
    ("a revision that is there is used again", reused),
    ("environment and tags", environment),
    ("a plan", planned),
    ("a role that is not there", no_role),
    ("a service that is not there", no_service),
    ("a container that is not there", no_container),
    ("a deleted service", deleted),
    ("an image that does not exist", bad_image),
    ("what runs, with its images", described),
];

const REPOSITORY: &str = "public.ecr.aws/docker/library/nginx";

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A task definition with members that an update does not name.
fn definition(family: &str) -> Value {
    json!({
        "family": family,
        "taskRoleArn": "arn:aws:iam::222222222222:role/orders",
        "networkMode": "bridge",
        "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [
            {
                "name": "app",
                "image": format!("{REPOSITORY}:1.28"),
                "memory": 128,
                "essential": true,
                "environment": [{ "name": "LEVEL", "value": "info" }],
                "secrets": [{ "name": "DB", "valueFrom": "arn:aws:ssm:eu-west-1:222222222222:parameter/db" }],
                "ulimits": [{ "name": "nofile", "softLimit": 1024, "hardLimit": 4096 }],
                "dockerLabels": { "team": "orders" },
                "linuxParameters": { "initProcessEnabled": true },
            },
            {
                "name": "proxy",
                "image": "public.ecr.aws/docker/library/envoy:1.31",
                "memory": 64,
                "essential": false,
                "dependsOn": [{ "containerName": "app", "condition": "START" }],
            },
        ],
        "volumes": [{ "name": "data", "host": { "sourcePath": "/var/data" } }],
        "tags": [{ "key": "team", "value": "orders" }],
    })
}

impl Bench {
    /// What every service needs.
    pub fn furnish(&self) {
        self.ecs("CreateCluster", &json!({ "clusterName": CLUSTER }));
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "ecs-tasks.amazonaws.com" },
                "Action": "sts:AssumeRole",
            }],
        });
        let role = [
            ("Action", "CreateRole"),
            ("RoleName", "orders"),
            ("AssumeRolePolicyDocument", &trust.to_string()),
        ];
        self.emulator.query("iam", "2010-05-08", &role);
        let parameter = json!({ "Name": "db", "Value": "secret", "Type": "SecureString" });
        self.emulator.json("ssm", "PutParameter", &parameter);
    }

    fn ecs(&self, action: &str, input: &Value) -> Value {
        self.emulator.json("ecs", action, input)
    }

    /// A service that somebody else made.
    fn service(&self, name: &str) {
        self.service_of(name, &definition(name));
    }

    fn service_of(&self, name: &str, definition: &Value) {
        self.ecs("RegisterTaskDefinition", definition);
        self.ecs(
            "CreateService",
            &json!({
                "cluster": CLUSTER,
                "serviceName": name,
                "taskDefinition": name,
                "desiredCount": TASKS,
                "launchType": "EC2",
            }),
        );
    }

    fn updated(
        &self,
        request: UpdateServiceRequest,
        verdict: Verdict,
        reason: &str,
    ) -> Result<Outcome, String> {
        let outcome = self.agent.update(request)?;
        let finished = &outcome.finished;
        ensure(finished.verdict() == verdict && finished.reason == reason, || {
            format!(
                "wanted {} {reason}, got {}",
                verdict.as_str_name(),
                outcome.words()
            )
        })?;
        Ok(outcome)
    }

    fn revisions(&self, family: &str) -> usize {
        let listed = self.ecs("ListTaskDefinitions", &json!({ "familyPrefix": family }));
        listed["taskDefinitionArns"].as_array().map_or(0, Vec::len)
    }

    fn runs(&self, service: &str, tag: &str) -> Result<(), String> {
        let (definition, _) = self.emulator.task_definition(service);
        let found = &definition["containerDefinitions"][0]["image"];
        ensure(found == &format!("{REPOSITORY}:{tag}"), || {
            format!("{service} is set to {found} and not to {tag}")
        })
    }
}

fn request(service: &str, container: &str, tag: &str) -> UpdateServiceRequest {
    UpdateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: service.into(),
        containers: vec![ContainerUpdate {
            name: container.into(),
            tag: Some(tag.into()),
            ..Default::default()
        }],
        context: Some(OperationContext {
            deadline: Some((SystemTime::now() + PATIENCE).into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn update(bench: &Bench) -> Result<(), String> {
    bench.service("orders");
    bench.updated(request("orders", "app", "1.29"), Verdict::Succeeded, "completed")?;
    bench.runs("orders", "1.29")
}

fn unchanged(bench: &Bench) -> Result<(), String> {
    bench.service("still");
    bench.updated(request("still", "app", "1.28"), Verdict::Unchanged, "unchanged")?;
    let revisions = bench.revisions("still");
    ensure(revisions == 1, || format!("there are {revisions} revisions"))
}

/// The wire's JSON before and after differs in the image alone.
fn lossless(bench: &Bench) -> Result<(), String> {
    bench.service("kept");
    let (mut before, tags_before) = bench.emulator.task_definition("kept");
    let outcome = bench.agent.update(request("kept", "app", "1.29"))?;
    let (mut after, mut tags_after) = bench.emulator.task_definition("kept");
    ensure(before["revision"] != after["revision"], || outcome.words())?;
    for definition in [&mut before, &mut after] {
        for computed in ["taskDefinitionArn", "revision", "registeredAt", "registeredBy"] {
            definition.as_object_mut().map(|members| members.remove(computed));
        }
    }
    before["containerDefinitions"][0]["image"] = format!("{REPOSITORY}:1.29").into();
    ensure(before == after, || format!("{before}\nbecame\n{after}"))?;
    if let Some(tags) = tags_after.as_array_mut() {
        tags.retain(|tag| !tag["key"].as_str().unwrap_or_default().starts_with("towline:"));
    }
    ensure(tags_before == tags_after, || {
        format!("the tags {tags_before} became {tags_after}")
    })
}

fn reused(bench: &Bench) -> Result<(), String> {
    bench.service("again");
    let mut next = definition("again");
    next["containerDefinitions"][0]["image"] = format!("{REPOSITORY}:1.29").into();
    bench.ecs("RegisterTaskDefinition", &next);
    let outcome = bench.agent.update(request("again", "app", "1.29"))?;
    let revisions = bench.revisions("again");
    ensure(revisions == 2, || {
        format!("there are {revisions} revisions: {}", outcome.words())
    })?;
    bench.runs("again", "1.29")
}

fn environment(bench: &Bench) -> Result<(), String> {
    bench.service("settings");
    let mut asked = request("settings", "app", "1.29");
    let names = |pairs: &[(&str, &str)]| {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    };
    asked.containers[0].environment = Some(NamedValues {
        set: names(&[("WORKERS", "4")]),
        remove: vec!["LEVEL".into()],
        replace: false,
    });
    asked.tags = names(&[("release", "7")]);
    let outcome = bench.agent.update(asked)?;
    let (definition, tags) = bench.emulator.task_definition("settings");
    let container = &definition["containerDefinitions"][0];
    let wanted = json!([{ "name": "WORKERS", "value": "4" }]);
    ensure(
        container["environment"] == wanted && container["secrets"][0]["name"] == "DB",
        || format!("{container}: {}", outcome.words()),
    )?;
    let tag = |key: &str| {
        tags.as_array()
            .is_some_and(|tags| tags.iter().any(|tag| tag["key"] == key))
    };
    ensure(tag("release") && tag("team"), || tags.to_string())
}

/// The plan says what changes, writes nothing, and its hash lets just that pass.
fn planned(bench: &Bench) -> Result<(), String> {
    bench.service("planned");
    let asked = request("planned", "app", "1.29");
    let plan = bench.agent.call(async |mut client| {
        let request = PlanServiceUpdateRequest {
            update: Some(asked.clone()),
        };
        client.plan_service_update(request).await
    });
    let plan = plan
        .map_err(|status| status.to_string())?
        .into_inner()
        .plan
        .unwrap_or_default();
    let paths: Vec<&str> = plan.changes.iter().map(|change| change.path.as_str()).collect();
    ensure(paths == ["containerDefinitions[app].image"], || {
        format!("{plan:?}")
    })?;
    let revisions = bench.revisions("planned");
    ensure(revisions == 1, || format!("there are {revisions} revisions"))?;
    let another = UpdateServiceRequest {
        plan_hash: "another".into(),
        ..asked.clone()
    };
    bench.updated(another, Verdict::Errored, "plan_changed")?;
    bench.agent.update(UpdateServiceRequest {
        plan_hash: plan.hash,
        ..asked
    })?;
    bench.runs("planned", "1.29")
}

fn no_role(bench: &Bench) -> Result<(), String> {
    let mut definition = definition("roleless");
    definition["taskRoleArn"] = "arn:aws:iam::222222222222:role/nobody".into();
    bench.service_of("roleless", &definition);
    let asked = request("roleless", "app", "1.29");
    let outcome = bench.updated(asked, Verdict::Errored, "preflight_failed")?;
    let revisions = bench.revisions("roleless");
    ensure(
        revisions == 1 && outcome.finished.summary.contains("role/nobody"),
        || format!("{revisions} revisions; {}", outcome.words()),
    )
}

fn no_service(bench: &Bench) -> Result<(), String> {
    let asked = request("nobody", "app", "1.29");
    bench.updated(asked, Verdict::Errored, "service_not_found")?;
    Ok(())
}

fn no_container(bench: &Bench) -> Result<(), String> {
    bench.service("typing");
    let asked = request("typing", "ap", "1.29");
    let outcome = bench.updated(asked, Verdict::Errored, "task_definition_unusable")?;
    let revisions = bench.revisions("typing");
    ensure(
        revisions == 1 && outcome.finished.summary.contains("proxy"),
        || format!("{revisions} revisions; {}", outcome.words()),
    )
}

fn deleted(bench: &Bench) -> Result<(), String> {
    bench.service("gone");
    let input = json!({ "cluster": CLUSTER, "service": "gone", "force": true });
    bench.ecs("DeleteService", &input);
    let outcome = bench.agent.update(request("gone", "app", "1.29"))?;
    let reason = outcome.finished.reason.as_str();
    ensure(
        ["service_not_active", "service_not_found"].contains(&reason),
        || outcome.words(),
    )
}

fn bad_image(bench: &Bench) -> Result<(), String> {
    bench.service("unpullable");
    let outcome = bench.agent.update(request("unpullable", "app", "no-such-tag"))?;
    ensure(outcome.finished.verdict() == Verdict::Failed, || outcome.words())
}

fn described(bench: &Bench) -> Result<(), String> {
    bench.service("seen");
    let answer = bench.agent.describe(DescribeServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: "seen".into(),
        ..Default::default()
    })?;
    let service = answer.service.ok_or("no service is described")?;
    let images: Vec<&str> = service.containers.iter().map(|it| it.image.as_str()).collect();
    ensure(images.len() == 2 && images[0].ends_with(":1.28"), || {
        format!("{images:?}")
    })
}
