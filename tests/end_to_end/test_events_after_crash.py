"""kill -9 in the middle of a visit: the next daemon goes on with it, and tells nothing twice."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.api.test_own_events import ask


def events_of(rig: Any) -> list[dict[str, Any]]:
    """Of visits; all of them, oldest first."""
    found = ask(rig.daemon.url, "ListStreamprocEvents", After=0, MaxResults=1000)["Events"]
    return [event for event in found if event["Event"] != "state"]


def test_a_visit_survives_a_kill_and_is_told_once(
    rig: Any, clip: Path, eileen_png: bytes, key_of: Any, wait_until: Any
) -> None:
    rig.enrol(eileen_png, "Eileen-Collins")
    rig.create(*rig.streams())
    rig.start()
    subprocess.run(
        [sys.executable, "-m", "streamproc", "put-media", str(clip), "--stream", "cam", "--fast",
         "--endpoint-url", rig.daemon.url],
        check=True, capture_output=True, timeout=90,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
    )  # fmt: skip
    wait_until(lambda: len(rig.records()) >= 8, 60.0)
    rig.daemon.kill()
    rig.daemon.start()
    rig.connect()
    rig.await_status("RUNNING")
    due = set(rig.expected())
    wait_until(lambda: due <= {key_of(record) for record in rig.records()}, 60.0)
    rig.rekognition.stop_stream_processor(Name="cam")
    rig.await_status("STOPPED")

    told = events_of(rig)
    kinds = Counter(event["Event"] for event in told)
    assert (kinds["enter"], kinds["exit"]) == (1, 1), told
    assert {event["Person"]["Name"] for event in told} == {"Eileen-Collins"}
    assert len({event["VisitId"] for event in told}) == 1
    assert told[-1]["Reason"] == "stopped"
    # As many as there are records, but for those before the first and behind the last one kept.
    assert 5.0 <= told[-1]["DurationSeconds"] <= 6.0
