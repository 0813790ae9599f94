"""What a shell offers behind Tab, where the daemon knows it: names, asked for in a moment.

Whatever goes wrong, nothing is offered and nothing is said: somebody is in the middle of a line.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import typer

from streamproc.cli.access import DEFAULT_ENDPOINT_URL, Access, find_access
from streamproc.errors import StreamprocError

Complete: TypeAlias = Callable[[typer.Context, str], list[str]]

_TIMEOUT_S = 2.0
_Names: TypeAlias = Callable[[Access], Awaitable[list[str]]]


def processors(context: typer.Context, incomplete: str) -> list[str]:
    from streamproc.cli.resources import processor_names

    return _offered(context, incomplete, processor_names)


def collections(context: typer.Context, incomplete: str) -> list[str]:
    from streamproc.cli.resources import collection_ids

    return _offered(context, incomplete, collection_ids)


def jobs(context: typer.Context, incomplete: str) -> list[str]:
    from streamproc.cli.resources import job_ids

    return _offered(context, incomplete, job_ids)


def video_streams(context: typer.Context, incomplete: str) -> list[str]:
    from streamproc.cli.resources import video_stream_names

    return _offered(context, incomplete, video_stream_names)


def data_streams(context: typer.Context, incomplete: str) -> list[str]:
    from streamproc.cli.resources import data_stream_names

    return _offered(context, incomplete, data_stream_names)


def streams(context: typer.Context, incomplete: str) -> list[str]:
    """Of the kind that stands before the name, in `streams delete KIND NAME`."""
    of_video = context.params.get("kind") == "video"
    return (video_streams if of_video else data_streams)(context, incomplete)


def _offered(context: typer.Context, incomplete: str, names: _Names) -> list[str]:
    from botocore.exceptions import BotoCoreError, ClientError

    endpoint_url = context.params.get("endpoint_url") or DEFAULT_ENDPOINT_URL
    with suppress(StreamprocError, BotoCoreError, ClientError, OSError, TimeoutError):
        found = asyncio.run(_asked(endpoint_url, context.params.get("region"), names))
        return sorted(name for name in found if name.startswith(incomplete))
    return []


async def _asked(endpoint_url: str, region: str | None, names: _Names) -> list[str]:
    async with asyncio.timeout(_TIMEOUT_S):
        return await names(await find_access(endpoint_url, region))
