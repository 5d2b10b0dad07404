//! A task and its containers as DescribeTasks answers them.

use serde_json::{Value, json};

use super::{Container, Place, Stage, Task};

impl Task {
    /// The task as DescribeTasks answers it.
    pub fn describe(&self, with_tags: bool) -> Value {
        let mut task = json!({
            "attachments": [],
            "attributes": [{"name": "ecs.cpu-architecture", "value": self.architecture}],
            "availabilityZone": "",
            "clusterArn": self.cluster_arn,
            "connectivity": "CONNECTED",
            "connectivityAt": self.created.plus_ms(500).epoch_seconds(),
            "containers": self.containers.iter().map(|c| self.describe_container(c)).collect::<Vec<_>>(),
            "createdAt": self.created.epoch_seconds(),
            "desiredStatus": if self.stopping || self.stage == Stage::Stopped { "STOPPED" } else { "RUNNING" },
            "enableExecuteCommand": self.has_exec,
            "group": self.group(),
            "healthStatus": self.health().word(),
            "lastStatus": self.stage.word(),
            "launchType": self.launch_type,
            "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []},
            "startedBy": self.started_by,
            "tags": if with_tags { Value::from(self.tags.clone()) } else { json!([]) },
            "taskArn": self.arn,
            "taskDefinitionArn": self.task_definition,
            "version": self.version,
        });
        self.describe_place(&mut task);
        let moments = [
            ("pullStartedAt", self.pull_started),
            ("pullStoppedAt", self.pull_stopped),
            ("startedAt", self.started),
            ("stoppingAt", self.stopping_at),
            ("executionStoppedAt", self.stopped),
            ("stoppedAt", self.stopped),
        ];
        for (member, at) in moments {
            if let Some(at) = at {
                task[member] = at.epoch_seconds();
            }
        }
        let words = [
            ("cpu", self.cpu.clone()),
            ("memory", self.memory.clone()),
            ("platformVersion", self.platform_version.clone()),
            ("capacityProviderName", self.capacity_provider.clone()),
            ("stopCode", self.stop_code.map(|code| code.word().to_owned())),
            ("stoppedReason", self.stopped_reason.clone()),
        ];
        for (member, word) in words {
            if let Some(word) = word {
                task[member] = Value::from(word);
            }
        }
        if self.launch_type == "FARGATE" {
            task["platformFamily"] = json!("Linux");
            task["ephemeralStorage"] = json!({"sizeInGiB": self.ephemeral_storage});
            task["fargateEphemeralStorage"] = json!({"sizeInGiB": self.ephemeral_storage});
        }
        task
    }

    /// One that belongs to no service is of its family's group.
    fn group(&self) -> String {
        if !self.service.is_empty() {
            return format!("service:{}", self.service);
        }
        let short = self.task_definition.rsplit('/').next().unwrap_or_default();
        let family = short.split(':').next().unwrap_or_default();
        format!("family:{family}")
    }

    fn describe_place(&self, task: &mut Value) {
        match &self.place {
            Place::Interface {
                eni,
                ip,
                subnet,
                zone,
                host,
            } => {
                let attached = match self.stage {
                    Stage::Provisioning => "PRECREATED",
                    Stage::Stopped => "DELETED",
                    _ => "ATTACHED",
                };
                task["availabilityZone"] = json!(zone);
                if let Some(host) = host {
                    task["containerInstanceArn"] = json!(host);
                }
                task["attachments"] = json!([{
                    "id": format!("{}-eni", self.id),
                    "type": "ElasticNetworkInterface",
                    "status": attached,
                    "details": [
                        {"name": "subnetId", "value": subnet},
                        {"name": "networkInterfaceId", "value": eni},
                        {"name": "privateIPv4Address", "value": ip},
                    ],
                }]);
            }
            Place::Waiting { .. } => {}
            Place::Instance { arn, zone, .. } => {
                task["availabilityZone"] = json!(zone);
                task["containerInstanceArn"] = json!(arn);
            }
        }
    }

    fn describe_container(&self, container: &Container) -> Value {
        let status = if container.stopped {
            "STOPPED"
        } else if container.started.is_some() {
            "RUNNING"
        } else {
            "PENDING"
        };
        let mut described = json!({
            "containerArn": container.arn,
            "taskArn": self.arn,
            "name": container.name,
            "image": container.image,
            "lastStatus": status,
            "networkBindings": [],
            "networkInterfaces": [],
            "healthStatus": container.health.word(),
            "cpu": container.cpu.to_string(),
        });
        match &self.place {
            Place::Interface { ip, .. } => {
                described["networkInterfaces"] =
                    json!([{"attachmentId": format!("{}-eni", self.id), "privateIpv4Address": ip}]);
            }
            Place::Instance { .. } if self.stage >= Stage::Running => {
                let binding = |(container_port, host_port, protocol): &(i64, i64, String)| json!({"bindIP": "0.0.0.0", "containerPort": container_port, "hostPort": host_port, "protocol": protocol});
                described["networkBindings"] = container.bindings.iter().map(binding).collect();
            }
            Place::Instance { .. } | Place::Waiting { .. } => {}
        }
        if let Some(memory) = container.memory {
            described["memory"] = json!(memory.to_string());
        }
        if let Some(digest) = &container.digest {
            described["imageDigest"] = json!(digest);
        }
        if container.started.is_some() {
            described["runtimeId"] = json!(format!("{}-{}", self.id, container.name.len()));
        }
        if let Some(code) = container.exit_code {
            described["exitCode"] = json!(code);
        }
        if let Some(reason) = &container.reason {
            described["reason"] = json!(reason);
        }
        described
    }
}
