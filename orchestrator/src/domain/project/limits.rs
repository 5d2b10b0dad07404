//! What a service cannot have here, because Fargate does not offer it or because
//! Towline leaves it to others: a person who asks for it is told so, by name.

/// Keys that are not offered, and what to do instead.
pub struct Limit {
    keys: &'static [&'static str],
    /// The limit, for a person.
    pub why: &'static str,
    pub instead: &'static str,
}

/// The limit that a key meets, however its words are joined.
pub fn met(limits: &[&'static [Limit]], key: &str) -> Option<&'static Limit> {
    let plain: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let mut all = limits.iter().flat_map(|some| some.iter());
    all.find(|limit| limit.keys.contains(&plain.as_str()))
}

/// Of a service.
pub static SERVICE: [Limit; 13] = [
    Limit {
        keys: &[
            "rollout",
            "deploymentconfiguration",
            "deploymentcircuitbreaker",
            "deploymentalarms",
        ],
        why: "what bounds a rollout stands in the service itself",
        instead: "minimum_healthy_percent, maximum_percent, circuit_breaker, alarms",
    },
    Limit {
        keys: &["autoscaling", "scaling", "scalingpolicies", "scalabletarget"],
        why: "Towline makes no auto scaling",
        instead: "leave desired_count out: an existing service keeps its count, and what scales it may stand beside the stack",
    },
    Limit {
        keys: &["appmesh", "proxyconfiguration"],
        why: "Towline makes no App Mesh, whose support AWS has ended",
        instead: "run the proxy as a container of its own, with depends_on and ports",
    },
    Limit {
        keys: &["servicediscovery", "serviceregistries", "cloudmap"],
        why: "Towline makes no service discovery",
        instead: "link a load balancer (load_balancers); other services then reach it by the load balancer's name",
    },
    Limit {
        keys: &["serviceconnect", "serviceconnectconfiguration", "vpclattice"],
        why: "Towline makes no Service Connect or VPC Lattice",
        instead: "name the ports (ports: [{port, name, app_protocol}]) and add ServiceConnectConfiguration through overrides",
    },
    Limit {
        keys: &[
            "bluegreen",
            "strategy",
            "deploymentstrategy",
            "canary",
            "linear",
            "codedeploy",
            "deploymentcontroller",
        ],
        why: "Towline rolls tasks over; it makes no blue/green, canary or linear deployment",
        instead: "circuit_breaker and alarms end a bad rollout, minimum_healthy_percent and maximum_percent pace it",
    },
    Limit {
        keys: &["scheduled", "schedule", "scheduledtask", "scheduledtasks", "cron"],
        why: "Towline keeps services, no scheduled tasks",
        instead: "an EventBridge schedule can run the task definition that Towline keeps (its ARN is an output of the stack)",
    },
    Limit {
        keys: &["launchtype", "ec2", "external"],
        why: "a service of kind fargate runs on Fargate alone",
        instead: "a service that runs elsewhere is of kind existing: Towline then changes its images and nothing else",
    },
    Limit {
        keys: &["placementconstraints", "placementstrategies", "placementstrategy"],
        why: "Fargate takes no placement constraints or strategies",
        instead: "Fargate spreads tasks over the subnets' zones; availability_zone_rebalancing keeps them spread",
    },
    Limit {
        keys: &["networkmode", "ipcmode", "pidmode"],
        why: "Fargate has the network mode awsvpc and shares no namespaces of the host",
        instead: "leave it out; the containers of a task reach each other on localhost",
    },
    Limit {
        keys: &[
            "operatingsystem",
            "operatingsystemfamily",
            "windows",
            "runtimeplatform",
        ],
        why: "Towline runs Linux containers",
        instead: "choose the CPU with `architecture: x86_64` or `architecture: arm64`",
    },
    Limit {
        keys: &["ebs", "managedebsvolume", "volumeconfigurations", "fsx", "docker"],
        why: "Towline mounts no EBS, FSx or Docker volumes",
        instead: "for storage: ephemeral_storage, or a volume on EFS",
    },
    Limit {
        keys: &[
            "listener",
            "listeners",
            "targetgroups",
            "targetgroup",
            "elb",
            "alb",
            "nlb",
        ],
        why: "Towline makes no load balancers and no listeners; it links those that exist",
        instead: "load_balancers: [{ container, port, target_group }], or listener_rule in place of target_group",
    },
];

/// Of a container.
pub static CONTAINER: [Limit; 10] = [
    Limit {
        keys: &["gpu", "gpus", "resourcerequirements", "inferenceaccelerators"],
        why: "Fargate offers no GPUs",
        instead: "a service that needs one runs on EC2: kind existing changes its images",
    },
    Limit {
        keys: &["dnsservers"],
        why: "Fargate takes no DNS servers of a container: it uses those of the VPC",
        instead: "set them in the VPC's DHCP options, or in the image",
    },
    Limit {
        keys: &["dnssearchdomains"],
        why: "Fargate takes no DNS search domains of a container",
        instead: "write whole names, or set them in the image",
    },
    Limit {
        keys: &["extrahosts", "hostname", "links"],
        why: "Fargate takes no extra hosts, host names or links",
        instead: "the containers of a task reach each other on localhost; other names belong into DNS",
    },
    Limit {
        keys: &["disablenetworking"],
        why: "Fargate cannot switch a container's network off",
        instead: "bound it with the service's security groups",
    },
    Limit {
        keys: &["firelens", "firelensconfiguration", "fluentbit", "fluentd"],
        why: "Towline makes no FireLens routing",
        instead: "logging: { driver: awslogs } or splunk; awslogs into the stack's log group is what you get without it",
    },
    Limit {
        keys: &[
            "privileged",
            "dockersecurityoptions",
            "devices",
            "sharedmemorysize",
            "swappiness",
            "maxswap",
        ],
        why: "Fargate takes no privileged containers, devices, shared memory or swap settings",
        instead: "linux: { init, add_capabilities: [SYS_PTRACE], drop_capabilities, tmpfs } is what Fargate has",
    },
    Limit {
        keys: &["tmpfs"],
        why: "file systems in memory stand under `linux`",
        instead: "linux: { tmpfs: [{ path: /scratch, size: 64 }] }",
    },
    Limit {
        keys: &["hostport", "portmappings"],
        why: "on Fargate a port of the host is the container's port",
        instead: "ports: [8080], or ports: [{ port: 8080, protocol: tcp, name: web, app_protocol: http }]",
    },
    Limit {
        keys: &["tag", "repository", "digest"],
        why: "a container names an image key; where the image is, and its tag, stand under `images`",
        instead: "images: { web: { repository: ..., tag: ... } }, and `image: web` here",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_met_however_the_key_is_written() {
        for key in ["auto_scaling", "autoScaling", "auto-scaling", "AutoScaling"] {
            assert!(met(&[&SERVICE], key).is_some(), "{key}");
        }
        assert!(met(&[&SERVICE, &CONTAINER], "cpu").is_none());
    }
}
