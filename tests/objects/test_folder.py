"""A folder as a bucket: what lies in it is there, whatever else a name asks for is not."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from streamproc.errors import ObjectTooLarge, ObjectUnavailable
from streamproc.model.video import ObjectRef
from streamproc.objects.folder import FolderBucket
from streamproc.objects.info import ObjectInfo


@pytest.fixture
def bucket(folder: Path) -> FolderBucket:
    return FolderBucket(folder)


def put(folder: Path, name: str, data: bytes = b"video") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


async def fetched(bucket: FolderBucket, name: str) -> Path:
    told: list[float] = []
    async with bucket.fetch(ObjectRef("local", name), told.append) as path:
        assert told == [1.0]
        return path.resolve()


async def refused(bucket: FolderBucket, name: str, version: str = "") -> str:
    """What all three ways of asking for this name tell."""
    ref = ObjectRef("local", name, version)
    told = set()
    with pytest.raises(ObjectUnavailable) as error:
        await bucket.describe(ref)
    told.add(str(error.value))
    with pytest.raises(ObjectUnavailable) as error:
        await bucket.read(ref, 1000)
    told.add(str(error.value))
    with pytest.raises(ObjectUnavailable) as error:
        async with bucket.fetch(ref, lambda _: None):
            pass
    told.add(str(error.value))
    [words] = told
    return words


@pytest.mark.parametrize(
    "name", ["clip.mp4", "2026/11/a b/ä.mp4", "..clip", "a..b/...", "back\\slash", "-", "%2e%2e"]
)
async def test_a_file_is_an_object_under_its_path(
    folder: Path, bucket: FolderBucket, name: str
) -> None:
    path = put(folder, name)
    assert await bucket.describe(ObjectRef("local", name)) == ObjectInfo(5, "")
    assert await bucket.read(ObjectRef("local", name), 5) == b"video"
    assert await fetched(bucket, name) == path
    assert path.exists(), "it is the file itself, and stays"


async def test_more_bytes_than_allowed_are_not_read(folder: Path, bucket: FolderBucket) -> None:
    put(folder, "clip", b"x" * 1001)
    words = "^s3://local/clip has 1001 bytes; the most is 1000$"
    with pytest.raises(ObjectTooLarge, match=words):
        await bucket.read(ObjectRef("local", "clip"), 1000)


async def test_what_is_not_there_is_told(folder: Path, bucket: FolderBucket) -> None:
    put(folder, "a/clip.mp4")
    for name in ("clip.mp4", "b/clip.mp4", "a/clip.mp4/more"):
        assert await refused(bucket, name) == f"s3://local/{name} does not exist"


CLIMBING = [
    "../secret",
    "a/../../secret",
    "a/../clip",
    "/etc/passwd",
    "//etc/passwd",
    "a//clip",
    "./clip",
    "a/.",
    "..",
    ".",
    "",
    "a/",
]


@pytest.mark.parametrize("name", CLIMBING)
async def test_a_name_does_not_climb_out(folder: Path, bucket: FolderBucket, name: str) -> None:
    put(folder.parent, "secret")
    put(folder, "a/clip")
    put(folder, "clip")
    words = await refused(bucket, name)
    assert words.startswith(f"s3://local/{name} cannot be read")
    assert 'may be empty, "." or ".."' in words
    assert str(folder) not in words


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300, "a/" * 3000 + "b"])
async def test_a_name_that_no_file_can_have_is_told(bucket: FolderBucket, name: str) -> None:
    assert "does not exist" in await refused(bucket, name)


async def test_a_link_may_not_lead_out(folder: Path, bucket: FolderBucket) -> None:
    outside = put(folder.parent, "outside/secret")
    inside = put(folder, "a/clip")
    (folder / "file").symlink_to(outside)
    (folder / "relative").symlink_to("../outside/secret")
    (folder / "folder").symlink_to(outside.parent)
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
    for name in ("file", "relative", "folder/secret"):
        assert "a link that leads out of the bucket's folder" in await refused(bucket, name)
    for name in ("loop", "dangling"):
        assert "does not exist" in await refused(bucket, name)

    (folder / "within").symlink_to("a/clip")
    assert await fetched(bucket, "within") == inside


async def test_a_neighbour_with_a_longer_name_is_outside(
    folder: Path, bucket: FolderBucket
) -> None:
    put(folder.with_name("bucket-secret"), "clip")
    (folder / "link").symlink_to("../bucket-secret/clip")
    assert "leads out" in await refused(bucket, "link")


async def test_the_folder_itself_may_be_a_link(tmp_path: Path, folder: Path) -> None:
    path = put(folder, "clip")
    (tmp_path / "link").symlink_to(folder)
    assert await fetched(FolderBucket(tmp_path / "link"), "clip") == path


async def test_only_files_are_objects(folder: Path, bucket: FolderBucket) -> None:
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    (folder / "device").symlink_to("/dev/zero")
    for name in ("folder", "pipe", "socket"):
        assert await refused(bucket, name) == f"s3://local/{name} is not a file"
    assert "leads out" in await refused(bucket, "device")
    listener.close()


async def test_a_link_to_the_folder_itself_is_no_file(folder: Path, bucket: FolderBucket) -> None:
    (folder / "here").symlink_to(".")
    assert await refused(bucket, "here") == "s3://local/here is not a file"


async def test_what_is_not_a_file_is_not_even_opened(folder: Path, bucket: FolderBucket) -> None:
    """Whoever writes to a pipe waits for a reader, and we are none."""
    os.mkfifo(folder / "pipe")
    await refused(bucket, "pipe")
    with pytest.raises(OSError, match="No such device"):  # ENXIO: nobody reads
        os.open(folder / "pipe", os.O_WRONLY | os.O_NONBLOCK)


async def test_a_link_put_in_the_way_after_the_look_is_not_followed(
    folder: Path, bucket: FolderBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone who may write into the folder swaps a part of the path between the check and the
    opening."""
    put(folder.parent, "outside/clip", b"secret")
    put(folder, "a/clip")
    find = FolderBucket._find

    def swapped(self: FolderBucket, ref: ObjectRef) -> tuple[Path, Path]:
        found = find(self, ref)
        if not (folder / "a").is_symlink():
            (folder / "a").rename(folder / "b")
            (folder / "a").symlink_to(folder.parent / "outside")
        return found

    async def fetch() -> None:
        async with bucket.fetch(ref, lambda _: None):
            pass

    monkeypatch.setattr(FolderBucket, "_find", swapped)
    ref = ObjectRef("local", "a/clip")
    for ask in (lambda: bucket.read(ref, 1000), lambda: bucket.describe(ref), fetch):
        with pytest.raises(ObjectUnavailable):
            await ask()
        (folder / "a").unlink()
        (folder / "b").rename(folder / "a")


