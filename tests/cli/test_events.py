"""streamproc events, against a live daemon, and what it says of each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamproc.cli.events import event_words
from streamproc.model.event import EventKind
from tests.conftest import CREDENTIALS, wait_until

PERSON = {"Name": "alice", "Known": True, "Similarity": 97.25}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"Event": "enter", "Person": PERSON}, "alice (97.2 %) came"),
        ({"Event": "enter", "Person": {"Name": "unknown-7"}}, "unknown-7 came"),
        (
            {"Event": "exit", "Person": PERSON, "DurationSeconds": 61.7, "Reason": "left"},
            "alice (97.2 %) went after 62 s",
        ),
        (
            {"Event": "exit", "Person": PERSON, "DurationSeconds": 3.0, "Reason": "video-lost"},
            "alice (97.2 %) went after 3 s (video-lost)",
        ),
        (
            {"Event": "exit", "Person": {"Name": "unknown-7"}, "Reason": "merged"},
            "unknown-7 is counted with somebody who is there already",
        ),
        (
            {"Event": "update", "Person": PERSON, "Change": "identified", "WasName": "unknown-7"},
            "unknown-7 is alice (97.2 %)",
        ),
        (
            {"Event": "update", "Person": PERSON, "Change": "progress"},
            "alice (97.2 %) is still there",
        ),
        ({"Event": "state", "Status": "RUNNING"}, "is RUNNING"),
        (
            {"Event": "state", "Status": "FAILED", "StatusMessage": "Collection not found"},
            "is FAILED: Collection not found",
        ),
    ],
)
def test_what_happened_is_said_in_words(event: dict[str, Any], words: str) -> None:
    assert event["Event"] in set(EventKind)
    assert event_words(event) == words


@pytest.fixture
def processor(shell: Any, said: Any) -> Any:
    """Create, start and stop a processor of this name: four states."""

    def live(name: str) -> None:
        said(shell("processors", "create", name, "--collection", "people", "--start", "--wait"))
        said(shell("processors", "stop", name, "--wait"))

    return live


def test_the_latest_come_in_their_order(shell: Any, said: Any, processor: Any) -> None:
    processor("told")
    heading, *rows = said(shell("events", "--processor", "told"))
    assert heading.split() == ["time", "processor", "event"]
    assert [row.split(maxsplit=4)[2:] for row in rows] == [
        ["told", "state", "is STOPPED"],
        ["told", "state", "is STARTING"],
        ["told", "state", "is RUNNING"],
        ["told", "state", "is STOPPING"],
        ["told", "state", "is STOPPED"],
    ]
    assert len(said(shell("events", "--most", 2))) == 3
    assert said(shell("events", "--processor", "told", "--kind", "enter")) == [
        "nothing has happened yet; see what does with: streamproc events --follow"
    ]


def test_json_is_what_the_operation_answers(shell: Any, processor: Any) -> None:
    processor("as-json")
    found = json.loads(shell("events", "--processor", "as-json", "--json").stdout)["Events"]
    assert [event["Status"] for event in found][-2:] == ["STOPPING", "STOPPED"]
    assert [event["Id"] for event in found] == sorted(event["Id"] for event in found)
    assert found[-1].keys() >= {"Id", "Event", "At", "Region", "Processor", "PreviousStatus"}


def test_a_filter_by_kind_looks_further_back(
    shell: Any, said: Any, processor: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("streamproc.cli.events._PAGE", 2)
    processor("deep")
    rows = said(shell("events", "--processor", "deep", "--kind", "state", "--most", 4))
    assert [row.split()[-1] for row in rows[1:]] == ["STARTING", "RUNNING", "STOPPING", "STOPPED"]


def test_a_processor_that_never_was_is_answered_with_the_nearest(
    shell: Any, refusal: Any, said: Any, processor: Any
) -> None:
    processor("hallway")
    words = refusal(shell("events", "--processor", "halway"))
    assert words == "there is no processor halway; did you mean hallway?"
    said(shell("processors", "delete", "hallway"))
    assert said(shell("events", "--processor", "hallway"))  # its events are still there


def test_followed_they_come_as_they_happen_one_object_a_line(
    shell: Any, said: Any, daemon: Any, processor: Any
) -> None:
    said(shell("processors", "create", "followed", "--collection", "people"))
    follower = subprocess.Popen(
        [sys.executable, "-m", "streamproc", "events", "--follow", "--json", "--most", "1",
         "--processor", "followed", "--endpoint-url", daemon.url, "--region", "us-east-1"],
        stdout=subprocess.PIPE, text=True, env=CREDENTIALS,
    )  # fmt: skip
    try:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["Status"] == "STOPPED"
        said(shell("processors", "start", "followed", "--wait"))
        assert json.loads(follower.stdout.readline())["Status"] == "STARTING"
        assert json.loads(follower.stdout.readline())["Status"] == "RUNNING"
        follower.send_signal(2)  # Ctrl-C
        wait_until(lambda: follower.poll() is not None, 60.0)
        assert follower.returncode == 130
    finally:
        follower.kill()
        follower.communicate()


def test_a_daemon_that_comes_back_is_followed_on(
    start_daemon: Any, tmp_path: Path, shell: Any, said: Any
) -> None:
    first = start_daemon("--port", "0")
    port = first.url.rsplit(":", 1)[1]
    follower = subprocess.Popen(
        [sys.executable, "-m", "streamproc", "events", "--follow", "--json",
         "--endpoint-url", first.url, "--region", "us-east-1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CREDENTIALS,
    )  # fmt: skip
    try:
        assert follower.stdout is not None
        assert follower.stderr is not None
        here = {"AWS_ENDPOINT_URL": first.url}
        said(shell("processors", "create", "one", "--collection", "people", **here))
        assert json.loads(follower.stdout.readline())["Processor"] == "one"
        first.kill()
        assert follower.stderr.readline().rstrip().endswith("; waiting for it")
        start_daemon("--port", port)
        said(shell("processors", "create", "two", "--collection", "people", **here))
        assert json.loads(follower.stdout.readline())["Processor"] == "two"
    finally:
        follower.kill()
        follower.communicate()
