//! MiniStack as a process of its own, on loopback and without containers, and
//! what a service needs to be there before it is deployed.

use std::{ops::Deref, path::Path, time::Duration};

use serde_json::Value;
use towline_tests::emulator::{Emulator as Started, element};

pub use towline_tests::emulator::{ACCOUNT, CLUSTER, REGION};

/// A running MiniStack.
pub struct Emulator {
    started: Started,
    pub subnet: String,
    pub security_group: String,
}

impl Deref for Emulator {
    type Target = Started;

    fn deref(&self) -> &Started {
        &self.started
    }
}

impl Emulator {
    /// Starts the program of this path, with a cluster and a network in it.
    pub fn start(program: &str, directory: &Path) -> Self {
        let mut emulator = Self {
            started: Started::ministack(program, directory),
            subnet: String::new(),
            security_group: String::new(),
        };
        emulator.furnish();
        emulator
    }

    /// A cluster; the network is the one that every account begins with.
    fn furnish(&mut self) {
        let cluster = serde_json::json!({ "clusterName": CLUSTER });
        self.json("ecs", "CreateCluster", &cluster);
        let found = self.query("ec2", "2016-11-15", &[("Action", "DescribeSubnets")]);
        self.subnet = element(&found, "subnetId").expect("a subnet");
        let found = self.query("ec2", "2016-11-15", &[("Action", "DescribeSecurityGroups")]);
        self.security_group = element(&found, "groupId").expect("a security group");
    }

    /// Makes a VPC beside the first; a subnet and a security group in it.
    pub fn another_network(&self) -> (String, String) {
        let vpc = self.ec2(&[("Action", "CreateVpc"), ("CidrBlock", "10.9.0.0/16")], "vpcId");
        let subnet = [
            ("Action", "CreateSubnet"),
            ("VpcId", &vpc),
            ("CidrBlock", "10.9.1.0/24"),
        ];
        let group = [
            ("Action", "CreateSecurityGroup"),
            ("VpcId", &vpc),
            ("GroupName", "web"),
            ("GroupDescription", "web"),
        ];
        (self.ec2(&subnet, "subnetId"), self.ec2(&group, "groupId"))
    }

    /// The version that it says it is.
    pub fn version(&self) -> String {
        let url = format!("{}/_ministack/health", self.url());
        let mut answer = ureq::get(&url).call().expect("MiniStack's health");
        let health: Value = answer.body_mut().read_json().expect("JSON");
        health["version"].as_str().unwrap_or_default().to_owned()
    }

    fn ec2(&self, parameters: &[(&str, &str)], wanted: &str) -> String {
        let answer = self.query("ec2", "2016-11-15", parameters);
        element(&answer, wanted).unwrap_or_else(|| panic!("no {wanted} in {answer}"))
    }

    /// An awsQuery action of CloudFormation.
    pub fn cloudformation(&self, parameters: &[(&str, &str)]) -> String {
        self.query("cloudformation", "2010-05-15", parameters)
    }

    /// The stack's status; `None` when there is none.
    pub fn stack_status(&self, stack: &str) -> Option<String> {
        let answer = self.cloudformation(&[("Action", "DescribeStacks"), ("StackName", stack)]);
        element(&answer, "StackStatus")
    }

    /// Whether there was a stack of this name, that is deleted now.
    pub fn is_deleted(&self, stack: &str) -> bool {
        let answer = self.cloudformation(&[("Action", "ListStacks")]);
        let summaries = answer.split("<StackName>").skip(1);
        summaries
            .filter(|rest| rest.split('<').next() == Some(stack))
            .any(|rest| element(rest, "StackStatus").as_deref() == Some("DELETE_COMPLETE"))
    }

    /// How many events the stack has had.
    pub fn stack_events(&self, stack: &str) -> usize {
        let answer = self.cloudformation(&[("Action", "DescribeStackEvents"), ("StackName", stack)]);
        answer.matches("<EventId>").count()
    }

    /// The task definition that the service is set to.
    pub fn task_definition(&self, service: &str) -> Value {
        self.started.task_definition(service).0
    }

    /// Removes every stack, as their owner would; those that do not go.
    pub fn remove_stacks(&self) -> Vec<String> {
        for name in self.stacks() {
            self.cloudformation(&[("Action", "DeleteStack"), ("StackName", &name)]);
        }
        let is_gone = || self.stacks().is_empty().then_some(());
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while is_gone().is_none() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.stacks()
    }

    fn stacks(&self) -> Vec<String> {
        let answer = self.cloudformation(&[("Action", "DescribeStacks")]);
        let names = answer.split("<StackName>").skip(1);
        names
            .filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()))
            .collect()
    }
}
