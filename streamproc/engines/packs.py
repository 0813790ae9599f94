"""Packs: which weights there are, where they lie, whether they are whole, how to get them.

A pack is a folder of ONNX files as InsightFace lays them out: a detector, a recognition
network, and more that we mostly do not use. Knows files, hashes and licences; runs nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamproc.errors import EngineError

NON_COMMERCIAL = "InsightFace weights: non-commercial research only"

_DET_500M = "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a"
_DET_10G = "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91"
_W600K_MBF = "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"
_W600K_R50 = "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
_GLINTR100 = "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"
_EXTRAS = {
    "1k3d68.onnx": "df5c06b8a0c12e422b2ed8947b8869faa4105387f199c477af038aa01f9a45cc",
    "2d106det.onnx": "f001b856447c413801ef5c42091ed0cd516fcd21f2d6b79635b1e733a7109dbf",
    "genderage.onnx": "4fde69b1c810857b88c64a335084f1c3fe8f01246c9a191b48c7bb756d6652fb",
}


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that InsightFace publishes. Sizes are of the download."""

    name: str
    description: str
    megabytes: int
    files: Mapping[str, str]  # name to SHA-256, where it is known


# Contents as in InsightFace's model zoo; buffalo_m's detector has no hash that we could check.
KNOWN_PACKS = {
    pack.name: pack
    for pack in (
        Pack(
            "buffalo_sc",
            "smallest and fastest: SCRFD-500M, MobileFaceNet (WebFace600K)",
            15,
            {"det_500m.onnx": _DET_500M, "w600k_mbf.onnx": _W600K_MBF},
        ),
        Pack(
            "buffalo_s",
            "buffalo_sc with age and gender",
            128,
            {"det_500m.onnx": _DET_500M, "w600k_mbf.onnx": _W600K_MBF, **_EXTRAS},
        ),
        Pack(
            "buffalo_m",
            "SCRFD-2.5G, ResNet-50 (WebFace600K), age and gender",
            276,
            {"w600k_r50.onnx": _W600K_R50, **_EXTRAS},
        ),
        Pack(
            "buffalo_l",
            "most accurate of its family: SCRFD-10G, ResNet-50 (WebFace600K), age and gender",
            289,
            {"det_10g.onnx": _DET_10G, "w600k_r50.onnx": _W600K_R50, **_EXTRAS},
        ),
        Pack(
            "antelopev2",
            "largest: SCRFD-10G, ResNet-100 (Glint360K), age and gender",
            361,
            {"scrfd_10g_bnkps.onnx": _DET_10G, "glintr100.onnx": _GLINTR100, **_EXTRAS},
        ),
    )
}


@dataclass(frozen=True, slots=True)
class FileCheck:
    path: Path
    trouble: str  # "" if the file is whole


def models_folder(models_dir: Path) -> Path:
    """Where InsightFace keeps packs below its root."""
    return models_dir / "models"


def find_pack(pack: str, models_dir: Path) -> Path:
    """The folder of a pack, by name or by path. Nothing is downloaded.

    Raises EngineError with the command that installs it, if it is not there.
    """
    if "/" in pack or pack.startswith((".", "~")):
        folder = Path(pack).expanduser()
        if not folder.is_dir():
            raise EngineError(
                f"engine.pack = {pack!r} is no folder; give a folder of ONNX files, or a pack's "
                f"name ({', '.join(KNOWN_PACKS)})"
            )
        return folder
    for folder in (models_folder(models_dir) / pack, Path(pack)):
        if folder.is_dir():
            return unnested(folder)
    if pack not in KNOWN_PACKS:
        raise EngineError(
            f"engine.pack = {pack!r} is neither a folder nor a pack we know "
            f"({', '.join(KNOWN_PACKS)})"
        )
    raise EngineError(
        f"pack {pack} is not installed in {models_folder(models_dir)}; run: streamproc models "
        f"install {pack} --accept-license, or use --engine dlib"
    )


def unnested(folder: Path) -> Path:
    # antelopev2's archive holds a folder of its own name; InsightFace unpacks it as it is.
    inner = folder / folder.name
    return inner if inner.is_dir() and not any(folder.glob("*.onnx")) else folder


def check_pack(folder: Path) -> list[FileCheck]:
    """Every ONNX file of the pack, and what is wrong with it; the pack's known files come
    with it when they are missing."""
    known: dict[str, str] = {}
    if pack := KNOWN_PACKS.get(folder.name):
        known.update(pack.files)
    names = sorted({path.name for path in folder.glob("*.onnx")} | set(known))
    return [FileCheck(folder / name, _trouble(folder / name, known.get(name))) for name in names]


def require_whole(folder: Path) -> None:
    """Raise EngineError naming the first file of the pack that is missing or damaged."""
    checks = check_pack(folder)
    if not checks:
        raise EngineError(f"pack folder {folder} holds no ONNX files; {remedy(folder)}")
    for check in checks:
        if check.trouble:
            raise EngineError(f"{check.path} {check.trouble}; {remedy(folder)}")


def remedy(folder: Path) -> str:
    """What to do about a pack that cannot be used."""
    if folder.name in KNOWN_PACKS:
        return f"run: streamproc models install {folder.name} --accept-license --force"
    return "put whole files there, choose another --pack, or use --engine dlib"


def _trouble(path: Path, sha256: str | None) -> str:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    if not path.is_file():
        return "is missing"
    try:
        if sha256 is not None and file_sha256(path) != sha256:
            return "is damaged or not the published file (its SHA-256 differs)"
        graph = onnx.load(path).graph
    except DecodeError:
        return "is damaged: it is no ONNX model, or cut short"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if graph.node else "is damaged: it holds no network"


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_version(sha256: str) -> str:
    """What pins a collection to recognition weights, in digits and dots: 1, the version of
    our own alignment and normalisation, then the first 32 bits of the weights' SHA-256."""
    return f"1.{int(sha256[:8], 16)}"
