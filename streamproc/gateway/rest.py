"""Whole requests and answers of both protocols, as values.

Pure. Knows where members travel: all of them in the body (awsJson 1.1), or some in the path,
the query and headers (rest-json), or one that is the raw body (a payload). Source: "AWS
restJson1 protocol" and "AWS JSON 1.1 protocol", Smithy documentation.
"""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import unquote

from botocore.model import OperationModel, Shape

from streamproc.gateway.errors import Serialization
from streamproc.gateway.messages import HttpReply, HttpRequest
from streamproc.gateway.timestamps import format_timestamp, parse_timestamp
from streamproc.gateway.wire import (
    build_structure,
    build_value,
    check_members,
    dump_json,
    mismatch,
    parse_json,
    parse_structure,
    parse_value,
)
from streamproc.gateway.words import shown

_CONTENT_TYPES = {"json": "application/x-amz-json-1.1", "rest-json": "application/json"}
_RAW = ("blob", "string")
_TIMESTAMP_STYLES = {"header": "rfc822", "querystring": "iso8601", "uri": "iso8601"}
_SCALARS = frozenset({"string", "boolean", "integer", "long", "float", "double", "timestamp"})
_WHOLE = re.compile(r"-?\d{1,40}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,4})?", re.ASCII)


def content_type(protocol: str) -> str:
    return _CONTENT_TYPES[protocol]


def check_content_type(media_type: str, body: bytes, *, is_signed: bool) -> None:
    """Raises Serialization if the body is declared as something else than JSON.

    Signed requests may declare nothing, as old SDKs do. Unsigned ones may not: a web page
    can send any other type to this server without asking (fetch standard, simple requests).
    """
    if "cbor" in media_type.lower():
        raise Serialization(
            f"Content-Type {shown(media_type)} is not served here, only JSON is. In Java set the "
            "environment variable AWS_CBOR_DISABLE=true, or the system property "
            "com.amazonaws.sdk.disableCbor (SDK 1) or aws.cborEnabled=false (SDK 2)."
        )
    if body and not ("json" in media_type.lower() or (is_signed and not media_type)):
        raise Serialization(
            f"Content-Type '{shown(media_type)}' is not JSON; send application/json or "
            "application/x-amz-json-1.1."
        )


def streams_input(operation: OperationModel) -> bool:
    """Whether the request's body is handed over as it arrives."""
    shape = operation.input_shape
    payload = shape and shape.serialization.get("payload")
    return bool(payload and shape.members[payload].serialization.get("streaming"))


def check_locations(operation: OperationModel) -> None:
    """Raises ValueError if a member travels in a way that is not served here."""
    _check_locations(operation.name, operation.input_shape, ("uri", "querystring", "header"))
    _check_locations(operation.name, operation.output_shape, ("header",))


