"""Where benchmarks leave what they measured: benchmarks/out, one JSON file each, not tracked."""

import json
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent / "out"


def keep(name: str, results: Any) -> None:
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(results, indent=1))


def kept(name: str, nothing: Any) -> Any:
    """What was left under this name, or nothing if that benchmark did not run here."""
    file = OUT / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else nothing
