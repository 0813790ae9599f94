"""Operations on records: putting them, and reading them through shard iterators.

A shard iterator holds the shard and the position of the next record to read; nothing is kept
for it here.
"""

from collections.abc import Sequence
from typing import Any

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidArgument, ResourceNotFound
from streamproc.local.kinesis_data.addressing import (
    addressed_stream,
    open_iterator,
    seal_iterator,
)
from streamproc.local.kinesis_data.append import NewRecord, ShardGone
from streamproc.local.kinesis_data.sequence import SequenceNumber
from streamproc.local.kinesis_data.service import refuse_dry_run, service
from streamproc.local.kinesis_data.shards import HASH_KEYS, Shard, Stream, hash_key
from streamproc.local.kinesis_data.streams import DataStreams, not_found

REQUEST_BYTES_MAX = 10 * 1024 * 1024  # PutRecords: data and partition keys together
READ_BYTES_MAX = 10 * 1024 * 1024  # GetRecords


@service.operation("PutRecord")
async def put_record(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    record = _new_record(stream, request)
    before = request.get("SequenceNumberForOrdering")
    if before is not None and _parse_number(before, stream, stream.shards) is None:
        raise InvalidArgument(
            f"SequenceNumberForOrdering {before} used in PutRecord on stream {stream.name} under "
            f"account {streams.account_id} is invalid."
        )
    refuse_dry_run(request)
    [answer] = await _append(streams, stream, [record])
    return answer


@service.operation("PutRecords")
async def put_records(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """All or nothing, and in the order of the request; clients may rely on neither at AWS."""
    stream = addressed_stream(streams, request, context)
    records = [_new_record(stream, entry) for entry in request["Records"]]
    total = sum(record.size for record in records)
    if total > REQUEST_BYTES_MAX:
        raise InvalidArgument(
            f"Records of {total} bytes, partition keys included, exceed the limit of "
            f"{REQUEST_BYTES_MAX} bytes per request; send fewer at once."
        )
    refuse_dry_run(request)
    return {"FailedRecordCount": 0, "Records": await _append(streams, stream, records)}


@service.operation("GetShardIterator")
async def get_shard_iterator(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = addressed_stream(streams, request, context)
    shard = stream.shard(request["ShardId"])
    if shard is None:
        raise ResourceNotFound(
            f"Shard {request['ShardId']} in stream {stream.name} under account "
            f"{streams.account_id} does not exist"
        )
    position = await _start_position(streams, stream, shard, request)
    refuse_dry_run(request)
    return {"ShardIterator": seal_iterator(streams, shard.key, position)}


@service.operation("GetRecords")
async def get_records(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream, shard, position = _open_iterator(streams, request, context)
    refuse_dry_run(request)
    tip = shard.last_position
    if position > tip:
        # The usual poll: nothing new, and no query needed to know it.
        return {
            "Records": [],
            "NextShardIterator": seal_iterator(streams, shard.key, position),
            "MillisBehindLatest": 0,
        }
    limit = request.get("Limit", 10_000)
    records = await streams.store.read(shard, position, limit, READ_BYTES_MAX)
    # Where nothing was found, retention has removed all up to the tip.
    next_position = records[-1].position + 1 if records else tip + 1
    behind_ms = 0
    if records and next_position <= shard.last_position:
        # Readers take 0 for having read everything.
        behind_ms = max(1, streams.now_ms() - records[-1].arrival_ms)
    return {
        "Records": [
            {
                "SequenceNumber": str(
                    SequenceNumber.of(stream, shard, record.position, record.arrival_ms)
                ),
                "ApproximateArrivalTimestamp": record.arrival_ms / 1000,
                "Data": record.data,
                "PartitionKey": record.partition_key,
            }
            for record in records
        ],
        "NextShardIterator": seal_iterator(streams, shard.key, next_position),
        "MillisBehindLatest": behind_ms,
    }


def _new_record(stream: Stream, entry: dict[str, Any]) -> NewRecord:
    partition_key = entry.get("PartitionKey")
    if partition_key is None:
        raise InvalidArgument(f"PartitionKey must be given for stream {stream.name}.")
    explicit = entry.get("ExplicitHashKey")
    key = hash_key(partition_key) if explicit is None else int(explicit)
    if key >= HASH_KEYS:
        raise InvalidArgument(f"ExplicitHashKey {explicit} must be in the range 0 to 2^128 - 1.")
    record = NewRecord(stream.shard_of(key), partition_key, entry["Data"])
    if record.size > stream.record_bytes_max:
        raise InvalidArgument(
            f"A record of {record.size} bytes, partition key included, exceeds the "
            f"limit of {stream.record_bytes_max} bytes of stream {stream.name}; send smaller "
            "records, or raise it with UpdateMaxRecordSize."
        )
    return record


async def _append(
    streams: DataStreams, stream: Stream, records: Sequence[NewRecord]
) -> list[dict[str, Any]]:
    try:
        appended = await streams.appender.append(records)
    except ShardGone:
        raise not_found(stream.name, streams.account_id) from None
    return [
        {
            "ShardId": record.shard.shard_id,
            "SequenceNumber": str(
                SequenceNumber.of(stream, record.shard, answer.position, answer.arrival_ms)
            ),
        }
        for record, answer in zip(records, appended, strict=True)
    ]


async def _start_position(
    streams: DataStreams, stream: Stream, shard: Shard, request: dict[str, Any]
) -> int:
    """The position of the first record that the iterator shall return."""
    kind: str = request["ShardIteratorType"]
    number = request.get("StartingSequenceNumber")
    if (number is not None) != kind.endswith("SEQUENCE_NUMBER"):
        raise InvalidArgument(
            "StartingSequenceNumber must be given with ShardIteratorType AT_SEQUENCE_NUMBER and "
            f"AFTER_SEQUENCE_NUMBER, and with no other; the request has {kind} "
            f"{'without' if number is None else 'with'} it."
        )
    if number is not None:
        parsed = _parse_number(number, stream, [shard])
        if parsed is None:
            raise InvalidArgument(
                f"StartingSequenceNumber {number} used in GetShardIterator on shard "
                f"{shard.shard_id} in stream {stream.name} under account {streams.account_id} "
                "is invalid."
            )
        return parsed.position + (kind == "AFTER_SEQUENCE_NUMBER")
    if kind == "AT_TIMESTAMP":
        if "Timestamp" not in request:
            raise InvalidArgument("Timestamp must be given with ShardIteratorType AT_TIMESTAMP.")
        since_ms = round(request["Timestamp"] * 1000)
        if since_ms > streams.now_ms():
            raise InvalidArgument(
                f"Timestamp {request['Timestamp']} is in the future; it is now "
                f"{streams.clock.now()}."
            )
        # Whatever comes next arrives after now, so it is wanted too.
        latest = shard.last_position + 1
        first = await streams.store.first_since(shard, since_ms)
        return latest if first is None else first
    return shard.last_position + 1 if kind == "LATEST" else 1  # else TRIM_HORIZON


def _parse_number(text: str, stream: Stream, shards: Sequence[Shard]) -> SequenceNumber | None:
    """None unless one of the shards gave out this number."""
    try:
        number = SequenceNumber.parse(text)
    except ValueError:
        return None
    return number if any(number.is_of(stream, shard) for shard in shards) else None


def _open_iterator(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> tuple[Stream, Shard, int]:
    shard_key, position = open_iterator(streams, request["ShardIterator"])
    stream = streams.stream_of_shard(shard_key)
    if stream is None or stream.region != context.region:
        raise ResourceNotFound("The stream of this ShardIterator does not exist.")
    if "StreamARN" in request and addressed_stream(streams, request, context) is not stream:
        raise InvalidArgument(
            f"ShardIterator is of stream {stream.arn}, not of StreamARN {request['StreamARN']}."
        )
    return stream, next(shard for shard in stream.shards if shard.key == shard_key), position