def parse_request(
    operation: OperationModel, protocol: str, request: HttpRequest, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The members that a request carries. labels are the raw parts of the path.

    Raises Serialization.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    if protocol == "json":
        return parse_structure(shape, _parse_body(request))
    members = _parse_inside(shape, request)
    for name, member_shape in shape.members.items():
        value = _parse_located(member_shape, request, labels, name)
        if value is not None:
            members[name] = value
    return members


def build_reply(
    operation: OperationModel, protocol: str, output: Mapping[str, Any], request_id: str
) -> HttpReply:
    """The answer to a request that went well.

    Raises TypeError or ValueError if the handler returned what the model does not have.
    """
    shape = operation.output_shape
    status = operation.http.get("responseCode", 200)
    headers = {"x-amzn-RequestId": request_id, "Content-Type": content_type(protocol)}
    if shape is None:
        if output:
            raise ValueError(f"{operation.name} has no output, the handler returned {output!r}")
        return HttpReply(status, headers, b"{}")
    if protocol == "json":
        return HttpReply(status, headers, dump_json(build_structure(shape, output)))
    check_members(shape, output, "")
    present = {name: value for name, value in output.items() if value is not None}
    located = {name for name in present if "location" in shape.members[name].serialization}
    payload = shape.serialization.get("payload")
    if payload is None:
        inside = {name: value for name, value in present.items() if name not in located}
        body: bytes | AsyncIterator[bytes] = dump_json(build_structure(shape, inside))
    else:
        body = _build_payload(shape.members[payload], present.get(payload), payload)
        if shape.members[payload].type_name in _RAW:
            headers["Content-Type"] = "application/octet-stream"
    for name in located:
        key = shape.members[name].serialization.get("name", name)
        headers[key] = _build_text(shape.members[name], present[name], name)
    return HttpReply(status, headers, body)


def _check_locations(operation: str, shape: Shape | None, served: tuple[str, ...]) -> None:
    for name, member_shape in shape.members.items() if shape else ():
        location = member_shape.serialization.get("location")
        if location is None:
            continue
        is_list = location == "querystring" and member_shape.type_name == "list"
        kind = member_shape.member.type_name if is_list else member_shape.type_name
        jsonvalue = member_shape.serialization.get("jsonvalue")
        if location not in served or kind not in _SCALARS or jsonvalue:
            raise ValueError(f"{operation} has a {kind} {name} in {location}: not served here")


def _parse_body(request: HttpRequest) -> Any:
    assert isinstance(request.body, bytes)
    return parse_json(request.body)


def _parse_inside(shape: Shape, request: HttpRequest) -> dict[str, Any]:
    """The members that come in the body, or that are the body."""
    payload = shape.serialization.get("payload")
    if payload is None:
        # Located members never come in the body, whatever it says.
        return {
            name: value
            for name, value in parse_structure(shape, _parse_body(request)).items()
            if "location" not in shape.members[name].serialization
        }
    payload_shape = shape.members[payload]
    if payload_shape.type_name == "blob":
        return {payload: request.body}
    if payload_shape.type_name != "string":
        return {payload: parse_value(payload_shape, _parse_body(request), payload)}
    assert isinstance(request.body, bytes)
    try:
        return {payload: request.body.decode()}
    except UnicodeDecodeError as error:
        raise Serialization(f"Body is not UTF-8: {error.reason} at byte {error.start}.") from None


def _parse_located(shape: Shape, request: HttpRequest, labels: Mapping[str, str], name: str) -> Any:
    """The value of a member that travels outside the body; None if it does not, or is absent."""
    key = shape.serialization.get("name", name)
    match shape.serialization.get("location"):
        case "uri":
            return _parse_text(shape, _unquoted(labels[key], name), name, "uri")
        case "querystring":
            texts = request.query.get(key)
            if texts is None:
                return None
            if shape.type_name == "list":
                return [_parse_text(shape.member, text, name, "querystring") for text in texts]
            return _parse_text(shape, texts[0], name, "querystring")
        case "header":
            text = request.headers.get(key.lower())
            return None if text is None else _parse_text(shape, text, name, "header")
    return None


def _unquoted(label: str, name: str) -> str:
    try:
        return unquote(label, errors="strict")
    except UnicodeDecodeError:
        raise Serialization(f"Value at '{name}' in the path is not UTF-8.") from None


def _parse_text(shape: Shape, text: str, name: str, location: str) -> Any:
    if shape.type_name == "string":
        return parse_value(shape, text, name)
    if shape.type_name == "timestamp":
        style = shape.serialization.get("timestampFormat", _TIMESTAMP_STYLES[location])
        try:
            return parse_timestamp(text, style)
        except ValueError as error:
            mismatch(shape, text, name, str(error))
    return parse_value(shape, _scalar(text), name)


def _scalar(text: str) -> bool | float | str:
    """What a text means where a number or a boolean is expected; itself if it is neither."""
    if text in ("true", "false"):
        return text == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _build_payload(shape: Shape, value: Any, name: str) -> bytes | AsyncIterator[bytes]:
    if value is None:
        return b"" if shape.type_name in _RAW else b"{}"
    if shape.type_name == "blob":
        return value if isinstance(value, AsyncIterator) else bytes(value)
    built = build_value(shape, value, name)
    return built.encode() if shape.type_name == "string" else dump_json(built)


def _build_text(shape: Shape, value: Any, name: str) -> str:
    if shape.type_name == "timestamp":
        style = shape.serialization.get("timestampFormat", _TIMESTAMP_STYLES["header"])
        text = str(format_timestamp(value, style))
    else:
        built = build_value(shape, value, name)
        text = built if isinstance(built, str) else dump_json(built).decode()
    if not text.isprintable():
        raise ValueError(f"output {name} = {text!r} cannot travel in a header")
    return text
