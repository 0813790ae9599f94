"""streamproc models: see, fetch and check the weights that engines need."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from streamproc.config import load_config
from streamproc.errors import EngineError

models = typer.Typer(
    help="See, install and check the weights of the engines.", no_args_is_help=True
)

LICENCE = (
    "InsightFace's weights are made available for non-commercial research purposes only; any "
    "other use needs a licence from InsightFace (https://www.insightface.ai). The engine dlib "
    "has weights in the public domain: streamproc serve --engine dlib"
)

ModelsDir = Annotated[
    Path | None, typer.Option(help="InsightFace's folder [engine.models_dir, ~/.insightface].")
]


@models.command("list")
def list_models(models_dir: ModelsDir = None) -> None:
    """Every pack that can be had, and whether it is here."""
    from streamproc.engines.packs import KNOWN_PACKS, models_folder

    root = _root(models_dir)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("pack", "MB", "installed", "Similarity", "what it is"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for pack in KNOWN_PACKS.values():
        here = (models_folder(root) / pack.name).is_dir()
        size = str(pack.megabytes)
        table.add_row(pack.name, size, "yes" if here else "no", "estimated", pack.description)
    dlib = "yes" if _dlib_is_here() else "no"
    offline = escape("engine dlib; to install: pip install 'streamproc[offline]'")
    table.add_row("dlib", "103", dlib, "measured", offline)
    console = Console()
    console.print(table)
    console.print(f"\nPacks are kept in {escape(str(models_folder(root)))}.", soft_wrap=True)
    console.print(
        "A folder of ONNX files is a pack too: give it as --pack. The Similarity of weights "
        "that nobody measured is guessed, with caution (docs/similarity.md).\n"
    )
    console.print(LICENCE)


@models.command()
def install(
    pack: Annotated[str, typer.Argument(help="Name of a pack, such as buffalo_sc.")],
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="You have read the licence and accept it.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is installed.")] = False,
    models_dir: ModelsDir = None,
) -> None:
    """Download a pack from where InsightFace publishes it, and check it."""
    from streamproc.engines.install import install_pack
    from streamproc.engines.packs import KNOWN_PACKS

    if pack not in KNOWN_PACKS:
        raise EngineError(f"there is no pack {pack!r}; known are {', '.join(KNOWN_PACKS)}")
    console = Console()
    if not accept_license:
        console.print(LICENCE)
        raise EngineError(
            f"pack {pack} was not installed: its licence is not accepted; run: streamproc models "
            f"install {pack} --accept-license"
        )
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(pack, total=None)
        folder = install_pack(
            pack,
            _root(models_dir),
            lambda done, total: bar.update(task, completed=done, total=total or None),
            force=force,
        )
    console.print(f"pack {pack} is installed in {escape(str(folder))}", soft_wrap=True)
    console.print(f"run: streamproc serve --pack {pack}")


@models.command()
def verify(
    pack: Annotated[
        str | None, typer.Argument(help="Name or folder of a pack [every installed one].")
    ] = None,
    models_dir: ModelsDir = None,
) -> None:
    """Check that every file of a pack is there and whole."""
    from streamproc.engines.packs import check_pack, find_pack, remedy

    root = _root(models_dir)
    folders = [find_pack(pack, root)] if pack else _installed(root)
    if not folders:
        raise EngineError(
            "no pack is installed; run: streamproc models install buffalo_sc --accept-license"
        )
    console = Console()
    troubled = []
    for folder in folders:
        checks = check_pack(folder)
        console.print(f"[bold]{escape(str(folder))}[/bold]", soft_wrap=True)
        for check in checks:
            mark = f"[red]{check.trouble}[/red]" if check.trouble else "[green]whole[/green]"
            console.print(f"  {escape(check.path.name):<24} {mark}")
        if not checks or any(check.trouble for check in checks):
            troubled.append(folder)
    if troubled:
        raise EngineError(f"pack {troubled[0].name} cannot be used as it is; {remedy(troubled[0])}")


def _root(models_dir: Path | None) -> Path:
    return models_dir.expanduser() if models_dir else load_config().engine.models_dir


def _installed(root: Path) -> list[Path]:
    from streamproc.engines.packs import KNOWN_PACKS, find_pack, models_folder

    return [find_pack(name, root) for name in KNOWN_PACKS if (models_folder(root) / name).is_dir()]


def _dlib_is_here() -> bool:
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("dlib", "face_recognition_models"))
