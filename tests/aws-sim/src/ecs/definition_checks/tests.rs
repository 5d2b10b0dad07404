//! What ECS refuses of a task definition, by the words that it says.

use serde_json::{Value, json};

use super::check;

/// A Fargate task definition with a web container and a migration that runs before it.
fn definition() -> Value {
    json!({
        "family": "web", "cpu": "512", "memory": "1024", "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "executionRoleArn": "arn:aws:iam::111111111111:role/ecs",
        "ephemeralStorage": {"sizeInGiB": 40},
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-0123456789abcdef0",
            "transitEncryption": "ENABLED", "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"}}}],
        "containerDefinitions": [
            {
                "name": "web", "image": "shop/web:1", "cpu": 256, "memory": 512, "memoryReservation": 256,
                "portMappings": [{"containerPort": 8080, "name": "http", "appProtocol": "http"}],
                "environment": [{"name": "MODE", "value": "live"}],
                "secrets": [{"name": "DB", "valueFrom": "arn:aws:ssm:eu-west-1:111111111111:parameter/db"}],
                "dependsOn": [{"containerName": "migrate", "condition": "SUCCESS"}],
                "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 10, "retries": 3},
                "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
                "linuxParameters": {"initProcessEnabled": true, "capabilities": {"add": ["SYS_PTRACE"]}, "tmpfs": [{"containerPath": "/scratch", "size": 64, "mountOptions": ["noexec", "mode=1777"]}]},
                "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}],
                "restartPolicy": {"enabled": true, "restartAttemptPeriod": 60, "ignoredExitCodes": [0]},
                "stopTimeout": 120,
                "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/web",
                    "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web"}},
            },
            {"name": "migrate", "image": "shop/web:1", "essential": false},
        ],
    })
}

fn refusal(pointer: &str, value: Value) -> String {
    let mut changed = definition();
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    match changed.pointer_mut(parent).expect("the parent is there") {
        Value::Object(members) => drop(members.insert(member.to_owned(), value)),
        Value::Array(items) => items[member.parse::<usize>().expect("an index")] = value,
        other => panic!("{parent} is {other}"),
    }
    match check(changed.as_object().expect("an object")) {
        Ok(()) => panic!("{pointer} is accepted"),
        Err(error) => error.message,
    }
}

#[test]
fn all_that_fargate_knows_is_accepted() {
    let definition = definition();
    assert_eq!(
        check(definition.as_object().unwrap()).map_err(|e| e.message),
        Ok(())
    );
}

#[test]
fn every_fault_is_refused_in_words_that_name_it() {
    let container = "/containerDefinitions/0";
    let faults = [
        ("/cpu", json!("300"), "No Fargate configuration exists"),
        (
            "/networkMode",
            json!("bridge"),
            "Fargate only supports network mode",
        ),
        ("/ipcMode", json!("task"), "do not support ipcMode"),
        ("/ephemeralStorage/sizeInGiB", json!(20), "between 21 and 200"),
        (
            "/runtimePlatform/cpuArchitecture",
            json!("PPC"),
            "X86_64 or ARM64",
        ),
        (
            "/volumes/0/efsVolumeConfiguration/transitEncryption",
            json!("DISABLED"),
            "transit encryption",
        ),
        (
            "/volumes/0/efsVolumeConfiguration/rootDirectory",
            json!("/a"),
            "root directory",
        ),
        (
            "/containerDefinitions/1/essential",
            json!(true),
            "cannot be an essential container",
        ),
        (
            "0/image",
            json!("a b"),
            "Container.image contains invalid characters.",
        ),
        ("0/memoryReservation", json!(600), "'memory' must be greater than"),
        ("0/cpu", json!(1024), "The sum of all container 'cpu' values"),
        (
            "0/memory",
            json!(2048),
            "Invalid 'memory' setting for container 'web'",
        ),
        ("0/portMappings/0/hostPort", json!(80), "must match"),
        ("0/portMappings/0/name", Value::Null, "must have a name"),
        ("0/portMappings/0/appProtocol", json!("smtp"), "appProtocol smtp"),
        ("0/secrets/0/name", json!("MODE"), "such as 'MODE'"),
        ("0/dependsOn/0/condition", json!("HEALTHY"), "has no health check"),
        ("0/dependsOn/0/condition", json!("READY"), "'READY' is not one of"),
        (
            "0/dependsOn/0",
            json!({"containerName": "web", "condition": "START"}),
            "Cyclic container dependency detected: [web].",
        ),
        (
            "0/healthCheck/command",
            json!(["curl"]),
            "must begin with CMD or CMD-SHELL",
        ),
        (
            "0/healthCheck/interval",
            json!(4),
            "interval of container 'web' must be between 5 and 300",
        ),
        (
            "0/mountPoints/0/sourceVolume",
            json!("other"),
            "Unknown volume 'other'.",
        ),
        (
            "0/linuxParameters/capabilities/add",
            json!(["NET_ADMIN"]),
            "NET_ADMIN",
        ),
        (
            "0/linuxParameters/sharedMemorySize",
            json!(64),
            "do not support sharedMemorySize",
        ),
        (
            "0/linuxParameters/tmpfs/0/containerPath",
            json!("/data"),
            "Duplicate mount point '/data'",
        ),
        (
            "0/linuxParameters/tmpfs/0/containerPath",
            json!("scratch"),
            "not an absolute path",
        ),
        ("0/linuxParameters/tmpfs/0/size", json!(0), "size greater than 0"),
        (
            "0/linuxParameters/tmpfs/0/mountOptions/0",
            json!("noexecute"),
            "'noexecute' is not supported",
        ),
        (
            "0/ulimits/0/name",
            json!("files"),
            "ulimit name files is not one of",
        ),
        (
            "0/restartPolicy/restartAttemptPeriod",
            json!(30),
            "between 60 and 1800",
        ),
        (
            "0/stopTimeout",
            json!(121),
            "maximum for the Fargate launch type is 120",
        ),
        (
            "0/logConfiguration/logDriver",
            json!("json-file"),
            "[awsfirelens, awslogs, splunk] supported",
        ),
        (
            "0/dnsServers",
            json!(["10.0.0.2"]),
            "dnsServers are not supported on container when networkMode=awsvpc.",
        ),
        (
            "0/extraHosts",
            json!([{"hostname": "a", "ipAddress": "10.0.0.9"}]),
            "extraHosts is not supported",
        ),
        ("0/privileged", json!(true), "privileged"),
        (
            "0/environment",
            json!([{"name": "LONG", "value": "x".repeat(70_000)}]),
            "Max allowed length is '65536' bytes.",
        ),
        (
            "0/resourceRequirements",
            json!([{"type": "GPU", "value": "1"}]),
            "GPU",
        ),
    ];
    for (pointer, value, words) in faults {
        let pointer = pointer
            .strip_prefix("0/")
            .map_or_else(|| pointer.to_owned(), |rest| format!("{container}/{rest}"));
        let said = refusal(&pointer, value);
        assert!(said.contains(words), "{pointer}: {said:?} does not say {words:?}");
    }
}
