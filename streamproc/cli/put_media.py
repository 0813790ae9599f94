"""streamproc put-media: files, and cameras, into a Kinesis video stream.

A client of the Kinesis Video API like any producer, against the daemon or against AWS. Knows how
files are sent and shown; cameras are put_live.py's.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.aio import backoff_seconds
from streamproc.cli.access import DEFAULT_ENDPOINT_URL, EndpointUrl, Region, plain_words
from streamproc.cli.completion import video_streams
from streamproc.cli.source import UrlFile, given_source
from streamproc.cli.terminal import harmless
from streamproc.cli.video_target import target_finder
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.kvs.acks import Ack
    from streamproc.kvs.camera_url import SourceUrl
    from streamproc.kvs.live import Target
    from streamproc.kvs.recording import Footage

INTERRUPTED = 130  # what a shell expects of a command that Ctrl-C has ended
_GIVE_UP_AFTER_S = 60.0
_WAIT_S_MIN, _WAIT_S_MAX = 0.25, 5.0
_PASSING = {"ConnectionError", "SessionEnded", "Timeout", "INTERNAL_ERROR", "ARCHIVAL_ERROR"}


class Transport(StrEnum):
    TCP = "tcp"
    UDP = "udp"


def put_media(
    stream: Annotated[
        str,
        typer.Option(help="Name of the Kinesis video stream.", autocompletion=video_streams),
    ],
    source: Annotated[
        str | None,
        typer.Argument(
            help="A video file, a folder of them, rtsp(s)://..., http(s)://..., or webcam:0."
        ),
    ] = None,
    url_file: UrlFile = None,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Send files faster than time goes by.")
    ] = False,
    loop: Annotated[
        bool, typer.Option("--loop", help="Files: begin again at the end, for ever.")
    ] = False,
    transcode: Annotated[
        bool,
        typer.Option(
            "--transcode",
            help="Make H.264 of video in codecs other than H.264 and H.265. Webcams and MJPEG "
            "cameras need no word for it.",
        ),
    ] = False,
    transport: Annotated[
        Transport, typer.Option(help="How a camera sends its RTSP video.")
    ] = Transport.TCP,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds without data before reconnecting.")
    ] = 10.0,
    verify_tls: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help="Whether a camera's TLS certificate has to be trusted."
        ),
    ] = True,
    create: Annotated[
        bool | None,
        typer.Option(
            "--create/--no-create",
            help="Create the stream if there is none. Without a word: on this machine only.",
        ),
    ] = None,
) -> None:
    """Send a camera, or video files at their own pace, to a Kinesis video stream.

    H.264 and H.265 are passed on as they are. A camera that breaks is opened again, for ever.
    """
    parsed = given_source(source, url_file)
    find_target = target_finder(stream, endpoint_url, region, create)
    if parsed.is_live:
        from streamproc.cli.put_live import put_live
        from streamproc.kvs.live import FeedOptions

        if fast or loop:
            word = "--fast" if fast else "--loop"
            raise StreamprocError(f"{word} is for files; {parsed} is sent as it comes, for ever")
        options = FeedOptions(transport.value, transcode, verify_tls, timeout_s)
        with plain_words(endpoint_url):
            asyncio.run(put_live(parsed, stream, find_target, options))
        raise typer.Exit(INTERRUPTED)
    footage = _footage(parsed, transcode)
    with plain_words(endpoint_url):
        whole = asyncio.run(_send(footage, stream, find_target, fast, loop))
    if footage.damage:
        raise StreamprocError(f"{footage.damage}; everything before that was sent")
    if not whole:
        raise typer.Exit(INTERRUPTED)


def stop_on_signals(stop: Callable[[], None]) -> asyncio.Event:
    """Let Ctrl-C end the media, not tear it off; a second one does that."""
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()

    def on_signal() -> None:
        interrupted.set()
        stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError, RuntimeError):  # signals come to the main thread only
            loop.add_signal_handler(number, on_signal)
    return interrupted


def _footage(source: "SourceUrl", transcode: bool) -> "Footage":
    from pathlib import Path

    from streamproc.kvs.camera_url import SourceKind
    from streamproc.kvs.recording import Folder, Recording

    path = Path(source.url)
    if source.kind is SourceKind.FOLDER:
        return Folder(path, transcode=transcode)
    return Recording(path, transcode=transcode)


async def _send(
    footage: "Footage",
    stream: str,
    find_target: Callable[[], Awaitable["Target"]],
    fast: bool,
    loop: bool,
) -> bool:
    """Returns whether everything was sent, rather than interrupted."""
    from botocore.exceptions import EndpointConnectionError

    from streamproc.clock import SystemClock
    from streamproc.kvs import producer
    from streamproc.kvs.acks import PutMediaError
    from streamproc.kvs.remux import Broadcast

    target: Target | None = await find_target()
    with _Display(footage, stream, loop=loop) as display:
        broadcast = Broadcast(
            footage, SystemClock(), fast=fast, loop=loop, progress=display.on_sent
        )
        interrupted = stop_on_signals(broadcast.stop)
        patience = _Patience()

        def on_ack(ack: "Ack") -> None:
            patience.renew()
            broadcast.on_ack(ack)
            display.on_ack(ack)

        while not broadcast.is_over:
            try:
                target = target or await find_target()
                await producer.put_media(
                    target.endpoint_url,
                    stream,
                    broadcast.session(),
                    region=target.region,
                    credentials=target.credentials,
                    on_ack=on_ack,
                )
            except (PutMediaError, EndpointConnectionError) as error:
                if interrupted.is_set() or not _may_pass(error) or patience.is_over:
                    raise
                broadcast.rewind()
                display.say(f"{error}; trying again")
                await asyncio.sleep(patience.wait_s())
            target = None  # a session's length later both may have changed
    return not interrupted.is_set()


def _may_pass(error: Exception) -> bool:
    """Whether the session broke for want of a connection, rather than for what was sent."""
    code = getattr(error, "code", "ConnectionError")
    return code in _PASSING or code.startswith("HTTP 5")


class _Patience:
    """How often, and for how long, a session that broke is begun again."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._attempt = 0
        self._since_s = time.monotonic()

    @property
    def is_over(self) -> bool:
        return time.monotonic() - self._since_s > _GIVE_UP_AFTER_S

    def wait_s(self) -> float:
        self._attempt += 1
        return _WAIT_S_MIN + backoff_seconds(self._attempt, cap_s=_WAIT_S_MAX)


