"""Checks one exchange (a request and its answer, as raw bytes) against AWS's
own service models, the JSON files inside botocore.

Start at `check_request` and `check_answer`. What always holds: the raw body is
read here with nothing but `json` and an XML parser, never with botocore's own
lenient ones, so that a member of a wrong name or type cannot slip through.
"""

import json
import xml.etree.ElementTree as ElementTree
from functools import lru_cache

import botocore.session

from form_shapes import check_form
from json_shapes import JsonWalk
from xml_shapes import XmlWalk, local_name, namespace_of

# How the simulator names a service, and how botocore does.
SERVICES = {
    "ecs": "ecs",
    "logs": "logs",
    "cloudformation": "cloudformation",
    "elasticloadbalancing": "elbv2",
    "elbv2": "elbv2",
    "sts": "sts",
    "ec2": "ec2",
    "ecr": "ecr",
    "iam": "iam",
    "s3": "s3",
    "secretsmanager": "secretsmanager",
    "ssm": "ssm",
    "monitoring": "cloudwatch",
    "cloudwatch": "cloudwatch",
}

# Errors that every action may answer.
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html
COMMON_ERRORS = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InvalidAction",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "OptInRequired",
    "RequestExpired",
    "RequestLimitExceeded",
    "SerializationException",
    "ServerException",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
}


@lru_cache(maxsize=None)
def service_model(service):
    """botocore's model of a service, by the simulator's or botocore's name."""
    return _session().get_service_model(SERVICES[service])


@lru_cache(maxsize=None)
def _session():
    return botocore.session.get_session()


def operation_model(service, action):
    """The model of an action; None when AWS has no such action."""
    model = service_model(service)
    return model.operation_model(action) if action in model.operation_names else None


def speaks_json(service, body):
    """Whether an exchange of a service is awsJson; CloudWatch speaks several protocols."""
    metadata = service_model(service).metadata
    if metadata["protocol"] == "smithy-rpc-v2-cbor":
        text = body.decode() if isinstance(body, bytes) else body
        return text.lstrip().startswith("{")
    return metadata["protocol"] == "json"


def protocol_of(service):
    """The protocol of what is not JSON."""
    protocol = service_model(service).metadata["protocol"]
    return "query" if protocol == "smithy-rpc-v2-cbor" else protocol


# S3 speaks rest-xml: a request's members travel in its path and headers, and an
# object's body is anybody's bytes. Only bodies are recorded, so its requests are
# not checked here; botocore's own client and parser drive it in `surroundings`.
WITHOUT_BODIES = {"s3"}


def check_request(service, action, body):
    """What of a request's body AWS's model does not know or would refuse."""
    if service in WITHOUT_BODIES:
        return [] if operation_model(service, action) else [f"{service} has no action {action}"]
    operation = operation_model(service, action)
    if operation is None:
        return [f"{service} has no action {action}"]
    shape = operation.input_shape
    faults = []
    if speaks_json(service, body):
        value = _parsed_json(body, faults)
        if shape is not None and not faults:
            JsonWalk(service, faults, strict_lengths=True).check(shape, value, action)
    else:
        check_form(service, service_model(service).metadata, action, shape, body, faults)
    return faults


def check_answer(service, action, status, body):
    """What of an answer's body does not fit AWS's model."""
    operation = operation_model(service, action)
    if operation is None:
        # An answer to something that AWS does not have must be a refusal.
        return [] if status >= 400 else [f"{service} has no action {action}"]
    protocol = protocol_of(service)
    faults = []
    if speaks_json(service, body):
        value = _parsed_json(body, faults)
        if faults:
            return faults
        if status >= 400:
            _check_json_error(operation, value, status, faults)
        elif operation.output_shape is not None:
            JsonWalk(service, faults).check(operation.output_shape, value, action)
        elif value != {}:
            faults.append(f"{action}: no output in the model, and {value!r} in the answer")
        return faults
    if protocol == "rest-xml" and status < 300:
        # Nothing, or the object itself.
        has_body = operation.output_shape is not None and operation.output_shape.serialization.get("payload")
        return [f"{action}: a body, and the model has none"] if body and not has_body else []
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as fault:
        return [f"{action}: not XML: {fault}"]
    if protocol == "rest-xml":
        _check_rest_error(operation, root, faults)
    elif status >= 400:
        _check_xml_error(protocol, operation, root, status, faults)
    else:
        _check_xml_answer(service, protocol, operation, root, faults)
    return faults


