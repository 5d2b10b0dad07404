"""A DescribeTaskDefinition answer with every member that AWS documents, and the
members that RegisterTaskDefinition takes, from botocore's model of ECS. Every value is different from all others, so that one
that gets lost, or lands elsewhere, shows.

Usage: "$(scripts/tools python)" agent/domain/tests/lossless/every_member.py > agent/domain/tests/lossless/every_member.json
"""

import itertools
import json
import sys

import botocore.session

marks = itertools.count(1)


def example(shape, seen=()):
    if shape.type_name == "structure":
        assert shape.name not in seen, f"{shape.name} holds itself"
        return {name: example(member, (*seen, shape.name)) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [example(shape.member, seen), example(shape.member, seen)]
    if shape.type_name == "map":
        return {example(shape.key, seen): example(shape.value, seen)}
    if shape.type_name == "boolean":
        return next(marks) % 2 == 0
    if shape.type_name == "timestamp":
        return next(marks) + 0.5
    if shape.type_name in ("integer", "long"):
        return next(marks)
    if shape.type_name in ("float", "double"):
        return next(marks) + 0.25
    assert shape.type_name == "string", shape.type_name
    if shape.enum:
        return shape.enum[next(marks) % len(shape.enum)]
    return f"{shape.name} {next(marks)}"


ecs = botocore.session.get_session().get_service_model("ecs")
json.dump(
    {
        "answer": example(ecs.operation_model("DescribeTaskDefinition").output_shape),
        "register": sorted(ecs.operation_model("RegisterTaskDefinition").input_shape.members),
    },
    sys.stdout,
    indent=1,
)
print()
