"""Somebody new follows README.md, and nothing else, to their own face."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from streamproc.cli.demo_video import EILEEN, FPS, encode, scene
from streamproc.data_folder import endpoint_of
from tests.conftest import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
TITLE = "Your own face in five minutes"


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    """What README.md tells the newcomer to type, block by block."""
    readme = (ROOT / "README.md").read_text()
    section = re.search(rf"^## {TITLE}$(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    assert section, f"README.md has no section {TITLE}"
    return re.findall(r"^```bash\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What lies in front of the newcomer: the environment, a photo and a video of themselves."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    cv2.imwrite(str(tmp_path / "me.jpg"), EILEEN.portrait())
    pictures = (scene(0.8 + number / FPS * 0.5) for number in range(5 * FPS))
    encode(tmp_path / "visit.mp4", pictures)
    return tmp_path


@pytest.fixture
def terminal(clone: Path) -> Iterator[Any]:
    """Opens a shell in the clone, on a free port and a data folder of its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_")
    } | {
        "STREAMPROC_SERVER__PORT": "0",
        "STREAMPROC_STORAGE__DATA_DIR": str(clone / "data"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    opened: list[subprocess.Popen[str]] = []

    def run(commands: str, **more: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            ["bash", "-e", "-c", commands], cwd=clone, env=environment | more, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        opened.append(process)
        return process

    yield run
    for process in opened:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_newcomer_sees_their_own_name(blocks: list[str], clone: Path, terminal: Any) -> None:
    serve, watch, look = blocks
    daemon = terminal(serve)

    def answers() -> str | None:
        assert daemon.poll() is None, daemon.stdout.read()
        return endpoint_of(clone / "data")

    url = wait_until(answers, 90.0)

    def typed(commands: str) -> str:
        process = terminal(commands, AWS_ENDPOINT_URL=url)
        printed, _ = process.communicate(timeout=180)
        assert process.returncode == 0, printed
        return str(printed)

    # This machine has no webcam: the line for one is the other line but for the source.
    webcam = next(line for line in watch.splitlines() if "webcam:0" in line)
    without = watch.replace(f"{webcam}\n", "")
    command, other = (re.sub(r"\s+#.*", "", line) for line in (webcam, without.splitlines()[-1]))
    assert command.replace("webcam:0", "visit.mp4") == other

    printed = typed(without)
    assert re.search(r"^[-\d]+ [:\d]+  watch  me \(\d+\.\d %\) came$", printed, re.MULTILINE)
    assert re.search(r"^recognised: me$", printed, re.MULTILINE)
    # Shells of people stay open; each of these is a new one.
    activated = f". .venv/bin/activate\n{look}"
    printed = typed(activated)
    assert re.search(r"^watch +RUNNING ", printed, re.MULTILINE)
    assert re.search(r"^me +1 +1$", printed, re.MULTILINE)
    assert re.search(r"  watch +enter +me \(", printed)
