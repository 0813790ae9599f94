"""PutMedia: a producer's body in, acknowledgements out, on one connection."""

from typing import Any

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidArgument
from streamproc.local.kinesis_video.ingest import ProducerSession
from streamproc.local.kinesis_video.service import find_stream, media
from streamproc.local.kinesis_video.streams import VideoStreams


@media.operation("PutMedia")
async def put_media(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """Relative timecodes count from the producer's start, or from now where it names none."""
    if "StreamName" in request and "StreamARN" in request:
        raise InvalidArgument("Both x-amzn-stream-name and x-amzn-stream-arn are given; send one.")
    stream = find_stream(streams, request, context)
    start = request.get("ProducerStartTimestamp", streams.clock.now())
    if start < 0:
        raise InvalidArgument(
            f"x-amzn-producer-start-timestamp {start} is negative; send seconds since the epoch."
        )
    is_relative = request["FragmentTimecodeType"] == "RELATIVE"
    session = ProducerSession(
        stream,
        request["Payload"],
        start_ms=round(start * 1000) if is_relative else 0,
        wants_acks=request.get("FragmentAcknowledgmentRequired", "1") not in ("0", "false"),
        config=streams.config,
        clock=streams.clock,
        media=streams.media,
    )
    return {"ContentType": "application/json", "Payload": stream.producers.open(session.acks())}