class _Display:
    """A progress bar where somebody looks, and one line at the end."""

    def __init__(self, footage: "Footage", stream: str, *, loop: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True)
        self._sent_s = 0.0
        self._acks: Counter[str] = Counter()
        self._target = f"{footage.name} to stream {stream}"
        if footage.left_out:
            self.say(f"only video is sent; left out: {', '.join(footage.left_out)}")
        if footage.transcoding:
            self.say(f"{footage.transcoding} is transcoded to H.264")
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[news]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(
            self._target, total=None if loop else footage.duration_s, news=""
        )

    def __enter__(self) -> "_Display":
        self._progress.start()
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self._progress.stop()
        if error is None:
            fragments, persisted = self._acks["RECEIVED"], self._acks["PERSISTED"]
            typer.echo(
                f"sent {self._sent_s:.1f} s of {self._target}: {fragments} fragments received"
                + (f", {persisted} persisted" if persisted else "")
            )

    def say(self, line: str) -> None:
        self._console.print(harmless(line), markup=False, highlight=False, soft_wrap=True)

    def on_sent(self, media_s: float) -> None:
        self._sent_s = media_s
        self._progress.update(self._task, completed=media_s)

    def on_ack(self, ack: "Ack") -> None:
        self._acks[ack.event_type] += 1
        news = f"{self._sent_s:6.1f} s, {self._acks['RECEIVED']} fragments"
        self._progress.update(self._task, news=news)
