"""Stacks: made, changed, failing and going back, stuck, deleted."""

import json

ECR = "111111111111.dkr.ecr.eu-west-1.amazonaws.com"
GOOD, BETTER, CRASHING = "1.0.0", "1.2.0", "1.1.0"
ENDED = ("COMPLETE", "FAILED")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def run(simulator):
    """One stack through its whole life, and two shorter lives."""
    stack = Stack(simulator, "shop-web")
    stack.is_created()
    stack.is_updated()
    stack.has_nothing_to_change()
    stack.fails_and_goes_back()
    stack.is_cancelled()
    stack.is_deleted()
    first_create_fails(simulator)
    directly(simulator)
    with_a_rule(simulator)


def template(simulator, image, family="shop-web", group=True, **task):
    """A Fargate service in the shape that the agent writes."""
    network = _network(simulator)
    container = {
        "Name": "web",
        "Image": f"{ECR}/shop/web:{image}",
        "Essential": True,
        "PortMappings": [{"ContainerPort": 8080, "Protocol": "tcp"}],
        "Environment": [{"Name": "MODE", "Value": {"Ref": "Mode"}}],
        "LogConfiguration": {
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": {"Ref": "Logs"},
                "awslogs-region": {"Ref": "AWS::Region"},
                "awslogs-stream-prefix": "web",
            },
        },
    }
    service_properties = {
        "Cluster": "main",
        "LaunchType": "FARGATE",
        "DesiredCount": 2,
        "TaskDefinition": {"Ref": "Task"},
        "DeploymentConfiguration": {
            "MaximumPercent": 200,
            "MinimumHealthyPercent": 100,
            "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
        },
        "NetworkConfiguration": {"AwsvpcConfiguration": network},
    }
    if group:
        arn = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/web/73e2d6bc24d8a067"
        service_properties["LoadBalancers"] = [
            {"ContainerName": "web", "ContainerPort": 8080, "TargetGroupArn": arn}
        ]
    return json.dumps(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "A service behind a load balancer.",
            "Metadata": {"Towline": {"Fingerprint": image}},
            "Parameters": {"Mode": {"Type": "String", "Default": "live", "AllowedValues": ["live", "test"]}},
            "Resources": {
                "Logs": {
                    "Type": "AWS::Logs::LogGroup",
                    "DeletionPolicy": "RetainExceptOnCreate",
                    "UpdateReplacePolicy": "Retain",
                    "Properties": {"LogGroupName": f"/towline/{family}", "RetentionInDays": 30},
                },
                "ExecutionRole": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {"AssumeRolePolicyDocument": TRUST},
                },
                "Task": {
                    "Type": "AWS::ECS::TaskDefinition",
                    "DeletionPolicy": "RetainExceptOnCreate",
                    "UpdateReplacePolicy": "Retain",
                    "Properties": {
                        "Family": family,
                        "Cpu": 256,
                        "Memory": 512,
                        "NetworkMode": "awsvpc",
                        "RequiresCompatibilities": ["FARGATE"],
                        "ExecutionRoleArn": {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
                        "ContainerDefinitions": [container],
                        **task,
                    },
                },
                "Service": {"Type": "AWS::ECS::Service", "Properties": service_properties},
            },
            "Outputs": {"ServiceName": {"Value": {"Fn::GetAtt": "Service.Name"}}},
        }
    )


def _network(simulator):
    ec2 = simulator.client("ec2")
    groups = [g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] == "web"]
    subnets = ec2.describe_subnets(SubnetIds=["subnet-0d10000000000000a", "subnet-0d10000000000000b"])["Subnets"]
    subnets = [subnet["SubnetId"] for subnet in subnets]
    return {"Subnets": subnets, "SecurityGroups": groups[:1], "AssignPublicIp": "DISABLED"}


