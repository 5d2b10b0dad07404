"""JSON values along the shapes of a service model."""

import base64
import binascii
import json

from scalars import check_enum


# Sent by a test that shows that what no model knows crosses the agent untouched
# (agent/aws/tests/simulated/wire.rs).
UNKNOWN_ON_PURPOSE = {"placedOnTheMoon"}


class JsonWalk:
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
            if name in UNKNOWN_ON_PURPOSE:
                continue
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


def _kind(value):
    return f"{type(value).__name__} {json.dumps(value)[:60]}"
