"""The Kinesis Data service behind the gateway; the operations register themselves here."""

from typing import Any

from streamproc.gateway.dispatch import RequestContext, Service
from streamproc.gateway.errors import DryRunOperation, ExpiredNextToken, InvalidArgument
from streamproc.local.kinesis_data.shards import Stream
from streamproc.local.kinesis_data.streams import DataStreams, not_found
from streamproc.local.kinesis_data.tokens import TokenError, TokenExpired
from streamproc.model.arn import Arn

TOKEN_S_MAX = 300.0  # ListShards, NextToken

service = Service[DataStreams]("kinesis", validation_error="ValidationException")


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
        if (parsed.region, parsed.account, parsed.resource) != (
            context.region,
            streams.account_id,
            f"stream/{name}",
        ):
            raise not_found(name, parsed.account)
    if name is None:
        raise InvalidArgument("Either StreamARN or StreamName must be given.")
    return streams.find(context.region, name)


def refuse_dry_run(request: dict[str, Any]) -> None:
    """DryRun answers with an error where all is well, so that nothing is done by mistake."""
    if request.get("DryRun"):
        raise DryRunOperation("The request would have succeeded, but DryRun is set.")


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
