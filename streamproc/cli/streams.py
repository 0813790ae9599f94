"""streamproc streams: the video streams that are watched, the data streams that records go to.

A client of both Kinesis services like any other.
"""

import time
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import RenderableType

from streamproc.cli import completion
from streamproc.cli.access import (
    CLIENT_CONFIG,
    DEFAULT_ENDPOINT_URL,
    Access,
    EndpointUrl,
    Region,
    run,
)
from streamproc.cli.output import (
    AsJson,
    Yes,
    age,
    confirm,
    facts,
    plain,
    print_json,
    say,
    show,
    size,
    status_text,
    table,
    waiting,
)
from streamproc.errors import StreamprocError

streams = typer.Typer(help="See, create and delete video and data streams.")

_NONE = "there are no streams; make one with: streamproc streams create video NAME"


class Kind(StrEnum):
    VIDEO = "video"
    DATA = "data"


KindArgument: TypeAlias = Annotated[Kind, typer.Argument(help="video or data.")]
Name: TypeAlias = Annotated[
    str, typer.Argument(help="Name of the stream.", autocompletion=completion.streams)
]
Sizes: TypeAlias = Annotated[
    bool, typer.Option("--sizes", help="Count what video streams keep; long for a long recording.")
]


@streams.callback(invoke_without_command=True)
def _streams(
    context: typer.Context,
    sizes: Sizes = False,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    if context.invoked_subcommand is None:
        list_streams(sizes, as_json, endpoint_url, region)


@streams.command("list")
def list_streams(
    sizes: Sizes = False,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """All streams of the region: how long they keep what is in them."""
    from streamproc.cli.stream_facts import all_streams

    async def work(access: Access) -> dict[str, list[dict[str, Any]]]:
        found = await all_streams(access)
        if sizes:
            for info in found["VideoStreams"]:
                info |= await _kept(access, info["StreamName"])
        return found

    found = run(endpoint_url, region, work)
    if as_json:
        print_json(found)
    else:
        show(_table(found, time.time()))


@streams.command("show")
def show_stream(
    kind: KindArgument,
    name: Name,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """One stream; of a video stream also how much it keeps."""

    async def work(access: Access) -> dict[str, Any]:
        found = await _described(access, kind, name)
        return found | await _kept(access, name) if kind is Kind.VIDEO else found

    found = run(endpoint_url, region, work)
    if as_json:
        print_json(found)
    else:
        show(_facts(kind, found, time.time()))


@streams.command()
def create(
    kind: KindArgument,
    name: Annotated[str, typer.Argument(help="Its name: a-z, A-Z, 0-9, _ . and -")],
    retention_h: Annotated[
        int | None,
        typer.Option(
            "--retention-h", min=0, help="Hours that it keeps what it gets; 0 for video: none."
        ),
    ] = None,
    shards: Annotated[
        int, typer.Option(min=1, help="Of a data stream: each takes 1000 records a second.")
    ] = 1,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Create a stream. Both kinds keep 24 hours without a word."""
    hours = 24 if retention_h is None else retention_h

    async def work(access: Access) -> None:
        if kind is Kind.VIDEO:
            async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as video:
                await video.create_stream(StreamName=name, DataRetentionInHours=hours)
        else:
            await _create_data_stream(access, name, shards, hours)
        say(f"created the {kind} stream {name}, which keeps {hours} hours")

    run(endpoint_url, region, work)


@streams.command()
def delete(
    kind: KindArgument,
    name: Name,
    yes: Yes = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Delete a stream with everything in it."""

    async def find(access: Access) -> dict[str, Any]:
        return await _described(access, kind, name)

    async def work(access: Access) -> None:
        if kind is Kind.VIDEO:
            async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as video:
                await video.delete_stream(StreamARN=found["StreamARN"])
        else:
            async with access.clients.open("kinesis", access.region, **CLIENT_CONFIG) as data:
                await data.delete_stream(StreamName=name)
        say(f"deleted the {kind} stream {name}")

    found = run(endpoint_url, region, find)
    lost = "its recordings" if kind is Kind.VIDEO else "the records in it"
    confirm(f"Delete the {kind} stream {name} and {lost}?", yes=yes)
    run(endpoint_url, region, work)


async def _create_data_stream(access: Access, name: str, shards: int, hours: int) -> None:
    from streamproc.cli.making import ensure_data_stream

    if hours < 24:
        raise StreamprocError(f"--retention-h {hours}: a data stream keeps 24 hours at least")
    async with access.clients.open("kinesis", access.region, **CLIENT_CONFIG) as data:
        await data.create_stream(StreamName=name, ShardCount=shards)
        if hours > 24:
            await ensure_data_stream(access, name, create=False, told=say)  # until it is ACTIVE
            await data.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=hours)


async def _described(access: Access, kind: Kind, name: str) -> dict[str, Any]:
    from streamproc.cli.resources import data_stream_names, known, video_stream_names
    from streamproc.cli.stream_facts import data_stream, video_stream

    names = video_stream_names if kind is Kind.VIDEO else data_stream_names
    describe = video_stream if kind is Kind.VIDEO else data_stream
    otherwise = f"make one with: streamproc streams create {kind} NAME"
    work = describe(access, name)
    return await known(work, f"{kind} stream", name, access, names, otherwise)


async def _kept(access: Access, name: str) -> dict[str, Any]:
    from streamproc.cli.stream_facts import kept_video

    with waiting(f"counting {name} …") as tell:
        kept = await kept_video(
            access, name, lambda count: tell(f"counting {name} … {count:,} fragments")
        )
    return kept.members()


def _table(found: dict[str, list[dict[str, Any]]], now: float) -> RenderableType:
    if not any(found.values()):
        return _NONE
    right = ("keeps", "size")
    shown = table("kind", "name", "status", *right, "age", right=right, fold=("name",))
    for info in found["VideoStreams"]:
        shown.add_row(
            "video",
            plain(info["StreamName"]),
            status_text(info["Status"]),
            _hours(info["DataRetentionInHours"]),
            size(info["SizeInBytes"]) if "SizeInBytes" in info else "",
            age(now - info["CreationTime"].timestamp()),
        )
    for info in found["DataStreams"]:
        shown.add_row(
            "data",
            plain(info["StreamName"]),
            status_text(info["StreamStatus"]),
            _hours(info["RetentionPeriodHours"]),
            "",
            age(now - info["StreamCreationTimestamp"].timestamp()),
        )
    return shown


def _facts(kind: Kind, found: dict[str, Any], now: float) -> RenderableType:
    if kind is Kind.DATA:
        return facts(
            {
                "data stream": plain(found["StreamName"]),
                "status": status_text(found["StreamStatus"]),
                "keeps": _hours(found["RetentionPeriodHours"]),
                "open shards": str(found["OpenShardCount"]),
                "age": age(now - found["StreamCreationTimestamp"].timestamp()),
                "arn": plain(found["StreamARN"]),
            }
        )
    return facts(
        {
            "video stream": plain(found["StreamName"]),
            "status": status_text(found["Status"]),
            "keeps": _hours(found["DataRetentionInHours"]),
            "has": (
                f"{age(found['LengthInSeconds'])} in {found['Fragments']:,} fragments, "
                f"{size(found['SizeInBytes'])}"
            ),
            "age": age(now - found["CreationTime"].timestamp()),
            "arn": plain(found["StreamARN"]),
        }
    )


def _hours(count: int) -> str:
    if not count:
        return "nothing"
    return f"{count // 24} d" if count >= 48 and count % 24 == 0 else f"{count} h"
