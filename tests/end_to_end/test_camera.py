"""A real camera, read by the daemon itself: from its URL to recognised faces, and back again
after its plug was pulled."""

import asyncio
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from streamproc.cli.access import find_access
from streamproc.cli.own_operations import call
from tests.end_to_end.conftest import Rig
from tests.end_to_end.policed import policed_daemon
from tests.peers.rtsp_server import RtspServer, skip_without_rtsp_server

PASSWORD = "ge%40heim7"  # as it stands in a URL; the camera has ge@heim7
DOWN_S = 6.0
BACK_WITHIN_S = 10.0  # from the camera's first answer to the first new match
RUNNING = {"STARTING", "RUNNING"}


@pytest.fixture
def camera(clip: Path) -> Iterator[RtspServer]:
    """Plays Eileen Collins, for whoever knows the password."""
    skip_without_rtsp_server()
    with RtspServer(clip, user="viewer", password="ge@heim7") as server:
        yield server


def cameras_of(daemon: Any) -> dict[str, dict[str, Any]]:
    """As ListStreamprocCameras lists them, by name."""

    async def listed() -> dict[str, Any]:
        return await call(await find_access(daemon.url, "us-east-1"), "ListStreamprocCameras", {})

    return {each["Name"]: each for each in asyncio.run(listed())["Cameras"]}


def matches(rig: Any, stream: str = "door-faces") -> list[dict[str, Any]]:
    """The records with a recognised face."""
    return [
        record
        for record in rig.records(stream)
        if any(face["MatchedFaces"] for face in record["FaceSearchResponse"])
    ]


def is_recognised(rig: Any, stream: str = "door-faces") -> list[dict[str, Any]]:
    """The same, or none while the stream is still to be made."""
    try:
        return matches(rig, stream)
    except rig.kinesis.exceptions.ResourceNotFoundException:
        return []


def pulled_and_plugged_in_again(
    camera: RtspServer, rig: Any, wait_until: Callable[..., Any], stream: str = "door-faces"
) -> float:
    """How many seconds after it is back its first new face is recognised."""
    camera.kill()
    before = max(_produced(record) for record in matches(rig, stream))
    wait_until(lambda: "nothing answers at 127.0.0.1" in rig.daemon.log, 60)
    time.sleep(DOWN_S)  # so many that the camera is not asked every moment any more
    camera.start()
    began_s, began = time.time(), time.monotonic()

    def comes_back() -> bool:
        produced = [_produced(record) for record in matches(rig, stream)]
        return any(at > max(before, began_s - 1) for at in produced)

    wait_until(comes_back, 60)
    return time.monotonic() - began


def _produced(record: dict[str, Any]) -> float:
    video = record["InputInformation"]["KinesisVideo"]
    return float(video["ProducerTimestamp"]) + float(video["FrameOffsetInSeconds"])


