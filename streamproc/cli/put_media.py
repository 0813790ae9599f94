"""streamproc put-media: a file as a camera.

A client of the Kinesis Video API like any producer, against the daemon or against AWS.
"""

import asyncio
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.access import (
    CLIENT_CONFIG,
    DEFAULT_ENDPOINT_URL,
    Access,
    EndpointUrl,
    Region,
    find_access,
    plain_words,
)
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.kvs.acks import Ack
    from streamproc.kvs.recording import Recording
    from streamproc.kvs.remux import Broadcast

_ACTIVE_TRIES, _ACTIVE_PAUSE_S = 60, 1.0  # a new stream takes AWS some seconds
_INTERRUPTED = 130  # what a shell expects of a command that Ctrl-C has ended


def put_media(
    file: Annotated[Path, typer.Argument(help="Any file with H.264 or H.265 video.")],
    stream: Annotated[str, typer.Option(help="Name of the Kinesis video stream.")],
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
    fast: Annotated[bool, typer.Option("--fast", help="Send faster than time goes by.")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end, for ever.")] = False,
    create: Annotated[
        bool | None,
        typer.Option(
            "--create/--no-create",
            help="Create the stream if there is none. Without a word: on this machine only.",
        ),
    ] = None,
) -> None:
    """Send a video file to a Kinesis video stream, at its own pace, without transcoding."""
    from streamproc.kvs.recording import Recording

    recording = Recording(file)
    with plain_words(endpoint_url):
        whole = asyncio.run(_send(recording, stream, endpoint_url, region, fast, loop, create))
    if recording.damage:
        raise StreamprocError(f"{recording.damage}; everything before that was sent")
    if not whole:
        raise typer.Exit(_INTERRUPTED)


async def _send(
    recording: "Recording",
    stream: str,
    endpoint_url: str,
    region: str | None,
    fast: bool,
    loop: bool,
    create: bool | None,
) -> bool:
    """Returns whether everything was sent, rather than interrupted."""
    from streamproc.clock import SystemClock
    from streamproc.kvs import producer
    from streamproc.kvs.remux import Broadcast

    access = await find_access(endpoint_url, region)
    if create is None:
        create = access.is_local
    data_endpoint = await _data_endpoint(access, stream, create)
    with _Display(recording, stream, loop=loop) as display:
        broadcast = Broadcast(
            recording, SystemClock(), fast=fast, loop=loop, progress=display.on_sent
        )
        interrupted = _stop_on_signals(broadcast)
        while not broadcast.is_over:
            await producer.put_media(
                data_endpoint,
                stream,
                broadcast.session(),
                region=access.region,
                credentials=access.credentials,
                on_ack=display.on_ack,
            )
            if not broadcast.is_over:  # a session's length later both may have changed
                access = await find_access(endpoint_url, region)
                data_endpoint = await _data_endpoint(access, stream, create=False)
    return not interrupted.is_set()


async def _data_endpoint(access: Access, stream: str, create: bool) -> str:
    from botocore.exceptions import ClientError

    async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as control:
        try:
            description = await control.describe_stream(StreamName=stream)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            if not create:
                raise StreamprocError(
                    f"there is no stream {stream} in {access.region} at {access.endpoint_url}; "
                    "--create makes one"
                ) from None
            await control.create_stream(StreamName=stream)
            description = await control.describe_stream(StreamName=stream)
        for _ in range(_ACTIVE_TRIES):
            status = description["StreamInfo"]["Status"]
            if status == "ACTIVE":
                break
            await asyncio.sleep(_ACTIVE_PAUSE_S)
            description = await control.describe_stream(StreamName=stream)
        else:
            raise StreamprocError(f"stream {stream} is {status}, not ACTIVE; try again later")
        answer = await control.get_data_endpoint(StreamName=stream, APIName="PUT_MEDIA")
        return str(answer["DataEndpoint"])


def _stop_on_signals(broadcast: "Broadcast") -> asyncio.Event:
    """Let Ctrl-C end the media, not tear it off; a second one does that."""
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()

    def stop() -> None:
        interrupted.set()
        broadcast.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError, RuntimeError):  # signals come to the main thread only
            loop.add_signal_handler(number, stop)
    return interrupted


class _Display:
    """A progress bar where somebody looks, and one line at the end."""

    def __init__(self, recording: "Recording", stream: str, *, loop: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._sent_s = 0.0
        self._acks: Counter[str] = Counter()
        self._target = f"{recording.path.name} to stream {stream}"
        if recording.left_out:
            console.print(f"only video is sent; left out: {', '.join(recording.left_out)}")
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[news]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(
            self._target, total=None if loop else recording.duration_s, news=""
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

    def on_sent(self, media_s: float) -> None:
        self._sent_s = media_s
        self._progress.update(self._task, completed=media_s)

    def on_ack(self, ack: "Ack") -> None:
        self._acks[ack.event_type] += 1
        news = f"{self._sent_s:6.1f} s, {self._acks['RECEIVED']} fragments"
        self._progress.update(self._task, news=news)
