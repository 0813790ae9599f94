"""Members of a request against the constraints of their shapes.

Pure. Checks required, min, max, pattern, enum and union, everywhere, keys of maps included;
types are wire.py's. A list or map is looked into no further than its max, so that a request
of a million items is soon refused. botocore's own validator knows neither max nor pattern nor
enum, and speaks to the wrong side. The wording is that of AWS's services ("1 validation
error detected: …"), with members named as the caller wrote them.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from botocore.model import Shape

from streamproc.gateway.patterns import compile_pattern, require_translatable
from streamproc.gateway.words import item, member, shown_member

PROBLEMS_MAX = 10
# Where a model bounds no length: patterns such as .*:\w{12}:.+ take quadratic time, and no
# ARN or token is longer than this.
PATTERN_CHARS_MAX = 4096

_NULL = "Member must not be null"


def complaint(shape: Shape | None, members: Mapping[str, Any]) -> str | None:
    """What is wrong with the members of a request, in one sentence; None if nothing is."""
    problems = list(islice(find_problems(shape, members), PROBLEMS_MAX + 1)) if shape else []
    if not problems:
        return None
    if len(problems) > PROBLEMS_MAX:
        return f"More than {PROBLEMS_MAX} validation errors detected: " + "; ".join(problems[:-1])
    plural = "s" if len(problems) > 1 else ""
    return f"{len(problems)} validation error{plural} detected: " + "; ".join(problems)


def find_problems(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """One sentence per broken constraint, in the order of the members."""
    if value is None:
        yield _problem(shape, value, path, _NULL)
        return
    match shape.type_name:
        case "structure":
            yield from _check_structure(shape, value, path)
        case "list":
            yield from _check_bounds(shape, value, path, len(value), "length")
            for index, element in enumerate(islice(value, shape.metadata.get("max"))):
                yield from find_problems(shape.member, element, item(path, index))
        case "map":
            yield from _check_bounds(shape, value, path, len(value), "size")
            for key, element in islice(value.items(), shape.metadata.get("max")):
                yield from find_problems(shape.key, key, f"{path} key")
                yield from find_problems(shape.value, element, member(path, key))
        case "string":
            yield from _check_string(shape, value, path)
        case "blob" if isinstance(value, bytes):
            yield from _check_bounds(shape, value, path, len(value), "length")
        case "integer" | "long" | "float" | "double":
            yield from _check_bounds(shape, value, path, value, "value")


def prepare(shape: Shape) -> None:
    """Look at every pattern within a shape. Raises ValueError for one that is beyond us."""
    seen: set[str] = set()
    waiting = [shape]
    while waiting:
        current = waiting.pop()
        if current.name in seen:
            continue
        seen.add(current.name)
        if pattern := current.metadata.get("pattern"):
            require_translatable(pattern)
        match current.type_name:
            case "structure":
                waiting += current.members.values()
            case "list":
                waiting.append(current.member)
            case "map":
                waiting += (current.key, current.value)


def _check_structure(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if name not in value:
            yield _problem(shape.members[name], None, member(path, name), _NULL)
    if shape.is_tagged_union and len(value) != 1:
        choices = ", ".join(shape.members)
        yield _problem(shape, value, path, f"Member must have exactly one of: [{choices}]")
    for name, element in value.items():
        yield from find_problems(shape.members[name], element, member(path, name))


def _check_string(shape: Shape, value: str, path: str) -> Iterator[str]:
    out_of_bounds = list(_check_bounds(shape, value, path, len(value), "length"))
    yield from out_of_bounds
    if shape.enum and value not in shape.enum:
        choices = ", ".join(shape.enum)
        yield _problem(shape, value, path, f"Member must satisfy enum value set: [{choices}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not out_of_bounds and not _matches(shape, pattern, value):
        rule = f"Member must satisfy regular expression pattern: {pattern}"
        yield _problem(shape, value, path, rule)


def _matches(shape: Shape, pattern: str, value: str) -> bool:
    if len(value) > shape.metadata.get("max", PATTERN_CHARS_MAX):
        return False
    return compile_pattern(pattern).fullmatch(value) is not None


def _check_bounds(shape: Shape, value: Any, path: str, measure: float, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and measure < low:
        rule = f"Member must have {what} greater than or equal to {low}"
        yield _problem(shape, value, path, rule)
    if high is not None and measure > high:
        rule = f"Member must have {what} less than or equal to {high}"
        yield _problem(shape, value, path, rule)


def _problem(shape: Shape, value: Any, path: str, rule: str) -> str:
    return f"Value {shown_member(shape, value)} at '{path}' failed to satisfy constraint: {rule}"