def test_a_camera_is_recognised_and_comes_back_by_itself(
    camera: RtspServer, start_daemon: Callable[..., Any], run_cli: Callable[..., Any],
    wait_until: Callable[..., Any], eileen_png: bytes, tmp_path: Path,
) -> None:  # fmt: skip
    url_file = tmp_path / "door.url"
    url_file.write_text(f"rtsp://viewer:{PASSWORD}@127.0.0.1:{camera.port}/cam\n")
    daemon = start_daemon(
        "--set", f"cameras.door.url_file={url_file}", "--set", "cameras.door.collection=people",
        "--set", "cameras.door.retention_hours=2",
    )  # fmt: skip
    rig = Rig(daemon, wait_until)
    rig.rekognition.create_collection(CollectionId="people")
    rig.enrol(eileen_png, "eileen")

    wait_until(lambda: is_recognised(rig), 60, lambda: rig.daemon.log)
    told = cameras_of(rig.daemon)["door"]
    assert told["Status"] == "LIVE"
    assert told["Url"] == f"rtsp://viewer:***@127.0.0.1:{camera.port}/cam"
    assert (told["Codec"], told["Width"], told["Height"]) == ("h264", 960, 540)
    assert told["Transcoding"] is False
    assert told["Fragments"] >= 1
    assert told["ProcessorName"] == "door"
    stream = rig.kinesisvideo.describe_stream(StreamName="door")["StreamInfo"]
    assert stream["DataRetentionInHours"] == 2
    [face] = {
        match["Face"]["ExternalImageId"]
        for record in matches(rig)
        for found in record["FaceSearchResponse"]
        for match in found["MatchedFaces"]
    }
    assert face == "eileen"

    took_s = pulled_and_plugged_in_again(camera, rig, wait_until)
    assert took_s <= BACK_WITHIN_S
    assert cameras_of(rig.daemon)["door"]["Reconnects"] >= 1

    # What a person stopped stays stopped, over a restart too; the camera goes on.
    rig.rekognition.stop_stream_processor(Name="door")
    rig.await_status("STOPPED", "door")
    assert rig.daemon.stop() == 0
    rig.daemon.start()
    rig.connect()
    wait_until(
        lambda: cameras_of(rig.daemon)["door"]["Status"] == "LIVE", 60, lambda: rig.daemon.log
    )
    assert rig.status("door") == "STOPPED"

    _assert_nowhere(rig, run_cli, tmp_path, ("ge%40heim7", "ge@heim7"))


def _assert_nowhere(
    rig: Any, run_cli: Callable[..., Any], tmp_path: Path, secrets: tuple[str, ...]
) -> None:
    """The password is in no log, no listing, no command line and no backup."""
    done = run_cli("backup", str(tmp_path / "copy.tar"), "--data-dir", str(rig.daemon.data_dir))
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "copy.tar") as archive:
        kept = b"".join(
            file.read() for member in archive if (file := archive.extractfile(member)) is not None
        )
    listing = run_cli("cameras", "--endpoint-url", rig.daemon.url).stdout
    pid = rig.daemon.process.pid
    commands = [
        path.read_bytes()
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.parent.name == str(pid) or _parent(path.parent) == pid
    ]
    for secret in secrets:
        assert secret not in rig.daemon.log
        assert secret not in listing
        assert secret.encode() not in kept
        assert secret.encode() not in b"".join(commands)


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended meanwhile
        return 0


def test_ten_cameras_of_which_three_are_off(
    camera: RtspServer, start_daemon: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    well = f"rtsp://viewer:{PASSWORD}@127.0.0.1:{camera.port}/cam"
    urls = {f"cam{number}": well for number in range(7)}
    urls["off"] = f"rtsp://viewer:{PASSWORD}@127.0.0.1:9/cam"
    urls["stranger"] = f"rtsp://viewer:wrong-one@127.0.0.1:{camera.port}/cam"
    urls["moved"] = f"rtsp://viewer:{PASSWORD}@127.0.0.1:{camera.port}/other"
    options = [
        option for name, url in urls.items() for option in ("--set", f"cameras.{name}.url={url}")
    ]
    daemon = start_daemon(*options)

    def settled() -> bool:
        found = cameras_of(daemon)
        return (
            all(found[name]["Fragments"] > 0 for name in urls if name.startswith("cam"))
            and found["off"]["Status"] == "RETRYING"
            and {found["stranger"]["Status"], found["moved"]["Status"]} == {"REFUSED"}
        )

    wait_until(settled, 60, lambda: f"{cameras_of(daemon)} {daemon.log}")
    found = cameras_of(daemon)
    assert {found[f"cam{number}"]["Status"] for number in range(7)} == {"LIVE"}
    assert "is the camera on" in found["off"]["StatusMessage"]
    assert "user name and password" in found["stranger"]["StatusMessage"]
    assert "path" in found["moved"]["StatusMessage"]
    assert "heim7" not in json.dumps(found) + daemon.log
    assert "wrong-one" not in json.dumps(found) + daemon.log
    assert daemon.stop() == 0  # however many are off, the end is not held up


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://viewer:ge-heim@door/cam", "config key cameras.door.url"),
        ("viewer:ge-heim@door/cam", "config key cameras.door.url"),
        ("rtsp://viewer:ge-heim@", "config key cameras.door.url"),
    ],
)
def test_a_wrong_url_is_refused_at_the_start(url: str, told: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamproc", "serve", "--port", "0", "--engine", "dlib",
         "--data-dir", str(tmp_path / "data")],
        capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, "STREAMPROC_CAMERAS__DOOR__URL": url},
    )  # fmt: skip
    assert done.returncode == 1
    assert told in done.stderr
    assert "ge-heim" not in done.stderr + done.stdout


