"""Pictures of seen faces: in memory, and on disk for exactly as long as the config says."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamproc.events.pictures import FacePictures, Owner, face_jpeg, remove_all
from streamproc.model.face import BoundingBox
from streamproc.model.media import Image

REGION = "us-east-1"
ALICE = Owner(REGION, "people", "face-1")
STRANGER = Owner(REGION)


class Time:
    now = 1_000_000.0


@pytest.fixture
def kept(tmp_path: Path) -> FacePictures:
    return FacePictures(tmp_path / "faces-seen", 3600.0, lambda: Time.now)


def files(folder: Path) -> list[str]:
    seen = folder / "faces-seen"
    return sorted(file.name for file in seen.glob("*/*"))


async def test_nothing_reaches_the_disk_unless_that_is_wanted(tmp_path: Path) -> None:
    pictures = FacePictures(None, 0.0, lambda: Time.now)
    pictures.put("v1", STRANGER, b"jpeg")
    assert await pictures.get("v1", REGION) == b"jpeg"
    assert await pictures.get("v1", "eu-west-1") is None
    assert await pictures.get("v2", REGION) is None
    assert list(tmp_path.iterdir()) == []


async def test_memory_is_bounded_and_the_oldest_go() -> None:
    pictures = FacePictures(None, 0.0, lambda: Time.now)
    for number in range(100):
        pictures.put(f"v{number}", STRANGER, bytes(1024 * 1024))
    assert await pictures.get("v91", REGION) is None
    assert await pictures.get("v99", REGION) is not None


async def test_files_outlive_the_daemon_and_say_nothing(tmp_path: Path, kept: FacePictures) -> None:
    kept.put("v1", ALICE, b"one")
    await kept.saved()
    [before] = (tmp_path / "faces-seen").glob("*/*")
    with before.open("rb") as one:
        kept.put("v1", ALICE, b"two")
        kept.put("v2", STRANGER, b"three")
        await kept.saved()
        assert one.read() == bytes(3)  # the bytes of what it replaced are gone
    next_daemon = FacePictures(tmp_path / "faces-seen", 3600.0, lambda: Time.now)
    assert await next_daemon.get("v1", REGION) == b"two"
    assert await next_daemon.get("v2", REGION) == b"three"
    assert await next_daemon.get("v2", "eu-west-1") is None
    names = files(tmp_path)
    assert len(names) == 2
    assert not any("people" in name or "face-1" in name for name in names)
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))


async def test_who_is_recognised_is_a_stranger_no_more(tmp_path: Path, kept: FacePictures) -> None:
    for visit in ("v1", "v2", "v3", "v4"):
        kept.put(visit, STRANGER, b"one")
    await kept.saved()
    kept.put("v1", ALICE, b"two")
    kept.own("v2", ALICE)
    kept.own("v3", ALICE)
    await kept.saved()
    assert len(files(tmp_path)) == 4
    kept.own("v4", ALICE)
    await kept.forget(REGION, "people", ["face-1"])
    assert files(tmp_path) == []
    assert [await kept.get(f"v{number}", REGION) for number in range(5)] == [None] * 5


async def test_a_picture_of_an_earlier_daemon_gets_its_owner_too(
    tmp_path: Path, kept: FacePictures
) -> None:
    kept.put("v1", STRANGER, b"one")
    await kept.saved()
    later = FacePictures(tmp_path / "faces-seen", 3600.0, lambda: Time.now)
    later.own("v1", ALICE)
    later.own("v2", ALICE)  # of whom there is none
    await later.saved()
    assert await later.get("v1", REGION) == b"one"
    await later.forget(REGION, "people", None)
    assert files(tmp_path) == []


async def test_those_of_a_visit_go_whosever_they_are(tmp_path: Path, kept: FacePictures) -> None:
    for visit in ("v1", "v2"):
        kept.put(visit, STRANGER, b"one")
    await kept.saved()
    await kept.forget(REGION, "people", ["face-1"], ["v1"])
    assert await kept.get("v1", REGION) is None
    assert await kept.get("v2", REGION) == b"one"
    assert len(files(tmp_path)) == 1


class SlowDisk:
    """Every picture stays a draft until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        utime = os.utime

        def slowly(*args: Any, **more: Any) -> None:
            self.reached.set()
            assert self.go_on.wait(60)
            utime(*args, **more)

        monkeypatch.setattr("streamproc.events.pictures.os.utime", slowly)


