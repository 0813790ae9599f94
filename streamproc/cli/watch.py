"""streamproc watch: from a camera and a photo to names, in one command.

Does against the running daemon what one would do by hand: collections add, processors create and
start, put-media, events --follow. Everything that it makes stays, and can be seen and changed
with those commands.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli import completion
from streamproc.cli.access import DEFAULT_ENDPOINT_URL, Access, EndpointUrl, Region, run
from streamproc.cli.events import Event, Kind, follow_events, latest, print_line
from streamproc.cli.output import say
from streamproc.cli.own_operations import OperationRefused, call
from streamproc.cli.source import FROM_STDIN, UrlFile, given_source
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.kvs.camera_url import SourceUrl

_VISITS = {Kind.ENTER.value, Kind.UPDATE.value, Kind.EXIT.value}
_THRESHOLD = 90.0
"""Similarity 90: about one false match in ten thousand comparisons (docs/similarity.md)."""

_CALM_S, _LOOK_S = 5.0, 0.5  # a processor that has analysed nothing for so long has done
_ENDS_WITHIN_S = 10.0


def watch(
    source: Annotated[
        str | None,
        typer.Argument(help="webcam:0, a video file, rtsp://… or http://…, as for put-media."),
    ] = None,
    url_file: UrlFile = None,
    know: Annotated[
        list[str] | None,
        typer.Option(metavar="PHOTO=NAME", help="Somebody to be recognised; may be repeated."),
    ] = None,
    name: Annotated[str, typer.Option(help="Of the processor and its video stream.")] = "watch",
    collection: Annotated[
        str, typer.Option(help="Whose people it knows.", autocompletion=completion.collections)
    ] = "family",
    threshold: Annotated[
        float, typer.Option(min=0, max=100, help="Similarity from which on a face is known.")
    ] = _THRESHOLD,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Recognise people on a camera or in a file, now: makes what that needs and prints who comes
    and goes. Ctrl-C ends it; what it made stays."""
    if endpoint_url == "aws":
        raise StreamprocError("watch needs a streamproc: AWS has no events; name an --endpoint-url")
    where = given_source(source, url_file)
    if not where.is_live and not Path(where.url).exists():
        raise StreamprocError(f"there is no {where}; give a file, a camera's URL or webcam:0")
    plan = _Plan(where, [_known(each) for each in know or ()], name, collection, threshold)
    run(endpoint_url, region, plan.play)


def _known(text: str) -> tuple[Path, str]:
    """PHOTO=NAME, or PHOTO alone, which names who it shows."""
    path, equals, name = text.rpartition("=")
    photo = Path(path if equals else text)
    if not photo.is_file():
        raise StreamprocError(f"--know {text}: there is no photo {photo}; write PHOTO=NAME")
    return photo, name or photo.stem


@dataclass(frozen=True)
class _Plan:
    source: "SourceUrl"
    know: list[tuple[Path, str]]
    name: str
    collection: str
    threshold: float

    async def play(self, access: Access) -> None:
        await self._enrol(access)
        await self._start(access)
        _, newest_id = await latest(access, 0, None, {kind.value for kind in Kind})
        say(f"watching {self.source.shown}; the console: {access.endpoint_url}/console/")
        seen = _Seen()
        told = asyncio.create_task(follow_events(access, newest_id, self.name, _VISITS, seen.tell))
        sent = asyncio.create_task(self._send(access))
        try:
            await asyncio.wait([told, sent], return_when=asyncio.FIRST_COMPLETED)
            await (sent if sent.done() else told)
        finally:
            told.cancel()
            sent.cancel()
            await asyncio.gather(told, sent, return_exceptions=True)
        say(f"recognised: {', '.join(sorted(seen.names)) or 'nobody'}")
        say(
            f"processor {self.name} goes on watching stream {self.name}; "
            f"end that with: streamproc processors stop {self.name}"
        )

    async def _send(self, access: Access) -> None:
        """Return when the source has ended, and what it showed was analysed."""
        async with _camera(access, self.source, self.name) as camera:
            if await camera.wait():
                raise StreamprocError(f"{self.source.shown} was not sent; the line above says why")
        await _analysed(access, self.name)

    async def _enrol(self, access: Access) -> None:
        from streamproc.cli.collection_people import add_photo
        from streamproc.cli.making import ensure_collection

        await ensure_collection(access, self.collection, create=True, told=say)
        for photo, name in self.know:
            added = await add_photo(access, self.collection, photo, name)
            if not added.is_added:
                raise StreamprocError(f"{photo}: {added.words}")
            say(f"{photo}: {added.words}")

    async def _start(self, access: Access) -> None:
        """A processor of the name, RUNNING."""
        from streamproc.cli.processor_calls import create_processor, settled

        request = {"Name": self.name}
        try:
            found = await call(access, "DescribeStreamProcessor", request)
        except OperationRefused as error:
            if error.code != "ResourceNotFoundException":
                raise
            await create_processor(
                access, self.name, self.collection, self.name, f"{self.name}-faces",
                self.threshold, create=True,
            )  # fmt: skip
            found = await call(access, "DescribeStreamProcessor", request)
        self._require_same(found)
        if found["Status"] not in {"STARTING", "RUNNING"}:
            await call(access, "StartStreamProcessor", request)
        await settled(access, self.name, "RUNNING")

    def _require_same(self, found: Event) -> None:
        """Raises StreamprocError if the processor that has the name is for something else."""
        collection = found["Settings"]["FaceSearch"]["CollectionId"]
        stream = found["Input"]["KinesisVideoStream"]["Arn"].split("/")[1]
        if (collection, stream) != (self.collection, self.name):
            raise StreamprocError(
                f"there is a processor {self.name} already, which looks for {collection} on stream "
                f"{stream}; choose another --name"
            )


@dataclass
class _Seen:
    """Who was recognised."""

    names: set[str] = field(default_factory=set)

    def tell(self, event: Event) -> None:
        print_line(event)
        person = event.get("Person", {})
        if person.get("Known"):
            self.names.add(str(person["Name"]))


async def _analysed(access: Access, name: str) -> None:
    """Return when the processor has seen all that there was to see."""
    from streamproc.cli.processor_calls import find_processors

    loop = asyncio.get_running_loop()
    frames, since = -1, loop.time()
    while loop.time() - since < _CALM_S:
        await asyncio.sleep(_LOOK_S)
        found = await find_processors(access)
        now = next((each["FramesAnalysed"] for each in found if each["Name"] == name), 0)
        if now != frames:
            frames, since = now, loop.time()


@asynccontextmanager
async def _camera(
    access: Access, source: "SourceUrl", stream: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`streamproc put-media` as anybody would run it, but that nobody sees its URL; what it says
    goes to standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streamproc", "put-media", "--url-file", FROM_STDIN,
        "--stream", stream, "--endpoint-url", access.endpoint_url, "--region", access.region,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(source.url.encode())
    process.stdin.close()
    heard = asyncio.create_task(_pass_on(process))
    try:
        yield process
        await heard
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _ENDS_WITHIN_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        heard.cancel()


async def _pass_on(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        say(line.decode(errors="replace").rstrip(), err=True)
