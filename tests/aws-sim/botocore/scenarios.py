"""What is driven: the stories of `stacks`, a service updated well and badly, and
every other action once.

The world is the one of `seeds/` (account 111111111111, eu-west-1): cluster
`main`, target groups `web` and `spare`, service `orders`.
"""

import botocore.exceptions

import stacks
import surroundings
from stacks import ECR


def run(simulator):
    """All scenarios, one after the other."""
    reads(simulator)
    surroundings.run(simulator)
    stacks.run(simulator)
    service(simulator)
    deletions(simulator)
    faults(simulator)


def reads(simulator):
    """The network, the load balancers, the caller."""
    sts, ec2, elb = (simulator.client(name) for name in ("sts", "ec2", "elbv2"))
    identity = sts.get_caller_identity()
    simulator.report.expect("the caller's account is its key", identity["Account"] == "111111111111")
    sts.assume_role(RoleArn="arn:aws:iam::111111111111:role/towline", RoleSessionName="check")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    ec2.describe_security_groups()
    simulator.refused(
        "an unknown subnet",
        "InvalidSubnetID.NotFound",
        ec2.describe_subnets,
        SubnetIds=["subnet-00000000000000000"],
    )
    groups = elb.describe_target_groups()["TargetGroups"]
    balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    elb.describe_listeners(LoadBalancerArn=balancer)
    elb.describe_target_health(TargetGroupArn=groups[0]["TargetGroupArn"])
    elb.describe_tags(ResourceArns=[groups[0]["TargetGroupArn"]])
    simulator.refused("an unknown group", "TargetGroupNotFound", elb.describe_target_groups, Names=["no-such-group"])


def service(simulator):
    """A service of somebody else's gets a new image, then one that crashes."""
    ecs, logs = simulator.client("ecs"), simulator.client("logs")
    report = simulator.report
    found = ecs.describe_services(cluster="main", services=["orders", "no-such"], include=["TAGS"])
    report.expect("a missing service is a failure", found["failures"][0]["reason"] == "MISSING")
    before = found["services"][0]["taskDefinition"]
    good = register(ecs, before, "1.0.0")
    ecs.update_service(cluster="main", service="orders", taskDefinition=good)

    def primary():
        described = ecs.describe_services(cluster="main", services=["orders"])["services"][0]
        return next(d for d in described["deployments"] if d["status"] == "PRIMARY")

    simulator.until("orders: rolled out", lambda: primary()["rolloutState"] == "COMPLETED")
    report.expect("orders runs the new revision", primary()["taskDefinition"] == good)
    bad = register(ecs, before, "1.3.0")
    ecs.update_service(cluster="main", service="orders", taskDefinition=bad)
    simulator.until(
        "orders: the breaker goes back",
        lambda: primary()["taskDefinition"] == good and primary()["rolloutState"] == "COMPLETED",
    )
    listed = ecs.list_service_deployments(cluster="main", service="orders")["serviceDeployments"]
    described = ecs.describe_service_deployments(serviceDeploymentArns=[d["serviceDeploymentArn"] for d in listed])
    statuses = [d["status"] for d in described["serviceDeployments"]]
    report.expect("a rolled-back deployment is listed", "ROLLBACK_SUCCESSFUL" in statuses, str(statuses))
    revisions = [d["targetServiceRevisionArn"] for d in listed]
    ecs.describe_service_revisions(serviceRevisionArns=revisions[:1])
    stopped = ecs.list_tasks(cluster="main", serviceName="orders", desiredStatus="STOPPED")["taskArns"]
    tasks = ecs.describe_tasks(cluster="main", tasks=stopped, include=["TAGS"])["tasks"]
    report.expect("the exit code is told", any(c.get("exitCode") == 2 for t in tasks for c in t["containers"]))
    streams = logs.describe_log_streams(logGroupName="/ecs/orders", limit=5)["logStreams"]
    logs.get_log_events(logGroupName="/ecs/orders", logStreamName=streams[0]["logStreamName"], limit=5)
    ecs.update_service(cluster="main", service="orders", taskDefinition=register(ecs, before, "1.2.0"))
    simulator.control("clock", {"advance_ms": 3000})
    newest = ecs.list_service_deployments(cluster="main", service="orders")["serviceDeployments"][0]
    ecs.stop_service_deployment(serviceDeploymentArn=newest["serviceDeploymentArn"], stopType="ROLLBACK")
    simulator.until("orders: stopped", lambda: primary()["taskDefinition"] == good)
    watched(simulator, ecs, before, primary)
    others(simulator, ecs, logs)


