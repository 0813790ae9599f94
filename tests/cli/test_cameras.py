"""streamproc cameras: the daemon's own, and a look through any other."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from streamproc.cli.camera_tables import camera_table, sight_facts
from streamproc.cli.demo_video import FPS, encode, scene
from streamproc.cli.main import app
from tests.conftest import CREDENTIALS, DaemonProcess, wait_until

OFF = "rtsp://viewer:ge-heim@127.0.0.1:9/cam"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the demo's scene, a keyframe a second."""
    file = tmp_path_factory.mktemp("film") / "scene.mp4"
    encode(file, (scene(number / FPS) for number in range(3 * FPS)))
    return file


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, film: Path) -> Iterator[DaemonProcess]:
    """A daemon of two cameras: one that plays, and one that is off."""
    process = DaemonProcess(
        tmp_path_factory.mktemp("cameras") / "data", "--engine", "dlib",
        "--set", f"cameras.film.url={film}", "--set", f"cameras.off.url={OFF}",
    )  # fmt: skip
    yield process.start()
    process.kill()


def run(*arguments: object, url: str = "http://127.0.0.1:9") -> Result:
    return CliRunner(env=dict.fromkeys(("COLUMNS", "FORCE_COLOR", "NO_COLOR"))).invoke(
        app,
        ["cameras", *(str(argument) for argument in arguments)],
        env={"AWS_ENDPOINT_URL": url, **CREDENTIALS},
    )


def test_the_daemon_s_cameras_as_a_table_and_as_json(
    watched: DaemonProcess, film: Path, said: Callable[[Result], list[str]]
) -> None:
    def listed() -> dict[str, dict[str, Any]]:
        document = json.loads("\n".join(said(run("--json", url=watched.url))))
        return {each["Name"]: each for each in document["Cameras"]}

    wait_until(
        lambda: (
            listed()["film"].get("LastFragmentTimestamp")
            and listed()["off"]["Status"] == "RETRYING"
        ),
        60,
        lambda: watched.log,
    )
    found = listed()
    assert found["film"]["Status"] == "LIVE"
    assert found["film"]["Url"] == str(film)
    assert found["film"]["LastFragmentTimestamp"].endswith("Z")
    assert "Codec" not in found["off"]
    heading, *rows = said(run("list", url=watched.url))
    assert heading.split()[:4] == ["name", "status", "stream", "video"]
    assert rows[0].split()[:5] == ["film", "LIVE", "film", "h264", "960x540,"]
    assert "nothing answers at 127.0.0.1:9" in rows[1]
    assert "ge-heim" not in "".join(rows) + watched.log


def test_a_daemon_without_cameras_says_how_to_give_it_one(
    shell: Callable[..., Result], said: Callable[[Result], list[str]]
) -> None:
    [line] = said(shell("cameras"))
    assert "[cameras.door]" in line
    assert json.loads(shell("cameras", "--json").stdout) == {"Cameras": []}


def test_check_says_what_it_sees(film: Path, said: Callable[[Result], list[str]]) -> None:
    lines = said(run("check", film, "--seconds", 2))
    assert lines[1].split(maxsplit=1) == ["video", "h264 960x540, 25 fps"]
    assert lines[2].startswith("measured     25.0 pictures")
    assert "a keyframe every 1.0 s" in lines[2]
    assert lines[3].endswith("none: it is sent as it is")
    sight = json.loads("\n".join(said(run("check", film, "--seconds", 2, "--json"))))
    assert (sight["Codec"], sight["Width"], sight["Height"]) == ("h264", 960, 540)
    assert sight["KeyframeSeconds"] == pytest.approx(1.0, abs=0.01)
    assert sight["Transcoding"] is sight["NeedsTranscode"] is False


def test_check_takes_the_url_from_a_file(
    tmp_path: Path, film: Path, said: Callable[[Result], list[str]]
) -> None:
    url_file = tmp_path / "door.url"
    url_file.write_text(f"\ufeff{film}\r\n", "utf-8")
    assert said(run("check", "--url-file", url_file, "--seconds", 1))[0].endswith(str(film))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([OFF], "nothing answers at 127.0.0.1:9: is the camera on"),
        (["rtsp://viewer:ge-heim@nowhere.invalid/cam"], "the host nowhere.invalid is not known"),
        (["ftp://viewer:ge-heim@127.0.0.1/cam"], "ftp:// is not read"),
        (["viewer:ge-heim@127.0.0.1/cam"], "does not begin with rtsp://"),
        (["/no/such/film.mp4"], "/no/such/film.mp4"),
        (["--url-file", "/no/such/file"], "/no/such/file cannot be read"),
        ([], "give either the source, such as a camera's URL, or --url-file"),
        ([OFF, "--url-file", "x"], "give either the source, such as a camera's URL, or"),
    ],
)
def test_check_says_in_words_why_it_sees_nothing(
    arguments: list[str], told: str, refusal: Callable[[Result], str]
) -> None:
    words = refusal(run("check", *arguments))
    assert told in words
    assert "ge-heim" not in words
    assert "\n" not in words


def test_tables_speak_of_what_people_ask() -> None:
    def printed(shown: Any) -> str:
        console = Console(width=200)
        with console.capture() as captured:
            console.print(shown)
        return captured.get()

    live = {
        "Name": "door", "Url": "rtsp://u:***@door/1", "StreamName": "front", "Status": "LIVE",
        "StatusMessage": "Processor door is left as it is.", "Codec": "mjpeg", "Width": 640,
        "Height": 480, "FramesPerSecond": 12.5, "BytesPerSecond": 123_456.0, "Transcoding": True,
        "LastFragmentTimestamp": 100.0,
    }  # fmt: skip
    row = printed(camera_table([live], 103.0)).splitlines()[1]
    assert "mjpeg 640x480, 12.5 fps as H.264" in row
    assert "123.5 kB/s" in row
    assert "3 s ago" in row
    assert "left as it is" in row
    sight = {
        "Url": "x", "Codec": "mpeg4", "Width": 640, "Height": 480, "FramesPerSecond": None,
        "FramesPerSecondMeasured": 12.4, "BytesPerSecond": 1e6, "KeyframeSeconds": None,
        "Transcoding": True, "NeedsTranscode": True, "LeftOut": ["aac audio"],
    }  # fmt: skip
    told = printed(sight_facts(sight))
    assert "transcode = true" in told
    assert "aac audio" in told
    assert "keyframe" not in told
