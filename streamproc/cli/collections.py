"""streamproc collections: collections kept as folders of photos.

A client of the API like any other; what it prints is what it does.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.access import (
    DEFAULT_ENDPOINT_URL,
    EndpointUrl,
    Region,
    find_access,
    plain_words,
)
from streamproc.cli.terminal import harmless
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.cli.collection_apply import Call, Report
    from streamproc.cli.collection_folder import CollectionFolder

collections = typer.Typer(help="Keep collections as folders of photos.", no_args_is_help=True)


@collections.callback()
def _group() -> None:
    """Without it typer would make the only command the group itself."""


@collections.command("apply")
def apply_folders(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Named by its collection id, or a folder of such; ./collections if none is given.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")
    ] = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Make collections exactly like their folders: collections/README.md says how to keep them."""
    from streamproc.cli.collection_apply import counted
    from streamproc.cli.collection_folder import find_collections, read_folder

    if endpoint_url == "aws":
        raise StreamprocError(
            "collections apply needs a streamproc: AWS makes up the ImageId of a picture, so "
            "nothing tells what is indexed already; name an --endpoint-url"
        )
    wanted = [read_folder(folder) for folder in find_collections(folders or [Path("collections")])]
    with plain_words(endpoint_url):
        troubled = asyncio.run(_apply(wanted, endpoint_url, region, dry_run))
    if troubled:
        raise StreamprocError(
            f"{counted(troubled, 'photo')} could not be used; everything else "
            + ("would be applied" if dry_run else "was applied")
        )


async def _apply(
    wanted: "list[CollectionFolder]", endpoint_url: str, region: str | None, dry_run: bool
) -> int:
    """Returns how many photos were of no use."""
    from streamproc.cli import own_operations
    from streamproc.cli.collection_apply import Report

    access = await find_access(endpoint_url, region)
    call = partial(own_operations.call, access)
    reports: list[tuple[CollectionFolder, Report]] = []
    for folder in wanted:
        report = Report()
        reports.append((folder, report))
        await _apply_one(call, folder, report, dry_run)
    for folder, report in reports:
        for path, reason in report.troubles:
            _say(f"{folder.folder / path}: {reason}", err=True)
    return sum(len(report.troubles) for _, report in reports)


async def _apply_one(
    call: "Call", folder: "CollectionFolder", report: "Report", dry_run: bool
) -> None:
    from streamproc.cli.collection_apply import (
        apply,
        compare,
        counted,
        read_pictures,
        read_present,
    )

    collection_id = folder.collection_id
    for remark in folder.remarks:
        _say(f"{collection_id}: {remark}")
    with _bar(f"{collection_id}: read", len(folder.photos)) as on_read:
        pictures = await read_pictures(folder, report, on_read)
    difference = compare(pictures, folder.people, await read_present(call, collection_id))
    if difference.is_empty:
        _say(f"{collection_id}: nothing to do, {counted(difference.unchanged, 'picture')}")
    else:
        would = "would be " if dry_run else ""
        _say(f"{collection_id}: {would}{'created' if difference.creates else 'changed'}")
        for line in difference.lines():
            _say(f"  {line}")
        if not dry_run:
            with _bar(f"{collection_id}: index", len(difference.added)) as on_indexed:
                await apply(call, folder, difference, report, on_indexed)
    for path, note in sorted(report.notes):
        _say(f"{folder.folder / path} {note}")


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar where somebody looks; yields what to call at every step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(what, total=total)
        yield partial(progress.advance, task)


def _say(line: str, *, err: bool = False) -> None:
    typer.echo(harmless(line), err=err)
