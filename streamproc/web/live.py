"""The live view: what a processor analysed last, with boxes and names, for who watches it now.

Costs nothing while nobody does. With watchers, the newest picture becomes a JPEG once for all of
them, on a thread, when somebody is ready for it; the pictures in between are never touched.
Nothing is kept of a processor that nobody watches, and nothing reaches a disk.
"""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from streamproc.aio import Worker, of_its_own
from streamproc.model.face import Face, Match
from streamproc.model.media import Frame, Image
from streamproc.model.processor import ProcessorKey, ProcessorSpec
from streamproc.web.sse import HEARTBEAT, HEARTBEAT_S, OPENING, Bell, message

log = logging.getLogger(__name__)

SIDE_MAX: Final = 960
"""Pixels of the longer side of a picture that is sent."""
_JPEG_QUALITY: Final = 75
# To one watcher; the least time between two pictures.
_PAUSE_S: Final = 0.1
_STRANGER: Final = "unknown-"
_RESTING: Final = frozenset({"STOPPED", "FAILED", "DELETED"})


@dataclass(frozen=True, slots=True)
class _Seen:
    """One analysed frame, and what is told of its faces."""

    image: Image = field(repr=False)
    timestamp: float
    faces: Sequence[Mapping[str, Any]]


class LiveViews:
    """The views of all processors. aclose() ends its thread."""

    def __init__(self, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self.encoded_total = 0
        self._views: dict[ProcessorKey, _View] = {}
        self._thread = Worker("live view")  # one: cameras watched at once take turns
        self._heartbeat_s = heartbeat_s

    def seen(
        self,
        spec: ProcessorSpec,
        frame: Frame,
        faces: Sequence[tuple[Face, Sequence[Match]]],
        names: Sequence[str | None] = (),
    ) -> None:
        """A frame was analysed. names are what the faces' visits are called, in their order;
        None for those that have none yet."""
        if (view := self._views.get(spec.key)) is None:
            return
        named = list(names) + [None] * (len(faces) - len(names))
        told = [_face(*found, name) for found, name in zip(faces, named, strict=False)]
        view.show(_Seen(frame.image, frame.timestamp, told))

    def is_watched(self, key: ProcessorKey) -> bool:
        return key in self._views

    def state_changed(self, spec: ProcessorSpec, state: str) -> None:
        """What rests shows nothing: not even what it saw last."""
        if state in _RESTING and (view := self._views.get(spec.key)) is not None:
            view.forget()

    def forget(self, region: str) -> None:
        """Somebody is deleted there: no picture that was seen before names them to anybody who
        comes from now on."""
        for key, view in self._views.items():
            if key[0] == region:
                view.forget()

    async def stream(self, key: ProcessorKey, exists: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Server-sent events, one per picture, until the processor does not exist any more.

        Each is {jpeg (base64), width, height (of the JPEG), timestamp (media time, seconds since
        the epoch), faces: [{box: {Left, Top, Width, Height} in ratios, name, known,
        similarity}]}.
        """
        view = self._views.setdefault(key, _View(self))
        view.watchers += 1
        try:
            number = 0
            yield OPENING
            while True:
                if (newer := await view.newer(number, self._heartbeat_s)) is not None:
                    number, text = newer
                    yield text
                    await asyncio.sleep(_PAUSE_S)
                elif exists():
                    yield HEARTBEAT
                else:
                    return
        finally:
            view.watchers -= 1
            if not view.watchers:
                del self._views[key]

    async def encode(self, seen: _Seen) -> bytes:
        self.encoded_total += 1
        return await self._thread.run(lambda: _message(seen))

    def close(self) -> None:
        """Once nobody watches any more."""
        self._thread.stop()


class _View:
    """One processor's, while it is watched."""

    def __init__(self, views: LiveViews) -> None:
        self.watchers = 0
        self._views = views
        self._bell = Bell()
        self._next: _Seen | None = None
        self._newest: tuple[int, bytes] = (0, b"")  # how many there were, and its message
        self._encoding: asyncio.Task[None] | None = None
        self._forgotten_total = 0

    def show(self, seen: _Seen) -> None:
        self._next = seen
        self._bell.ring()

    def forget(self) -> None:
        """What was seen until now, with what is being made of it."""
        self._next = None
        self._newest = (self._newest[0], b"")
        self._forgotten_total += 1

    async def newer(self, number: int, timeout_s: float) -> tuple[int, bytes] | None:
        """The newest picture beyond this number, made now if need be; None if there was none in
        time."""
        while True:
            rings = self._bell.rings
            if self._encoding is None and self._next is not None:
                self._encoding = of_its_own(self._encode(self._next))
                self._next = None
            if self._encoding is not None:
                await asyncio.wait({self._encoding})
            if self._newest[0] > number and self._newest[1]:
                return self._newest
            if not await self._bell.heard(rings, timeout_s):
                return None

    async def _encode(self, seen: _Seen) -> None:
        forgotten_total = self._forgotten_total
        try:
            text = await self._views.encode(seen)
            if forgotten_total == self._forgotten_total:
                self._newest = (self._newest[0] + 1, text)
        except Exception:  # of one picture; the next may do better
            log.exception("a picture of the live view could not be encoded")
        finally:
            self._encoding = None


def _face(face: Face, matches: Sequence[Match], name: str | None) -> dict[str, Any]:
    box = face.box
    told: dict[str, Any] = {
        "box": {"Left": box.left, "Top": box.top, "Width": box.width, "Height": box.height},
        "name": name,
        # Of somebody known a single picture may not tell it: they look away, and stay who they are.
        "known": bool(matches) or (name is not None and not name.startswith(_STRANGER)),
    }
    if matches:
        best = matches[0]
        told["name"] = best.face.external_image_id or best.face.face_id
        told["similarity"] = best.similarity
    return told


def _message(seen: _Seen) -> bytes:
    jpeg, width, height = _jpeg(seen.image)
    picture = {
        "jpeg": base64.b64encode(jpeg).decode(),
        "width": width,
        "height": height,
        "timestamp": seen.timestamp,
        "faces": seen.faces,
    }
    return message("picture", json.dumps(picture).encode())


def _jpeg(image: Image) -> tuple[bytes, int, int]:
    """The picture, made small enough, as JPEG, and its width and height."""
    import cv2  # a tenth of a second, which the daemon's start need not wait for

    height, width = image.shape[:2]
    scale = min(1.0, SIDE_MAX / max(width, height))
    if scale < 1.0:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        image = np.asarray(small, np.uint8)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return jpeg.tobytes(), width, height
