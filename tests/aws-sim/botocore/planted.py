"""Planted violations: each is an exchange with one fault that the check must
find, next to the same exchange without it, in which it must find none."""

import json

import models

GOOD_SERVICE = {
    "services": [{"serviceName": "web", "desiredCount": 2, "status": "ACTIVE", "createdAt": 1.5}],
    "failures": [],
}
XML = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


def run(report):
    """Adds one result for each plant."""
    for title, check, arguments, word in plants():
        faults = check(*arguments)
        if word is None:
            report.add(f"self-test: {title}", faults)
        else:
            found = any(word in fault for fault in faults)
            report.expect(f"self-test: {title}", found, f"(found {faults})")


def plants():
    """Title, check, arguments, and a word of the fault (None: there is none)."""
    answer, request = models.check_answer, models.check_request
    for title, change, word in json_answers():
        body = json.loads(json.dumps(GOOD_SERVICE))
        change(body)
        yield title, answer, ("ecs", "DescribeServices", 200, json.dumps(body)), word
    for title, inner, word in xml_answers():
        yield title, answer, ("cloudformation", "DescribeStacks", 200, xml("DescribeStacks", inner)), word
    yield from errors()
    yield from requests(request)


def json_answers():
    service = lambda body: body["services"][0]
    return [
        ("a good JSON answer", lambda body: None, None),
        ("an unknown member", lambda body: service(body).update(colour="red"), "does not know"),
        ("a number as text", lambda body: service(body).update(desiredCount="2"), "whole number"),
        ("a flag as number", lambda body: service(body).update(enableExecuteCommand=1), "true or false"),
        ("a time as text", lambda body: service(body).update(createdAt="2026-01-01"), "seconds since"),
        ("a word outside of the list", lambda body: service(body).update(launchType="MAINFRAME"), "words"),
        ("an object for a list", lambda body: body.update(failures={}), "not a list"),
        ("null", lambda body: service(body).update(roleArn=None), "null"),
        (
            "a required member left out",
            lambda body: service(body).update(deploymentConfiguration={"alarms": {"alarmNames": []}}),
            "requires",
        ),
    ]


def stack(**changes):
    members = {
        "StackName": "web",
        "CreationTime": "2026-01-01T00:00:00.000Z",
        "StackStatus": "CREATE_COMPLETE",
        "DisableRollback": "false",
        **changes,
    }
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in members.items() if value is not None)
    return f"<Stacks><member>{inner}</member></Stacks>"


def xml_answers():
    return [
        ("a good XML answer", stack(), None),
        ("an unknown element", stack(Colour="red"), "does not know"),
        ("a required element left out", stack(CreationTime=None), "requires"),
        ("a status outside of the list", stack(StackStatus="FINE"), "words"),
        ("a flag that is none", stack(DisableRollback="no"), "true or false"),
        ("a time that is none", stack(CreationTime="yesterday"), "not a time"),
        ("a list without member", stack().replace("member>", "item>"), "in a list"),
        ("text where elements belong", stack(Tags="a=b"), "text in a list"),
        ("an element twice", stack() + stack(), "twice"),
    ]


def xml(action, inner):
    return (
        f'<{action}Response xmlns="{XML}"><{action}Result>{inner}</{action}Result>'
        f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    )


def error(code, message="m"):
    return f'<ErrorResponse xmlns="{XML}"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>'


def errors():
    answer = models.check_answer
    describe = "DescribeChangeSet"
    json_error = lambda code: json.dumps({"__type": code, "message": "m"})
    yield "a good error", answer, ("cloudformation", describe, 404, error("ChangeSetNotFound")), None
    yield "an error's HTTP status", answer, ("cloudformation", describe, 400, error("ChangeSetNotFound")), "model says"
    yield "an unknown error", answer, ("cloudformation", describe, 400, error("Oops")), "does not know"
    yield "a good JSON error", answer, ("ecs", "UpdateService", 400, json_error("ServiceNotFoundException")), None
    yield "an unknown JSON error", answer, ("ecs", "UpdateService", 400, json_error("Oops")), "does not know"
    yield "an error without words", answer, ("ecs", "UpdateService", 400, '{"__type":"ClientException"}'), "no message"
    refused = "<Error><Code>NoSuchBucket</Code><Message>m</Message><RequestId>1</RequestId></Error>"
    yield "a good REST error", answer, ("s3", "PutObject", 404, refused), None
    yield "a REST error without words", answer, ("s3", "PutObject", 404, refused.replace("Message", "Words")), "Message"
    yield "a body that is none of the model's", answer, ("s3", "PutObject", 200, "<Done/>"), "a body"
    yield "another namespace", answer, (
        "cloudformation",
        "DescribeStacks",
        200,
        xml("DescribeStacks", stack()).replace("cloudformation.amazonaws", "example"),
    ), "namespace"


def requests(request):
    form = "Action=CreateChangeSet&Version=2010-05-15&StackName=web&ChangeSetName=one"
    yield "a good form", request, ("cloudformation", "CreateChangeSet", form + "&Tags.member.1.Key=a"), None
    yield "an unknown form key", request, ("cloudformation", "CreateChangeSet", form + "&Tags.1.Key=a"), "does not know"
    yield "a form's word", request, ("cloudformation", "CreateChangeSet", form + "&ChangeSetType=BOTH"), "words"
    yield "a form without a required key", request, (
        "cloudformation",
        "CreateChangeSet",
        "Action=CreateChangeSet&Version=2010-05-15&StackName=web",
    ), "requires"
    body = {"service": "orders", "cluster": "main"}
    yield "a good request", request, ("ecs", "UpdateService", json.dumps(body)), None
    yield "an unknown request member", request, ("ecs", "UpdateService", json.dumps({**body, "image": "x"})), "know"
    yield "a request without service", request, ("ecs", "UpdateService", '{"cluster":"main"}'), "requires"
    yield "an action that AWS does not have", request, ("ecs", "PauseService", "{}"), "no action"
