"""One opening of a camera, read on a thread of its own, and heard of on the loop.

Knows threads. Knows nothing of streams, nor of trying again.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from streamproc.aio import do_and_tell, settle
from streamproc.kvs.camera_input import Input
from streamproc.kvs.coded import CodedPacket, Facts


class Connection:
    """Nobody waits for its thread: a blocked read ends by its timeout, and what it still brings
    is for who is told to ignore."""

    def __init__(
        self,
        name: str,
        open_input: Callable[[], Input],
        now: Callable[[], float],
        *,
        opened: "Callable[[Connection, Facts], None]",
        arrived: "Callable[[Connection, CodedPacket, float], None]",
    ) -> None:
        """opened and arrived are called on this loop; arrived is told when, in seconds since the
        epoch, by now."""
        self.camera: Input | None = None
        self._name = name
        self._open_input = open_input
        self._now = now
        self._opened = opened
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._is_over = threading.Event()

    async def run(self) -> None:
        """Until the camera ends. Raises what opening or reading it raises."""
        done: asyncio.Future[Any] = self._loop.create_future()
        told = partial(settle, done)
        threading.Thread(
            target=do_and_tell, args=(self._loop, self._work, told), name=self._name, daemon=True
        ).start()
        await done

    def end(self) -> None:
        """Close the camera with the next that it sends, at the latest."""
        self._is_over.set()
        if self.camera is not None:
            self.camera.stop()

    def _work(self) -> None:
        with self._open_input() as camera:
            self.camera = camera
            if self._is_over.is_set():
                return
            self._call(self._opened, camera.facts)
            for packet in camera.packets():
                if self._is_over.is_set():
                    return
                self._call(self._arrived, packet, self._now())

    def _call(self, heard: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(heard, self, *args)
