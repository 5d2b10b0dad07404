//! All that Fargate allows, through a stack.

use serde_json::json;

use super::account::{Account, image, template};

/// A service that says everything that Fargate allows.
fn full_template() -> String {
    let mut template: serde_json::Value = serde_json::from_str(&template("1")).expect("JSON");
    let resources = &mut template["Resources"];
    let task = &mut resources["Task"]["Properties"];
    task["Cpu"] = json!("1024");
    task["Memory"] = json!("2048");
    task["EphemeralStorage"] = json!({ "SizeInGiB": "40" });
    task["RuntimePlatform"] = json!({ "CpuArchitecture": "X86_64", "OperatingSystemFamily": "LINUX" });
    task["TaskRoleArn"] = json!({ "Fn::GetAtt": ["Role", "Arn"] });
    task["Volumes"] = json!([{ "Name": "data", "EFSVolumeConfiguration": {
        "FilesystemId": "fs-0123456789abcdef0", "TransitEncryption": "ENABLED",
        "AuthorizationConfig": { "IAM": "ENABLED" } } }]);
    let web = &mut task["ContainerDefinitions"][0];
    for (member, value) in [
        ("Cpu", json!("512")),
        ("EntryPoint", json!(["/bin/app"])),
        (
            "PortMappings",
            json!([{ "ContainerPort": "8080", "Name": "http", "AppProtocol": "http" }]),
        ),
        (
            "HealthCheck",
            json!({ "Command": ["CMD", "true"], "Interval": "5", "Retries": 2 }),
        ),
        (
            "DependsOn",
            json!([{ "ContainerName": "sidecar", "Condition": "HEALTHY" }]),
        ),
        (
            "MountPoints",
            json!([{ "SourceVolume": "data", "ContainerPath": "/data", "ReadOnly": "true" }]),
        ),
        (
            "RestartPolicy",
            json!({ "Enabled": "true", "IgnoredExitCodes": [0, "143"], "RestartAttemptPeriod": 60 }),
        ),
        (
            "LinuxParameters",
            json!({ "InitProcessEnabled": true, "Capabilities": { "Add": ["SYS_PTRACE"] } }),
        ),
        (
            "Ulimits",
            json!([{ "Name": "nofile", "SoftLimit": 1024, "HardLimit": 4096 }]),
        ),
        ("DockerLabels", json!({ "Team": "shop" })),
        ("StopTimeout", json!(60)),
    ] {
        web[member] = value;
    }
    let sidecar = json!({ "Name": "sidecar", "Image": image("2"), "Essential": false,
        "HealthCheck": { "Command": ["CMD", "true"], "Interval": 5 } });
    task["ContainerDefinitions"]
        .as_array_mut()
        .expect("a list")
        .push(sidecar);
    let service = resources["Service"]["Properties"]
        .as_object_mut()
        .expect("properties");
    service.remove("LaunchType");
    for (member, value) in [
        (
            "CapacityProviderStrategy",
            json!([{ "CapacityProvider": "FARGATE", "Base": "1", "Weight": 1 }]),
        ),
        ("PlatformVersion", json!("LATEST")),
        ("EnableExecuteCommand", json!("true")),
        ("PropagateTags", json!("SERVICE")),
        ("AvailabilityZoneRebalancing", json!("ENABLED")),
        (
            "DeploymentConfiguration",
            json!({
            "MaximumPercent": 200, "MinimumHealthyPercent": "100",
            "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true, "ResetOnHealthyTask": "false",
                "ThresholdConfiguration": { "Type": "COUNT", "Value": "4" } },
            "Alarms": { "AlarmNames": ["errors"], "Enable": true, "Rollback": true } }),
        ),
    ] {
        service.insert(member.to_owned(), value);
    }
    template.to_string()
}

#[test]
fn everything_that_fargate_allows_comes_through_a_stack() {
    let mut account = Account::new();
    assert_eq!(
        account.deploy("full", "CREATE", &full_template()),
        "CREATE_COMPLETE",
        "{}",
        account.events()
    );
    let service = account.service();
    assert_eq!(
        service["deploymentConfiguration"]["deploymentCircuitBreaker"]["thresholdConfiguration"]["value"],
        4
    );
    let asked = json!({ "taskDefinition": service["taskDefinition"] });
    let found = account.ecs("DescribeTaskDefinition", &asked);
    let web = &found["taskDefinition"]["containerDefinitions"][0];
    assert_eq!(web["restartPolicy"]["ignoredExitCodes"], json!([0, 143]));
    assert_eq!(web["healthCheck"]["interval"], 5);
    assert_eq!(web["mountPoints"][0]["readOnly"], true);
    let listed = account.ecs("ListTasks", &json!({ "cluster": "main", "serviceName": "web" }));
    let tasks = account.ecs(
        "DescribeTasks",
        &json!({ "cluster": "main", "tasks": listed["taskArns"] }),
    );
    let task = &tasks["tasks"][0];
    assert_eq!(
        (
            &task["ephemeralStorage"]["sizeInGiB"],
            &task["enableExecuteCommand"],
            &task["capacityProviderName"]
        ),
        (&json!(40), &json!(true), &json!("FARGATE"))
    );
    assert_eq!(
        account.change_set("same", "UPDATE", &full_template()),
        "FAILED",
        "nothing to change"
    );
}

#[test]
fn a_deleted_stack_leaves_what_it_was_told_to_leave() {
    let mut account = Account::new();
    let kept = template("1").replace(
        "\"Type\":\"AWS::Logs::LogGroup\"",
        "\"Type\":\"AWS::Logs::LogGroup\",\"DeletionPolicy\":\"RetainExceptOnCreate\"",
    );
    assert!(
        kept.contains("\"DeletionPolicy\":\"RetainExceptOnCreate\",\"Properties\":{\"LogGroupName\""),
        "{kept}"
    );
    account.deploy("first", "CREATE", &kept);
    account.did("DeleteStack", &[("StackName", "web")]);
    account.pass(120);
    let gone = account.call("DescribeStacks", &[("StackName", "web")]);
    assert!(gone.is_err(), "{gone:?}");
    assert_eq!(account.service()["status"], "INACTIVE");
    assert_eq!(account.revisions(), 1, "the revision is kept, too");
    assert_eq!(
        account.deploy("again", "CREATE", &kept),
        "ROLLBACK_COMPLETE",
        "the log group is still there"
    );
}
