"""The archive's own operations: what is kept, and the media of fragments by number.

Only streams with a retention have an archive; the short buffer of one without is GetMedia's
alone, as in the cloud.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidArgument
from streamproc.local.kinesis_video.documents import FRAGMENT_NOT_FOUND, failure
from streamproc.local.kinesis_video.follow import DocumentCut, document
from streamproc.local.kinesis_video.index import Origin, StoredFragment
from streamproc.local.kinesis_video.numbers import comparable
from streamproc.local.kinesis_video.service import (
    archived,
    decode_token,
    encode_token,
    find_stream,
)
from streamproc.local.kinesis_video.stream import VideoStream
from streamproc.local.kinesis_video.streams import VideoStreams

_FRAGMENTS_PER_PAGE: Final = 100
_FOR_EVER_MS: Final = 1 << 62
_ORIGINS: Final = [origin.value for origin in Origin]
_TOKEN: Final = {"stream": str, "origin": str, "start_ms": int, "end_ms": int, "after": str}


@archived.operation("ListFragments")
async def list_fragments(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """Fragments that began inside the range, both ends included, in the order of arrival."""
    stream = find_stream(streams, request, context)
    if token := request.get("NextToken"):
        page = decode_token(token, _TOKEN)
        if page["stream"] != streams.arn(stream.info) or page["origin"] not in _ORIGINS:
            raise InvalidArgument(f"NextToken {token!r} was returned for another stream.")
    else:
        page = _first_page(streams.arn(stream.info), request.get("FragmentSelector"))
    limit = request.get("MaxResults", _FRAGMENTS_PER_PAGE)
    found: list[StoredFragment] = []
    if stream.info.retention_hours:
        span = (Origin(page["origin"]), page["start_ms"], page["end_ms"])
        found = await stream.archive.within(span, page["after"], limit + 1)
    answer: dict[str, Any] = {"Fragments": [_described(fragment) for fragment in found[:limit]]}
    if len(found) > limit:
        answer["NextToken"] = encode_token({**page, "after": found[limit - 1].number})
    return answer


@archived.operation("GetMediaForFragmentList")
async def get_media_for_fragment_list(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """One document per number, in the order asked for."""
    stream = find_stream(streams, request, context)
    return {"ContentType": "video/webm", "Payload": _documents(stream, request["Fragments"])}


async def _documents(stream: VideoStream, numbers: list[str]) -> AsyncGenerator[bytes, None]:
    """The status is out before the first fragment is looked for, so one that is missing is told
    in-band, and ends the answer."""
    for number in numbers:
        is_there = False
        fragment = await stream.archive.find(comparable(number))
        if fragment is not None and stream.info.retention_hours:
            try:
                async with aclosing(document(stream, fragment)) as chunks:
                    async for chunk in chunks:
                        is_there = True
                        yield chunk
            except DocumentCut:
                return
        if not is_there:
            yield failure(number, FRAGMENT_NOT_FOUND)
            return


def _first_page(arn: str, selector: dict[str, Any] | None) -> dict[str, Any]:
    """What is asked for, in a form that a token can carry; without a selector, everything."""
    page = {"stream": arn, "origin": Origin.SERVER.value, "start_ms": 0, "end_ms": _FOR_EVER_MS}
    if selector is not None:
        times = selector["TimestampRange"]
        start, end = times["StartTimestamp"], times["EndTimestamp"]
        if start > end:
            raise InvalidArgument(f"TimestampRange begins at {start} and ends before, at {end}.")
        page["origin"] = selector["FragmentSelectorType"]
        page |= {"start_ms": round(start * 1000), "end_ms": round(end * 1000)}
    return {**page, "after": ""}


def _described(fragment: StoredFragment) -> dict[str, Any]:
    return {
        "FragmentNumber": fragment.number,
        "FragmentSizeInBytes": fragment.place.size,
        "ProducerTimestamp": fragment.producer_ms / 1000,
        "ServerTimestamp": fragment.server_ms / 1000,
        "FragmentLengthInMilliseconds": fragment.length_ms,
    }
