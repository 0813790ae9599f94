"""streamproc watch where something is wrong. That it works, a newcomer shows
(tests/end_to_end/test_newcomer.py)."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import CREDENTIALS, wait_until
from tests.decode.clips import film


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    file = tmp_path / "clip.mkv"
    file.write_bytes(film().file)
    return file


def test_what_is_not_there_is_told_before_anything_is_made(
    shell: Any, refusal: Any, clip: Path, daemon: Any
) -> None:
    before = daemon.client("rekognition").list_collections()["CollectionIds"]
    assert refusal(shell("watch", clip, "--know", "none.jpg=ann", "--collection", "new")) == (
        "--know none.jpg=ann: there is no photo none.jpg; write PHOTO=NAME"
    )
    assert refusal(shell("watch", "none.mp4", "--collection", "new")) == (
        "there is no none.mp4; give a file, a camera's URL or webcam:0"
    )
    assert "secret" not in refusal(shell("watch", "ftp://me:secret@host/x", "--collection", "new"))
    assert daemon.client("rekognition").list_collections()["CollectionIds"] == before


def test_a_photo_without_a_face_ends_it(
    shell: Any, refusal: Any, clip: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "wall.png"
    cv2.imwrite(str(photo), np.full((200, 200, 3), 90, np.uint8))
    words = refusal(shell("watch", clip, "--know", f"{photo}=ann"))
    assert words.startswith(f"{photo}: no face was found; take one that shows the face")


def test_a_processor_of_that_name_for_something_else_is_left_alone(
    shell: Any, said: Any, refusal: Any, clip: Path, daemon: Any
) -> None:
    said(shell("processors", "create", "taken", "--collection", "others"))
    words = refusal(shell("watch", clip, "--name", "taken", "--collection", "family"))
    assert words == (
        "there is a processor taken already, which looks for others on stream taken; choose "
        "another --name"
    )
    described = daemon.client("rekognition").describe_stream_processor(Name="taken")
    assert described["Status"] == "STOPPED"


def test_a_source_that_is_no_video_is_told_by_who_sends_it(
    shell: Any, refusal: Any, tmp_path: Path, capfd: Any
) -> None:
    letter = tmp_path / "letter.mp4"
    letter.write_text("dear ann")
    result = shell("watch", letter, "--name", "letter")
    assert refusal(result) == f"{letter} was not sent; the line above says why"
    assert "letter.mp4" in result.stderr


def test_a_password_is_in_no_command_line(tmp_path: Path, daemon: Any) -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("there is no /proc to look into")
    with socket.create_server(("127.0.0.1", 0)) as camera:
        holds = tmp_path / "door.url"
        holds.write_text(f"rtsp://viewer:ge-heim@127.0.0.1:{camera.getsockname()[1]}/cam\n")
        watching = subprocess.Popen(
            [sys.executable, "-m", "streamproc", "watch", "--url-file", holds, "--name", "hidden"],
            env={**os.environ, "AWS_ENDPOINT_URL": daemon.url, **CREDENTIALS},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            lines = wait_until(lambda: _children_of(watching.pid), 60)
            camera.settimeout(60)
            camera.accept()[0].close()  # so the URL has arrived
        finally:
            os.killpg(watching.pid, signal.SIGKILL)  # what it has started goes with it
            output, _ = watching.communicate(timeout=60)
    assert any("put-media" in line for line in lines)
    assert "ge-heim" not in " ".join(lines) + output
    assert "rtsp://viewer:***@127.0.0.1" in output


def _children_of(pid: int) -> list[str]:
    """Their command lines."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = [Path(f"/proc/{child}/cmdline").read_bytes().decode() for child in children]
    return [line.replace("\0", " ") for line in lines if "put-media" in line]


def test_it_needs_events_and_aws_has_none(shell: Any, refusal: Any, clip: Path) -> None:
    words = refusal(shell("watch", clip, "--endpoint-url", "aws"))
    assert words.startswith("watch needs a streamproc")
