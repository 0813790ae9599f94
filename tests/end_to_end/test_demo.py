"""The demo is the first thing a newcomer runs: it must work, and look as promised."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2


def test_the_demo_recognises_everyone_enrolled_and_no_stranger(
    tmp_path: Path, run_cli: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # no pack: the dlib engine plays
    result = run_cli("demo", "--output", str(tmp_path), timeout_s=180.0)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "dlib" in result.stdout
    assert "Everyone enrolled was recognised, and no stranger was." in result.stdout
    picture = cv2.imread(str(tmp_path / "recognised.png"))
    assert picture is not None
    assert picture.shape[1] == 1920
