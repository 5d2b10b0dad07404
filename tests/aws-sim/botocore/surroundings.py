"""What stands around a service, as a look before a deployment asks for it:
images, secrets, parameters, roles, subnets, listeners."""

import json
import urllib.error
import urllib.request

import models

ACCOUNT = "111111111111"
ROLES = f"arn:aws:iam::{ACCOUNT}:role"
LISTENER = (
    f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"
)
ACCEPTED = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]


def run(simulator):
    """Each kind of thing once: one that is there, and one that is not."""
    images(simulator)
    secrets(simulator)
    buckets(simulator)
    roles(simulator)
    network(simulator)
    balancing(simulator)
    alarms(simulator)


def images(simulator):
    ecr, report = simulator.client("ecr"), simulator.report

    def get(**image):
        return ecr.batch_get_image(repositoryName="shop/web", imageIds=[image], acceptedMediaTypes=ACCEPTED)

    index = json.loads(get(imageTag="1.2.0")["images"][0]["imageManifest"])
    platforms = [manifest["platform"]["architecture"] for manifest in index["manifests"]]
    report.expect("an index has both architectures", {"amd64", "arm64"} <= set(platforms), str(platforms))
    found = get(imageTag="1.0.0")["images"][0]
    again = get(imageDigest=found["imageId"]["imageDigest"])["images"]
    report.expect("an image goes by its digest, too", len(again) == 1)
    described = ecr.describe_images(repositoryName="shop/web", imageIds=[{"imageTag": "1.0.0"}])["imageDetails"]
    report.expect("an image says its tags", described[0]["imageTags"] == ["1.0.0"], str(described))
    pages = ecr.get_paginator("describe_images").paginate(repositoryName="shop/web", PaginationConfig={"PageSize": 2})
    details = [detail for page in pages for detail in page["imageDetails"]]
    report.expect("every image is on one page", len(details) == len({d["imageDigest"] for d in details}) > 2)
    simulator.refused(
        "an image that nobody pushed",
        "ImageNotFoundException",
        ecr.describe_images,
        repositoryName="shop/web",
        imageIds=[{"imageTag": "9.9.9"}],
    )
    layer = json.loads(found["imageManifest"])["config"]["digest"]
    url = ecr.get_download_url_for_layer(repositoryName="shop/web", layerDigest=layer)["downloadUrl"]
    with urllib.request.urlopen(url, timeout=30) as answer:
        report.expect("its configuration names its CPU", json.load(answer)["architecture"] == "amd64")
    missing = get(imageTag="9.9.9")["failures"]
    report.expect("a tag that nobody pushed", missing[0]["failureCode"] == "ImageNotFound", str(missing))
    simulator.refused(
        "a repository that nobody made",
        "RepositoryNotFoundException",
        ecr.batch_get_image,
        repositoryName="no/such",
        imageIds=[{"imageTag": "1"}],
    )
    simulator.refused(
        "a layer that nobody pushed",
        "LayersNotFoundException",
        ecr.get_download_url_for_layer,
        repositoryName="shop/web",
        layerDigest="sha256:" + "0" * 64,
    )
    simulator.refused(
        "another account's registry",
        "AccessDeniedException",
        ecr.batch_get_image,
        registryId="222222222222",
        repositoryName="shop/web",
        imageIds=[{"imageTag": "1.0.0"}],
    )


def secrets(simulator):
    manager, systems, report = simulator.client("secretsmanager"), simulator.client("ssm"), simulator.report
    arn = manager.describe_secret(SecretId="db-password")["ARN"]
    for name in (arn, arn.rsplit("-", 1)[0]):
        report.expect("a secret goes by its ARN", manager.describe_secret(SecretId=name)["ARN"] == arn)
    locked = manager.describe_secret(SecretId="card-key").get("KmsKeyId", "")
    report.expect("a secret says the key of one's own", ":key/" in locked, locked)
    simulator.refused(
        "no such secret", "ResourceNotFoundException", manager.describe_secret, SecretId="no-such-secret"
    )

    def named(name):
        filters = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        return systems.describe_parameters(ParameterFilters=filters)["Parameters"]

    report.expect("a parameter that is there", len(named("/shop/web/smtp-host")) == 1)
    report.expect("a parameter that is not", named("/shop/web/nothing") == [])
    read = systems.get_parameters(Names=["/shop/db-host", "/shop/web/smtp-host", "/shop/nothing"])
    kinds = {one["Name"]: one["Type"] for one in read["Parameters"]}
    expected = {"/shop/db-host": "String", "/shop/web/smtp-host": "SecureString"}
    report.expect("parameters are read by name", kinds == expected, str(kinds))
    report.expect("one that is not there is invalid", read["InvalidParameters"] == ["/shop/nothing"])


def buckets(simulator):
    s3, report = simulator.client("s3"), simulator.report
    place = {"Bucket": f"towline-templates-{ACCOUNT}-eu-west-1", "Key": "towline/check/1.json"}
    s3.put_object(**place, Body=b"{}", ContentType="application/json", ExpectedBucketOwner=ACCOUNT)
    report.expect("an object is what was put", s3.get_object(**place)["Body"].read() == b"{}")
    simulator.refused("no such bucket", "NoSuchBucket", s3.put_object, Bucket="no-such-bucket", Key="1", Body=b"")
    simulator.refused("no such object", "NoSuchKey", s3.get_object, Bucket=place["Bucket"], Key="2")
    simulator.refused(
        "another account's bucket",
        "AccessDenied",
        s3.put_object,
        Bucket="towline-templates-222222222222-eu-west-1",
        Key="1",
        Body=b"",
    )
    simulator.refused(
        "a bucket that is not whose it should be",
        "AccessDenied",
        s3.put_object,
        **place,
        Body=b"",
        ExpectedBucketOwner="222222222222",
    )


