"""The engine that the configuration names. Heavy libraries are imported here, when asked."""

import logging
from pathlib import Path

from streamproc.engines.base import FaceEngine
from streamproc.engines.packs import find_pack, require_whole
from streamproc.errors import EngineError
from streamproc.settings import EngineConfig

log = logging.getLogger(__name__)


def check_engine(config: EngineConfig) -> None:
    """What a look at the disk tells, in milliseconds: raise EngineError, with the remedy, where
    load_engine() would because nothing is installed. What is in files is not read."""
    if config.name == "dlib":
        from streamproc.engines.dlib_locator import models_folder

        models_folder()
        return
    folder = find_pack(config.pack, config.models_dir)
    if next(folder.glob("*.onnx"), None) is None:
        require_whole(folder)


def load_engine(config: EngineConfig) -> FaceEngine:
    """Load and try out the configured engine; nothing is ever downloaded.

    Raises EngineError, saying what would mend it, if it cannot run.
    """
    if config.name == "dlib":
        from streamproc.engines.dlib import DlibEngine

        return DlibEngine(config)
    from streamproc.engines.insightface import InsightFaceEngine

    return InsightFaceEngine(config)


def load_detailed(config: EngineConfig, models_dir: Path) -> FaceEngine:
    """The engine, with the attribute models that are installed in models_dir. A damaged one is
    reported, and keeps nobody from watching cameras.

    Raises EngineError as load_engine() does.
    """
    engine = load_engine(config)
    from streamproc.engines.detailed import DetailedEngine
    from streamproc.engines.face_attributes import FaceAttributes

    try:
        attributes = FaceAttributes(models_dir, config.providers, config.threads)
    except EngineError as error:
        log.error("face attributes are off: %s", error)
        return engine
    return DetailedEngine(engine, attributes)
