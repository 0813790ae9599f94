"""Tags of streams, by both families of operations that AWS has for them."""

from typing import Any

from streamproc.gateway.dispatch import RequestContext
from streamproc.local.kinesis_data.addressing import addressed_stream
from streamproc.local.kinesis_data.service import service
from streamproc.local.kinesis_data.shards import Stream
from streamproc.local.kinesis_data.streams import DataStreams


@service.operation("AddTagsToStream")
@service.operation("TagResource")
async def add_tags(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    await streams.change_tags(stream, add=request["Tags"])
    return {}


@service.operation("RemoveTagsFromStream")
@service.operation("UntagResource")
async def remove_tags(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    await streams.change_tags(stream, remove=request["TagKeys"])
    return {}


@service.operation("ListTagsForStream")
async def list_tags_for_stream(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    after, limit = request.get("ExclusiveStartTagKey", ""), request.get("Limit", 50)
    tags = [tag for tag in _describe_tags(stream) if tag["Key"] > after]
    return {"Tags": tags[:limit], "HasMoreTags": len(tags) > limit}


@service.operation("ListTagsForResource")
async def list_tags_for_resource(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    return {"Tags": _describe_tags(addressed_stream(streams, request, context))}


def _describe_tags(stream: Stream) -> list[dict[str, str]]:
    return [{"Key": key, "Value": stream.tags[key]} for key in sorted(stream.tags)]
