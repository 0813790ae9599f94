"""streamproc tail: the records of a data stream, as they come.

Reads like any consumer of Kinesis, knows nothing of who wrote the records, and shows those
that are face records as a person would say them.
"""

import asyncio
import os
import sys
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated

import typer

from streamproc.cli import completion
from streamproc.cli.access import (
    CLIENT_CONFIG,
    DEFAULT_ENDPOINT_URL,
    EndpointUrl,
    Region,
    find_access,
    plain_words,
)
from streamproc.cli.face_lines import face_line


class Start(StrEnum):
    LATEST = "latest"
    TRIM_HORIZON = "trim-horizon"


def tail(
    data_stream: Annotated[
        str,
        typer.Argument(
            help="Name of the Kinesis data stream.", autocompletion=completion.data_streams
        ),
    ],
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Records as they are, a line each.")
    ] = False,
    start: Annotated[
        Start, typer.Option("--from", help="Only what comes from now on, or all there is.")
    ] = Start.LATEST,
    limit: Annotated[int | None, typer.Option(min=1, help="End after this many records.")] = None,
) -> None:
    """Print the records of a data stream as they arrive, until Ctrl-C."""
    try:
        with plain_words(endpoint_url):
            asyncio.run(_print(data_stream, endpoint_url, region, start, limit, as_json))
    except BrokenPipeError:
        # Whoever read our output has left (head, less). The interpreter flushes once more when
        # it ends; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _print(
    data_stream: str,
    endpoint_url: str,
    region: str | None,
    start: Start,
    limit: int | None,
    as_json: bool,
) -> None:
    from streamproc.cli.shards import read_records

    access = await find_access(endpoint_url, region)
    async with access.clients.open("kinesis", access.region, **CLIENT_CONFIG) as client:
        records = read_records(client, data_stream, from_start=start is Start.TRIM_HORIZON)
        async with aclosing(records):
            count = 0
            async for record in records:
                data: bytes = record["Data"]
                print(data.decode(errors="replace") if as_json else face_line(data), flush=True)
                count += 1
                if count == limit:
                    return
