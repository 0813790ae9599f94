"""Streams and shards as AWS's answers show them."""

from typing import Any

from streamproc.local.kinesis_data.sequence import SequenceNumber
from streamproc.local.kinesis_data.shards import Shard, Stream


def describe_stream_head(stream: Stream) -> dict[str, Any]:
    """What DescribeStream and DescribeStreamSummary have in common."""
    return {
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": stream.mode},
        "RetentionPeriodHours": stream.retention_hours,
        "StreamCreationTimestamp": stream.created_ms / 1000,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
    }


def describe_shard(stream: Stream, shard: Shard) -> dict[str, Any]:
    start, end = stream.hash_key_range(shard)
    return {
        "ShardId": shard.shard_id,
        "HashKeyRange": {"StartingHashKey": str(start), "EndingHashKey": str(end)},
        "SequenceNumberRange": {
            "StartingSequenceNumber": str(SequenceNumber.first_of(stream, shard))
        },
    }


def page_of_shards(stream: Stream, after: str, limit: int) -> tuple[list[Shard], bool]:
    """Shards behind an id, in order, and whether there are more."""
    rest = [shard for shard in stream.shards if shard.shard_id > after]
    return rest[:limit], len(rest) > limit
