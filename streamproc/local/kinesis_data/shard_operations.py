"""ListShards: paging and filters."""

from typing import Any

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidArgument
from streamproc.local.kinesis_data.addressing import addressed_stream, open_token
from streamproc.local.kinesis_data.describe import describe_shard, page_of_shards
from streamproc.local.kinesis_data.service import service
from streamproc.local.kinesis_data.shards import Stream
from streamproc.local.kinesis_data.streams import DataStreams, not_found


@service.operation("ListShards")
async def list_shards(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """Shards here are never split or merged, so every filter but AFTER_SHARD_ID means all.

    AWS refuses a StreamName beside NextToken, which breaks boto3's own paginator; here it is
    welcome as long as both mean the same stream.
    """
    if "NextToken" in request:
        stream, after = _continue_listing(streams, request, context)
    else:
        stream = addressed_stream(streams, request, context)
        after = _start_of_listing(request)
        created_s = request.get("StreamCreationTimestamp")
        if created_s is not None and int(created_s) != stream.created_ms // 1000:
            raise not_found(stream.name, streams.account_id)
    shards, has_more = page_of_shards(stream, after, min(request.get("MaxResults", 1000), 1000))
    answer: dict[str, Any] = {"Shards": [describe_shard(stream, shard) for shard in shards]}
    if has_more:
        position = [shards[-1].key, shards[-1].shard_id]
        answer["NextToken"] = streams.tokens.seal("ListShards", position, streams.clock.now())
    return answer


def _continue_listing(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> tuple[Stream, str]:
    for member in ("ExclusiveStartShardId", "StreamCreationTimestamp", "ShardFilter"):
        if member in request:
            raise InvalidArgument(f"NextToken and {member} cannot be provided together.")
    shard_key, after = open_token(streams, "ListShards", request["NextToken"])
    stream = streams.stream_of_shard(shard_key)
    if stream is None or stream.region != context.region:
        raise InvalidArgument("NextToken is of a stream that does not exist any more.")
    if ("StreamName" in request or "StreamARN" in request) and (
        addressed_stream(streams, request, context) is not stream
    ):
        raise InvalidArgument(
            f"NextToken is of stream {stream.name}, not of the one that StreamName or StreamARN "
            "names; leave them out."
        )
    return stream, after


def _start_of_listing(request: dict[str, Any]) -> str:
    """The shard id behind which the listing begins."""
    after: str = request.get("ExclusiveStartShardId", "")
    shard_filter = request.get("ShardFilter")
    if shard_filter is None:
        return after
    if after:
        raise InvalidArgument("ShardFilter and ExclusiveStartShardId cannot be provided together.")
    kind = shard_filter["Type"]
    needed = {
        "AFTER_SHARD_ID": "ShardId",
        "AT_TIMESTAMP": "Timestamp",
        "FROM_TIMESTAMP": "Timestamp",
    }
    member = needed.get(kind)
    if member is not None and member not in shard_filter:
        raise InvalidArgument(f"ShardFilter.{member} must be given with ShardFilter.Type {kind}.")
    return str(shard_filter["ShardId"]) if kind == "AFTER_SHARD_ID" else ""
