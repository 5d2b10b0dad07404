"""Checks one exchange (a request and its answer, as raw bytes) against AWS's
own service models, the JSON files inside botocore.

Start at `check_request` and `check_answer`. What always holds: the raw body is
read here with nothing but `json` and an XML parser, never with botocore's own
lenient ones, so that a member of a wrong name or type cannot slip through.
"""

import base64
import binascii
import json
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree
from functools import lru_cache

import botocore.session

# How the simulator names a service, and how botocore does.
SERVICES = {
    "ecs": "ecs",
    "logs": "logs",
    "cloudformation": "cloudformation",
    "elasticloadbalancing": "elbv2",
    "elbv2": "elbv2",
    "sts": "sts",
    "ec2": "ec2",
}

# Words that AWS itself answers although its model's list does not have them.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
OUTSIDE_OF_ENUM = {
    ("cloudformation", "ResourceStatus"): {
        "REVIEW_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    },
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

ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


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


def check_request(service, action, body):
    """What of a request's body AWS's model does not know or would refuse."""
    operation = operation_model(service, action)
    if operation is None:
        return [f"{service} has no action {action}"]
    shape = operation.input_shape
    faults = []
    if service_model(service).metadata["protocol"] == "json":
        value = _parsed_json(body, faults)
        if shape is not None and not faults:
            _Json(service, faults, strict_lengths=True).check(shape, value, action)
    else:
        _check_form(service, action, shape, body, faults)
    return faults


def check_answer(service, action, status, body):
    """What of an answer's body does not fit AWS's model."""
    operation = operation_model(service, action)
    if operation is None:
        # An answer to something that AWS does not have must be a refusal.
        return [] if status >= 400 else [f"{service} has no action {action}"]
    protocol = service_model(service).metadata["protocol"]
    faults = []
    if protocol == "json":
        value = _parsed_json(body, faults)
        if faults:
            return faults
        if status >= 400:
            _check_json_error(operation, value, status, faults)
        elif operation.output_shape is not None:
            _Json(service, faults).check(operation.output_shape, value, action)
        elif value != {}:
            faults.append(f"{action}: no output in the model, and {value!r} in the answer")
        return faults
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as fault:
        return [f"{action}: not XML: {fault}"]
    if status >= 400:
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


class _Json:
    """Walks a JSON value along a shape."""

    def __init__(self, service, faults, strict_lengths=False):
        self.service = service
        self.faults = faults
        self.strict_lengths = strict_lengths

    def check(self, shape, value, path):
        if value is None:
            self.faults.append(f"{path}: null, where AWS leaves the member out")
            return
        if getattr(shape, "is_document_type", False):
            return
        getattr(self, f"_{shape.type_name}", self._unknown)(shape, value, path)

    def _structure(self, shape, value, path):
        if not isinstance(value, dict):
            self.faults.append(f"{path}: {_kind(value)}, not an object")
            return
        members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in value.items():
            if name not in members:
                self.faults.append(f"{path}.{name}: the model does not know this member")
            else:
                self.check(members[name], inner, f"{path}.{name}")
        for name in shape.required_members:
            if shape.members[name].serialization.get("name", name) not in value:
                self.faults.append(f"{path}.{name}: the model requires this member")
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            self.faults.append(f"{path}: a union with {len(value)} members")

    def _list(self, shape, value, path):
        if not isinstance(value, list):
            self.faults.append(f"{path}: {_kind(value)}, not a list")
            return
        self._length(shape, len(value), path)
        for index, inner in enumerate(value):
            self.check(shape.member, inner, f"{path}[{index}]")

    def _map(self, shape, value, path):
        if not isinstance(value, dict):
            self.faults.append(f"{path}: {_kind(value)}, not a map")
            return
        self._length(shape, len(value), path)
        for key, inner in value.items():
            self._string(shape.key, key, f"{path}.{key} (key)")
            self.check(shape.value, inner, f"{path}.{key}")

    def _string(self, shape, value, path):
        if not isinstance(value, str):
            self.faults.append(f"{path}: {_kind(value)}, not a string")
            return
        check_enum(self.service, shape, value, path, self.faults)
        self._length(shape, len(value), path)

    def _integer(self, shape, value, path):
        if isinstance(value, bool) or not isinstance(value, int):
            self.faults.append(f"{path}: {_kind(value)}, not a whole number")
            return
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        too_far = (low is not None and value < low) or (high is not None and value > high)
        if self.strict_lengths and too_far:
            self.faults.append(f"{path}: {value} is outside of {low} to {high}")

    _long = _integer

    def _double(self, shape, value, path):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.faults.append(f"{path}: {_kind(value)}, not a number")

    _float = _double

    def _timestamp(self, shape, value, path):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.faults.append(f"{path}: {_kind(value)}, not seconds since the epoch")

    def _boolean(self, shape, value, path):
        if not isinstance(value, bool):
            self.faults.append(f"{path}: {_kind(value)}, not true or false")

    def _blob(self, shape, value, path):
        try:
            base64.b64decode(value, validate=True)
        except (TypeError, ValueError, binascii.Error):
            self.faults.append(f"{path}: not base 64")

    def _unknown(self, shape, value, path):
        self.faults.append(f"{path}: the check does not know the type {shape.type_name}")

    def _length(self, shape, length, path):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if self.strict_lengths and ((low is not None and length < low) or (high is not None and length > high)):
            self.faults.append(f"{path}: length {length} is outside of {low} to {high}")


def check_enum(service, shape, value, path, faults):
    """A word that the model's list does not have is a fault."""
    words = getattr(shape, "enum", None)
    allowed = OUTSIDE_OF_ENUM.get((service, shape.name), set())
    if words and value not in words and value not in allowed:
        faults.append(f"{path}: {value!r} is not one of {shape.name}'s words")


def _kind(value):
    return f"{type(value).__name__} {json.dumps(value)[:60]}"


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


def _check_xml_error(protocol, operation, root, status, faults):
    wanted = "Response" if protocol == "ec2" else "ErrorResponse"
    if _name(root) != wanted:
        faults.append(f"{operation.name}: an error in <{_name(root)}>, not <{wanted}>")
        return
    found = {_name(element): element.text or "" for element in root.iter()}
    request_id = "RequestID" if protocol == "ec2" else "RequestId"
    for member in ("Code", "Message", request_id):
        if not found.get(member):
            faults.append(f"{operation.name}: an error without {member}")
    _check_code(operation, found.get("Code", ""), status, faults)


def _check_xml_answer(service, protocol, operation, root, faults):
    action = operation.name
    if _name(root) != f"{action}Response":
        faults.append(f"{action}: the answer is in <{_name(root)}>")
        return
    namespace = operation.service_model.metadata.get("xmlNamespace", "").rstrip("/")
    if _namespace(root).rstrip("/") != namespace:
        faults.append(f"{action}: the namespace is {_namespace(root)!r}, not {namespace!r}")
    shape = operation.output_shape
    walk = _Xml(service, faults)
    if protocol == "ec2":
        request_ids = [child for child in root if _name(child) == "requestId"]
        if len(request_ids) != 1:
            faults.append(f"{action}: {len(request_ids)} times requestId")
        rest = [child for child in root if _name(child) != "requestId"]
        walk.members(shape, rest, action)
        return
    parts = {_name(child): child for child in root}
    metadata = parts.pop("ResponseMetadata", None)
    if metadata is None or [_name(child) for child in metadata] != ["RequestId"]:
        faults.append(f"{action}: no ResponseMetadata with a RequestId")
    wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
    result = parts.pop(wrapper, None) if wrapper else None
    if wrapper and result is None:
        faults.append(f"{action}: no <{wrapper}>")
    for unknown in parts:
        faults.append(f"{action}: the model does not know <{unknown}>")
    if result is not None:
        walk.check(shape, result, action)


class _Xml:
    """Walks an XML element along a shape."""

    def __init__(self, service, faults):
        self.service = service
        self.faults = faults

    def check(self, shape, element, path):
        if shape.type_name == "structure":
            self.members(shape, list(element), path)
        elif shape.type_name == "list":
            self._list(shape, element, path)
        elif shape.type_name == "map":
            self._map(shape, element, path)
        elif len(element):
            self.faults.append(f"{path}: elements inside a {shape.type_name}")
        else:
            self._leaf(shape, element.text or "", path)

    def members(self, shape, elements, path):
        known = shape.members if shape is not None else {}
        members = {_wire_name(name, member): member for name, member in known.items()}
        seen = set()
        for element in elements:
            name = _name(element)
            if name not in members:
                self.faults.append(f"{path}.{name}: the model does not know this member")
                continue
            if name in seen and not members[name].serialization.get("flattened"):
                self.faults.append(f"{path}.{name}: twice")
            seen.add(name)
            self.check(members[name], element, f"{path}.{name}")
        for name in getattr(shape, "required_members", []):
            if _wire_name(name, shape.members[name]) not in seen:
                self.faults.append(f"{path}.{name}: the model requires this member")

    def _list(self, shape, element, path):
        if shape.serialization.get("flattened"):
            self.check(shape.member, element, path)
            return
        wanted = shape.member.serialization.get("name", "member")
        if (element.text or "").strip():
            self.faults.append(f"{path}: text in a list")
        for index, item in enumerate(element):
            if _name(item) != wanted:
                self.faults.append(f"{path}: <{_name(item)}> in a list of <{wanted}>")
            self.check(shape.member, item, f"{path}[{index}]")

    def _map(self, shape, element, path):
        key = shape.key.serialization.get("name", "key")
        value = shape.value.serialization.get("name", "value")
        for entry in element:
            parts = {_name(part): part for part in entry}
            if set(parts) != {key, value}:
                self.faults.append(f"{path}: an entry of {sorted(parts)}")
                continue
            self.check(shape.key, parts[key], f"{path} (key)")
            self.check(shape.value, parts[value], f"{path}.{parts[key].text}")

    def _leaf(self, shape, text, path):
        check_text(self.service, shape, text, path, self.faults)


def check_text(service, shape, text, path, faults):
    """A scalar as awsQuery and EC2 write it."""
    if shape.type_name in ("integer", "long") and not re.fullmatch(r"-?\d+", text):
        faults.append(f"{path}: {text!r} is not a whole number")
    elif shape.type_name in ("double", "float") and not re.fullmatch(r"-?\d+(\.\d+)?", text):
        faults.append(f"{path}: {text!r} is not a number")
    elif shape.type_name == "boolean" and text not in ("true", "false"):
        faults.append(f"{path}: {text!r} is not true or false")
    elif shape.type_name == "timestamp" and not ISO_TIME.fullmatch(text):
        faults.append(f"{path}: {text!r} is not a time")
    elif shape.type_name == "string":
        check_enum(service, shape, text, path, faults)


def _name(element):
    return element.tag.rsplit("}", 1)[-1]


def _namespace(element):
    return element.tag[1:].split("}", 1)[0] if element.tag.startswith("{") else ""


def _wire_name(name, shape):
    """A list that is flattened is named by its members."""
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        return shape.member.serialization.get("name", shape.serialization.get("name", name))
    return shape.serialization.get("name", name)


def _check_form(service, action, shape, body, faults):
    """A form's keys, each followed along the shapes: `Tags.member.1.Key`."""
    is_ec2 = service_model(service).metadata["protocol"] == "ec2"
    text = body.decode() if isinstance(body, bytes) else body
    params = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    if params.pop("Action", None) != action:
        faults.append(f"{action}: the form's Action is another")
    if params.pop("Version", None) != service_model(service).metadata["apiVersion"]:
        faults.append(f"{action}: the form's Version is not the model's")
    tops = set()
    for key, value in params.items():
        parts = key.split(".")
        tops.add(parts[0])
        leaf = _follow(shape, parts, is_ec2)
        if leaf is None:
            faults.append(f"{action}.{key}: the model does not know this member")
        else:
            check_text(service, leaf, value, f"{action}.{key}", faults)
            low, high = leaf.metadata.get("min"), leaf.metadata.get("max")
            is_text = leaf.type_name == "string"
            if is_text and ((low and len(value) < low) or (high and len(value) > high)):
                faults.append(f"{action}.{key}: length {len(value)} is outside of {low} to {high}")
    for name in getattr(shape, "required_members", []):
        if _form_name(name, shape.members[name], is_ec2) not in tops:
            faults.append(f"{action}.{name}: the model requires this member")


def _form_name(name, shape, is_ec2):
    given = shape.serialization
    if is_ec2:
        there = given.get("queryName") or given.get("name", name)
        return there[:1].upper() + there[1:]
    return given.get("name", name)


def _follow(shape, parts, is_ec2):
    """The shape of the scalar that a key's parts lead to, or None."""
    if shape is None:
        return None
    if not parts or parts == [""]:
        # An empty list is sent as `Name=`.
        return shape if shape.type_name not in ("structure", "map") else None
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if _form_name(name, member, is_ec2) == parts[0]:
                return _follow(member, parts[1:], is_ec2)
        return None
    if shape.type_name == "list":
        rest = parts
        if not is_ec2 and not shape.serialization.get("flattened"):
            if parts[0] != shape.member.serialization.get("name", "member"):
                return None
            rest = parts[1:]
        if not rest or not rest[0].isdigit():
            return None
        return _follow(shape.member, rest[1:], is_ec2)
    if shape.type_name == "map":
        if len(parts) >= 3 and parts[0] == "entry" and parts[1].isdigit():
            inner = {"key": shape.key, "value": shape.value}.get(parts[2])
            return _follow(inner, parts[3:], is_ec2)
        return None
    return None