class Stack:
    """One stack through its life, by change sets, as the agent does it."""

    def __init__(self, simulator, name):
        self.simulator = simulator
        self.name = name
        self.cloudformation = simulator.client("cloudformation")
        self.report = simulator.report

    def change(self, step, kind, body, **more):
        """CreateChangeSet, until it is worked out; its description."""
        request = {
            "StackName": self.name,
            "ChangeSetName": f"towline-{step}",
            "ChangeSetType": kind,
            "TemplateBody": body,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": [{"Key": "team", "Value": "shop"}],
            "ClientToken": f"token-{step}",
            **more,
        }
        made = self.cloudformation.create_change_set(**request)
        again = self.cloudformation.create_change_set(**request)
        self.report.expect(f"{step}: a repeat gives the same change set", made["Id"] == again["Id"])

        def worked_out():
            found = self.cloudformation.describe_change_set(StackName=self.name, ChangeSetName=f"towline-{step}")
            return found if found["Status"] in ("CREATE_COMPLETE", "FAILED") else None

        return self.simulator.until(f"{step}: worked out", worked_out)

    def execute(self, step):
        request = {
            "StackName": self.name,
            "ChangeSetName": f"towline-{step}",
            "ClientRequestToken": f"token-{step}",
        }
        self.cloudformation.execute_change_set(**request)
        self.cloudformation.execute_change_set(**request)

    def status(self):
        return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]

    def ends_as(self, step, wanted, name=None):
        def ended():
            stacks = self.cloudformation.describe_stacks(StackName=name or self.name)["Stacks"]
            status = stacks[0]["StackStatus"]
            return status if status.endswith(ENDED) else None

        status = self.simulator.until(f"{step}: it ends", ended)
        self.report.expect(f"{step} ends {wanted}", status == wanted, f"({status})")

    def events(self):
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.name)
        return [event for page in pages for event in page["StackEvents"]]

    def images(self):
        """What the stack's service runs."""
        ecs = self.simulator.client("ecs")
        resources = self.cloudformation.describe_stack_resources(StackName=self.name)["StackResources"]
        service_arn = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == "Service")
        found = ecs.describe_services(cluster="main", services=[service_arn], include=["TAGS"])["services"][0]
        definition = ecs.describe_task_definition(taskDefinition=found["taskDefinition"], include=["TAGS"])
        return [c["image"] for c in definition["taskDefinition"]["containerDefinitions"]]

    def is_created(self):
        missing = self.simulator.refused(
            "no such stack", "ValidationError", self.cloudformation.describe_stacks, StackName=self.name
        )
        self.report.expect("AWS's words", missing == f"Stack with id {self.name} does not exist", missing)
        body = template(self.simulator, GOOD)
        self.cloudformation.validate_template(TemplateBody=body)
        self.simulator.refused(
            "no capability",
            "InsufficientCapabilitiesException",
            self.change,
            step="refused",
            kind="CREATE",
            body=body,
            Capabilities=[],
        )
        found = self.change("create", "CREATE", body)
        self.report.expect("everything is added", all(c["ResourceChange"]["Action"] == "Add" for c in found["Changes"]))
        self.report.expect("the stack waits for a review", self.status() == "REVIEW_IN_PROGRESS")
        self.execute("create")
        self.simulator.refused(
            "busy",
            "ValidationError",
            self.cloudformation.update_stack,
            StackName=self.name,
            TemplateBody=body,
            Capabilities=["CAPABILITY_IAM"],
        )
        self.ends_as("create", "CREATE_COMPLETE")
        self.cloudformation.list_stack_resources(StackName=self.name)
        self.cloudformation.get_template(StackName=self.name)
        summary = self.cloudformation.get_template_summary(StackName=self.name)
        self.report.expect("the fingerprint", json.loads(summary["Metadata"])["Towline"]["Fingerprint"] == GOOD)
        tokens = {e.get("ClientRequestToken") for e in self.events() if e["ResourceStatus"] != "REVIEW_IN_PROGRESS"}
        self.report.expect("every event has the token", tokens == {"token-create"}, str(tokens))

    def is_updated(self):
        found = self.change("update", "UPDATE", template(self.simulator, BETTER))
        changes = {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"] for c in found["Changes"]}
        self.report.expect("two resources change", sorted(changes) == ["Service", "Task"], str(sorted(changes)))
        self.report.expect("the task definition is replaced", changes["Task"]["Replacement"] == "True")
        self.says_each_value()
        self.change("other", "UPDATE", template(self.simulator, CRASHING))
        self.cloudformation.list_change_sets(StackName=self.name)
        self.cloudformation.delete_change_set(StackName=self.name, ChangeSetName="towline-other")
        self.execute("update")
        self.ends_as("update", "UPDATE_COMPLETE")
        self.report.expect("it runs the new image", self.images() == [f"{ECR}/shop/web:{BETTER}"])

    def says_each_value(self):
        """The change set once more, with what is asked for only here."""
        found = self.cloudformation.describe_change_set(
            StackName=self.name, ChangeSetName="towline-update", IncludePropertyValues=True
        )
        changes = {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"] for c in found["Changes"]}
        targets = [d["Target"] for d in changes["Task"]["Details"]]
        image = next(t for t in targets if t["Path"] == "/Properties/ContainerDefinitions/0/Image")
        self.report.expect(
            "both values of the image",
            (image["BeforeValue"], image["AfterValue"], image["AttributeChangeType"], image["RequiresRecreation"])
            == (f"{ECR}/shop/web:{GOOD}", f"{ECR}/shop/web:{BETTER}", "Modify", "Always"),
            str(image),
        )
        context = json.loads(changes["Task"]["AfterContext"])
        self.report.expect("the context is JSON", context["Properties"]["Family"] == "shop-web")

    def has_nothing_to_change(self):
        body = template(self.simulator, BETTER)
        found = self.change("nothing", "UPDATE", body)
        self.report.expect("no changes", "didn't contain changes" in found.get("StatusReason", ""))
        words = self.simulator.refused(
            "nothing to do",
            "ValidationError",
            self.cloudformation.update_stack,
            StackName=self.name,
            TemplateBody=body,
            Capabilities=["CAPABILITY_IAM"],
        )
        self.report.expect("AWS's words", words == "No updates are to be performed.", words)
        self.simulator.refused(
            "a failed change set",
            "InvalidChangeSetStatus",
            self.cloudformation.execute_change_set,
            StackName=self.name,
            ChangeSetName="towline-nothing",
        )

    def fails_and_goes_back(self):
        self.change("crash", "UPDATE", template(self.simulator, CRASHING))
        self.execute("crash")
        self.ends_as("crash", "UPDATE_ROLLBACK_COMPLETE")
        self.report.expect("it runs the old image", self.images() == [f"{ECR}/shop/web:{BETTER}"])
        reasons = [e.get("ResourceStatusReason", "") for e in self.events()]
        self.report.expect("the breaker is named", any("Circuit Breaker was triggered" in r for r in reasons))

    def is_cancelled(self):
        cloudformation = self.cloudformation
        self.simulator.refused(
            "nothing to cancel", "ValidationError", cloudformation.cancel_update_stack, StackName=self.name
        )
        self.change("cancel", "UPDATE", template(self.simulator, GOOD))
        self.execute("cancel")
        self.simulator.until("cancel: under way", lambda: self.status() == "UPDATE_IN_PROGRESS")
        self.simulator.control("clock", {"advance_ms": 8000})
        cloudformation.cancel_update_stack(StackName=self.name, ClientRequestToken="token-stop")
        self.ends_as("cancel", "UPDATE_ROLLBACK_COMPLETE")
        self.simulator.refused(
            "nothing to continue", "ValidationError", cloudformation.continue_update_rollback, StackName=self.name
        )

    def is_deleted(self):
        stack_id = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        self.cloudformation.delete_stack(StackName=self.name, ClientRequestToken="token-delete")
        self.ends_as("delete", "DELETE_COMPLETE", stack_id)
        self.cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])


