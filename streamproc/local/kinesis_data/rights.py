"""What each operation of Kinesis Data needs to be allowed. One table; nothing is allowed by
default.

Actions and resource types are those of the Service Authorization Reference for Amazon Kinesis
Data Streams. A stream may be named by a token as well: GetRecords and a continued ListShards
ask for the right on the stream that the token stands for, and a token is sealed, so nobody
makes one for a stream of which they may not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from streamproc.gateway.dispatch import RequestContext
from streamproc.local.kinesis_data.addressing import open_iterator, open_token
from streamproc.local.kinesis_data.streams import DataStreams
from streamproc.model.arn import data_stream_arn
from streamproc.model.caller import Right

_Request: TypeAlias = Mapping[str, Any]
_Resources: TypeAlias = Callable[[DataStreams, _Request, RequestContext], list[str]]


def rights(
    streams: DataStreams, operation: str, request: _Request, context: RequestContext
) -> Sequence[Right]:
    """What the caller of an operation needs. Raises InvalidArgument, ExpiredIterator or
    ExpiredNextToken where a token tells no stream."""
    resources = RESOURCES[operation](streams, request, context)
    needed = [Right(f"kinesis:{operation}", resource) for resource in resources]
    if operation == "CreateStream" and request.get("Tags"):
        # By this name: "TagResource won't work to tag streams on creation" (CreateStream).
        needed += [Right("kinesis:AddTagsToStream", resource) for resource in resources]
    return needed


def _all(_streams: DataStreams, _request: _Request, _context: RequestContext) -> list[str]:
    return ["*"]


def _written(_streams: DataStreams, request: _Request, context: RequestContext) -> list[str]:
    """As name and ARN say; an ARN that is not one of ours to the letter finds no stream."""
    found = [request[member] for member in ("StreamARN", "ResourceARN") if member in request]
    if "StreamName" in request:
        found += [data_stream_arn(context.region, context.account_id, request["StreamName"])]
    return found


def _named(streams: DataStreams, request: _Request, context: RequestContext) -> list[str]:
    return _written(streams, request, context) or ["*"]


def _read(streams: DataStreams, request: _Request, context: RequestContext) -> list[str]:
    shard_key, _ = open_iterator(streams, request["ShardIterator"])
    return _written(streams, request, context) + _of_shard(streams, shard_key)


def _listed(streams: DataStreams, request: _Request, context: RequestContext) -> list[str]:
    if "NextToken" not in request:
        return _named(streams, request, context)
    shard_key, _ = open_token(streams, "ListShards", request["NextToken"])
    return _written(streams, request, context) + _of_shard(streams, shard_key)


def _of_shard(streams: DataStreams, shard_key: int) -> list[str]:
    stream = streams.stream_of_shard(shard_key)
    return ["*" if stream is None else stream.arn]


RESOURCES: Final[Mapping[str, _Resources]] = {
    "AddTagsToStream": _named,
    "CreateStream": _named,
    "DecreaseStreamRetentionPeriod": _named,
    "DeleteStream": _named,
    "DescribeStream": _named,
    "DescribeStreamSummary": _named,
    "GetRecords": _read,
    "GetShardIterator": _named,
    "IncreaseStreamRetentionPeriod": _named,
    "ListShards": _listed,
    "ListStreams": _all,
    "ListTagsForResource": _named,
    "ListTagsForStream": _named,
    "PutRecord": _named,
    "PutRecords": _named,
    "RemoveTagsFromStream": _named,
    "TagResource": _named,
    "UntagResource": _named,
    "UpdateMaxRecordSize": _named,
}
"""By operation, the resources that its action is asked for on."""
