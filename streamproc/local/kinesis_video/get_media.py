"""GetMedia: follow a stream from where the start selector says."""

from typing import Any, Final

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidArgument
from streamproc.local.kinesis_video.follow import follow
from streamproc.local.kinesis_video.index import Origin
from streamproc.local.kinesis_video.numbers import before, comparable
from streamproc.local.kinesis_video.service import find_stream, media
from streamproc.local.kinesis_video.stream import VideoStream
from streamproc.local.kinesis_video.streams import VideoStreams

# Which member of StartSelector says where, by its type.
_NEEDS: Final = {
    "FRAGMENT_NUMBER": "AfterFragmentNumber",
    "CONTINUATION_TOKEN": "ContinuationToken",
    "SERVER_TIMESTAMP": "StartTimestamp",
    "PRODUCER_TIMESTAMP": "StartTimestamp",
}


@media.operation("GetMedia")
async def get_media(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    stream = find_stream(streams, request, context)
    after = await _position(stream, request["StartSelector"])
    chunks = follow(stream, after, streams.config.connection_s_max, streams.clock)
    return {"ContentType": "video/webm", "Payload": stream.followers.open(chunks)}


async def _position(stream: VideoStream, selector: dict[str, Any]) -> str:
    """The number behind which a selector begins.

    A number need not exist: its place in the order counts. An instant behind everything begins
    with the fragment that is being received, else with the next one that comes.
    """
    kind = selector["StartSelectorType"]
    if kind == "EARLIEST":
        return ""
    if kind == "NOW":
        arriving = stream.receiving()
        return stream.last_number if arriving is None else before(arriving.number)
    needed = _NEEDS[kind]
    if needed not in selector:
        raise InvalidArgument(f"StartSelectorType {kind} needs StartSelector.{needed}.")
    where = selector[needed]
    if needed == "StartTimestamp":
        fragment = await stream.at(Origin(kind), round(where * 1000))
        return stream.last_number if fragment is None else before(fragment.number)
    # The model lets a token be any word; ours are fragment numbers.
    if not (where.isascii() and where.isdigit()):
        raise InvalidArgument(f"{needed} {where!r} is not one that GetMedia returned.")
    return comparable(where)