def first_create_fails(simulator):
    """A first create whose image crashes ends ROLLBACK_COMPLETE and can only be deleted."""
    stack = Stack(simulator, "shop-broken")
    stack.change("broken", "CREATE", template(simulator, CRASHING, family="shop-broken", group=False))
    stack.execute("broken")
    stack.ends_as("broken", "ROLLBACK_COMPLETE")
    body = template(simulator, GOOD, family="shop-broken", group=False)
    simulator.refused(
        "only to be deleted", "ValidationError", stack.change, step="again", kind="UPDATE", body=body
    )
    groups = simulator.client("logs").describe_log_groups(logGroupNamePrefix="/towline/shop-broken")["logGroups"]
    simulator.report.expect("RetainExceptOnCreate cleans up", groups == [], str(groups))
    stack.cloudformation.delete_stack(StackName="shop-broken")


def directly(simulator):
    """CreateStack and UpdateStack, and a way back that gets stuck."""
    stack = Stack(simulator, "shop-direct")
    cloudformation = stack.cloudformation
    request = {
        "StackName": "shop-direct",
        "TemplateBody": template(simulator, GOOD, family="shop-direct", group=False),
        "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": [{"ParameterKey": "Mode", "ParameterValue": "live"}],
        "ClientRequestToken": "token-direct",
    }
    first = cloudformation.create_stack(**request)
    again = cloudformation.create_stack(**request)
    simulator.report.expect("a repeat gives the same stack", first["StackId"] == again["StackId"])
    simulator.refused(
        "the name is taken",
        "AlreadyExistsException",
        cloudformation.create_stack,
        **{**request, "ClientRequestToken": "token-other"},
    )
    stack.ends_as("direct", "CREATE_COMPLETE")
    cloudformation.update_stack(
        StackName="shop-direct",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Mode", "ParameterValue": "test"}],
        Capabilities=["CAPABILITY_IAM"],
    )
    stack.ends_as("direct update", "UPDATE_COMPLETE")
    # The revision to go back to is deregistered behind CloudFormation's back.
    ecs = simulator.client("ecs")
    running = next(
        r["PhysicalResourceId"]
        for r in cloudformation.describe_stack_resources(StackName="shop-direct")["StackResources"]
        if r["LogicalResourceId"] == "Task"
    )
    cloudformation.update_stack(
        StackName="shop-direct",
        TemplateBody=template(simulator, CRASHING, family="shop-direct", group=False),
        Capabilities=["CAPABILITY_IAM"],
    )
    ecs.deregister_task_definition(taskDefinition=running)
    stack.ends_as("stuck", "UPDATE_ROLLBACK_FAILED")
    cloudformation.continue_update_rollback(StackName="shop-direct", ResourcesToSkip=["Service"])
    stack.ends_as("unstuck", "UPDATE_ROLLBACK_COMPLETE")
    cloudformation.delete_stack(StackName="shop-direct")
    stack.ends_as("direct delete", "DELETE_COMPLETE", first["StackId"])


