"""How a request names its stream: by name, by ARN, or by a token that we gave out."""

import datetime
from typing import Any

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import ExpiredIterator, ExpiredNextToken, InvalidArgument
from streamproc.local.kinesis_data.shards import Stream
from streamproc.local.kinesis_data.streams import DataStreams, not_found
from streamproc.local.kinesis_data.tokens import TokenError, TokenExpired
from streamproc.model.arn import Arn, data_stream_arn

TOKEN_S_MAX = 300.0  # ListShards, NextToken
_ITERATOR = "ShardIterator"


def addressed_stream(
    streams: DataStreams, request: dict[str, Any], context: RequestContext
) -> Stream:
    """The stream of StreamName, StreamARN (or a tag operation's ResourceARN), or both.

    Raises InvalidArgument where neither is given or they disagree, ResourceNotFound.
    """
    name: str | None = request.get("StreamName")
    arn: str | None = request.get("StreamARN") or request.get("ResourceARN")
    if arn is not None:
        parsed = Arn.parse(arn)
        if name is not None and name != parsed.name:
            raise InvalidArgument(
                f"StreamName {name} and StreamARN {arn} name two streams; give one of them."
            )
        name = parsed.name
        # To the letter: rights are told from the ARN as it was written.
        if arn != data_stream_arn(context.region, streams.account_id, name):
            raise not_found(name, parsed.account)
    if name is None:
        raise InvalidArgument("Either StreamARN or StreamName must be given.")
    return streams.find(context.region, name)


def open_token(streams: DataStreams, operation: str, token: str) -> Any:
    """What the NextToken of an operation holds. Raises InvalidArgument, ExpiredNextToken."""
    try:
        return streams.tokens.open(operation, token, streams.clock.now(), TOKEN_S_MAX)
    except TokenError:
        raise InvalidArgument(
            f"NextToken {token[:100]} is not one that {operation} returned."
        ) from None
    except TokenExpired:
        raise ExpiredNextToken(
            f"NextToken is older than {TOKEN_S_MAX:.0f} seconds; begin the listing again."
        ) from None


def seal_iterator(streams: DataStreams, shard_key: int, position: int) -> str:
    """A shard iterator: the shard, and the position of the next record to read."""
    return streams.tokens.seal(_ITERATOR, [shard_key, position], streams.clock.now())


def open_iterator(streams: DataStreams, token: str) -> tuple[int, int]:
    """(key of the shard, position of the next record). Raises InvalidArgument,
    ExpiredIterator."""
    now, age_s_max = streams.clock.now(), streams.config.iterator_s_max
    try:
        shard_key, position = streams.tokens.open(_ITERATOR, token, now, age_s_max)
    except TokenError:
        raise InvalidArgument("Invalid ShardIterator.") from None
    except TokenExpired as error:
        raise ExpiredIterator(
            f"Iterator expired. The iterator was created at time {_iso(error.issued_s)} while "
            f"right now it is {_iso(now)} which is further in the future than the tolerated "
            f"delay of {age_s_max * 1000:.0f} milliseconds."
        ) from None
    return int(shard_key), int(position)


def _iso(timestamp: float) -> str:
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC).isoformat()
