"""kill -9 and start again: the processor resumes by itself, and no record is missing."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any


def test_killed_while_running_it_resumes_behind_the_checkpoint_with_none_missing(
    rig: Any, clip: Path, eileen_png: bytes, key_of: Any, wait_until: Any
) -> None:
    rig.enrol(eileen_png, "Eileen-Collins")
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    # Two sessions, so that there are twelve fragments; then kill it half way.
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "streamproc", "put-media", str(clip), "--stream", "cam",
             "--fast", "--endpoint-url", rig.daemon.url],
            check=True, capture_output=True, timeout=90,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
        )  # fmt: skip
    wait_until(lambda: len(rig.records()) >= 12, 60.0)
    rig.daemon.kill()
    checkpoint = checkpoint_of(rig.daemon.data_dir)
    rig.daemon.start()
    rig.connect()
    rig.await_status("RUNNING")

    due = set(rig.expected())

    def seen() -> Counter[Any]:
        return Counter(key_of(record) for record in rig.records())

    wait_until(lambda: due <= set(seen()), 60.0, lambda: due - set(seen()))
    counted = seen()
    assert set(counted) == due  # sampling goes on as if nothing had been
    repeated = {number for (number, _), times in counted.items() if times > 1}
    assert all(int(number) > int(checkpoint) for number in repeated), "what was safe came twice"
    assert len(repeated) <= 1
    identities = {key_of(record): record["RecordId"] for record in rig.records()}
    assert len(set(identities.values())) == len(due)
    assert all(identities[key_of(record)] == record["RecordId"] for record in rig.records())


def checkpoint_of(data_dir: Path) -> str:
    """The fragment that the killed daemon had on disk as the last safe one."""
    with closing(sqlite3.connect(data_dir / "processors.db")) as database:
        [(number,)] = database.execute("SELECT checkpoint FROM processors").fetchall()
    assert number
    return str(number)
