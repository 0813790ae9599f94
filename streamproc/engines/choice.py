"""Which engine to use where nobody has said: the best that can run here at once."""

from dataclasses import dataclass
from pathlib import Path

from streamproc.config import load_config
from streamproc.engines.install import install_pack
from streamproc.engines.packs import (
    KNOWN_PACKS,
    NON_COMMERCIAL,
    find_pack,
    models_folder,
    require_whole,
)
from streamproc.errors import EngineError

SMALLEST = "buffalo_sc"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine, and why it was chosen, in words for a person."""

    name: str  # insightface or dlib
    pack: str | None  # None for dlib
    reason: str


def choose_engine(
    engine: str | None = None,
    pack: str | None = None,
    *,
    accept_license: bool = False,
    models_dir: Path | None = None,
) -> EngineChoice:
    """What was asked for; else an InsightFace pack that is installed; else, where its licence
    is accepted, the smallest pack if it can be downloaded; else dlib.

    Raises EngineError if what was asked for cannot be had.
    """
    if engine == "dlib":
        return EngineChoice("dlib", None, "as asked (its weights are public domain)")
    root = models_dir or load_config().engine.models_dir
    if pack is not None:
        require_whole(find_pack(pack, root))
        return EngineChoice("insightface", pack, f"pack {pack}, as asked ({NON_COMMERCIAL})")
    try:
        name, how = _pack_at_hand(root, accept_license)
    except EngineError as error:
        if engine == "insightface":
            raise
        return EngineChoice("dlib", None, f"because {error}")
    return EngineChoice("insightface", name, f"pack {name}, {how} ({NON_COMMERCIAL})")


def _pack_at_hand(root: Path, accept_license: bool) -> tuple[str, str]:
    for name in KNOWN_PACKS:
        if (models_folder(root) / name).is_dir():
            require_whole(find_pack(name, root))
            return name, "which is installed"
    if not accept_license:
        raise EngineError(
            f"no InsightFace pack is installed (for non-commercial research there is: streamproc "
            f"models install {SMALLEST} --accept-license)"
        )
    install_pack(SMALLEST, root, lambda *_: None)
    return SMALLEST, "just installed"
