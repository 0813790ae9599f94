"""Operations on streams: their life, what they are, their limits."""

from typing import Any

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidArgument
from streamproc.local.kinesis_data.addressing import addressed_stream, open_token
from streamproc.local.kinesis_data.describe import (
    describe_shard,
    describe_stream_head,
    page_of_shards,
)
from streamproc.local.kinesis_data.service import service
from streamproc.local.kinesis_data.streams import DataStreams

ON_DEMAND_SHARDS = 4  # AWS: what an on-demand stream starts with
RETENTION_HOURS_MIN, RETENTION_HOURS_MAX = 24, 8760


@service.operation("CreateStream")
async def create_stream(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """ACTIVE at once. WarmThroughputMiBps is accepted and means nothing here."""
    mode = request.get("StreamModeDetails", {"StreamMode": "PROVISIONED"})["StreamMode"]
    shard_count = request.get("ShardCount")
    if mode == "PROVISIONED" and shard_count is None:
        raise InvalidArgument("ShardCount must be given for a stream of mode PROVISIONED.")
    if mode == "ON_DEMAND" and shard_count is not None:
        raise InvalidArgument(
            f"ShardCount {shard_count} cannot be given for a stream of mode ON_DEMAND."
        )
    if request.get("RecordDistributionStrategy") == "AUTO":
        raise InvalidArgument(
            "RecordDistributionStrategy AUTO is not supported; use USER_PARTITION_KEY."
        )
    kib = request.get("MaxRecordSizeInKiB")
    await streams.create(
        context.region,
        request["StreamName"],
        shard_count=ON_DEMAND_SHARDS if shard_count is None else shard_count,
        mode=mode,
        record_bytes_max=streams.config.record_bytes_max if kib is None else kib * 1024,
        tags=request.get("Tags", {}),
    )
    return {}


@service.operation("DeleteStream")
async def delete_stream(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    await streams.delete(addressed_stream(streams, request, context))
    return {}


@service.operation("DescribeStream")
async def describe_stream(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    limit = min(request.get("Limit", 100), 100)
    shards, has_more = page_of_shards(stream, request.get("ExclusiveStartShardId", ""), limit)
    return {
        "StreamDescription": {
            **describe_stream_head(stream),
            "Shards": [describe_shard(stream, shard) for shard in shards],
            "HasMoreShards": has_more,
        }
    }


@service.operation("DescribeStreamSummary")
async def describe_stream_summary(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    return {
        "StreamDescriptionSummary": {
            **describe_stream_head(stream),
            "OpenShardCount": len(stream.shards),
            "ConsumerCount": 0,
            "MaxRecordSizeInKiB": stream.record_bytes_max // 1024,
        }
    }


@service.operation("ListStreams")
async def list_streams(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    after = request.get("ExclusiveStartStreamName", "")
    if "NextToken" in request:
        if after:
            raise InvalidArgument("NextToken and ExclusiveStartStreamName cannot both be given.")
        after = open_token(streams, "ListStreams", request["NextToken"])
    limit = min(request.get("Limit", 100), 100)
    page, has_more = streams.page(context.region, after, limit)
    answer: dict[str, Any] = {
        "StreamNames": [stream.name for stream in page],
        "HasMoreStreams": has_more,
        "StreamSummaries": [
            {
                "StreamName": stream.name,
                "StreamARN": stream.arn,
                "StreamStatus": "ACTIVE",
                "StreamModeDetails": {"StreamMode": stream.mode},
                "StreamCreationTimestamp": stream.created_ms / 1000,
            }
            for stream in page
        ],
    }
    if has_more:
        answer["NextToken"] = streams.tokens.seal("ListStreams", page[-1].name, streams.clock.now())
    return answer


@service.operation("IncreaseStreamRetentionPeriod")
async def increase_stream_retention_period(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    hours = _retention_hours(request)
    if hours < stream.retention_hours:
        raise InvalidArgument(
            f"Requested retention period ({hours} hours) for stream {stream.name} can not be "
            f"shorter than existing retention period ({stream.retention_hours} hours). "
            "Use DecreaseStreamRetentionPeriod."
        )
    await streams.set_retention(stream, hours)
    return {}


@service.operation("DecreaseStreamRetentionPeriod")
async def decrease_stream_retention_period(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    hours = _retention_hours(request)
    if hours > stream.retention_hours:
        raise InvalidArgument(
            f"Requested retention period ({hours} hours) for stream {stream.name} can not be "
            f"longer than existing retention period ({stream.retention_hours} hours). "
            "Use IncreaseStreamRetentionPeriod."
        )
    await streams.set_retention(stream, hours)
    return {}


@service.operation("UpdateMaxRecordSize")
async def update_max_record_size(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    await streams.set_record_bytes_max(stream, request["MaxRecordSizeInKiB"] * 1024)
    return {}


def _retention_hours(request: dict[str, Any]) -> int:
    hours: int = request["RetentionPeriodHours"]
    if hours < RETENTION_HOURS_MIN:
        raise InvalidArgument(
            f"Minimum allowed retention period is {RETENTION_HOURS_MIN} hours. Requested "
            f"retention period ({hours} hours) is too short."
        )
    if hours > RETENTION_HOURS_MAX:
        raise InvalidArgument(
            f"Maximum allowed retention period is {RETENTION_HOURS_MAX} hours. Requested "
            f"retention period ({hours} hours) is too long."
        )
    return hours
