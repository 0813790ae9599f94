"""streamproc collections: the people whom cameras know, one by one or kept as folders of photos.

A client of the API like any other; what it prints is what it does. Adding and removing people is
collection_people.py's, folders are collection_folder.py's and collection_apply.py's.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from rich.console import RenderableType

from streamproc.cli import completion
from streamproc.cli.access import (
    DEFAULT_ENDPOINT_URL,
    Access,
    EndpointUrl,
    Region,
    find_access,
    plain_words,
    run,
)
from streamproc.cli.output import (
    AsJson,
    Yes,
    bar,
    confirm,
    counted,
    plain,
    print_json,
    say,
    show,
    table,
)
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.cli.collection_apply import Call, Report
    from streamproc.cli.collection_folder import CollectionFolder

collections = typer.Typer(help="See and change whom cameras know: collections and their people.")

Collection: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="COLLECTION", help="Its id.", autocompletion=completion.collections),
]


@collections.callback(invoke_without_command=True)
def _collections(
    context: typer.Context,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    if context.invoked_subcommand is None:
        list_collections(as_json, endpoint_url, region)


@collections.command("list")
def list_collections(
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """The collections of the region, and how many faces they hold."""
    from streamproc.cli.collection_people import all_collections

    found = run(endpoint_url, region, all_collections)
    if as_json:
        print_json({"Collections": found})
    else:
        show(_collection_table(found))


@collections.command("show")
def show_collection(
    collection: Collection,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """The people of one collection."""
    from streamproc.cli.collection_people import described

    found = run(endpoint_url, region, lambda access: described(access, collection))
    if as_json:
        print_json(found)
    else:
        show(_people_table(found))


@collections.command()
def create(
    collection: Annotated[str, typer.Argument(help="Its id: a-z, A-Z, 0-9, _ . and -")],
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Create an empty collection. It remembers the engine's model, and takes no other."""
    from streamproc.cli.own_operations import call

    run(
        endpoint_url,
        region,
        lambda access: call(access, "CreateCollection", {"CollectionId": collection}),
    )
    say(f"created collection {collection}")


@collections.command()
def delete(
    collection: Collection,
    yes: Yes = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Delete a collection with all its faces."""
    from streamproc.cli.collection_people import describe
    from streamproc.cli.own_operations import call

    found = run(endpoint_url, region, lambda access: describe(access, collection))
    faces = counted(found["FaceCount"], "face")
    confirm(f"Delete collection {collection} and {faces}?", yes=yes)
    run(
        endpoint_url,
        region,
        lambda access: call(access, "DeleteCollection", {"CollectionId": collection}),
    )
    say(f"deleted collection {collection} with {faces}")


@collections.command()
def add(
    collection: Collection,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="JPEG or PNG.")],
    name: Annotated[
        str | None, typer.Option(help="Whom the photos show [each photo's own file name].")
    ] = None,
    turn: Annotated[
        int, typer.Option(help="Turn the photos first, clockwise: 90, 180 or 270 degrees.")
    ] = 0,
    make: Annotated[
        bool | None,
        typer.Option(
            "--create/--no-create",
            help="Make the collection if there is none. Without a word: on this machine only.",
        ),
    ] = None,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Add a person by one or more photos; of each the largest face counts."""
    from streamproc.cli.collection_people import add_photo
    from streamproc.cli.making import ensure_collection

    if turn not in {0, 90, 180, 270}:
        raise typer.BadParameter(f"{turn} is none of 90, 180 and 270", param_hint="--turn")

    async def work(access: Access) -> int:
        create_it = access.is_local if make is None else make
        await ensure_collection(access, collection, create=create_it, told=say)
        troubled = 0
        with bar(f"{collection}: add", len(photos)) as on_added:
            for photo in photos:
                added = await add_photo(access, collection, photo, name or photo.stem, turn)
                say(f"{photo}: {added.words}", err=not added.is_added)
                troubled += not added.is_added
                on_added(1)
        return troubled

    if troubled := run(endpoint_url, region, work):
        raise StreamprocError(f"{counted(troubled, 'photo')} could not be used")


@collections.command()
def remove(
    collection: Collection,
    name: Annotated[str, typer.Argument(help="Of whom all faces are deleted.")],
    yes: Yes = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Remove a person: delete all faces of that name."""
    from streamproc.cli.collection_people import delete_faces, faces_of

    face_ids = run(endpoint_url, region, lambda access: faces_of(access, collection, name))
    faces = counted(len(face_ids), "face")
    confirm(f"Delete {faces} of {name} from {collection}?", yes=yes)
    run(endpoint_url, region, lambda access: delete_faces(access, collection, face_ids))
    say(f"{collection}: deleted {faces} of {name}")


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
            say(f"{folder.folder / path}: {reason}", err=True)
    return sum(len(report.troubles) for _, report in reports)


async def _apply_one(
    call: "Call", folder: "CollectionFolder", report: "Report", dry_run: bool
) -> None:
    from streamproc.cli.collection_apply import (
        apply,
        compare,
        read_pictures,
        read_present,
    )

    collection_id = folder.collection_id
    for remark in folder.remarks:
        say(f"{collection_id}: {remark}")
    with bar(f"{collection_id}: read", len(folder.photos)) as on_read:
        pictures = await read_pictures(folder, report, partial(on_read, 1))
    difference = compare(pictures, folder.people, await read_present(call, collection_id))
    if difference.is_empty:
        say(f"{collection_id}: nothing to do, {counted(difference.unchanged, 'picture')}")
    else:
        would = "would be " if dry_run else ""
        say(f"{collection_id}: {would}{'created' if difference.creates else 'changed'}")
        for line in difference.lines():
            say(f"  {line}")
        if not dry_run:
            with bar(f"{collection_id}: index", len(difference.added)) as on_indexed:
                await apply(call, folder, difference, report, partial(on_indexed, 1))
    for path, note in sorted(report.notes):
        say(f"{folder.folder / path} {note}")


def _collection_table(found: list[dict[str, Any]]) -> RenderableType:
    if not found:
        return "there are no collections; make one with: streamproc collections add NAME PHOTO"
    shown = table("collection", "faces", "model", right=("faces",), fold=("collection",))
    for each in found:
        shown.add_row(
            plain(each["CollectionId"]), f"{each['FaceCount']:,}", each["FaceModelVersion"]
        )
    return shown


def _people_table(found: dict[str, Any]) -> RenderableType:
    from streamproc.cli.collection_people import people_of

    people = people_of(found)
    if not people:
        return f"collection {plain(found['CollectionId'])} is empty"
    shown = table("person", "faces", "photos", right=("faces", "photos"), fold=("person",))
    for person in people:
        shown.add_row(plain(person.shown), str(person.faces), str(person.photos))
    return shown
