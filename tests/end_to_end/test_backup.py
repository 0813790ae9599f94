"""A backup of a daemon in full work, and a daemon that goes on with it elsewhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamproc.audit.verify import verify
from tests.conftest import CREDENTIALS

CALM = ("--set", "processors.analysis_fps=1", "--set", "processors.analysis_fps_min=1")
COLLECTION = "arn:aws:rekognition:us-east-1:000000000000:collection/people"


@contextmanager
def producing(rig: Any, clip: Path) -> Iterator[None]:
    """A camera that never stops."""
    camera = subprocess.Popen(
        [sys.executable, "-m", "streamproc", "put-media", str(clip), "--stream", "cam", "--loop",
         "--endpoint-url", rig.daemon.url],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **CREDENTIALS},
    )  # fmt: skip
    try:
        yield
    finally:
        camera.kill()
        camera.wait()


def fragments(rig: Any) -> set[str]:
    archive = rig.daemon.client("kinesis-video-archived-media")
    pages = archive.get_paginator("list_fragments").paginate(StreamName="cam")
    return {item["FragmentNumber"] for page in pages for item in page["Fragments"]}


def media(rig: Any, numbers: list[str]) -> bytes:
    archive = rig.daemon.client("kinesis-video-archived-media")
    answer = archive.get_media_for_fragment_list(StreamName="cam", Fragments=numbers)
    return bytes(answer["Payload"].read())


def found(rig: Any, picture: bytes) -> list[tuple[str, float]]:
    answer = rig.rekognition.search_faces_by_image(CollectionId="people", Image={"Bytes": picture})
    return [(match["Face"]["FaceId"], match["Similarity"]) for match in answer["FaceMatches"]]


def test_a_daemon_goes_on_elsewhere_from_a_backup_made_in_full_work(
    rig_with: Any, eileen_png: bytes, clip: Path, run_cli: Any, wait_until: Any,
    start_daemon: Any, every_frame: tuple[str, ...], tmp_path: Path,
) -> None:  # fmt: skip
    rig = rig_with(*CALM, engine="dlib")
    face_id = rig.enrol(eileen_png, "Eileen")
    rig.rekognition.tag_resource(ResourceArn=COLLECTION, Tags={"floor": "2"})
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    with producing(rig, clip):
        wait_until(lambda: len(rig.records()) >= 3, 120)
        before = {record["RecordId"] for record in rig.records()}
        numbers = fragments(rig)
        some = sorted(numbers, key=int)[:3]
        bytes_of_some = media(rig, some)
        similar = found(rig, eileen_png)
        file = tmp_path / "backup.tar"
        done = run_cli("backup", str(file), "--data-dir", str(rig.daemon.data_dir))
        assert done.returncode == 0, done.stderr
        refused = run_cli("restore", str(file), "--force", "--data-dir", str(rig.daemon.data_dir))
        assert "belongs to a running streamproc" in refused.stderr
        rig.daemon.kill()

    restored = tmp_path / "elsewhere"
    done = run_cli("restore", str(file), "--data-dir", str(restored))
    assert done.returncode == 0, done.stderr
    rig.daemon = start_daemon(*every_frame, *CALM, name="elsewhere", engine="dlib")
    rig.connect()
    rig.await_status("RUNNING")  # by itself: it should run

    assert [face_id] == [face for face, _ in similar]
    assert found(rig, eileen_png) == similar
    assert rig.rekognition.list_tags_for_resource(ResourceArn=COLLECTION)["Tags"] == {"floor": "2"}
    assert numbers <= fragments(rig)
    assert media(rig, some) == bytes_of_some

    due = {key for key in rig.expected(fps=1.0) if key[0] in numbers}

    def arrived() -> set[str]:
        return {record["RecordId"] for record in rig.records()}

    def missing() -> set[tuple[str, float]]:
        there = set()
        for record in rig.records():
            seen = record["InputInformation"]["KinesisVideo"]
            there.add((seen["FragmentNumber"], seen["FrameOffsetInSeconds"]))
        return due - there

    assert before <= arrived()
    wait_until(lambda: not missing(), 120, missing)

    # And what comes now is new: a number is never given twice.
    kept = fragments(rig)
    sent = run_cli(
        "put-media", str(clip), "--stream", "cam", "--fast", "--endpoint-url", rig.daemon.url
    )
    assert sent.returncode == 0, sent.stderr
    new = fragments(rig) - kept
    assert len(new) == 6
    assert min(map(int, new)) > max(map(int, kept))
    assert rig.daemon.stop() == 0
    verify(restored / "audit")
