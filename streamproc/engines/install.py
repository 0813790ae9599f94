"""Packs fetched from where InsightFace publishes them.

All or nothing: a pack is downloaded beside its place, checked, and moved there in one step.
Knows HTTP, archives and folders; asks nobody about licences, its caller has.
"""

import http.client
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from streamproc.engines.packs import KNOWN_PACKS, models_folder, require_whole
from streamproc.errors import EngineError

_TIMEOUT_S = 15.0
"""Of silence, while connecting and between two pieces of the download."""

_CHUNK_BYTES = 1024 * 1024

Progress: TypeAlias = Callable[[int, int], None]
"""Told the bytes that have arrived and the bytes to come (0 if unknown)."""

Response: TypeAlias = http.client.HTTPResponse


def install_pack(name: str, models_dir: Path, progress: Progress, *, force: bool = False) -> Path:
    """Download a known pack, check it, and put it in place in one step; returns its folder.

    Raises EngineError, having left nothing behind, if the name is unknown, the download
    fails, or a file is not what it should be.
    """
    pack = KNOWN_PACKS.get(name)
    if pack is None:
        raise EngineError(f"there is no pack {name!r}; known are {', '.join(KNOWN_PACKS)}")
    target = models_folder(models_dir) / name
    if target.exists() and not force:
        raise EngineError(f"{target} exists already; --force replaces it")
    with _connected(_url(name)) as response:  # before anything is written
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as scratch:
                fresh = Path(scratch) / name
                fresh.mkdir()
                archive = Path(scratch) / "pack.zip"
                _receive(response, archive, progress)
                _unpack(archive, fresh)
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


def _connected(url: str) -> Response:
    # InsightFace's own download waits for ever on a silent network and writes in place.
    try:
        response: Response = urllib.request.urlopen(url, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        raise EngineError(f"{url} answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise EngineError(
            f"{url} cannot be reached ({reason}); connect this machine, or copy the pack's folder "
            "here and give it as --pack, or use --engine dlib"
        ) from None
    return response


def _receive(response: Response, archive: Path, progress: Progress) -> None:
    total = response.length or 0
    done = 0
    with archive.open("wb") as file:
        while chunk := _read(response):
            file.write(chunk)
            progress(done := done + len(chunk), total)
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
                if name.endswith(".onnx") or name in {"manifest.json", "MODEL.LICENSE"}:
                    with packed.open(member) as source, (folder / name).open("wb") as file:
                        shutil.copyfileobj(source, file)
    except zipfile.BadZipFile as error:
        raise EngineError(f"the download is no whole archive ({error}); run it again") from None
