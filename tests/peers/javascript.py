"""Amazon's own JavaScript SDK, as an independent client: installed by npm into a cache.

Knows packages and how a script is run with them; knows nothing of what it calls.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

PACKAGES: Final = {
    "@aws-sdk/client-rekognition": "^3.900.0",
    "@aws-sdk/client-kinesis": "^3.900.0",
    "@aws-sdk/client-kinesis-video": "^3.900.0",
    "@smithy/node-http-handler": "^4.0.0",
    "dclint": "^3.0.0",
}
_CACHE: Final = Path(__file__).resolve().parent.parent.parent / ".pytest_cache" / "npm"
_INSTALL_TIMEOUT_S: Final = 300


def packages() -> Path:
    """The folder whose node_modules holds them; skips the test, with the reason, where they
    cannot be had."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    _CACHE.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps({"private": True, "type": "module", "dependencies": PACKAGES})
    stamp = _CACHE / "installed.json"
    if not stamp.is_file() or stamp.read_text() != wanted:
        (_CACHE / "package.json").write_text(wanted)
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--silent"],
            cwd=_CACHE, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S,
        )  # fmt: skip
        if done.returncode != 0:
            pytest.skip(f"npm cannot install the SDK: {done.stderr.strip()[-200:]}")
        stamp.write_text(wanted)
    return _CACHE


def run_script(source: str, **environment: str) -> str:
    """What a module of JavaScript prints. Fails the test with what it said if it fails."""
    folder = packages()
    script = folder / "script.mjs"
    script.write_text(source)
    done = subprocess.run(
        ["node", script.name], cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
