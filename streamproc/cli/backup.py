"""streamproc backup and streamproc restore: a data folder into one file, and back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.terminal import harmless

if TYPE_CHECKING:
    from streamproc.backup.archive import Manifest


def backup(
    target: Annotated[
        Path, typer.Argument(help="File to be written, or a folder to write it into.")
    ],
    data_dir: Annotated[Path | None, typer.Option(help="Folder, as for serve.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file, as for serve.")] = None,
    without_video: Annotated[
        bool, typer.Option("--without-video", help="Leave recordings out; streams stay.")
    ] = False,
) -> None:
    """Copy everything that a daemon keeps into one file, while it runs or not.

    The file holds faces and access keys: keep it as you keep the folder. What is deleted later
    stays in it.
    """
    from streamproc.backup.make import make_backup
    from streamproc.config import load_config

    overrides = {"storage": {"data_dir": data_dir}} if data_dir else None
    folder = load_config(config, overrides).storage.data_dir
    with _progress("backup") as progress:
        file, manifest = make_backup(folder, target, with_video=not without_video, told=progress)
    typer.echo(harmless(f"{file}: {_described(manifest)}"))


def restore(
    file: Annotated[Path, typer.Argument(help="What streamproc backup has written.")],
    data_dir: Annotated[Path, typer.Option(help="Folder to be made, or an empty one.")],
    force: Annotated[
        bool, typer.Option("--force", help="Move what is there to DIR.before-TIME first.")
    ] = False,
) -> None:
    """Make a data folder from a backup, once all of it has been read and found whole.

    Access keys that were revoked and faces that were deleted since the backup are back: look at
    streamproc keys list, and delete again what has to stay deleted.
    """
    from streamproc.backup.restore import restore_backup

    with _progress("restore") as progress:
        manifest, moved_to = restore_backup(file, data_dir, force=force, told=progress)
    if moved_to is not None:
        typer.echo(harmless(f"What was there is now in {moved_to}"))
    typer.echo(harmless(f"{data_dir}: {_described(manifest)}, as of {manifest.made_at}"))
    typer.echo(harmless(f"Start it with: streamproc serve --data-dir {data_dir}"))


def _described(manifest: "Manifest") -> str:
    total = sum(item.size for item in manifest.files)
    video = "" if manifest.video else ", without video"
    return f"{len(manifest.files)} files, {total / 1e6:.1f} MB{video}"


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar where somebody looks; yields what to tell (name, bytes, bytes of all)."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)

        def tell(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"{what} {name}", completed=done, total=max(total, done))

        yield tell
