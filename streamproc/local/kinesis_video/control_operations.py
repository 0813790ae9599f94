"""The control plane of Kinesis Video: streams come, change and go.

A stream is ACTIVE as soon as CreateStream returns, and gone when DeleteStream does.
"""

from collections.abc import Mapping
from typing import Any, Final

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import (
    AccountStreamLimitExceeded,
    InvalidArgument,
    ResourceInUse,
    TagsPerResourceExceededLimit,
    VersionMismatch,
)
from streamproc.local.kinesis_video.service import (
    control,
    decode_token,
    encode_token,
    find_stream,
)
from streamproc.local.kinesis_video.store import (
    StreamExists,
    TooManyStreams,
    TooManyTags,
    VersionChanged,
)
from streamproc.local.kinesis_video.stream import VideoStream
from streamproc.local.kinesis_video.streams import VideoStreams

RETENTION_HOURS_MAX: Final = 87_600
TAGS_MAX: Final = 50
_STREAMS_PER_PAGE: Final = 10_000


@control.operation("CreateStream")
async def create_stream(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    retention_hours = request.get("DataRetentionInHours", streams.config.retention_hours)
    if retention_hours > RETENTION_HOURS_MAX:
        raise InvalidArgument(
            f"DataRetentionInHours {retention_hours} is above {RETENTION_HOURS_MAX} (10 years)."
        )
    try:
        stream = await streams.create(
            context.region,
            request["StreamName"],
            retention_hours,
            request.get("Tags", {}),
            device_name=request.get("DeviceName"),
            media_type=request.get("MediaType"),
            kms_key_id=request.get("KmsKeyId"),
        )
    except StreamExists as error:
        raise ResourceInUse(str(error)) from None
    except TooManyStreams as error:
        raise AccountStreamLimitExceeded(str(error)) from None
    return {"StreamARN": streams.arn(stream.info)}


@control.operation("DescribeStream")
async def describe_stream(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    return {"StreamInfo": _described(streams, find_stream(streams, request, context))}


@control.operation("ListStreams")
async def list_streams(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    prefix = request.get("StreamNameCondition", {}).get("ComparisonValue", "")
    token = request.get("NextToken")
    after = decode_token(token, {"after": str})["after"] if token else ""
    limit = request.get("MaxResults", _STREAMS_PER_PAGE)
    names = [
        name for name in streams.names(context.region) if name.startswith(prefix) and name > after
    ]
    found = (streams.find(context.region, name) for name in names[:limit])
    return {
        "StreamInfoList": [_described(streams, stream) for stream in found if stream is not None],
        "NextToken": encode_token({"after": names[limit - 1]}) if len(names) > limit else None,
    }


@control.operation("DeleteStream")
async def delete_stream(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = find_stream(streams, request, context)
    try:
        await streams.delete(stream, request.get("CurrentVersion"))
    except VersionChanged as error:
        raise VersionMismatch(str(error)) from None
    return {}


@control.operation("UpdateDataRetention")
async def update_data_retention(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = find_stream(streams, request, context)
    change = request["DataRetentionChangeInHours"]
    is_increase = request["Operation"] == "INCREASE_DATA_RETENTION"
    hours = stream.info.retention_hours + (change if is_increase else -change)
    if not 0 <= hours <= RETENTION_HOURS_MAX:
        raise InvalidArgument(
            f"DataRetentionChangeInHours {change} would change the retention of "
            f"{stream.info.retention_hours} h to {hours} h; 0 to {RETENTION_HOURS_MAX} is allowed."
        )
    await _change(streams, stream, request, {"retention_hours": hours})
    return {}


@control.operation("UpdateStream")
async def update_stream(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = find_stream(streams, request, context)
    columns = {"DeviceName": "device_name", "MediaType": "media_type"}
    values = {column: request[name] for name, column in columns.items() if name in request}
    if not values:
        raise InvalidArgument("Neither DeviceName nor MediaType is given; one of them is needed.")
    await _change(streams, stream, request, values)
    return {}


@control.operation("GetDataEndpoint")
async def get_data_endpoint(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    find_stream(streams, request, context)
    # Never from the Host header: the producer SDK sends it without the port.
    return {"DataEndpoint": streams.public_url}


@control.operation("TagStream")
async def tag_stream(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = find_stream(streams, request, context)
    try:
        await streams.store.tag(stream.info.id, request["Tags"], TAGS_MAX)
    except TooManyTags as error:
        raise TagsPerResourceExceededLimit(str(error)) from None
    return {}


@control.operation("UntagStream")
async def untag_stream(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    await streams.store.untag(find_stream(streams, request, context).info.id, request["TagKeyList"])
    return {}


@control.operation("ListTagsForStream")
async def list_tags_for_stream(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """All at once: a stream has at most 50."""
    return {"Tags": await streams.store.tags(find_stream(streams, request, context).info.id)}


async def _change(
    streams: VideoStreams,
    stream: VideoStream,
    request: Mapping[str, Any],
    values: Mapping[str, Any],
) -> None:
    try:
        await streams.change(stream, request["CurrentVersion"], **values)
    except VersionChanged as error:
        raise VersionMismatch(f"{error} DescribeStream tells the current one.") from None


def _described(streams: VideoStreams, stream: VideoStream) -> dict[str, Any]:
    info = stream.info
    return {
        "DeviceName": info.device_name,
        "StreamName": info.name,
        "StreamARN": streams.arn(info),
        "MediaType": info.media_type,
        "KmsKeyId": info.kms_key_id,
        "Version": info.version,
        "Status": "ACTIVE",
        "CreationTime": info.created_ms / 1000,
        "DataRetentionInHours": info.retention_hours,
    }
