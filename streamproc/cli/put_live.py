"""streamproc put-media with a camera: what is shown while it runs, until Ctrl-C.

Knows the terminal; opening the camera, and trying again, is kvs.live's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import typer

from streamproc.cli.put_media import stop_on_signals
from streamproc.cli.terminal import harmless

if TYPE_CHECKING:
    from streamproc.kvs.camera_url import SourceUrl
    from streamproc.kvs.live import FeedOptions, FeedView, Target

_REFRESH_S = 0.5


async def put_live(
    source: "SourceUrl",
    stream: str,
    find_target: Callable[[], Awaitable["Target"]],
    options: "FeedOptions",
) -> None:
    """Returns when it was interrupted. Raises CameraRefused if the camera will not do, and
    whatever find_target raises before the first session."""
    from streamproc.clock import SystemClock
    from streamproc.kvs.live import CameraFeed

    await find_target()  # a wrong stream or key is said at once
    display = _Display(source, stream)
    feed = CameraFeed(
        source, stream, find_target, options, clock=SystemClock(), on_change=display.on_change
    )
    stop = asyncio.Event()
    stop_on_signals(stop.set)
    with display:
        running = asyncio.create_task(feed.run(stop, give_up_when_refused=True))
        try:
            while not running.done():
                await asyncio.wait((running,), timeout=_REFRESH_S)
                display.show(feed.view())
            await running
        finally:
            running.cancel()
    display.sum_up(feed.view())


class _Display:
    """One line that changes where somebody looks; elsewhere a line for each change."""

    def __init__(self, source: "SourceUrl", stream: str) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._target = f"{source} to stream {stream}"
        self._status = self._console.status("", spinner="dots")
        self._was_transcoding = False

    def __enter__(self) -> "_Display":
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self._status.stop()

    def on_change(self, view: "FeedView") -> None:
        from streamproc.kvs.live import FeedStatus

        if view.status is not FeedStatus.LIVE:
            again = "" if "trying again" in view.message else "; trying again"
            self._say(view.message + again)
            return
        self._say(f"{self._target}: live, {view.facts}")
        if view.facts is not None and view.facts.transcoding and not self._was_transcoding:
            self._was_transcoding = True
            self._say(f"{view.facts.codec} is transcoded to H.264")

    def show(self, view: "FeedView") -> None:
        from rich.text import Text

        parts = [
            self._target,
            view.status.value.lower(),
            f"{view.bytes_per_second / 1000:.0f} kB/s",
        ]
        parts.append(_fragments(view))
        if view.waiting_s >= 1:
            parts.append(f"{view.waiting_s:.0f} s waiting")
        parts += _losses(view)
        self._status.update(Text(harmless(", ".join(parts))))

    def sum_up(self, view: "FeedView") -> None:
        line = [f"sent {self._target}: {_fragments(view)}", *_losses(view)]
        typer.echo(harmless(", ".join(line)))

    def _say(self, line: str) -> None:
        self._console.print(harmless(line), markup=False, highlight=False, soft_wrap=True)


def _fragments(view: "FeedView") -> str:
    persisted = view.fragments_persisted_total
    return f"{view.fragments_received_total} fragments received" + (
        f", {persisted} persisted" if persisted else ""
    )


def _losses(view: "FeedView") -> list[str]:
    losses = {
        "groups of pictures dropped": view.groups_dropped_total,
        "pictures too many for the encoder": view.pictures_dropped_total,
    }
    return [f"{count} {name}" for name, count in losses.items() if count]
