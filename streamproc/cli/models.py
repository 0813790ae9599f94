"""streamproc models: see, fetch and check the weights that engines and analyses need.

Two kinds, one table: packs of InsightFace, which are folders, and the registry's models, which
are single files. A name says which is meant.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from streamproc.cli.output import AsJson, print_json, show, table
from streamproc.config import load_config
from streamproc.errors import EngineError

if TYPE_CHECKING:
    from streamproc.engines.install import Progress as Told

models = typer.Typer(
    help="See, install and check the weights of engines and analyses.", no_args_is_help=True
)

LICENCE = (
    "InsightFace's weights are made available for non-commercial research purposes only; any "
    "other use needs a licence from InsightFace (https://www.insightface.ai). The engine dlib "
    "has weights in the public domain: streamproc serve --engine dlib"
)
_INSTALLED = {
    (False, False): "no",
    (True, False): "yes",
    (True, True): "[red]damaged[/red]",
}
_DLIB = "pip install 'streamproc[offline]'"

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file, as for serve.")]
ModelsDir = Annotated[
    Path | None,
    typer.Option(help="Instead of engine.models_dir (packs) and analysis.models_dir (models)."),
]


class _Folders:
    """Where packs and models lie."""

    def __init__(self, config: Path | None, models_dir: Path | None) -> None:
        settings = load_config(config)
        chosen = models_dir.expanduser() if models_dir else None
        self.packs = chosen or settings.engine.models_dir
        self.models = chosen or settings.analysis.models_dir


@models.command("list")
def list_models(
    as_json: AsJson = False, models_dir: ModelsDir = None, config: ConfigFile = None
) -> None:
    """Everything that can be had, whose it is, and whether it is here."""
    from streamproc.engines.models import MODELS
    from streamproc.engines.packs import models_folder

    folders = _Folders(config, models_dir)
    found = list(_listed(folders))
    if as_json:
        print_json({"Models": found})
        return
    shown = table("name", "MB", "installed", right=("MB",))
    shown.add_column("licence", min_width=len("non-commercial"))
    shown.add_column("needed by: task", overflow="fold")
    for each in found:
        installed = _INSTALLED[each["Installed"], each["Damaged"]]
        megabytes = f"{each['Megabytes']:g}"
        task = f"{', '.join(each['NeededBy'])}: {each['Purpose']}"
        shown.add_row(each["Name"], megabytes, installed, each["Licence"], task)
    show(shown)
    console = Console()
    console.print(
        f"\nPacks are kept in {escape(str(models_folder(folders.packs)))}, models in "
        f"{escape(str(folders.models))}.",
        soft_wrap=True,
    )
    console.print(
        "A folder of ONNX files is a pack too: give it as --pack. The Similarity of weights "
        "that nobody measured is guessed, with caution (docs/similarity.md).\n"
    )
    copies = ", ".join(model.name for model in MODELS.values() if not model.url)
    console.print(
        "Published by their makers in another format only, so to be installed from a copy "
        f"(streamproc models install NAME --from FILE): {copies}.\n"
    )
    console.print(f"dlib comes with packages: {escape(_DLIB)}\n", soft_wrap=True)
    console.print(LICENCE)
    for model in MODELS.values():
        if model.remark:
            console.print(f"{model.name}: {escape(model.remark)}.")


def _listed(folders: _Folders) -> Iterator[dict[str, Any]]:
    """Every pack and model, in the order of the table."""
    from streamproc.engines.models import MODELS, is_installed, trouble_of
    from streamproc.engines.packs import KNOWN_PACKS, models_folder

    for pack in KNOWN_PACKS.values():
        installed, damaged = _pack_state(models_folder(folders.packs) / pack.name)
        yield {
            "Name": pack.name,
            "Megabytes": pack.megabytes,
            "Installed": installed,
            "Damaged": damaged,
            "Licence": "non-commercial",
            "NeededBy": ["engine insightface"],
            "Purpose": pack.description,
        }
    yield {
        "Name": "dlib",
        "Megabytes": 103,
        "Installed": _dlib_is_here(),
        "Damaged": False,
        "Licence": "public domain",
        "NeededBy": ["engine dlib"],
        "Purpose": "faces",
    }
    for model in MODELS.values():
        installed = is_installed(model, folders.models)
        yield {
            "Name": model.name,
            "Megabytes": round(model.bytes / 1e6, 1),
            "Installed": installed,
            "Damaged": installed and bool(trouble_of(model, folders.models)),
            "Licence": model.licence if model.commercial else f"{model.licence}, non-commercial",
            "NeededBy": list(model.needed_by),
            "Purpose": model.task,
        }


@models.command()
def install(
    name: Annotated[str, typer.Argument(help="Such as buffalo_sc or yolox_nano_coco; or all.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A copy, file or folder, instead of the publisher's."),
    ] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="You have read the licence and accept it.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a pack that is installed.")
    ] = False,
    models_dir: ModelsDir = None,
    config: ConfigFile = None,
) -> None:
    """Fetch a pack or a model from its publisher, or from a copy, and check it. Everything
    else stays as it is if it is not what it should be."""
    from streamproc.engines.models import MODELS
    from streamproc.engines.packs import KNOWN_PACKS

    folders = _Folders(config, models_dir)
    source = source.expanduser() if source else None
    if name == "all":
        _install_all(source, folders.models)
    elif name in MODELS:
        _install_model(name, source, folders.models)
    elif name in KNOWN_PACKS:
        _install_pack(name, source, folders.packs, accept_license, force)
    elif name == "dlib":
        raise EngineError(f"dlib's weights come with packages; run: {_DLIB}")
    else:
        known = ", ".join((*KNOWN_PACKS, *MODELS))
        raise EngineError(f"there is no pack or model {name!r}; known are {known}")


def _install_model(name: str, source: Path | None, folder: Path) -> None:
    from streamproc.engines.install import copy_model, install_model
    from streamproc.engines.models import MODELS

    model = MODELS[name]
    console = Console()
    console.print(f"model {name}: {model.licence}, {model.source}", soft_wrap=True)
    if model.remark:
        console.print(escape(model.remark))
    if source is not None:
        path = copy_model(name, source, folder)
    else:
        with _bar(console, name) as told:
            path = install_model(name, folder, told)
    console.print(f"model {name} is installed: {escape(str(path))}", soft_wrap=True)


def _install_all(source: Path | None, folder: Path) -> None:
    from streamproc.engines.models import MODELS

    if source is None or not source.is_dir():
        raise EngineError(
            "all needs a folder that has the files; run: streamproc models install all "
            "--from FOLDER"
        )
    found = [name for name, model in MODELS.items() if (source / model.file).is_file()]
    if not found:
        files = ", ".join(model.file for model in MODELS.values())
        raise EngineError(f"--from {source} has none of {files}")
    for name in found:
        _install_model(name, source, folder)
    if missing := ", ".join(name for name in MODELS if name not in found):
        Console().print(f"not in {escape(str(source))}: {missing}", soft_wrap=True)


def _install_pack(
    pack: str, source: Path | None, root: Path, accept_license: bool, force: bool
) -> None:
    from streamproc.engines.install import copy_pack, install_pack

    console = Console()
    if not accept_license:
        console.print(LICENCE)
        raise EngineError(
            f"pack {pack} was not installed: its licence is not accepted; run: streamproc models "
            f"install {pack} --accept-license"
        )
    if source is not None:
        folder = copy_pack(pack, source, root, force=force)
    else:
        with _bar(console, pack) as told:
            folder = install_pack(pack, root, told, force=force)
    console.print(f"pack {pack} is installed in {escape(str(folder))}", soft_wrap=True)
    console.print(f"run: streamproc serve --pack {pack}")


@contextmanager
def _bar(console: Console, name: str) -> Iterator["Told"]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


@models.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(help="A model, or a pack by name or folder [all installed].")
    ] = None,
    models_dir: ModelsDir = None,
    config: ConfigFile = None,
) -> None:
    """Check that every file is there and whole. Exit code 1 names the first that is not, and
    what mends it."""
    from streamproc.engines.models import MODELS, is_installed
    from streamproc.engines.packs import find_pack

    folders = _Folders(config, models_dir)
    console = Console()
    if name == "dlib":
        if not _dlib_is_here():
            raise EngineError(f"dlib is not installed; run: {_DLIB}")
        console.print("dlib: [green]here[/green], as its packages brought it")
        return
    if name is not None and name in MODELS:
        packs, singles = [], [name]
    elif name is not None:
        packs, singles = [find_pack(name, folders.packs)], []
    else:
        packs = _installed(folders.packs)
        singles = [key for key, model in MODELS.items() if is_installed(model, folders.models)]
    if not packs and not singles:
        raise EngineError(
            "no pack and no model is installed; run: streamproc models list, or: streamproc "
            "models install buffalo_sc --accept-license"
        )
    troubles = [
        *(trouble for pack in packs if (trouble := _check_pack(console, pack))),
        *(trouble for key in singles if (trouble := _check_model(console, key, folders.models))),
    ]
    if troubles:
        raise EngineError(troubles[0])


def _check_pack(console: Console, folder: Path) -> str:
    from streamproc.engines.packs import check_pack, remedy

    checks = check_pack(folder)
    console.print(f"[bold]{escape(str(folder))}[/bold]", soft_wrap=True)
    for check in checks:
        mark = f"[red]{check.trouble}[/red]" if check.trouble else "[green]whole[/green]"
        console.print(f"  {escape(check.path.name):<24} {mark}")
    if checks and not any(check.trouble for check in checks):
        return ""
    return f"pack {folder.name} cannot be used as it is; {remedy(folder)}"


def _check_model(console: Console, name: str, folder: Path) -> str:
    from streamproc.engines.models import MODELS, require_model, trouble_of

    trouble = trouble_of(MODELS[name], folder)
    mark = f"[red]{trouble}[/red]" if trouble else "[green]whole[/green]"
    console.print(f"{name}: {mark}", soft_wrap=True)
    try:
        require_model(name, folder)
    except EngineError as error:
        return str(error)
    return ""


def _pack_state(folder: Path) -> tuple[bool, bool]:
    """Whether the pack is there, and whether it is damaged."""
    from streamproc.engines.packs import require_whole, unnested

    if not folder.is_dir():
        return False, False
    try:
        require_whole(unnested(folder))
    except EngineError:
        return True, True
    return True, False


def _installed(root: Path) -> list[Path]:
    from streamproc.engines.packs import KNOWN_PACKS, find_pack, models_folder

    return [find_pack(name, root) for name in KNOWN_PACKS if (models_folder(root) / name).is_dir()]


def _dlib_is_here() -> bool:
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("dlib", "face_recognition_models"))
