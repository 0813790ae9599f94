"""A log on disk, and ways to tamper with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamproc.audit.folder import LogFolder, segments
from streamproc.audit.line import Entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def write(folder: Path) -> Callable[..., LogFolder]:
    """Append so many lines and bring them to disk; each call is a writer of its own."""

    def append(count: int = 1, **options: Any) -> LogFolder:
        log = LogFolder(folder, **options)
        log.create()
        for number in range(count):
            details = {"CollectionId": "people", "FaceIds": [f"face-{number}"]}
            log.append([Entry(1_700_000_000.25, "anonymous", "DeleteFaces", details)], sync=True)
        log.sync()
        return log

    return append


@pytest.fixture
def edit(folder: Path) -> Callable[[Callable[[list[bytes]], list[bytes]]], None]:
    """Rewrite the newest segment, as lines with their newlines."""

    def rewrite(change: Callable[[list[bytes]], list[bytes]]) -> None:
        segment = segments(folder)[-1]
        lines = segment.read_bytes().splitlines(keepends=True)
        segment.write_bytes(b"".join(change(lines)))

    return rewrite
