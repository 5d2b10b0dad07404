"""Talks to a running simulator through botocore, and checks every raw answer
on its way to botocore's own parser.

What always holds: every answer that a client got was checked, refused ones
included, and `seen` says which actions were answered well at least once.
"""

import json
import time
import urllib.request

import botocore.config
import botocore.exceptions
import botocore.session

import models

ACCOUNT = "111111111111"
REGION = "eu-west-1"


class Report:
    """Counts what passed and keeps what failed."""

    def __init__(self):
        self.passed = 0
        self.failures = []

    def add(self, title, faults):
        if faults:
            self.failures.extend(f"{title}: {fault}" for fault in faults)
        else:
            self.passed += 1

    def expect(self, title, is_so, detail=""):
        self.add(title, [] if is_so else [f"not so {detail}".strip()])

    def print_and_code(self):
        for failure in self.failures:
            print(f"FAILED {failure}")
        print(f"{self.passed} passed, {len(self.failures)} failed")
        return 1 if self.failures else 0


class Simulator:
    """The simulator at an address: its control API and clients of its account."""

    def __init__(self, url, report):
        self.url = url.rstrip("/")
        self.report = report
        self.seen = set()
        self._session = botocore.session.get_session()

    def client(self, service, account=ACCOUNT, region=REGION, attempts=8):
        client = self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=account,
            aws_secret_access_key="aws-sim",
            config=botocore.config.Config(retries={"mode": "standard", "max_attempts": attempts}),
        )
        client.meta.events.register("before-parse", self._check)
        return client

    def _check(self, operation_model, response_dict, **_):
        service = operation_model.service_model.service_name
        action = operation_model.name
        status, body = response_dict["status_code"], response_dict["body"]
        self.report.add(f"{service}.{action} answers {status}", models.check_answer(service, action, status, body))
        if status < 300:
            self.seen.add((service, action))

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data=data)
        if data is not None:
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def until(self, title, look, simulated_s=1800, step_s=5):
        """Moves the clock on until `look` gives something, and gives that."""
        for _ in range(0, simulated_s, step_s):
            found = look()
            if found:
                self.report.expect(title, True)
                return found
            self.control("clock", {"advance_ms": step_s * 1000})
            # Reads have token buckets in the machine's time.
            time.sleep(0.02)
        self.report.expect(title, False, f"after {simulated_s} s of simulated time")
        return None

    def refused(self, title, code, call, **arguments):
        """Expects AWS's own refusal, and gives its words."""
        try:
            call(**arguments)
        except botocore.exceptions.ClientError as error:
            found = error.response["Error"]
            self.report.expect(title, found["Code"] == code, f"({found['Code']}: {found['Message']})")
            return found["Message"]
        self.report.expect(title, False, "(it was accepted)")
        return ""


def implemented(simulator):
    """Every action that the simulator knows, found by asking for all that AWS has."""
    found = set()
    for service in sorted(set(models.SERVICES.values()) - models.WITHOUT_BODIES):
        model = models.service_model(service)
        for action in model.operation_names:
            if not _is_unknown(simulator, model, action):
                found.add((service, action))
    return found


def _is_unknown(simulator, model, action):
    metadata = model.metadata
    # An account of its own: an action that needs no parameters does its work there.
    scope = f"{'9' * 12}/20260101/{REGION}/{metadata.get('signingName', metadata['endpointPrefix'])}/aws4_request"
    headers = {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    if metadata["protocol"] == "json":
        body = b"{}"
        headers["x-amz-target"] = f"{metadata['targetPrefix']}.{action}"
        headers["content-type"] = "application/x-amz-json-1.1"
    else:
        body = f"Action={action}&Version={metadata['apiVersion']}".encode()
        headers["content-type"] = "application/x-www-form-urlencoded"
    request = urllib.request.Request(simulator.url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30):
            return False
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return any(word in text for word in ("UnknownOperationException", "InvalidAction", "not simulated"))
