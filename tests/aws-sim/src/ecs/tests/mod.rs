//! Rollouts in the world of `seeds/shop.toml`, on a clock that only the test moves.

mod causes;
mod containers;
mod content;
mod guards;
mod images;
mod instances;
mod rollouts;
mod run_task;
mod settings;
mod underway;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    AwsError,
    world::{CallContext, Seed, World, seed},
};

const ACCOUNT: &str = "111111111111";
const REGION: &str = "eu-west-1";

struct Shop(World);

impl Shop {
    fn open() -> Self {
        let seed = Seed::read(include_str!("../../../seeds/shop.toml")).unwrap();
        Self(seed::build(&seed, 0.0).unwrap())
    }

    fn try_call(&mut self, action: &str, input: &Value) -> Result<Value, AwsError> {
        let now = self.0.advance();
        let ctx = CallContext::service(now, ACCOUNT, "test");
        super::call(self.0.region(ACCOUNT, REGION), &ctx, action, input)
    }

    fn call(&mut self, action: &str, input: Value) -> Value {
        self.try_call(action, &input)
            .unwrap_or_else(|error| panic!("{action}: {error}"))
    }

    fn pass(&mut self, seconds: f64) {
        self.0.clock.advance(Duration::from_secs_f64(seconds));
        self.0.advance();
    }

    /// Pushes an image of `shop/orders`, as `POST /_sim/images` does.
    fn push_orders(&self, tag: &str, more: Value) {
        let mut image = json!({"repository": "shop/orders", "tag": tag});
        for (member, value) in more.as_object().unwrap() {
            image[member] = value.clone();
        }
        self.0.images.add(serde_json::from_value(image).unwrap());
    }

    /// Changes the service's deployment configuration.
    fn configure_orders(&mut self, configuration: Value) {
        let input = json!({"cluster": "main", "service": "orders", "deploymentConfiguration": configuration});
        self.call("UpdateService", input);
    }

    /// The newest service deployment, as DescribeServiceDeployments has it.
    fn newest_deployment(&mut self, name: &str) -> Value {
        let arn = self.service_deployments(name)[0]["serviceDeploymentArn"].clone();
        let found = self.call(
            "DescribeServiceDeployments",
            json!({"serviceDeploymentArns": [arn]}),
        );
        found["serviceDeployments"][0].clone()
    }

    /// Replaces a role's own policy.
    fn set_policy(&mut self, role: &str, statements: &Value) {
        let region = self.0.region(ACCOUNT, REGION);
        let policy = json!({"PolicyName": "inline", "PolicyDocument": {"Statement": statements}});
        let mut properties = region.iam.lock()[role].properties.clone();
        properties.insert("Policies".into(), json!([policy]));
        crate::iam::update_role(region, role, properties).unwrap();
    }

    fn image(repository: &str, tag: &str) -> String {
        format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{tag}")
    }

    /// Registers the orders family's latest revision with another image; its ARN.
    fn register_orders(&mut self, tag: &str) -> String {
        let found = self.call("DescribeTaskDefinition", json!({"taskDefinition": "orders"}));
        let mut next = json!({"family": "orders"});
        for member in [
            "containerDefinitions",
            "networkMode",
            "executionRoleArn",
            "taskRoleArn",
            "volumes",
        ] {
            next[member] = found["taskDefinition"][member].clone();
        }
        next["containerDefinitions"][0]["image"] = json!(Self::image("shop/orders", tag));
        let registered = self.call("RegisterTaskDefinition", next);
        let arn = registered["taskDefinition"]["taskDefinitionArn"].as_str();
        arn.unwrap().to_owned()
    }

    fn update_orders(&mut self, tag: &str) -> String {
        let arn = self.register_orders(tag);
        let input = json!({"cluster": "main", "service": "orders", "taskDefinition": arn});
        self.call("UpdateService", input);
        arn
    }

    /// A Fargate service behind the target group `web`.
    fn create_web(&mut self, tag: &str, subnet: &str) -> Result<Value, AwsError> {
        let image = Self::image("shop/web", tag);
        self.try_call(
            "RegisterTaskDefinition",
            &json!({
                "family": "web", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
                "requiresCompatibilities": ["FARGATE"],
                "executionRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/shop-execution"),
                "containerDefinitions": [{"name": "web", "image": image, "portMappings": [{"containerPort": 8080}]}],
            }),
        )?;
        self.try_call(
            "CreateService",
            &json!({
                "cluster": "main", "serviceName": "web", "taskDefinition": "web", "desiredCount": 2,
                "launchType": "FARGATE",
                "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}},
                "networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet]}},
                "loadBalancers": [{"targetGroupArn": target_group("web"), "containerName": "web", "containerPort": 8080}],
            }),
        )
    }

    fn service(&mut self, name: &str) -> Value {
        let found = self.call("DescribeServices", json!({"cluster": "main", "services": [name]}));
        found["services"][0].clone()
    }

    /// The messages of a service's events, oldest first.
    fn events(&mut self, name: &str) -> Vec<String> {
        let service = self.service(name);
        let events = service["events"].as_array().unwrap().iter().rev();
        events
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Lets time pass until the PRIMARY deployment is no longer IN_PROGRESS.
    fn settle(&mut self, name: &str) -> Value {
        for _ in 0..2_400 {
            let service = self.service(name);
            if service["deployments"][0]["rolloutState"] != "IN_PROGRESS" {
                return service;
            }
            self.pass(0.25);
        }
        panic!("{name} never settled: {:?}", self.events(name));
    }

    fn stopped_tasks(&mut self, name: &str) -> Vec<Value> {
        let input = json!({"cluster": "main", "serviceName": name, "desiredStatus": "STOPPED"});
        let listed = self.call("ListTasks", input);
        let input = json!({"cluster": "main", "tasks": listed["taskArns"]});
        let described = self.call("DescribeTasks", input);
        described["tasks"].as_array().unwrap().clone()
    }

    fn service_deployments(&mut self, name: &str) -> Vec<Value> {
        let listed = self.call(
            "ListServiceDeployments",
            json!({"cluster": "main", "service": name}),
        );
        listed["serviceDeployments"].as_array().unwrap().clone()
    }
}

fn target_group(name: &str) -> String {
    let id = if name == "web" {
        "73e2d6bc24d8a067"
    } else {
        "6d0ecf831eec9f09"
    };
    format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{name}/{id}")
}

const SUBNET: &str = "subnet-0d10000000000000a";

fn has(events: &[String], part: &str) -> bool {
    events.iter().any(|event| event.contains(part))
}