async def test_what_is_fetched_stays_the_file_that_was_checked(
    folder: Path, bucket: FolderBucket
) -> None:
    """A job opens its video several times, long after it was found."""
    secret = put(folder.parent, "outside/clip", b"secret")
    clip = put(folder, "clip", b"video")
    async with bucket.fetch(ObjectRef("local", "clip"), lambda _: None) as path:
        clip.unlink()
        clip.symlink_to(secret)
        assert path.is_file()
        assert [path.read_bytes(), path.read_bytes()] == [b"video", b"video"]
    assert not path.exists() or path.read_bytes() != b"video", "and is let go of afterwards"


async def test_a_cancelled_fetch_leaves_nothing_open(folder: Path, bucket: FolderBucket) -> None:
    put(folder, "clip")
    before = open_files_below(folder)

    async def fetch() -> None:
        async with bucket.fetch(ObjectRef("local", "clip"), lambda _: None):
            await asyncio.Event().wait()

    for turns in range(4):  # before, while and after the file is opened
        task = asyncio.create_task(fetch())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(60):
        while open_files_below(folder) != before:  # noqa: ASYNC110 (threads have no event)
            await asyncio.sleep(0.01)


def open_files_below(folder: Path) -> list[str]:
    """What this process has open there; a descriptor that is gone meanwhile is not."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_what_may_not_be_read_is_told(folder: Path, bucket: FolderBucket) -> None:
    put(folder, "clip").chmod(0)
    assert "may not be read by the user" in await refused(bucket, "clip")


async def test_a_folder_keeps_no_versions(folder: Path, bucket: FolderBucket) -> None:
    put(folder, "clip")
    words = await refused(bucket, "clip", version="v1")
    assert words.startswith("s3://local/clip@v1 does not exist")
    assert "keeps no versions; leave Version out" in words


async def test_a_folder_that_is_missing_names_its_setting(tmp_path: Path) -> None:
    words = await refused(FolderBucket(tmp_path / "gone"), "clip")
    assert "the folder that [buckets] names for local does not exist" in words