async def test_a_picture_on_its_way_to_the_disk_is_forgotten_too(
    tmp_path: Path, kept: FacePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    kept.put("v1", ALICE, b"one")
    assert await asyncio.to_thread(disk.reached.wait, 60)
    kept.put("v2", ALICE, b"two")
    assert await kept.get("v2", REGION) == b"two"  # nobody waits for the disk
    forgetting = asyncio.create_task(kept.forget(REGION, "people", ["face-1"]))
    await asyncio.sleep(0)
    assert not forgetting.done()
    disk.go_on.set()
    await forgetting
    await kept.saved()
    assert files(tmp_path) == []


async def test_a_sweep_leaves_what_is_being_written(
    tmp_path: Path, kept: FacePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    kept.put("v1", ALICE, b"one")
    assert await asyncio.to_thread(disk.reached.wait, 60)
    sweeping = asyncio.create_task(kept.sweep())
    await asyncio.sleep(0)
    disk.go_on.set()
    await sweeping
    assert len(files(tmp_path)) == 1


async def test_what_the_disk_refused_is_there_after_the_next_sweep(
    tmp_path: Path, kept: FacePictures, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "faces-seen").write_bytes(b"no folder")
    kept.put("v1", ALICE, b"one")
    await kept.saved()
    assert "not kept" in caplog.text
    (tmp_path / "faces-seen").unlink()
    await kept.sweep()
    await kept.saved()
    assert len(files(tmp_path)) == 1


async def test_a_persons_pictures_go_with_their_face(tmp_path: Path, kept: FacePictures) -> None:
    kept.put("v1", ALICE, b"one")
    kept.put("v2", Owner(REGION, "people", "face-2"), b"two")
    kept.put("v3", Owner(REGION, "others", "face-1"), b"three")
    kept.put("v4", Owner("eu-west-1", "people", "face-1"), b"four")
    kept.put("v5", STRANGER, b"five")
    await kept.saved()
    await kept.forget(REGION, "people", ["face-1"])
    assert await kept.get("v1", REGION) is None
    assert [await kept.get(visit, REGION) for visit in ("v2", "v3", "v5")] == [
        b"two", b"three", b"five",
    ]  # fmt: skip
    await kept.forget(REGION, "people", None)
    assert await kept.get("v2", REGION) is None
    assert len(files(tmp_path)) == 3


async def test_they_are_removed_when_their_time_is_over(tmp_path: Path, kept: FacePictures) -> None:
    kept.put("v1", ALICE, b"one")
    await kept.saved()
    await kept.sweep()
    [shelf] = (tmp_path / "faces-seen").iterdir()
    assert len(files(tmp_path)) == 1
    later = FacePictures(tmp_path / "faces-seen", 3600.0, lambda: Time.now + 3601)
    later.put("v2", STRANGER, b"two")
    await later.saved()
    (shelf / "v3.draft").write_bytes(b"cut off by a crash")
    await later.sweep()
    [name] = files(tmp_path)
    assert name.startswith("v2.")
    remove_all(tmp_path / "faces-seen")
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_that_refuses_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "faces-seen").write_bytes(b"no folder")
    pictures = FacePictures(tmp_path / "faces-seen", 3600.0, lambda: Time.now)
    pictures.put("v1", ALICE, b"one")
    await pictures.saved()
    assert await pictures.get("v1", REGION) == b"one"


@pytest.mark.parametrize(
    "box",
    [
        BoundingBox(0.4, 0.4, 0.2, 0.2), BoundingBox(-0.2, -0.2, 0.3, 0.3),
        BoundingBox(0.9, 0.9, 0.5, 0.5), BoundingBox(0.0, 0.0, 1.0, 1.0),
        BoundingBox(0.5, 0.5, 0.0, 0.0), BoundingBox(2.0, 2.0, 0.1, 0.1),
    ],
)  # fmt: skip
def test_any_box_gives_a_small_picture(box: BoundingBox) -> None:
    image = np.full((700, 1200, 3), 128, np.uint8)
    jpeg = face_jpeg(image, box)
    decoded: Image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)  # type: ignore[assignment]
    assert max(decoded.shape) <= 320
    assert jpeg.startswith(b"\xff\xd8")