LISTENER = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"


def with_a_rule(simulator):
    """A target group and a listener rule of the stack's own: healthy targets, changes in place, the end."""
    elb = simulator.client("elbv2")
    stack = Stack(simulator, "shop-ruled")
    body = json.loads(template(simulator, GOOD, family="shop-ruled", group=False))
    vpc = simulator.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    body["Resources"]["Group"] = {
        "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
        "Properties": {
            "VpcId": vpc,
            "Port": 8080,
            "Protocol": "HTTP",
            "TargetType": "ip",
            "HealthCheckIntervalSeconds": 10,
            "HealthyThresholdCount": 2,
            "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}],
        },
    }
    body["Resources"]["Rule"] = {
        "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
        "Properties": {
            "ListenerArn": LISTENER,
            "Priority": 4711,
            "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/ruled/*"]}}],
            "Actions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Group"}}],
        },
    }
    service = body["Resources"]["Service"]
    service["DependsOn"] = ["Rule"]
    service["Properties"]["LoadBalancers"] = [
        {"ContainerName": "web", "ContainerPort": 8080, "TargetGroupArn": {"Ref": "Group"}}
    ]
    role = "arn:aws:iam::111111111111:role/towline-cloudformation"
    simulator.refused(
        "a service role that is not there",
        "ValidationError",
        stack.change,
        step="no-role",
        kind="CREATE",
        body=json.dumps(body),
        RoleARN=role + "-none",
    )
    stack.change("ruled", "CREATE", json.dumps(body), RoleARN=role)
    stack.execute("ruled")
    stack.ends_as("ruled", "CREATE_COMPLETE")
    resources = stack.cloudformation.describe_stack_resources(StackName="shop-ruled")["StackResources"]
    physical = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}
    health = elb.describe_target_health(TargetGroupArn=physical["Group"])["TargetHealthDescriptions"]
    states = [h["TargetHealth"]["State"] for h in health]
    simulator.report.expect("the stack's targets are healthy", states == ["healthy", "healthy"], str(states))
    body["Resources"]["Rule"]["Properties"]["Priority"] = 4712
    body["Resources"]["Group"]["Properties"]["HealthCheckPath"] = "/health"
    found = stack.change("reruled", "UPDATE", json.dumps(body))
    replaced = [c["ResourceChange"]["Replacement"] for c in found["Changes"]]
    simulator.report.expect("both change in place", replaced == ["False", "False"], str(replaced))
    stack.execute("reruled")
    stack.ends_as("reruled", "UPDATE_COMPLETE")
    rule = elb.describe_rules(RuleArns=[physical["Rule"]])["Rules"][0]
    simulator.report.expect("the rule has its new place", rule["Priority"] == "4712", str(rule))
    stack_id = stack.cloudformation.describe_stacks(StackName="shop-ruled")["Stacks"][0]["StackId"]
    stack.cloudformation.delete_stack(StackName="shop-ruled")
    stack.ends_as("ruled delete", "DELETE_COMPLETE", stack_id)
    simulator.refused("the group is gone", "TargetGroupNotFound", elb.describe_target_groups, TargetGroupArns=[physical["Group"]])
