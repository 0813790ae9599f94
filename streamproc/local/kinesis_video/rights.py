"""What each operation of the three Kinesis Video services needs to be allowed. One table;
nothing is allowed by default.

Actions and resource types are those of the Service Authorization Reference for Amazon Kinesis
Video Streams. A stream's ARN ends in the instant of its creation, which who names a stream by
its name need not know: they are asked for the right on the ARN that the name stands for now, or
on stream/NAME/* where there is no such stream (yet). Policies say stream/NAME/* as a rule, and
that matches both. A refusal says stream/NAME/* in any case: nobody who may not know learns
from it whether the stream exists.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from streamproc.gateway.dispatch import RequestContext
from streamproc.local.kinesis_video.streams import VideoStreams
from streamproc.model.arn import Arn
from streamproc.model.caller import Right

_Request: TypeAlias = Mapping[str, Any]
_Rights: TypeAlias = Callable[[VideoStreams, str, _Request, RequestContext], list[Right]]


def rights(
    streams: VideoStreams, operation: str, request: _Request, context: RequestContext
) -> Sequence[Right]:
    """What the caller of an operation needs."""
    return RIGHTS[operation](streams, f"kinesisvideo:{operation}", request, context)


def _all(
    _streams: VideoStreams, action: str, _request: _Request, _context: RequestContext
) -> list[Right]:
    return [Right(action, "*")]


def _created(
    _streams: VideoStreams, action: str, request: _Request, context: RequestContext
) -> list[Right]:
    to_be = _any_of_name(request["StreamName"], context)
    needed = [Right(action, to_be)]
    if request.get("Tags"):
        needed += [Right("kinesisvideo:TagStream", to_be)]
    return needed


def _named(
    streams: VideoStreams, action: str, request: _Request, context: RequestContext
) -> list[Right]:
    needed = []
    if "StreamARN" in request:  # finds that very stream, to the letter, or none
        needed += [Right(action, request["StreamARN"])]
    if "StreamName" in request:
        stream = streams.find(context.region, request["StreamName"])
        told = _any_of_name(request["StreamName"], context)
        needed += [Right(action, told if stream is None else streams.arn(stream.info), told)]
    return needed or [Right(action, "*")]


def _any_of_name(name: str, context: RequestContext) -> str:
    return str(Arn("kinesisvideo", context.region, context.account_id, f"stream/{name}/*"))


RIGHTS: Final[Mapping[str, _Rights]] = {
    "CreateStream": _created,
    "DeleteStream": _named,
    "DescribeStream": _named,
    "GetDataEndpoint": _named,
    "GetMedia": _named,
    "GetMediaForFragmentList": _named,
    "ListFragments": _named,
    "ListStreams": _all,
    "ListTagsForStream": _named,
    "PutMedia": _named,
    "TagStream": _named,
    "UntagStream": _named,
    "UpdateDataRetention": _named,
    "UpdateStream": _named,
}
"""By operation; no two of the services share a name."""
