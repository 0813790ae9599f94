"""JSON bodies to members and back, by the shapes of a service model.

Pure. Serves awsJson 1.1 and the bodies of rest-json, which are alike. Knows types;
constraints are validate.py's, headers and paths are rest.py's. As at AWS, members that the
shape does not know are ignored in a request, and null means absent; in an answer both would
be our own mistake, and only null is forgiven.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from botocore.model import Shape

from streamproc.gateway.errors import Serialization
from streamproc.gateway.timestamps import format_timestamp, parse_timestamp
from streamproc.gateway.words import item, member, shown_member

_INTEGER_BITS = {"integer": 32, "long": 64}


def parse_json(body: bytes) -> Any:
    """The JSON value of a body; an empty body is {}. Raises Serialization."""
    if not body:
        return {}
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Serialization(f"Body is not UTF-8: {error.reason} at byte {error.start}.") from None
    except RecursionError:
        raise Serialization("Body is nested too deeply.") from None
    except ValueError as error:  # broken JSON, or a number of thousands of digits
        raise Serialization(f"Body is not JSON: {error}.") from None


def dump_json(value: Any) -> bytes:
    """Compact, as AWS writes it. Raises ValueError for NaN and infinity."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parse_value(shape: Shape, value: Any, path: str = "") -> Any:
    """A JSON value as the shape's Python type. Raises Serialization naming the member.

    None comes back as None; parse_structure() drops it, and inside lists and maps
    validate.py complains.
    """
    return None if value is None else _PARSERS[shape.type_name](shape, value, path)


def parse_structure(shape: Shape, value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        mismatch(shape, value, path, "an object")
    members = {}
    for name, member_shape in shape.members.items():
        element = value.get(member_shape.serialization.get("name", name))
        if element is not None:
            members[name] = parse_value(member_shape, element, member(path, name))
    return members


def build_value(shape: Shape, value: Any, path: str = "") -> Any:
    """An output value as JSON. Raises TypeError or ValueError where a handler erred."""
    match shape.type_name:
        case "structure":
            return build_structure(shape, value, path)
        case "list":
            return [
                build_value(shape.member, element, item(path, index))
                for index, element in enumerate(value)
            ]
        case "map":
            return {
                build_value(shape.key, key, f"{path} key"): build_value(
                    shape.value, element, member(path, key)
                )
                for key, element in value.items()
            }
        case "blob":
            return base64.b64encode(value).decode()
        case "timestamp":
            style = shape.serialization.get("timestampFormat", "unixTimestamp")
            return format_timestamp(_checked(value, (int, float), path), style)
        case "string":
            return _checked(value, (str,), path)
        case "boolean":
            return _checked(value, (bool,), path)
        case "integer" | "long":
            return _checked(value, (int,), path)
        case _:
            return _checked(value, (int, float), path)


def build_structure(shape: Shape, value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    check_members(shape, value, path)
    return {
        shape.members[name].serialization.get("name", name): build_value(
            shape.members[name], element, member(path, name)
        )
        for name, element in value.items()
        if element is not None
    }


def check_members(shape: Shape, value: Any, path: str) -> None:
    """Raises TypeError or ValueError if a handler returned what the shape does not have."""
    if not isinstance(value, Mapping):
        raise TypeError(f"output {path or shape.name} is a {type(value).__name__}, not a dict")
    if unknown := [name for name in value if name not in shape.members]:
        raise ValueError(f"output members {unknown} are not in shape {shape.name}")


def _checked(value: Any, types: tuple[type, ...], path: str) -> Any:
    # bool is an int to Python, and never to a model.
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        names = " or ".join(kind.__name__ for kind in types)
        raise TypeError(f"output {path} is a {type(value).__name__}, not {names}")
    return value


def _parse_list(shape: Shape, value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        mismatch(shape, value, path, "a list")
    return [
        parse_value(shape.member, element, item(path, index)) for index, element in enumerate(value)
    ]


def _parse_map(shape: Shape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        mismatch(shape, value, path, "an object")
    return {
        _parse_string(shape.key, key, f"{path} key"): parse_value(
            shape.value, element, member(path, key)
        )
        for key, element in value.items()
    }


def _parse_string(shape: Shape, value: Any, path: str) -> str:
    if not isinstance(value, str):
        mismatch(shape, value, path, "a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which no database takes
            mismatch(shape, value, path, "a string of Unicode characters")
    return value


def _parse_boolean(shape: Shape, value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        mismatch(shape, value, path, "true or false")
    return value


def _parse_integer(shape: Shape, value: Any, path: str) -> int:
    bits = _INTEGER_BITS[shape.type_name]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        mismatch(shape, value, path, "a whole number")
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        mismatch(shape, value, path, f"a whole number of {bits} bits")
    return value


def _parse_float(shape: Shape, value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        mismatch(shape, value, path, "a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        mismatch(shape, value, path, "a finite number")
    return number


def _parse_blob(shape: Shape, value: Any, path: str) -> bytes:
    if not isinstance(value, str):
        mismatch(shape, value, path, "a base64 string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters beyond ASCII
        mismatch(shape, value, path, "base64 (standard alphabet, padded)")


def _parse_timestamp(shape: Shape, value: Any, path: str) -> float:
    try:
        return parse_timestamp(value, shape.serialization.get("timestampFormat", "unixTimestamp"))
    except ValueError as error:
        mismatch(shape, value, path, str(error))


def mismatch(shape: Shape, value: Any, path: str, expected: str) -> NoReturn:
    where = f"at '{path}'" if path else "of the body"
    raise Serialization(f"Value {shown_member(shape, value)} {where} must be {expected}.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_PARSERS: dict[str, Callable[[Shape, Any, str], Any]] = {
    "structure": parse_structure,
    "list": _parse_list,
    "map": _parse_map,
    "string": _parse_string,
    "boolean": _parse_boolean,
    "integer": _parse_integer,
    "long": _parse_integer,
    "float": _parse_float,
    "double": _parse_float,
    "blob": _parse_blob,
    "timestamp": _parse_timestamp,
}