def roles(simulator):
    iam, report = simulator.client("iam"), simulator.report
    trust = iam.get_role(RoleName="shop-execution")["Role"]["AssumeRolePolicyDocument"]
    services = trust["Statement"][0]["Principal"]["Service"]
    report.expect("a role says whom it trusts", "ecs-tasks.amazonaws.com" in services, str(trust))
    simulator.refused("no such role", "NoSuchEntity", iam.get_role, RoleName="no-such-role")
    answered = iam.simulate_principal_policy(
        PolicySourceArn=f"{ROLES}/aws-sim",
        ActionNames=["iam:PassRole", "iam:CreateRole"],
        ResourceArns=[f"{ROLES}/shop-execution", f"{ROLES}/payments/payments-task"],
    )["EvaluationResults"]
    decisions = [result["EvalDecision"] for result in answered]
    expected = ["allowed", "explicitDeny", "implicitDeny", "implicitDeny"]
    report.expect("a role's own policies decide", decisions == expected, str(decisions))
    simulator.refused(
        "whose policy?",
        "NoSuchEntity",
        iam.simulate_principal_policy,
        PolicySourceArn=f"{ROLES}/no-such-role",
        ActionNames=["iam:PassRole"],
    )


def network(simulator):
    ec2, report = simulator.client("ec2"), simulator.report
    tables = ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["false"]}])["RouteTables"]
    public = [
        table["Associations"][0]["SubnetId"]
        for table in tables
        if any(route.get("GatewayId", "").startswith("igw-") for route in table["Routes"])
    ]
    subnets = ec2.describe_subnets(SubnetIds=public)["Subnets"]
    report.expect("a public subnet maps addresses", [s["MapPublicIpOnLaunch"] for s in subnets] == [True])
    simulator.refused(
        "an unknown group",
        "InvalidGroup.NotFound",
        ec2.describe_security_groups,
        GroupIds=["sg-00000000000000000"],
    )


def balancing(simulator):
    elb, report = simulator.client("elbv2"), simulator.report
    rules = elb.describe_rules(ListenerArn=LISTENER)["Rules"]
    priorities = [rule["Priority"] for rule in rules]
    report.expect("a listener's rules and its default", priorities == ["1", "3", "default"], str(priorities))
    elb.describe_rules(RuleArns=[rules[0]["RuleArn"]])
    elb.describe_listeners(ListenerArns=[LISTENER])
    unknown = LISTENER[:-1] + "0"
    simulator.refused("no such listener", "ListenerNotFound", elb.describe_listeners, ListenerArns=[unknown])
    simulator.refused("no such listener's rules", "ListenerNotFound", elb.describe_rules, ListenerArn=unknown)
    simulator.refused("no such rule", "RuleNotFound", elb.describe_rules, RuleArns=[rules[0]["RuleArn"][:-1] + "0"])
    group = elb.describe_target_groups(Names=["admin"])["TargetGroups"][0]["TargetGroupArn"]
    attributes = elb.describe_target_group_attributes(TargetGroupArn=group)["Attributes"]
    slow_start = [one["Value"] for one in attributes if one["Key"] == "slow_start.duration_seconds"]
    report.expect("a slow start is said", slow_start == ["60"], str(attributes))


def alarms(simulator):
    """CloudWatch in its two older protocols; botocore itself would speak CBOR, which is not simulated."""
    report = simulator.report
    described = [
        ask_cloudwatch(simulator, json.dumps({"AlarmNames": ["orders-errors"], "StateValue": "OK"})),
        ask_cloudwatch(simulator, "Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1=orders-errors"),
    ]
    report.expect("an alarm that is OK", all("orders-errors" in answer for answer in described), str(described))
    ask_cloudwatch(simulator, json.dumps({"NextToken": "nowhere"}), status=400)
    ask_cloudwatch(simulator, "Action=DescribeAlarms&Version=2010-08-01&NextToken=nowhere", status=400)


def ask_cloudwatch(simulator, body, status=200):
    """Sends one request, and checks its raw answer."""
    scope = f"{ACCOUNT}/20260101/eu-west-1/monitoring/aws4_request"
    headers = {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    if body.startswith("{"):
        headers["content-type"] = "application/x-amz-json-1.0"
        headers["x-amz-target"] = "GraniteServiceVersion20100801.DescribeAlarms"
    else:
        headers["content-type"] = "application/x-www-form-urlencoded"
    request = urllib.request.Request(simulator.url, data=body.encode(), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        found, text = error.code, error.read().decode()
    simulator.report.expect("CloudWatch's status", found == status, f"({found}: {text})")
    faults = models.check_answer("cloudwatch", "DescribeAlarms", found, text)
    simulator.report.add(f"cloudwatch.DescribeAlarms answers {found}", faults)
    if found < 300:
        simulator.seen.add(("cloudwatch", "DescribeAlarms"))
    return text
