"""What holds for a single word, number or time, whatever the protocol."""

import re

# Words that AWS itself answers although its model's list does not have them.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
OUTSIDE_OF_ENUM = {
    ("cloudformation", "ResourceStatus"): {
        "REVIEW_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    },
}

ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def check_enum(service, shape, value, path, faults):
    """A word that the model's list does not have is a fault."""
    words = getattr(shape, "enum", None)
    allowed = OUTSIDE_OF_ENUM.get((service, shape.name), set())
    if words and value not in words and value not in allowed:
        faults.append(f"{path}: {value!r} is not one of {shape.name}'s words")


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