def test_cameras_need_no_key_where_everybody_else_does(
    clip: Path, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    door = {"url": str(clip), "collection": "people", "retention_hours": 1}  # kept, to be listed
    cameras = {"door": door}
    with policed_daemon(tmp_path / "data", cameras=cameras) as policed:
        key = policed.key({"Effect": "Allow", "Action": "*", "Resource": "*"})
        archive = policed.client("kinesis-video-archived-media", key)
        rekognition = policed.client("rekognition", key)
        video = policed.client("kinesisvideo", key)

        def fragments() -> Any:
            if not video.list_streams()["StreamInfoList"]:
                return []
            return archive.list_fragments(StreamName="door")["Fragments"]

        wait_until(fragments, 60)
        wait_until(lambda: rekognition.list_stream_processors()["StreamProcessors"], 60)
        # Nobody made its collection yet; then the processor starts by itself.
        assert rekognition.describe_stream_processor(Name="door")["Status"] == "STOPPED"
        rekognition.create_collection(CollectionId="people")
        wait_until(
            lambda: rekognition.describe_stream_processor(Name="door")["Status"] in RUNNING, 60
        )


def test_a_camera_may_lead_to_a_service_elsewhere(
    clip: Path, start_daemon: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    there = start_daemon(name="there")
    start_daemon(
        "--set", f"cameras.door.url={clip}", "--set", "cameras.door.retention_hours=1",
        "--set", f"endpoints.kinesisvideo={there.url}", name="here",
    )  # fmt: skip
    video = there.client("kinesisvideo")
    wait_until(lambda: video.list_streams()["StreamInfoList"], 60)
    archive = there.client("kinesis-video-archived-media")
    wait_until(lambda: archive.list_fragments(StreamName="door")["Fragments"], 60)


def test_a_recording_of_a_real_person_as_a_camera(
    testdata: Path, rig_with: Callable[..., Any], wait_until: Callable[..., Any],
) -> None:  # fmt: skip
    skip_without_rtsp_server()
    film = testdata / "kvs" / "vogels_480.mkv"
    with RtspServer(film) as camera:
        rig = rig_with(
            "--set", f"engine.pack={testdata / 'models' / 'mbf_arcface'}",
            "--set", f"cameras.door.url={camera.url}", "--set", "cameras.door.collection=people",
        )  # fmt: skip
        rig.enrol(_picture_at(film, 22.0), "speaker")
        wait_until(lambda: is_recognised(rig), 120, lambda: rig.daemon.log)
        assert {
            match["Face"]["ExternalImageId"]
            for record in matches(rig)
            for found in record["FaceSearchResponse"]
            for match in found["MatchedFaces"]
        } == {"speaker"}


def _picture_at(film: Path, time_s: float) -> bytes:
    """One picture of the film, as PNG."""
    with av.open(film) as container:
        for frame in container.decode(video=0):
            if frame.time >= time_s:
                picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                return bytes(cv2.imencode(".png", picture)[1].tobytes())
    raise AssertionError(f"{film} is shorter than {time_s} s")
