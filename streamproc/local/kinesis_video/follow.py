"""Follow a stream: one document per fragment, from a position on, for as long as it lasts.

A fragment that is arriving is passed on as it arrives; one that is on disk is read from there.
Knows nothing of HTTP or selectors' AWS shapes.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from streamproc.clock import Clock
from streamproc.local.kinesis_video.archive import CHUNK_BYTES
from streamproc.local.kinesis_video.documents import closing, opening
from streamproc.local.kinesis_video.index import StoredFragment
from streamproc.local.kinesis_video.live import LiveFragment, State
from streamproc.local.kinesis_video.stream import VideoStream

log = logging.getLogger(__name__)


class DocumentCut(Exception):
    """A document ended short after some of it was sent. No other may follow it on the same
    connection: a reader would take the next document for the rest of a block or a Cluster."""


async def follow(
    stream: VideoStream, after: str, session_s_max: float, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """Every document behind a fragment number.

    Ends between two documents, when the stream is over or the session is old enough; or in the
    middle of one whose producer left there, for the reader to come again.
    """
    deadline = clock.monotonic() + session_s_max
    while not stream.is_over and clock.monotonic() < deadline:
        beats = stream.pulse.beats
        fragment = await stream.after(after)
        if fragment is None:
            await stream.pulse.behind(beats)
            continue
        try:
            async with aclosing(document(stream, fragment, clock)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except DocumentCut as cut:
            log.info("stream %s: a follower must come again: %s", stream.info.name, cut)
            return
        after = fragment.number


async def document(
    stream: VideoStream, fragment: LiveFragment | StoredFragment, clock: Clock | None = None
) -> AsyncGenerator[bytes, None]:
    """One fragment's document; with a clock, it has the tags that say it is whole.

    Yields nothing if there is nothing to be had any more. Raises DocumentCut.
    """
    head = opening(fragment.header, fragment.number, fragment.server_ms, fragment.producer_ms)
    sent = 0  # of the fragment's own bytes
    stored: StoredFragment | None
    if isinstance(fragment, LiveFragment):
        while (stored := fragment.stored) is None:
            if chunk := bytes(memoryview(fragment.data)[sent : sent + CHUNK_BYTES]):
                sent += len(chunk)
                yield head + chunk if head else chunk
                head = b""
            elif fragment.state is State.RECEIVING and not stream.is_over:
                await stream.pulse.behind(stream.pulse.beats)
            else:
                break
    else:
        stored = fragment
    is_whole = not isinstance(fragment, LiveFragment) or fragment.state is State.WHOLE
    if stored is not None:
        try:
            async with aclosing(stream.archive.read(stored.place, sent)) as chunks:
                async for chunk in chunks:
                    yield head + chunk
                    head = b""
        except FileNotFoundError:
            is_whole = False  # swept away meanwhile
    if not is_whole:
        if not head:
            raise DocumentCut(f"fragment {fragment.number} ends in the middle")
    elif clock is not None:
        behind_ms = int(clock.now() * 1000) - fragment.server_ms
        yield closing(fragment.number, max(behind_ms, 0))
