"""Pictures of seen faces: in memory, and on disk for exactly as long as the config says."""

from pathlib import Path

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
    return sorted(file.name for file in seen.iterdir()) if seen.is_dir() else []


async def test_nothing_reaches_the_disk_unless_that_is_wanted(tmp_path: Path) -> None:
    pictures = FacePictures(None, 0.0, lambda: Time.now)
    await pictures.put("v1", STRANGER, b"jpeg")
    assert await pictures.get("v1", REGION) == b"jpeg"
    assert await pictures.get("v1", "eu-west-1") is None
    assert await pictures.get("v2", REGION) is None
    assert list(tmp_path.iterdir()) == []


async def test_memory_is_bounded_and_the_oldest_go() -> None:
    pictures = FacePictures(None, 0.0, lambda: Time.now)
    for number in range(100):
        await pictures.put(f"v{number}", STRANGER, bytes(1024 * 1024))
    assert await pictures.get("v91", REGION) is None
    assert await pictures.get("v99", REGION) is not None


async def test_files_outlive_the_daemon_and_say_nothing(tmp_path: Path, kept: FacePictures) -> None:
    await kept.put("v1", ALICE, b"one")
    await kept.put("v1", ALICE, b"two")
    await kept.put("v2", STRANGER, b"three")
    next_daemon = FacePictures(tmp_path / "faces-seen", 3600.0, lambda: Time.now)
    assert await next_daemon.get("v1", REGION) == b"two"
    assert await next_daemon.get("v2", REGION) == b"three"
    assert await next_daemon.get("v2", "eu-west-1") is None
    names = files(tmp_path)
    assert len(names) == 2
    assert not any("people" in name or "face-1" in name for name in names)
    assert all((tmp_path / "faces-seen" / name).stat().st_mode & 0o077 == 0 for name in names)


async def test_who_is_recognised_is_a_stranger_no_more(tmp_path: Path, kept: FacePictures) -> None:
    await kept.put("v1", STRANGER, b"one")
    await kept.put("v1", ALICE, b"two")
    assert len(files(tmp_path)) == 1
    await kept.forget(REGION, "people", ["face-1"])
    assert files(tmp_path) == []
    assert await kept.get("v1", REGION) is None


async def test_a_persons_pictures_go_with_their_face(tmp_path: Path, kept: FacePictures) -> None:
    await kept.put("v1", ALICE, b"one")
    await kept.put("v2", Owner(REGION, "people", "face-2"), b"two")
    await kept.put("v3", Owner(REGION, "others", "face-1"), b"three")
    await kept.put("v4", Owner("eu-west-1", "people", "face-1"), b"four")
    await kept.put("v5", STRANGER, b"five")
    await kept.forget(REGION, "people", ["face-1"])
    assert await kept.get("v1", REGION) is None
    assert [await kept.get(visit, REGION) for visit in ("v2", "v3", "v5")] == [
        b"two", b"three", b"five",
    ]  # fmt: skip
    await kept.forget(REGION, "people", None)
    assert await kept.get("v2", REGION) is None
    assert len(files(tmp_path)) == 3


async def test_they_are_removed_when_their_time_is_over(tmp_path: Path, kept: FacePictures) -> None:
    await kept.put("v1", ALICE, b"one")
    await kept.sweep()
    assert len(files(tmp_path)) == 1
    later = FacePictures(tmp_path / "faces-seen", 3600.0, lambda: Time.now + 3601)
    await later.put("v2", STRANGER, b"two")
    (tmp_path / "faces-seen" / "v3.draft").write_bytes(b"cut off by a crash")
    await later.sweep()
    [name] = files(tmp_path)
    assert name.startswith("v2.")
    remove_all(tmp_path / "faces-seen")
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_that_refuses_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "faces-seen").write_bytes(b"no folder")
    pictures = FacePictures(tmp_path / "faces-seen", 3600.0, lambda: Time.now)
    await pictures.put("v1", ALICE, b"one")
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
