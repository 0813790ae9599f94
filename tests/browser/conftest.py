"""A daemon with a camera on it, and a browser that looks at its console."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import pytest

from streamproc.cli.demo_video import EILEEN, FPS, encode, scene
from tests.peers.browser import DESKTOP, Tab, chromium, save_screenshot

ROOT = Path(__file__).resolve().parent.parent.parent
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
CLIP_S, SLOWNESS = 8, 0.25


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def eileen_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in which Eileen Collins, and nobody else, is in view all the time: of the demo's
    people only her picture is in the public domain, and the docs show what the tests see."""
    file = tmp_path_factory.mktemp("clip") / "eileen.mp4"
    encode(file, (scene(0.8 + number / FPS * SLOWNESS) for number in range(CLIP_S * FPS)))
    return file


@contextmanager
def camera(url: str, clip: Path, stream: str) -> Iterator[None]:
    """Sends the clip to a stream, over and over, until the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamproc", "put-media", str(clip), "--stream", stream,
         "--loop", "--endpoint-url", url],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **CREDENTIALS},
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(name="camera")
def _camera() -> Callable[..., Any]:
    return camera


@pytest.fixture(scope="session")
def portrait() -> bytes:
    """Eileen Collins, as one would enrol her."""
    return bytes(cv2.imencode(".png", EILEEN.portrait())[1].tobytes())


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photos as people have them: of one face, three, none, upside down, and no photo at all."""
    folder = tmp_path_factory.mktemp("photos")
    one = EILEEN.portrait()
    wall = scene(0.0)
    made = {
        "one": one,
        "three": cv2.hconcat([one, cv2.flip(one, 1), one]),
        "none": wall,
        "upside-down": cv2.rotate(one, cv2.ROTATE_180),
        "on-its-side": cv2.rotate(one, cv2.ROTATE_90_CLOCKWISE),
        "tiny": cv2.resize(one, (24, 24), interpolation=cv2.INTER_AREA),
    }
    files = {name: folder / f"{name}.png" for name in made}
    for name, picture in made.items():
        assert cv2.imwrite(str(files[name]), picture)
    files["text"] = folder / "letter.txt"
    files["text"].write_text("Dear streamproc")
    files["broken"] = folder / "broken.png"
    files["broken"].write_bytes(files["one"].read_bytes()[:100])
    return files


@pytest.fixture
def open_tab(browser: Any) -> Iterator[Callable[..., Tab]]:
    """Open the console of a daemon; errors of its pages fail the test."""
    opened: list[Tab] = []

    def start(url: str, size: tuple[int, int] = DESKTOP, **options: Any) -> Tab:
        opened.append(Tab(browser, url, size, **options))
        return opened[-1]

    yield start
    errors = [error for tab in opened for error in tab.errors]
    for tab in opened:
        tab.context.close()
    assert not errors, errors


@pytest.fixture(scope="session")
def photograph() -> Callable[[Any, str], None]:
    """Take a page's picture for the docs, where STREAMPROC_SCREENSHOTS names a folder for them.

    STREAMPROC_SCREENSHOTS=docs/images pytest tests/browser
    """
    folder = os.environ.get("STREAMPROC_SCREENSHOTS")

    def take(page: Any, name: str) -> None:
        if folder:
            save_screenshot(page, ROOT / folder / f"{name}.png")

    return take
