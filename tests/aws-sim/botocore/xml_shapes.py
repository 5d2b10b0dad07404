"""XML elements along the shapes of a service model."""

from scalars import check_text


class XmlWalk:
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
            name = local_name(element)
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
            if local_name(item) != wanted:
                self.faults.append(f"{path}: <{local_name(item)}> in a list of <{wanted}>")
            self.check(shape.member, item, f"{path}[{index}]")

    def _map(self, shape, element, path):
        key = shape.key.serialization.get("name", "key")
        value = shape.value.serialization.get("name", "value")
        for entry in element:
            parts = {local_name(part): part for part in entry}
            if set(parts) != {key, value}:
                self.faults.append(f"{path}: an entry of {sorted(parts)}")
                continue
            self.check(shape.key, parts[key], f"{path} (key)")
            self.check(shape.value, parts[value], f"{path}.{parts[key].text}")

    def _leaf(self, shape, text, path):
        check_text(self.service, shape, text, path, self.faults)


def local_name(element):
    return element.tag.rsplit("}", 1)[-1]


def namespace_of(element):
    return element.tag[1:].split("}", 1)[0] if element.tag.startswith("{") else ""


def _wire_name(name, shape):
    """A list that is flattened is named by its members."""
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        return shape.member.serialization.get("name", shape.serialization.get("name", name))
    return shape.serialization.get("name", name)
