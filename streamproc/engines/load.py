"""The engine that the configuration names. Heavy libraries are imported here, when asked."""

from streamproc.engines.base import FaceEngine
from streamproc.settings import EngineConfig


def load_engine(config: EngineConfig) -> FaceEngine:
    """Load and try out the configured engine; nothing is ever downloaded.

    Raises EngineError, saying what would mend it, if it cannot run.
    """
    if config.name == "dlib":
        from streamproc.engines.dlib import DlibEngine

        return DlibEngine(config)
    from streamproc.engines.insightface import InsightFaceEngine

    return InsightFaceEngine(config)
