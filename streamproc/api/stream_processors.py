"""Operations on stream processors.

Create checks shapes only; what is missing outside shows at Start, as FAILED with a message.
The model says which members exist, not which a face-search processor needs: that is said here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from streamproc.api.failures import service_errors
from streamproc.api.paging import PAGE_DEFAULT, decode_token, encode_token
from streamproc.api.service import ApiServices, rekognition
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import (
    InvalidParameter,
    LimitExceeded,
    ResourceInUse,
    ResourceNotFound,
)
from streamproc.model.arn import Arn, stream_processor_arn
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.state import IllegalTransition
from streamproc.processor.supervisor import ProcessorExists, ProcessorLimit, UnknownProcessor
from streamproc.processor.view import ProcessorView

POLYGON_POINTS_MIN, POLYGON_POINTS_MAX = 3, 10


@rekognition.operation("CreateStreamProcessor")
async def create_stream_processor(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    spec = _spec(request, context.region, services.config.faces.face_match_threshold)
    arn = stream_processor_arn(context.region, context.account_id, spec.name)
    tags = request.get("Tags", {})
    with service_errors():
        services.tags.check(arn, tags)
    try:
        await services.supervisor.create(spec)
    except ProcessorExists:
        raise ResourceInUse("Stream processor name already in use.") from None
    except ProcessorLimit:
        limit = services.config.processors.processors_max
        raise LimitExceeded(
            f"Stream processor limit exceeded for account, limit - {limit}."
        ) from None
    await services.tags.replace(arn, tags)
    return {"StreamProcessorArn": arn}


@rekognition.operation("DescribeStreamProcessor")
async def describe_stream_processor(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    name = request["Name"]
    with _refusals(name, ""):
        view = services.supervisor.describe((context.region, name))
    return _described(view, stream_processor_arn(context.region, context.account_id, name))


@rekognition.operation("ListStreamProcessors")
async def list_stream_processors(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    kind = f"ListStreamProcessors {context.region}"
    token = request.get("NextToken")
    after = None if token is None else decode_token(kind, token, str)
    limit = request.get("MaxResults", PAGE_DEFAULT)
    found = services.supervisor.list(context.region, after, limit + 1)
    page = found[:limit]
    return {
        "StreamProcessors": [{"Name": view.spec.name, "Status": view.state} for view in page],
        "NextToken": encode_token(kind, page[-1].spec.name) if len(found) > limit else None,
    }


@rekognition.operation("StartStreamProcessor")
async def start_stream_processor(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    name = request["Name"]
    for member in ("StartSelector", "StopSelector"):
        if member in request:
            raise InvalidParameter(
                f"{member} is for label detection only; {name} searches faces, "
                f"from live on until it is stopped. Leave {member} out."
            )
    with _refusals(name, f"Stream processor {name} cannot be started"):
        await services.supervisor.start((context.region, name))
    return {}


@rekognition.operation("StopStreamProcessor")
async def stop_stream_processor(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    name = request["Name"]
    with _refusals(name, f"Stream Processor {name} not available for stopping"):
        await services.supervisor.stop((context.region, name))
    return {}


@rekognition.operation("DeleteStreamProcessor")
async def delete_stream_processor(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    name = request["Name"]
    with _refusals(name, f"Cannot delete stream processor {name}"):
        await services.supervisor.delete((context.region, name))
    await services.tags.clear(stream_processor_arn(context.region, context.account_id, name))
    return {}


@rekognition.operation("UpdateStreamProcessor")
async def update_stream_processor(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    name = request["Name"]
    with _refusals(name, ""):
        services.supervisor.describe((context.region, name))
    raise InvalidParameter(
        f"Stream processor {name} searches faces, and such a processor cannot be updated. "
        "Delete it and create it again with the settings you want."
    )


@contextmanager
def _refusals(name: str, refused: str) -> Iterator[None]:
    try:
        yield
    except UnknownProcessor:
        raise ResourceNotFound(f"Stream processor {name} is not found.") from None
    except IllegalTransition as error:
        raise ResourceInUse(f"{refused}: {error}.") from None


def _spec(request: Mapping[str, Any], region: str, default_threshold: float) -> ProcessorSpec:
    """What Create asks for. Raises InvalidParameter."""
    settings = request["Settings"]
    if "ConnectedHome" in settings:
        raise InvalidParameter(
            "Settings.ConnectedHome (label detection) is not served here; give Settings.FaceSearch"
        )
    if "S3Destination" in request["Output"]:
        raise InvalidParameter(
            "Output.S3Destination is for label detection only; records of a face search go to "
            "Output.KinesisDataStream"
        )
    search = _member(settings, "Settings", "FaceSearch")
    regions = request.get("RegionsOfInterest", [])
    for index, area in enumerate(regions):
        _check_region(area, f"RegionsOfInterest[{index}]")
    return ProcessorSpec(
        region=region,
        name=request["Name"],
        video_stream_arn=_stream_arn(request, "Input", "KinesisVideoStream"),
        data_stream_arn=_stream_arn(request, "Output", "KinesisDataStream"),
        collection_id=_member(search, "Settings.FaceSearch", "CollectionId"),
        face_match_threshold=float(search.get("FaceMatchThreshold", default_threshold)),
        role_arn=request["RoleArn"],
        regions_of_interest=json.dumps(regions),
        notification_topic_arn=request.get("NotificationChannel", {}).get("SNSTopicArn", ""),
        kms_key_id=request.get("KmsKeyId", ""),
        data_sharing_opt_in=request.get("DataSharingPreference", {}).get("OptIn", False),
    )


def _member(structure: Mapping[str, Any], path: str, name: str) -> Any:
    if name not in structure:
        raise InvalidParameter(f"{path}.{name} is missing; a face-search processor needs it")
    return structure[name]


def _stream_arn(request: Mapping[str, Any], side: str, kind: str) -> str:
    path = f"{side}.{kind}"
    text: str = _member(_member(request[side], side, kind), path, "Arn")
    # The model's pattern has made sure that it is an ARN of the service.
    what, _, name = Arn.parse(text).resource.partition("/")
    if what != "stream" or not name:
        raise InvalidParameter(f"{path}.Arn {text} names no stream; it should end in stream/NAME")
    return text


def _check_region(area: Mapping[str, Any], path: str) -> None:
    if len(area) != 1:
        raise InvalidParameter(f"{path} needs either a BoundingBox or a Polygon")
    points: Sequence[Mapping[str, float]] = area.get("Polygon", [area.get("BoundingBox", {})])
    if "Polygon" in area and not POLYGON_POINTS_MIN <= len(points) <= POLYGON_POINTS_MAX:
        raise InvalidParameter(
            f"{path}.Polygon has {len(points)} points; it needs {POLYGON_POINTS_MIN} to "
            f"{POLYGON_POINTS_MAX}"
        )
    for point in points:
        for member, ratio in point.items():
            if not 0 <= ratio <= 1:
                raise InvalidParameter(f"{path}: {member} {ratio} is not a ratio from 0 to 1")


def _described(view: ProcessorView, arn: str) -> dict[str, Any]:
    spec = view.spec
    topic = spec.notification_topic_arn
    return {
        "Name": spec.name,
        "StreamProcessorArn": arn,
        "Status": view.state,
        "StatusMessage": view.message or None,
        "CreationTimestamp": view.created_at,
        "LastUpdateTimestamp": view.updated_at,
        "Input": {"KinesisVideoStream": {"Arn": spec.video_stream_arn}},
        "Output": {"KinesisDataStream": {"Arn": spec.data_stream_arn}},
        "RoleArn": spec.role_arn,
        "Settings": {
            "FaceSearch": {
                "CollectionId": spec.collection_id,
                "FaceMatchThreshold": spec.face_match_threshold,
            }
        },
        "NotificationChannel": {"SNSTopicArn": topic} if topic else None,
        "KmsKeyId": spec.kms_key_id or None,
        "RegionsOfInterest": json.loads(spec.regions_of_interest) or None,
        "DataSharingPreference": {"OptIn": spec.data_sharing_opt_in},
    }
