"""streamproc processors: see, create, start, stop and delete stream processors.

A client like any other, of the daemon or of AWS; figures are an operation of our own, and AWS
has none. What is asked of the services is processor_calls.py's, tables are processor_tables.py's.
"""

import time
from typing import Annotated, TypeAlias

import typer
from rich.console import RenderableType

from streamproc.cli import completion
from streamproc.cli import processor_calls as calls
from streamproc.cli.access import (
    DEFAULT_ENDPOINT_URL,
    Access,
    EndpointUrl,
    Region,
    run,
)
from streamproc.cli.output import AsJson, print_json, redraw, say, show
from streamproc.cli.processor_tables import Processor, processor_facts, processor_table
from streamproc.errors import StreamprocError

processors = typer.Typer(help="See, create, start, stop and delete stream processors.")

_REDRAW_S = 1.0

Name: TypeAlias = Annotated[
    str, typer.Argument(help="Name of the processor.", autocompletion=completion.processors)
]
Names: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME", help="One or more processors.", autocompletion=completion.processors
    ),
]
Watch: TypeAlias = Annotated[
    bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")
]
Wait: TypeAlias = Annotated[
    bool, typer.Option("--wait", help="Return when it is done, with exit code 1 if it FAILED.")
]


@processors.callback(invoke_without_command=True)
def _processors(
    context: typer.Context,
    watch: Watch = False,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    if context.invoked_subcommand is None:
        list_processors(watch, as_json, endpoint_url, region)


@processors.command("list")
def list_processors(
    watch: Watch = False,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """The processors of the region with their figures since they were started."""

    def found() -> list[Processor]:
        return run(endpoint_url, region, calls.find_processors)

    def draw() -> RenderableType:
        return processor_table(found())

    if as_json:
        print_json({"Processors": found()})
    elif watch:
        redraw(draw, _REDRAW_S)
    else:
        show(draw())


@processors.command("show")
def show_processor(
    name: Name,
    watch: Watch = False,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """One processor: what it reads, writes and searches, and how it does."""

    def found() -> Processor:
        return run(endpoint_url, region, lambda access: calls.described(access, name))

    if as_json:
        print_json(found())
    elif watch:
        redraw(lambda: processor_facts(found(), time.time()), _REDRAW_S)
    else:
        show(processor_facts(found(), time.time()))


@processors.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name: a-z, A-Z, 0-9, _ . and -")],
    collection: Annotated[
        str,
        typer.Option(help="Whose faces it looks for.", autocompletion=completion.collections),
    ],
    video_stream: Annotated[
        str | None,
        typer.Option(
            help="What it watches [its own name].", autocompletion=completion.video_streams
        ),
    ] = None,
    data_stream: Annotated[
        str | None,
        typer.Option(
            help="Where its records go [NAME-faces].", autocompletion=completion.data_streams
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="Similarity from which on a face counts as known [the daemon's].",
        ),
    ] = None,
    make: Annotated[
        bool | None,
        typer.Option(
            "--create/--no-create",
            help="Make streams and collection that are not there. Without a word: on this machine "
            "only.",
        ),
    ] = None,
    start_it: Annotated[bool, typer.Option("--start", help="Start it, too.")] = False,
    wait: Wait = False,
    role_arn: Annotated[
        str | None, typer.Option(help="The role that AWS lets it act in; needed at AWS.")
    ] = None,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Create a processor, and what it needs if that is not there."""
    if endpoint_url == "aws" and role_arn is None:
        raise StreamprocError("AWS lets a processor act in a role only; name it with --role-arn")

    async def work(access: Access) -> None:
        await calls.create_processor(
            access,
            name,
            collection,
            video_stream or name,
            data_stream or f"{name}-faces",
            threshold,
            create=access.is_local if make is None else make,
            role_arn=role_arn or calls.ROLE,
        )
        say(f"created processor {name}")
        if start_it:
            await calls.start(access, name, wait=wait)

    run(endpoint_url, region, work)


@processors.command()
def start(
    names: Names,
    wait: Wait = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Start processors: they watch from now on."""

    async def work(access: Access) -> None:
        for name in names:
            await calls.start(access, name, wait=wait)

    run(endpoint_url, region, work)


@processors.command()
def stop(
    names: Names,
    wait: Wait = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Stop processors: what they have seen is still delivered."""

    async def work(access: Access) -> None:
        for name in names:
            await calls.stop(access, name, wait=wait)

    run(endpoint_url, region, work)


@processors.command()
def delete(
    names: Names,
    stop_first: Annotated[bool, typer.Option("--stop", help="Stop it first, if it runs.")] = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Delete processors. Their streams, records and collections stay."""

    async def work(access: Access) -> None:
        for name in names:
            if stop_first and (await calls.described(access, name))["Status"] in {
                "STARTING",
                "RUNNING",
            }:
                await calls.stop(access, name, wait=True)
            await calls.ask(access, "DeleteStreamProcessor", name)
            say(f"deleted processor {name}")

    run(endpoint_url, region, work)
