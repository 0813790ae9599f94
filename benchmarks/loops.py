"""What ours is held against, each over the same clip in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from streamproc import OTHERS_THREADS


def plain_loop(clip: Path, pack: Path, fps: float, threads: int, *options: str) -> dict[str, Any]:
    """The loop everyone writes, as plain_loop.py tells it; threads are ONNX Runtime's, 0 its
    default."""
    return _told("benchmarks.plain_loop", clip, pack, fps, "--threads", str(threads), *options)


def limit(clip: Path, pack: Path, fps: float) -> dict[str, Any]:
    """Decoding and the networks alone, as limit.py tells it."""
    return _told("benchmarks.limit", clip, pack, fps)


def _told(module: str, clip: Path, pack: Path, fps: float, *options: str) -> dict[str, Any]:
    # Ours sets this when it is imported; everyone else's loop has the libraries as they come.
    environment = {name: value for name, value in os.environ.items() if name not in OTHERS_THREADS}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::FutureWarning", "-m", module, str(clip), str(pack),
         "--fps", str(fps), *options],
        stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).resolve().parent.parent,
        env=environment,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))