def run_tasks(simulator, ecs):
    """A task that belongs to no service, its token, and one without a place."""
    report = simulator.report
    request = {
        "cluster": "main",
        "taskDefinition": "orders",
        "launchType": "EC2",
        "startedBy": "towline/checked",
        "clientToken": "checked",
        "tags": [{"key": "seen", "value": "yes"}],
    }
    first = ecs.run_task(**request)["tasks"][0]
    report.expect("a task is of its family's group", first["group"] == "family:orders", first["group"])
    again = ecs.run_task(**request)["tasks"][0]
    report.expect("a token runs one task", first["taskArn"] == again["taskArn"])
    simulator.refused(
        "a token of another request", "ConflictException", ecs.run_task, **{**request, "startedBy": "another"}
    )
    tight = ecs.run_task(**{**request, "cluster": "tight", "clientToken": "tight"})
    report.expect("no room is a failure", tight["failures"][0]["reason"].startswith("RESOURCE:"), str(tight))
    ecs.stop_task(cluster="main", task=first["taskArn"], reason="checked")


def watched(simulator, ecs, before, primary):
    """An alarm ends a deployment; instances come for tasks that wait for them."""
    report = simulator.report
    alarms = {"enable": True, "rollback": True, "alarmNames": ["orders-errors"]}
    ecs.update_service(cluster="main", service="orders", deploymentConfiguration={"alarms": alarms})
    good = primary()["taskDefinition"]
    ecs.update_service(cluster="main", service="orders", taskDefinition=register(ecs, before, "1.4.0"))
    newest = ecs.list_service_deployments(cluster="main", service="orders")["serviceDeployments"][0]
    arn = newest["serviceDeploymentArn"]

    def record():
        return ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    report.expect("its alarms are watched", record()["alarms"]["status"] == "MONITORING", str(record()))
    simulator.until("orders: an alarm goes back", lambda: record()["status"] == "ROLLBACK_SUCCESSFUL")
    report.expect("the alarm is named", record()["alarms"]["triggeredAlarmNames"] == ["orders-errors"])
    report.expect("orders runs what ran before", primary()["taskDefinition"] == good)
    strategy = [{"capacityProvider": "machines", "weight": 1}]
    ecs.create_service(
        cluster="growing",
        serviceName="grown",
        taskDefinition=good,
        desiredCount=1,
        capacityProviderStrategy=strategy,
    )
    simulator.control("clock", {"advance_ms": 2000})
    waiting = ecs.list_tasks(cluster="growing", serviceName="grown")["taskArns"]
    ecs.describe_tasks(cluster="growing", tasks=waiting)

    def grown():
        return ecs.describe_services(cluster="growing", services=["grown"])["services"][0]

    simulator.until("an instance came", lambda: grown()["runningCount"] == 1)
    instances = ecs.list_container_instances(cluster="growing")["containerInstanceArns"]
    ecs.describe_container_instances(cluster="growing", containerInstances=instances)


def register(ecs, before, tag):
    """A revision like `before` with another image of the container `app`."""
    found = ecs.describe_task_definition(taskDefinition=before, include=["TAGS"])
    definition = found["taskDefinition"]
    computed = (
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
    )
    for member in computed:
        definition.pop(member, None)
    for container in definition["containerDefinitions"]:
        if container["name"] == "app":
            container["image"] = f"{ECR}/shop/orders:{tag}"
    made = ecs.register_task_definition(**definition, tags=found["tags"])
    return made["taskDefinition"]["taskDefinitionArn"]


