"""One network of the model registry, loaded and tried out.

Knows files and ONNX Runtime; what goes in and what comes out is its caller's to know. Safe to
call from several threads at once, as ONNX sessions are.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamproc.engines.models import find_model, remedy, require_model
from streamproc.engines.runtime import open_session
from streamproc.errors import EngineError

Floats = NDArray[np.float32]


class Network:
    """A network with one input."""

    def __init__(
        self, name: str, models_dir: Path, providers: Sequence[str], threads: int, *shape: int
    ) -> None:
        """name is the registry's; shape that of an input it must take; threads: how many call
        at once, 0 means one per core.

        Raises EngineError, with the remedy, if the file is missing, not the registry's, or
        does not run.
        """
        path, mending = require_model(name, models_dir), remedy(find_model(name), models_dir)
        self._session = open_session(path, providers, threads, mending)
        self._input = self._session.get_inputs()[0].name
        try:
            self.run(np.zeros(shape, np.float32))
        except Exception as error:  # ONNX Runtime's own classes share no base but this
            raise EngineError(f"model {name} does not run: {error}; {mending}") from None

    def run(self, batch: Floats) -> list[Floats]:
        """All outputs, in the order of the file."""
        return self._session.run(None, {self._input: batch})  # type: ignore[no-any-return]
