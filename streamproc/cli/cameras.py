"""streamproc cameras: the cameras that the daemon reads, and a look through one that it may read
one day.

The list is an operation of our own. check opens the camera itself, from here, and saves nothing.
Tables are camera_tables.py's.
"""

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType

from streamproc.cli.access import DEFAULT_ENDPOINT_URL, EndpointUrl, Region, run
from streamproc.cli.camera_tables import Camera, camera_table, sight_facts
from streamproc.cli.output import AsJson, print_json, redraw, show, waiting
from streamproc.cli.own_operations import call
from streamproc.cli.source import UrlFile, given_source
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.kvs.camera_url import SourceUrl

cameras = typer.Typer(help="See the cameras that the daemon reads, or look through any other.")

_REDRAW_S = 1.0


@cameras.callback(invoke_without_command=True)
def _cameras(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    if context.invoked_subcommand is None:
        list_cameras(watch, as_json, endpoint_url, region)


@cameras.command("list")
def list_cameras(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """The cameras of the daemon's config, and how they are."""

    def found() -> dict[str, Any]:
        return run(endpoint_url, region, lambda access: call(access, "ListStreamprocCameras", {}))

    def draw() -> RenderableType:
        return camera_table(found()["Cameras"], time.time())

    if as_json:
        print_json({"Cameras": found()["Cameras"]})
    elif watch:
        redraw(draw, _REDRAW_S)
    else:
        show(draw())


@cameras.command()
def check(
    url: Annotated[
        str | None, typer.Argument(help="rtsp(s)://, http(s)://, webcam:0 or a file.")
    ] = None,
    url_file: UrlFile = None,
    seconds: Annotated[float, typer.Option(min=0.5, max=300, help="How long to look.")] = 5.0,
    transport: Annotated[
        Literal["tcp", "udp"], typer.Option(help="How RTSP carries media.")
    ] = "tcp",
    as_json: AsJson = False,
) -> None:
    """Open a camera for some seconds and say what it sends. Nothing is saved or sent on."""
    sight = _look(given_source(url, url_file), transport, seconds)
    if as_json:
        print_json(sight)
    else:
        show(sight_facts(sight))


def _look(source: "SourceUrl", transport: Literal["tcp", "udp"], seconds: float) -> Camera:
    """Raises StreamprocError in a person's words if there is nothing to be seen."""
    from streamproc.kvs.camera_input import open_input
    from streamproc.kvs.camera_url import SourceKind

    with (
        waiting(f"opening {source}") as tell,
        open_input(source, transport=transport, transcode=True) as camera,
    ):
        facts = camera.facts
        tell(f"{facts} from {source}: looking for {seconds:g} s")
        times: list[float] = []
        keyframes: list[float] = []
        byte_count = 0
        began = time.monotonic()
        for packet in camera.packets():
            times.append(packet.pts_s)
            byte_count += len(packet.payload)
            if packet.keyframe:
                keyframes.append(packet.pts_s)
            if time.monotonic() - began >= seconds or packet.pts_s - times[0] >= seconds:
                break
    if not times:
        raise StreamprocError(f"{source} was opened, but shows no picture")
    length_s = max(times) - min(times)
    between = [later - earlier for earlier, later in pairwise(keyframes)]
    return {
        "Url": source.shown,
        "Codec": facts.codec,
        "Width": facts.width,
        "Height": facts.height,
        "FramesPerSecond": facts.fps,
        "FramesPerSecondMeasured": (len(times) - 1) / length_s if length_s else 0.0,
        "BytesPerSecond": byte_count / length_s if length_s else 0.0,
        "KeyframeSeconds": sum(between) / len(between) if between else None,
        "Transcoding": facts.transcoding,
        # Webcams and MJPEG cameras have no other form; elsewhere it has to be asked for.
        "NeedsTranscode": facts.transcoding
        and not (source.kind is SourceKind.WEBCAM or (facts.codec == "mjpeg" and source.is_live)),
        "LeftOut": list(facts.left_out),
    }