def others(simulator, ecs, logs):
    """The actions that no story above needs."""
    clusters = ecs.list_clusters()["clusterArns"]
    ecs.describe_clusters(clusters=clusters, include=["TAGS", "STATISTICS", "SETTINGS"])
    instances = ecs.list_container_instances(cluster="main")["containerInstanceArns"]
    ecs.describe_container_instances(cluster="main", containerInstances=instances)
    ecs.list_services(cluster="main")
    ecs.list_task_definitions(familyPrefix="orders", sort="DESC")
    ecs.list_task_definition_families(status="ACTIVE")
    running = ecs.list_tasks(cluster="main", serviceName="orders")["taskArns"]
    ecs.describe_capacity_providers(capacityProviders=["machines", "FARGATE", "no-such"])
    ecs.update_task_protection(cluster="main", tasks=running, protectionEnabled=True, expiresInMinutes=5)
    ecs.get_task_protection(cluster="main", tasks=[*running, "0" * 32])
    ecs.update_task_protection(cluster="main", tasks=running, protectionEnabled=False)
    ecs.stop_task(cluster="main", task=running[0], reason="checked")
    run_tasks(simulator, ecs)
    arn = ecs.describe_services(cluster="main", services=["orders"])["services"][0]["serviceArn"]
    ecs.tag_resource(resourceArn=arn, tags=[{"key": "seen", "value": "yes"}])
    ecs.untag_resource(resourceArn=arn, tagKeys=["seen"])
    ecs.list_tags_for_resource(resourceArn=arn)
    simulator.refused(
        "no such cluster", "ClusterNotFoundException", ecs.list_services, cluster="no-such-cluster"
    )
    simulator.refused(
        "no such service",
        "ServiceNotFoundException",
        ecs.update_service,
        cluster="main",
        service="no-such-service",
        desiredCount=1,
    )
    simulator.refused(
        "no such revision", "ClientException", ecs.describe_task_definition, taskDefinition="no-such-family"
    )
    logs.create_log_group(logGroupName="/checked", tags={"team": "shop"})
    logs.put_retention_policy(logGroupName="/checked", retentionInDays=7)
    logs.delete_retention_policy(logGroupName="/checked")
    arn = logs.describe_log_groups(logGroupNamePrefix="/checked")["logGroups"][0]["arn"].removesuffix(":*")
    logs.tag_resource(resourceArn=arn, tags={"seen": "yes"})
    logs.untag_resource(resourceArn=arn, tagKeys=["seen"])
    logs.list_tags_for_resource(resourceArn=arn)
    simulator.refused("taken", "ResourceAlreadyExistsException", logs.create_log_group, logGroupName="/checked")


def deletions(simulator):
    """A service and a cluster that are made and removed, and a log group's end."""
    ecs, logs = simulator.client("ecs"), simulator.client("logs")
    ecs.create_cluster(clusterName="passing", tags=[{"key": "team", "value": "shop"}])
    definition = ecs.list_task_definitions(familyPrefix="orders", sort="DESC")["taskDefinitionArns"][0]
    request = {
        "cluster": "passing",
        "serviceName": "passing",
        "taskDefinition": definition,
        "desiredCount": 0,
        "launchType": "EC2",
        "clientToken": "passing-1",
    }
    ecs.create_service(**request)
    ecs.create_service(**request)
    ecs.delete_service(cluster="passing", service="passing", force=True)
    logs.delete_log_group(logGroupName="/checked")
    simulator.refused("gone", "ResourceNotFoundException", logs.delete_log_group, logGroupName="/checked")


def faults(simulator):
    """Every service's words when it is busy or broken, and an answer that never comes."""
    asks = {
        "ecs": ("list_clusters", {}),
        "logs": ("describe_log_groups", {}),
        "cloudformation": ("describe_stacks", {}),
        "elasticloadbalancing": ("describe_load_balancers", {}),
        "sts": ("get_caller_identity", {}),
        "ec2": ("describe_vpcs", {}),
        "ecr": ("batch_get_image", {"repositoryName": "shop/web", "imageIds": [{"imageTag": "1.0.0"}]}),
        "iam": ("get_role", {"RoleName": "shop-execution"}),
        "secretsmanager": ("describe_secret", {"SecretId": "db-password"}),
        "ssm": ("describe_parameters", {}),
        "s3": ("put_object", {"Bucket": "towline-templates-111111111111-eu-west-1", "Key": "1", "Body": b""}),
    }
    for service_name, (action, arguments) in asks.items():
        client = simulator.client("elbv2" if service_name.startswith("elastic") else service_name, attempts=1)
        for kind in ("throttle", "server_error"):
            simulator.control("faults", {"rules": [{"kind": kind, "service": service_name}]})
            try:
                getattr(client, action)(**arguments)
                simulator.report.expect(f"{service_name} meets {kind}", False)
            except botocore.exceptions.ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                busy = 503 if service_name == "s3" else 400
                wanted = 500 if kind == "server_error" else busy
                simulator.report.expect(f"{service_name} meets {kind}", status == wanted, f"({status})")
    simulator.control("faults", {"rules": [{"kind": "lost_answer", "service": "sts", "times": 1}]})
    identity = simulator.client("sts").get_caller_identity()
    simulator.report.expect("a lost answer is asked for again", identity["Account"] == "111111111111")
    simulator.control("faults", {"rules": []})
