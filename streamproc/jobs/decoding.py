"""The decoder of one job, stepped on a thread of its own.

The thread runs at a lower priority than the rest of the daemon, as do the threads that FFmpeg
starts from it: live video comes first. It ends with its block, whatever happens there; what it
is in the middle of is waited for, since nothing can interrupt a decoder.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from streamproc.decode.stored import StoredVideo
from streamproc.model.video import VideoFrame, VideoMetadata

T = TypeVar("T")

_NICENESS = 10


class Decoding:
    """A stored video, from the event loop's side. Its block has to be entered."""

    metadata: VideoMetadata

    def __init__(
        self, path: Path, name: str, fps: float, pixels_max: int, threads: ThreadPoolExecutor
    ) -> None:
        """name: what messages call the video; fps: how many frames of a second to give;
        pixels_max: the largest picture that is decoded."""
        self._path = path
        self._name = name
        self._fps = fps
        self._pixels_max = pixels_max
        self._threads = threads
        self._video: StoredVideo | None = None
        self._frames: Iterator[VideoFrame] = iter(())

    @property
    def progress(self) -> float:
        """The part of the video that was decoded, 0 to 1."""
        return 0.0 if self._video is None else self._video.progress

    async def next_frame(self) -> VideoFrame | None:
        """None behind the last one. Raises MediaError, at the end too: see StoredVideo."""
        return await on_thread(self._threads, partial(next, self._frames, None))

    async def open(self) -> None:
        """Raises MediaError or UnsupportedCodec."""
        await on_thread(self._threads, self._open)

    async def close(self) -> None:
        await on_thread(self._threads, self._close)

    def _open(self) -> None:
        # Kept here, not returned: a caller that was cancelled has to close it all the same.
        self._video = StoredVideo(self._path, self._name, pixels_max=self._pixels_max)
        self._frames = self._video.frames(self._fps)
        self.metadata = self._video.metadata

    def _close(self) -> None:
        self._frames = iter(())
        if self._video is not None:
            self._video.close()


@asynccontextmanager
async def decoding(path: Path, name: str, fps: float, pixels_max: int) -> AsyncIterator[Decoding]:
    """Open the video while the block runs. Raises MediaError or UnsupportedCodec."""
    threads = ThreadPoolExecutor(1, thread_name_prefix="stored", initializer=_step_back)
    video = Decoding(path, name, fps, pixels_max, threads)
    try:
        await video.open()
        yield video
    finally:
        await video.close()
        threads.shutdown(wait=True)  # idle by now


async def on_thread(threads: ThreadPoolExecutor, step: Callable[[], T]) -> T:
    """What the step returns. A caller that is cancelled leaves when the step has ended."""
    work = asyncio.get_running_loop().run_in_executor(threads, step)
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()  # looked at, so that nobody is told that it was never retrieved
        raise cancelled
    return work.result()


def _step_back() -> None:
    # On Linux the priority of a "process" is that of a thread, where its id is given.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
