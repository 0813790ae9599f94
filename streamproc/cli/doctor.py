"""streamproc doctor: what is installed, what would run, and what mends the rest."""

import asyncio
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from streamproc import __version__
from streamproc.cli.output import AsJson, plain, print_json, show, waiting
from streamproc.config import Config, load_config
from streamproc.errors import StreamprocError
from streamproc.settings import EngineConfig

_PACKAGES = ("av", "insightface", "onnxruntime", "faiss-cpu", "aiobotocore", "sqlalchemy")
_OFFLINE = ("dlib-bin", "face_recognition_models")


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    well: bool | None  # None: neither good nor bad, worth knowing
    words: str


def doctor(
    config: Annotated[Path | None, typer.Option(help="TOML file, as for serve.")] = None,
    engine: Annotated[str | None, typer.Option(help="insightface or dlib, as for serve.")] = None,
    pack: Annotated[str | None, typer.Option(help="As for serve.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is installed and would run, and what mends the rest. Exit code 1 if the
    configured engine cannot run."""
    options = {"name": engine, "pack": pack}
    chosen = {key: value for key, value in options.items() if value is not None}
    settings = load_config(config, {"engine": chosen} if chosen else None)
    with waiting("Looking around …"):
        found = list(examine(settings))
    if as_json:
        print_json({"Findings": [_members(finding) for finding in found]})
    else:
        shown = Table(box=None, show_header=False, pad_edge=False)
        shown.add_column(style="bold", no_wrap=True)
        shown.add_column(no_wrap=True)
        shown.add_column()
        for finding in found:
            mark = {True: "[green]ok[/green]", False: "[red]no[/red]", None: ""}[finding.well]
            shown.add_row(finding.what, mark, plain(finding.words))
        show(shown)
    well = all(finding.well for finding in found if finding.what == "engine")
    raise typer.Exit(0 if well else 1)


def _members(finding: Finding) -> dict[str, Any]:
    """Ok is null for what is neither good nor bad."""
    return {"Name": finding.what, "Ok": finding.well, "Message": finding.words}


def examine(config: Config) -> Iterator[Finding]:
    """Everything worth saying, the configured engine as "engine"."""
    yield Finding("streamproc", None, f"{__version__}, {sys.prefix}")
    yield Finding("python", None, f"{platform.python_version()} on {platform.platform()}")
    cores = len(os.sched_getaffinity(0))
    yield Finding("cores", None, str(cores))
    yield from _packages()
    yield _providers()
    yield from _engines(config.engine)
    yield from _analyses(config.analysis.models_dir)
    yield _data_dir(config.storage.data_dir)
    yield from _outlets(config)


def _packages() -> Iterator[Finding]:
    for name in _PACKAGES:
        found = _version(name)
        words = found or "missing; run: pip install --upgrade streamproc"
        yield Finding(name, found is not None, words)
    for name in _OFFLINE:
        found = _version(name)
        words = found or "missing; engine dlib needs it; run: pip install 'streamproc[offline]'"
        yield Finding(name, True if found else None, words)


def _version(name: str) -> str | None:
    for distribution in (name, f"{name}-gpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def _providers() -> Finding:
    try:
        import onnxruntime
    except ImportError as error:
        return Finding("providers", False, f"{error}; run: pip install onnxruntime")
    return Finding("providers", None, ", ".join(onnxruntime.get_available_providers()))


def _engines(config: EngineConfig) -> Iterator[Finding]:
    yield _engine("engine", config)
    other: Any = "dlib" if config.name == "insightface" else "insightface"
    yield _engine(f"or {other}", config.model_copy(update={"name": other}))


def _engine(what: str, config: EngineConfig) -> Finding:
    from streamproc.engines.load import load_engine

    label = f"{config.name}, pack {config.pack}" if config.name == "insightface" else "dlib"
    try:
        info = load_engine(config).info
    except StreamprocError as error:
        return Finding(what, False if what == "engine" else None, f"{config.name}: {error}")
    words = (
        f"{label} on {', '.join(info.providers)}; {info.dimension} dimensions, model version "
        f"{info.model_version}, Similarity {info.calibration}; {info.licence}"
    )
    if info.calibration == "guessed":
        words += "; nobody measured these weights, see docs/similarity.md"
    return Finding(what, True, words)


def _analyses(folder: Path) -> Iterator[Finding]:
    """What stored videos can be asked, and which members of a face can be told."""
    from streamproc.engines.models import MODELS, is_installed, remedy, trouble_of

    faces = "FaceDetection, FaceSearch, CelebrityRecognition: with the engine"
    yield Finding("analyses", None, f"{faces}; the others with models in {folder}")
    for model in MODELS.values():
        words = ", ".join(model.needed_by)
        well: bool | None = True
        if trouble := trouble_of(model, folder):
            words = f"{trouble}, so no {words}; {remedy(model, folder)}"
            well = False if is_installed(model, folder) else None
        yield Finding(f"  {model.name}", well, words)


def _data_dir(folder: Path) -> Finding:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Finding("data", False, f"{nearest} is not writable; give another --data-dir")
    return Finding("data", True, str(folder))


def _outlets(config: Config) -> Iterator[Finding]:
    """The broker is connected to; to webhooks nothing is posted."""
    if config.mqtt.url:
        from streamproc.events.mqtt_connection import trouble_with

        trouble = asyncio.run(trouble_with(config.mqtt))
        yield Finding("mqtt", not trouble, trouble or f"{config.mqtt.url} lets us in")
    if config.webhooks.root:
        from streamproc.events.webhooks import masked

        for name, hook in config.webhooks.root.items():
            signed = "signed" if hook.secret else "not signed; give it a secret"
            words = f"{masked(hook.url)}, {', '.join(hook.events)}; {signed}"
            yield Finding(f"webhook {name}", None, words)
