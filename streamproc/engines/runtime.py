"""ONNX Runtime, set up the way we want it: threads, providers, no surprises.

Imports it only when a session is made: who asks how many threads there are need not wait for it.
"""

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.errors import EngineError

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"


def inference_threads(configured: int) -> int:
    """How many pictures are analysed at once; 0 asks for one per core this process may use."""
    return configured or len(os.sched_getaffinity(0))


def session_options(threads: int) -> "onnxruntime.SessionOptions":
    """Options for sessions that this many threads call at once: together they use each core
    once. Waiting threads sleep; spinning gains a little delay and costs a core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, inference_threads(0) // threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; what matters of the rest we check ourselves
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def require_providers(wanted: Sequence[str]) -> None:
    """Raise EngineError unless this build of ONNX Runtime has all of them."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    for provider in wanted:
        if provider not in available:
            raise EngineError(
                f"engine.providers names {provider}, but this ONNX Runtime has only "
                f"{', '.join(available)}; {_remedy(provider)}"
            )


def require_in_use(
    sessions: Iterable["onnxruntime.InferenceSession"], wanted: Sequence[str]
) -> None:
    """Raise EngineError if a session runs on other providers than asked: ONNX Runtime falls
    back to the CPU with no more than a warning when one cannot start."""
    for session in sessions:
        taken = session.get_providers()
        if taken[: len(wanted)] != list(wanted):
            missing = next((name for name in wanted if name not in taken), wanted[0])
            raise EngineError(
                f"ONNX Runtime could not start {missing} as engine.providers asks for "
                f"({', '.join(wanted)}) and took {', '.join(taken)} instead; {_remedy(missing)}"
            )


def open_session(
    path: Path, providers: Sequence[str], threads: int, remedy: str
) -> "onnxruntime.InferenceSession":
    """A session that this many threads call at once; 0 means one per core.

    Raises EngineError, ending in the remedy, if the file cannot be loaded, and one of its own
    if a provider cannot be had.
    """
    import onnxruntime

    require_providers(providers)
    try:
        with quiet_fallback():
            session = onnxruntime.InferenceSession(
                str(path), session_options(inference_threads(threads)), providers=list(providers)
            )
    except Exception as error:  # a damaged file raises whatever its reader raises
        raise EngineError(f"{path} cannot be loaded: {error}; {remedy}") from None
    require_in_use([session], providers)
    return session


def quiet_fallback() -> warnings.catch_warnings:
    """ONNX Runtime's own warning about providers, which we turn into an error ourselves."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def _remedy(provider: str) -> str:
    if provider in {"CUDAExecutionProvider", "TensorrtExecutionProvider"}:
        return (
            "run: pip uninstall onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]', or set "
            f'engine.providers = ["{CPU}"]'
        )
    return f'set engine.providers = ["{CPU}"]'
