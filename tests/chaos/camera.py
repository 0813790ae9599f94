"""A camera that shows the film to an embedded video stream, as a real producer does: what was
not acknowledged as persisted is sent again, on a new connection, after whatever happened.

A fragment is due once its PERSISTED acknowledgement is here: then the service has it for good.
"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from botocore.credentials import Credentials

from streamproc.kvs.acks import Ack, PutMediaError
from streamproc.kvs.producer import put_media
from streamproc.mkv.writer import MkvWriter
from tests.chaos.film import FRAGMENT_MS, FRAME_MS, FRAMES, PICTURES, Film
from tests.chaos.ledger import Ledger

BEGIN_MS = 1_700_000_000_000
SESSION = 40  # fragments; then a new connection, for no reason at all
_AGAIN_S = 0.2


def picture_at(media_ms: int) -> int:
    return (media_ms - BEGIN_MS) // FRAME_MS % PICTURES


class Camera:
    def __init__(self, url: str, stream: str, film: Film, pace: float) -> None:
        """pace: fragments per second, each of FRAMES pictures."""
        self.ledger = Ledger(picture_at)
        self._url = url
        self._stream = stream
        self._film = film
        self._frame_s = 1 / (pace * FRAMES)
        self._persisted = 0  # fragments, from the first on without a gap
        self._recording = asyncio.Event()
        self._recording.set()
        self.is_idle = False

    async def run(self) -> None:
        while True:
            self.is_idle = not self._recording.is_set()
            await self._recording.wait()
            self.is_idle = False
            try:
                await put_media(
                    self._url, self._stream, self._session(), region="us-east-1",
                    credentials=Credentials("test", "test"), on_ack=self._on_ack,
                )  # fmt: skip
            except (PutMediaError, aiohttp.ClientError, OSError):
                await asyncio.sleep(_AGAIN_S)

    def pause(self) -> None:
        self._recording.clear()

    def go_on(self) -> None:
        self._recording.set()

    async def _session(self) -> AsyncIterator[bytes]:
        writer, first = MkvWriter(), self._persisted
        head = writer.header([self._film.track])
        for index in range(first, first + SESSION):
            if not self._recording.is_set():
                return
            head += writer.cluster(BEGIN_MS + index * FRAGMENT_MS)
            for coded in self._film.fragment(index):
                yield head + writer.block(1, coded.offset_ms, coded.keyframe, coded.payload)
                head = b""
                await asyncio.sleep(self._frame_s)

    def _on_ack(self, ack: Ack) -> None:
        if ack.event_type != "PERSISTED" or ack.timecode is None:
            return
        index = (ack.timecode - BEGIN_MS) // FRAGMENT_MS
        self._persisted = max(self._persisted, index + 1)
        for frame in range(FRAMES):
            media_ms = ack.timecode + frame * FRAME_MS
            key = (int(ack.fragment_number), frame * FRAME_MS)
            self.ledger.due(key, picture_at(media_ms), media_ms)