def _parsed_json(body, faults):
    try:
        return json.loads(body or "{}")
    except ValueError as fault:
        faults.append(f"not JSON: {fault}")
        return None


def _check_json_error(operation, value, status, faults):
    code = value.get("__type") if isinstance(value, dict) else None
    if not isinstance(code, str):
        faults.append(f"{operation.name}: an error without __type")
        return
    message = value.get("message", value.get("Message"))
    if not isinstance(message, str):
        faults.append(f"{operation.name}: the error {code} has no message")
    _check_code(operation, code.split("#")[-1], status, faults)


def _check_code(operation, code, status, faults):
    modelled = {}
    for shape in operation.error_shapes:
        error = shape.metadata.get("error", {})
        modelled[error.get("code", shape.name)] = error.get("httpStatusCode")
    if code in modelled:
        wanted = modelled[code]
        if wanted is not None and wanted != status:
            faults.append(f"{operation.name}: {code} with HTTP {status}, the model says {wanted}")
    elif code not in COMMON_ERRORS and not (operation.service_model.service_name == "ec2"):
        # EC2's model lists no errors at all.
        faults.append(f"{operation.name}: the model does not know the error {code}")


def _check_rest_error(operation, root, faults):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""
    if local_name(root) != "Error":
        faults.append(f"{operation.name}: an error in <{local_name(root)}>, not <Error>")
    found = {local_name(element): element.text or "" for element in root}
    for member in ("Code", "Message", "RequestId"):
        if not found.get(member):
            faults.append(f"{operation.name}: an error without {member}")


def _check_xml_error(protocol, operation, root, status, faults):
    wanted = "Response" if protocol == "ec2" else "ErrorResponse"
    if local_name(root) != wanted:
        faults.append(f"{operation.name}: an error in <{local_name(root)}>, not <{wanted}>")
        return
    found = {local_name(element): element.text or "" for element in root.iter()}
    request_id = "RequestID" if protocol == "ec2" else "RequestId"
    for member in ("Code", "Message", request_id):
        if not found.get(member):
            faults.append(f"{operation.name}: an error without {member}")
    _check_code(operation, found.get("Code", ""), status, faults)


def _check_xml_answer(service, protocol, operation, root, faults):
    action = operation.name
    if local_name(root) != f"{action}Response":
        faults.append(f"{action}: the answer is in <{local_name(root)}>")
        return
    namespace = operation.service_model.metadata.get("xmlNamespace", "").rstrip("/")
    if namespace_of(root).rstrip("/") != namespace:
        faults.append(f"{action}: the namespace is {namespace_of(root)!r}, not {namespace!r}")
    shape = operation.output_shape
    walk = XmlWalk(service, faults)
    if protocol == "ec2":
        request_ids = [child for child in root if local_name(child) == "requestId"]
        if len(request_ids) != 1:
            faults.append(f"{action}: {len(request_ids)} times requestId")
        rest = [child for child in root if local_name(child) != "requestId"]
        walk.members(shape, rest, action)
        return
    parts = {local_name(child): child for child in root}
    metadata = parts.pop("ResponseMetadata", None)
    if metadata is None or [local_name(child) for child in metadata] != ["RequestId"]:
        faults.append(f"{action}: no ResponseMetadata with a RequestId")
    wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
    result = parts.pop(wrapper, None) if wrapper else None
    if wrapper and result is None:
        faults.append(f"{action}: no <{wrapper}>")
    for unknown in parts:
        faults.append(f"{action}: the model does not know <{unknown}>")
    if result is not None:
        walk.check(shape, result, action)
