"""The keys of a form along the shapes of a service model: `Tags.member.1.Key`."""

import urllib.parse

from scalars import check_text


def check_form(service, metadata, action, shape, body, faults):
    """Follows each of the form's keys to its shape."""
    is_ec2 = metadata["protocol"] == "ec2"
    text = body.decode() if isinstance(body, bytes) else body
    params = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    if params.pop("Action", None) != action:
        faults.append(f"{action}: the form's Action is another")
    if params.pop("Version", None) != metadata["apiVersion"]:
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
