"""Packs and models, fetched from where they are published or copied from a file.

All or nothing: what is to be installed is written beside its place, checked, and moved there in
one step. Knows HTTP, archives and folders; asks nobody about licences, its caller has.
"""

import http.client
import math
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from streamproc.disk import bring_to_disk
from streamproc.engines.models import (
    Model,
    copy_remedy,
    find_model,
    sha256_of,
    trouble_of,
)
from streamproc.engines.packs import KNOWN_PACKS, file_sha256, models_folder, require_whole
from streamproc.errors import EngineError

_TIMEOUT_S = 15.0
"""Of silence, while connecting and between two pieces of the download."""

_CHUNK_BYTES = 1024 * 1024
_USED = {"manifest.json", "MODEL.LICENSE"}  # of a pack, beside its ONNX files

Progress: TypeAlias = Callable[[int, int], None]
"""Told the bytes that have arrived and the bytes to come (0 if unknown)."""

Response: TypeAlias = http.client.HTTPResponse


def install_pack(name: str, models_dir: Path, progress: Progress, *, force: bool = False) -> Path:
    """Download a known pack, check it, and put it in place in one step; returns its folder.

    Raises EngineError, having left nothing behind, if the name is unknown, the download
    fails, or a file is not what it should be.
    """
    target = _free_place(name, models_dir, force)
    elsewhere = "copy the pack's folder here and give it as --pack, or use --engine dlib"
    with _connected(_url(name), elsewhere) as response:  # before anything is written

        def fill(fresh: Path) -> None:
            archive = fresh.parent / "pack.zip"
            _receive(response, archive, progress)
            _unpack(archive, fresh)

        return _placed(target, fill)


def copy_pack(name: str, source: Path, models_dir: Path, *, force: bool = False) -> Path:
    """The same, from a pack's folder, a folder that holds it, or its archive."""
    target = _free_place(name, models_dir, force)
    if source.is_dir():
        folder = source / name if (source / name).is_dir() else source

        def fill(fresh: Path) -> None:
            for file in folder.iterdir():
                if file.suffix == ".onnx" or file.name in _USED:
                    shutil.copyfile(file, fresh / file.name)

    elif source.is_file():

        def fill(fresh: Path) -> None:
            _unpack(source, fresh)

    else:
        raise EngineError(f"--from {source} is neither a file nor a folder")
    return _placed(target, fill)


def install_model(name: str, models_dir: Path, progress: Progress) -> Path:
    """Download a model of the registry, check it, and put it in place in one step; returns
    its path. One that is here and whole stays as it is.

    Raises EngineError, having left nothing behind, if the name is unknown, nobody publishes
    the file, the download fails, or its SHA-256 is not the registry's.
    """
    model = find_model(name)
    if not trouble_of(model, models_dir):
        return models_dir / model.file
    if not model.url:
        raise EngineError(
            f"model {name} cannot be downloaded: {model.source} publishes it in another format "
            f"than {model.file}; {copy_remedy(model, models_dir)}"
        )
    with _connected(model.url, copy_remedy(model, models_dir)) as response:
        return _stored(
            model,
            models_dir,
            lambda draft: _receive(response, draft, progress, bytes_max=model.bytes),
            model.url,
        )


def copy_model(name: str, source: Path, models_dir: Path) -> Path:
    """Check a copy of a model and put it in place in one step; returns its path.

    source is the file, whatever its name, or a folder that has it under its own name. Raises
    EngineError, having changed nothing, if it is not there or not the registry's file.
    """
    model = find_model(name)
    file = source / model.file if source.is_dir() else source
    if not file.is_file():
        raise EngineError(f"--from {source}: there is no file {file}")
    return _stored(model, models_dir, lambda draft: shutil.copyfile(file, draft), str(file))


def _stored(model: Model, models_dir: Path, write: Callable[[Path], object], whence: str) -> Path:
    target = models_dir / model.file
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{model.name}-", dir=models_dir) as scratch:
            draft = Path(scratch) / model.file
            write(draft)
            if (found := file_sha256(draft)) != model.sha256:
                raise EngineError(
                    f"{whence} is damaged or not the file {model.file} that we know: its SHA-256 "
                    f"is {found}, not {model.sha256}; nothing was installed"
                )
            bring_to_disk(draft)
            draft.replace(target)
            bring_to_disk(models_dir)
    except OSError as error:
        raise EngineError(
            f"model {model.name} cannot be stored in {target}: {error}; choose another folder "
            "with --models-dir"
        ) from None
    sha256_of(target)  # nobody need read it again in this process
    return target


def _free_place(name: str, models_dir: Path, force: bool) -> Path:
    if name not in KNOWN_PACKS:
        raise EngineError(f"there is no pack {name!r}; known are {', '.join(KNOWN_PACKS)}")
    target = models_folder(models_dir) / name
    if target.exists() and not force:
        raise EngineError(f"{target} exists already; --force replaces it")
    return target


def _placed(target: Path, fill: Callable[[Path], None]) -> Path:
    name = target.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as scratch:
            fresh = Path(scratch) / name
            fresh.mkdir()
            fill(fresh)
            require_whole(fresh)
            if target.exists():
                target.replace(Path(scratch) / "old")
            fresh.replace(target)
    except OSError as error:
        raise EngineError(f"pack {name} cannot be stored in {target}: {error}") from None
    return target


def _url(name: str) -> str:
    from insightface.utils.storage import model_zoo_download_url

    return str(model_zoo_download_url(f"{name}.zip"))


def _connected(url: str, elsewhere: str) -> Response:
    # InsightFace's own download waits for ever on a silent network and writes in place.
    try:
        response: Response = urllib.request.urlopen(url, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        raise EngineError(f"{url} answered {error.code} {error.reason}; {elsewhere}") from None
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise EngineError(
            f"{url} cannot be reached ({reason}); connect this machine, or {elsewhere}"
        ) from None
    return response


def _receive(
    response: Response, archive: Path, progress: Progress, bytes_max: float = math.inf
) -> None:
    total = response.length or 0
    done = 0
    with archive.open("wb") as file:
        while chunk := _read(response):
            file.write(chunk)
            progress(done := done + len(chunk), total)
            if done > bytes_max:
                raise EngineError(
                    f"{response.url} is not the file that we know: it has more than "
                    f"{bytes_max} bytes; nothing was installed"
                )
    if total and done != total:
        raise EngineError(
            f"the download of {response.url} ended after {done} of {total} bytes; run it again"
        )


def _read(response: Response) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise EngineError(
            f"the download of {response.url} broke off ({error}); run it again"
        ) from None


def _unpack(archive: Path, folder: Path) -> None:
    """Only files we know how to use, and flat, wherever the archive puts them."""
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                name = PurePosixPath(member.filename).name
                if name.endswith(".onnx") or name in _USED:
                    with packed.open(member) as source, (folder / name).open("wb") as file:
                        shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # RuntimeError: encrypted
        raise EngineError(f"{archive.name} is no whole archive ({error}); get it again") from None
