"""Whatever JSON comes in whatever member: a valid request or a refusal, never a failure."""

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.gateway.dispatch import RequestContext, Service
from streamproc.gateway.errors import Serialization
from streamproc.gateway.validate import complaint
from streamproc.gateway.wire import build_structure, dump_json, parse_json, parse_structure

SERVICES = ("rekognition", "kinesis", "kinesisvideo", "kinesis-video-archived-media")

any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def values_for(shape: Shape) -> st.SearchStrategy[Any]:
    """JSON that is mostly of the shape's type, and sometimes of any other."""
    match shape.type_name:
        case "structure":
            members = {name: values_for(member) for name, member in shape.members.items()}
            right: st.SearchStrategy[Any] = st.fixed_dictionaries({}, optional=members)
        case "list":
            right = st.lists(values_for(shape.member), max_size=3)
        case "map":
            right = st.dictionaries(st.text(max_size=5), values_for(shape.value), max_size=3)
        case "string" if shape.enum:
            right = st.sampled_from(shape.enum)
        case "blob":
            right = st.sampled_from(["", "AAAA", "AP8=", "AP8"])
        case "boolean":
            right = st.booleans()
        case "integer" | "long":
            right = st.integers(-5, 5000)
        case "float" | "double":
            right = st.floats(0, 100) | st.integers(0, 100)
        case "timestamp":
            right = st.floats(0, 2e9)
        case _:
            right = st.text("abz:-_09é\n", max_size=20)
    return st.one_of(right, right, right, any_json)


def operations() -> list[OperationModel]:
    models = (
        ServiceModel(Loader().load_service_model(name, "service-2"), name) for name in SERVICES
    )
    return [
        operation
        for model in models
        for operation in map(model.operation_model, model.operation_names)
        if operation.input_shape is not None
    ]


OPERATIONS = {f"{item.service_model.service_name}.{item.name}": item for item in operations()}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_json_in_any_member_of_any_operation_is_valid_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(OPERATIONS)))
    shape = OPERATIONS[name].input_shape
    body = dump_json(data.draw(values_for(shape)))
    members: dict[str, Any] = {}
    try:
        members = parse_structure(shape, parse_json(body))
        problem = complaint(shape, members)
    except Serialization as refused:
        problem = refused.message
    if problem is not None:
        assert " at '" in problem or " of the body must be" in problem
        assert problem.isprintable()
        return
    # What was accepted means the same when it is written back.
    assert parse_structure(shape, parse_json(dump_json(build_structure(shape, members)))) == members


async def test_no_request_makes_a_500(serve: Callable[..., Awaitable[str]]) -> None:
    service = Service[None]("rekognition", validation_error="InvalidParameterException")
    names = ["CreateStreamProcessor", "IndexFaces", "SearchFaces", "TagResource", "ListFaces"]

    async def accept(_: None, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
        return {}

    for name in names:
        service.operation(name)(accept)
    where = urlsplit(await serve(service.bind(None)))

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(names))
        value = data.draw(values_for(OPERATIONS[f"rekognition.{name}"].input_shape))
        headers = {
            "X-Amz-Target": f"RekognitionService.{name}",
            "Content-Type": "application/x-amz-json-1.1",
        }
        connection.request("POST", "/", dump_json(value), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status == 200 or (
            answer.status == 400
            and body["__type"] in ("InvalidParameterException", "SerializationException")
        )

    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    try:
        await asyncio.to_thread(ask)
    finally:
        connection.close()
