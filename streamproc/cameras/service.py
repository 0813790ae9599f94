"""Every camera of the configuration, read by the daemon: one that fails disturbs no other.

Two tasks per camera: its feed, and the arrangement of its processor, which is looked at again once
it is made. What either did not foresee is logged and tried again. Knows nothing of media, streams
or processors.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from streamproc.aio import backoff_seconds
from streamproc.cameras.arrangement import arrange, disagreement
from streamproc.cameras.ports import Feed, World
from streamproc.cameras.view import Camera, CameraView
from streamproc.clock import Clock
from streamproc.errors import StreamprocError
from streamproc.model.log_context import about

log = logging.getLogger(__name__)

AGAIN_S: Final = 1.0  # least pause before a feed that ended by itself, as none should, runs again
BACKOFF_S_MAX: Final = 30.0
DRAIN_S_MAX: Final = 8.0
LOOK_AGAIN_S: Final = 5.0


@dataclass(slots=True, eq=False)
class _Watched:
    camera: Camera
    feed: Feed
    trouble: str = ""  # of ours, with the feed
    note: str = ""  # about the processor

    def tell(self, note: str) -> None:
        if note and note != self.note:
            log.warning("camera %s: %s", self.camera.name, note)
        self.note = note

    def view(self) -> CameraView:
        return CameraView.of(self.camera, self.feed.view(), (self.trouble, self.note))


class Cameras:
    """Make it, start() it, and drain() it before what the cameras use is closed."""

    def __init__(
        self,
        cameras: Sequence[Camera],
        world: World,
        clock: Clock,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self._world = world
        self._clock = clock
        self._roll = roll
        self._watched = [_Watched(camera, world.feed(camera)) for camera in cameras]
        self._stop = asyncio.Event()
        self._playing: list[asyncio.Task[None]] = []
        self._arranging: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Returns at once; cameras that are off come when they come."""
        for watched in self._watched:
            name = f"camera {watched.camera.name}"
            playing = self._insist(name, partial(self._play, watched))
            with about(region=watched.camera.region, camera=watched.camera.name):
                self._playing.append(asyncio.create_task(playing, name=name))
                if watched.camera.collection:
                    name = f"processor of {name}"
                    arranging = self._insist(name, partial(self._arrange, watched))
                    self._arranging.append(asyncio.create_task(arranging, name=name))

    async def drain(self) -> None:
        """End every feed behind what it is sending, as far as that takes no more than seconds."""
        self._stop.set()
        for task in self._arranging:
            task.cancel()
        if self._playing:
            await asyncio.wait(self._playing, timeout=DRAIN_S_MAX)
        for task in self._playing:
            task.cancel()
        await asyncio.gather(*self._playing, *self._arranging, return_exceptions=True)

    def views(self) -> tuple[CameraView, ...]:
        """All of them, by name."""
        return tuple(watched.view() for watched in sorted(self._watched, key=_name))

    def list(self, region: str) -> tuple[CameraView, ...]:
        """Those of a region, by name."""
        return tuple(view for view in self.views() if view.region == region)

    async def _play(self, watched: _Watched) -> None:
        while not self._stop.is_set():
            watched.trouble = ""
            try:
                await watched.feed.run(self._stop)
            except Exception as error:
                watched.trouble = f"It is opened again after an error: {_words(error)}"
                raise
            await self._pause(AGAIN_S)

    async def _arrange(self, watched: _Watched) -> None:
        try:
            await arrange(watched.camera, self._world, watched.tell, self._clock.sleep)
            # The stream may be deleted, and made again by the feed: its processor has the former.
            while True:
                await self._clock.sleep(LOOK_AGAIN_S)
                watched.tell(disagreement(watched.camera, self._world))
        except Exception as error:
            watched.note = (
                f"Its processor cannot be made just now, which is tried again: {_words(error)}"
            )
            raise

    async def _insist(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """See the work through, however often it breaks: no camera may end another."""
        attempt = 0
        while not self._stop.is_set():
            try:
                await work()
            except Exception as error:
                # What is ours explains itself; for the rest somebody will want to see where.
                trace = None if isinstance(error, StreamprocError | OSError) else error
                log.error("%s, tried again: %s", name, _words(error), exc_info=trace)
            else:
                return
            wait_s = backoff_seconds(attempt, base_s=1.0, cap_s=BACKOFF_S_MAX, roll=self._roll)
            await self._pause(wait_s)
            attempt += 1

    async def _pause(self, seconds: float) -> None:
        """Sleep, unless the daemon ends before."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()


def _name(watched: _Watched) -> str:
    return watched.camera.name


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
