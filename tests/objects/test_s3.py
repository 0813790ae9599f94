"""Objects of S3: against moto, and against servers that break off, lie or refuse."""

import asyncio
import errno
import io
import shutil
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from streamproc.errors import ObjectTooLarge, ObjectUnavailable, TransientFailure
from streamproc.model.video import ObjectRef
from streamproc.objects import s3 as s3_module
from streamproc.objects.info import ObjectInfo
from streamproc.objects.s3_download import CHUNK_BYTES
from streamproc.objects.store import ObjectStore
from tests.objects.conftest import REGION, NoWait, store_at

CLIP = ObjectRef("clips", "a b/ä.mp4")


def quiet(_: float) -> None:
    pass


async def fetched(store: ObjectStore, ref: ObjectRef, scratch: Path) -> bytes:
    async with store.fetch(ref, REGION, scratch, quiet) as path:
        assert path.parent == scratch
        data = path.read_bytes()
    assert list(scratch.iterdir()) == [], "nothing is left behind"
    return data


async def refused(
    store: ObjectStore, ref: ObjectRef, scratch: Path
) -> tuple[str, ObjectUnavailable | TransientFailure]:
    """What a caller is told at once, and what a job is."""
    with pytest.raises(ObjectUnavailable) as at_start:
        await store.describe(ref, REGION)
    with pytest.raises((ObjectUnavailable, TransientFailure)) as later:
        await fetched(store, ref, scratch)
    with pytest.raises(ObjectUnavailable) as picture:
        await store.read(ref, REGION, 1000)
    for error in (at_start, later, picture):
        assert str(ref) in str(error.value)
    assert not scratch.exists() or list(scratch.iterdir()) == []
    assert isinstance(later.value, ObjectUnavailable | TransientFailure)
    return str(at_start.value), later.value


# --- moto ------------------------------------------------------------------------------------


async def test_an_object_is_described_fetched_and_read(
    store: ObjectStore, s3: Any, scratch: Path
) -> None:
    s3.put_object(Bucket=CLIP.bucket, Key=CLIP.name, Body=b"video")
    assert await store.describe(CLIP, REGION) == ObjectInfo(5, "")
    assert await fetched(store, CLIP, scratch) == b"video"
    assert await store.read(CLIP, REGION, 5) == b"video"


async def test_versions_are_honoured(store: ObjectStore, s3: Any, scratch: Path) -> None:
    old = s3.put_object(Bucket="versioned", Key="clip", Body=b"old")["VersionId"]
    new = s3.put_object(Bucket="versioned", Key="clip", Body=b"newer")["VersionId"]
    for version, data in ((old, b"old"), (new, b"newer")):
        ref = ObjectRef("versioned", "clip", version)
        assert await store.describe(ref, REGION) == ObjectInfo(len(data), version)
        assert await fetched(store, ref, scratch) == data
        assert await store.read(ref, REGION, 10) == data
    latest = ObjectRef("versioned", "clip")
    assert await store.describe(latest, REGION) == ObjectInfo(5, new)
    assert await fetched(store, latest, scratch) == b"newer"


async def test_what_is_not_there_is_told(store: ObjectStore, s3: Any, scratch: Path) -> None:
    s3.put_object(Bucket="clips", Key="there", Body=b"video")
    missing = {
        ObjectRef("clips", "gone.mp4"): "NoSuchKey",
        ObjectRef("nowhere", "there"): "NoSuchBucket",
    }
    for ref, code in missing.items():
        at_start, later = await refused(store, ref, scratch)
        assert at_start == f"{ref} does not exist, or its bucket does not (S3 answers 404)"
        assert isinstance(later, ObjectUnavailable)
        assert "does not exist" in str(later)
        assert code in str(later)
    _, later = await refused(store, ObjectRef("clips", "there", "nonsense"), scratch)
    assert isinstance(later, ObjectUnavailable)


async def test_names_that_s3_cannot_have_are_told(
    store: ObjectStore, s3: Any, scratch: Path
) -> None:
    for ref in (ObjectRef("no bucket!", "clip"), ObjectRef("clips", "")):
        _, later = await refused(store, ref, scratch)
        assert isinstance(later, ObjectUnavailable)
    with pytest.raises(ObjectUnavailable, match="half a surrogate is no text"):
        await store.describe(ObjectRef("clips", "\ud800"), REGION)


async def test_more_bytes_than_allowed_are_not_read(store: ObjectStore, s3: Any) -> None:
    s3.put_object(Bucket="clips", Key="clip", Body=b"x" * 1001)
    with pytest.raises(ObjectTooLarge, match="s3://clips/clip has 1001 bytes; the most is 1000"):
        await store.read(ObjectRef("clips", "clip"), REGION, 1000)


async def test_an_empty_object_is_an_empty_file(store: ObjectStore, s3: Any, scratch: Path) -> None:
    s3.put_object(Bucket="clips", Key="empty", Body=b"")
    told: list[float] = []
    async with store.fetch(ObjectRef("clips", "empty"), REGION, scratch, told.append) as path:
        assert path.read_bytes() == b""
    assert told == [1.0]


@pytest.mark.parametrize("storage", ["GLACIER", "DEEP_ARCHIVE"])
async def test_an_archived_object_says_what_to_do(
    store: ObjectStore, s3: Any, scratch: Path, storage: str
) -> None:
    s3.put_object(Bucket="clips", Key="old", Body=b"video", StorageClass=storage)
    at_start, later = await refused(store, ObjectRef("clips", "old"), scratch)
    assert at_start == str(later)
    assert "is archived and cannot be read (InvalidObjectState); restore it first" in at_start


# --- a server of our own ---------------------------------------------------------------------

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, clock: NoWait) -> AsyncIterator[ObjectStore]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    async with TestServer(app) as server:
        yield store_at(str(server.make_url("")).rstrip("/"), clock)


class Flaky:
    """Serves one object and breaks off after so many bytes of each answer."""

    def __init__(self, data: bytes, *breaks: int, honours_range: bool = True) -> None:
        self.data = data
        self.breaks = list(breaks)
        self.etag = '"one"'
        self.ranges: list[str | None] = []
        self._honours_range = honours_range

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.ranges.append(request.headers.get("Range"))
        begin = 0
        if self._honours_range and request.http_range.start:
            if request.headers["If-Match"] != self.etag:
                return web.Response(status=412, text=_error("PreconditionFailed"))
            begin = request.http_range.start
        answer = web.StreamResponse(status=206 if begin else 200, headers={"ETag": self.etag})
        answer.content_length = len(self.data) - begin
        if begin:
            answer.headers["Content-Range"] = f"bytes {begin}-/{len(self.data)}"
        await answer.prepare(request)
        end = begin + self.breaks.pop(0) if self.breaks else len(self.data)
        await answer.write(self.data[begin:end])
        if end < len(self.data):
            assert request.transport is not None
            request.transport.close()
        return answer


def _error(code: str) -> str:
    return f"<Error><Code>{code}</Code><Message>in words</Message></Error>"


def _noise(size: int) -> bytes:
    return bytes(range(251)) * (size // 251 + 1)


async def test_a_broken_download_is_taken_up_where_it_broke_off(
    clock: NoWait, scratch: Path
) -> None:
    server = Flaky(_noise(3 * CHUNK_BYTES), CHUNK_BYTES + 7, 100)
    told: list[float] = []
    async with (
        serving(server.serve, clock) as store,
        store.fetch(CLIP, REGION, scratch, told.append) as path,
    ):
        assert path.read_bytes() == server.data
    assert server.ranges[0] is None
    assert all(later is not None for later in server.ranges[1:])
    assert len(clock.pauses_s) == 2
    assert told == sorted(told)
    assert told[-1] == 1


async def test_a_server_without_ranges_is_asked_for_all_of_it_again(
    clock: NoWait, scratch: Path
) -> None:
    server = Flaky(_noise(2 * CHUNK_BYTES), CHUNK_BYTES + 7, honours_range=False)
    async with serving(server.serve, clock) as store:
        assert await fetched(store, CLIP, scratch) == server.data


async def test_an_object_that_is_replaced_on_the_way_is_fetched_anew(
    clock: NoWait, scratch: Path
) -> None:
    server = Flaky(_noise(2 * CHUNK_BYTES), CHUNK_BYTES + 7)

    async def replacing(request: web.Request) -> web.StreamResponse:
        answer = await server.serve(request)
        if len(server.ranges) == 1:
            server.data, server.etag = b"another", '"two"'
        return answer

    async with serving(replacing, clock) as store:
        assert await fetched(store, CLIP, scratch) == b"another"


async def test_a_server_that_always_breaks_off_is_given_up(clock: NoWait, scratch: Path) -> None:
    server = Flaky(_noise(CHUNK_BYTES), *[10] * 50)
    async with serving(server.serve, clock) as store:
        with pytest.raises(TransientFailure, match=r"^s3://clips/a b/ä\.mp4 cannot be read"):
            await fetched(store, CLIP, scratch)
    assert len(server.ranges) == 5
    assert list(scratch.iterdir()) == []


async def test_a_long_way_may_break_off_often(clock: NoWait, scratch: Path) -> None:
    server = Flaky(_noise(30 * CHUNK_BYTES), *[4 * CHUNK_BYTES] * 6)
    async with serving(server.serve, clock) as store:
        assert await fetched(store, CLIP, scratch) == server.data
    assert len(server.ranges) > 5


@pytest.mark.parametrize(
    ("status", "code", "heals", "words"),
    [
        (403, "AccessDenied", False, "may not be read with streamproc's credentials"),
        (404, "NoSuchKey", False, "does not exist"),
        (301, "PermanentRedirect", False, "is in another region"),
        (400, "InvalidRequest", False, "S3 answers"),
        (500, "InternalError", True, "S3 answers"),
        (503, "SlowDown", True, "S3 answers"),
        (429, "TooManyRequests", True, "S3 answers"),
    ],
)
async def test_what_s3_answers_is_told_in_words(
    clock: NoWait, scratch: Path, status: int, code: str, heals: bool, words: str
) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(
            status=status,
            text=_error(code),
            content_type="application/xml",
            headers={"x-amz-bucket-region": "us-west-2"},
        )

    async with serving(refuse, clock) as store:
        at_start, later = await refused(store, CLIP, scratch)
    assert words in at_start
    assert words in str(later)
    assert code in str(later)
    assert isinstance(later, TransientFailure) is heals


async def test_what_is_no_s3_is_told(clock: NoWait, scratch: Path) -> None:
    async def garble(request: web.Request) -> web.Response:
        return web.Response(status=500, text="<html>no XML", content_type="text/html")

    async with serving(garble, clock) as store:
        _, later = await refused(store, CLIP, scratch)
        assert isinstance(later, TransientFailure)
    _, later = await refused(store_at("http://127.0.0.1:1", clock), CLIP, scratch)
    assert isinstance(later, TransientFailure)
    assert "Could not connect" in str(later)


async def test_a_web_server_that_redirects_is_told(clock: NoWait, scratch: Path) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=301)

    async with serving(redirect, clock) as store:
        with pytest.raises(ObjectUnavailable, match=r"endpoints\.s3 only redirects|recursion"):
            await store.describe(CLIP, REGION)


async def test_missing_credentials_are_told(
    s3_url: str, clock: NoWait, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _, later = await refused(store_at(s3_url, clock), CLIP, scratch)
    assert isinstance(later, ObjectUnavailable)
    assert "credentials" in str(later)


async def test_a_restored_archive_can_be_read(clock: NoWait) -> None:
    async def restored(request: web.Request) -> web.Response:
        return web.Response(
            headers={
                "x-amz-storage-class": "GLACIER",
                "x-amz-restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029"',
                "Content-Length": "5",
            }
        )

    async with serving(restored, clock) as store:
        assert (await store.describe(CLIP, REGION)).size_bytes == 5


# --- memory, disk and cancellation -----------------------------------------------------------


async def test_memory_does_not_know_how_large_a_video_is(clock: NoWait, scratch: Path) -> None:
    size, piece = 64 * 1024 * 1024, bytes(CHUNK_BYTES)

    async def large(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"ETag": '"one"'})
        answer.content_length = size
        await answer.prepare(request)
        for _ in range(size // len(piece)):
            await answer.write(piece)
        return answer

    told: list[float] = []
    async with serving(large, clock) as store:
        tracemalloc.start()
        try:
            async with store.fetch(CLIP, REGION, scratch, told.append) as path:
                assert path.stat().st_size == size
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < size // 2  # of which most is botocore's model of S3
    assert len(told) > 50
    assert told == sorted(told)


async def test_a_full_disk_is_told_before_anything_is_written(
    clock: NoWait, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(scratch.parent)._replace(free=300 * 1024 * 1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    server = Flaky(_noise(64 * 1024 * 1024))
    words = rf"^s3://clips/.* has {len(server.data)} bytes, and the disk of .* make room there$"
    async with serving(server.serve, clock) as store:
        with pytest.raises(TransientFailure, match=words):
            await fetched(store, CLIP, scratch)
    assert list(scratch.iterdir()) == []


class FullDisk(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def truncate(self, size: int | None = None) -> int:
        return 0

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("size", [100, CHUNK_BYTES])
async def test_a_disk_that_fills_up_on_the_way_is_told(
    clock: NoWait, scratch: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    scratch.mkdir()
    full = io.BufferedWriter(FullDisk())  # the last few bytes are first written when it is closed
    monkeypatch.setattr(s3_module, "_new_file", lambda *_: full)
    async with serving(Flaky(bytes(size)).serve, clock) as store:
        with pytest.raises(TransientFailure, match=r"cannot be kept in .*: No space left"):
            await fetched(store, CLIP, scratch)
    assert full.closed


async def test_a_scratch_folder_that_cannot_be_made_is_told(clock: NoWait, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with serving(Flaky(b"video").serve, clock) as store:
        with pytest.raises(TransientFailure, match=r"s3://clips/.* cannot be kept in .*file"):
            await fetched(store, CLIP, tmp_path / "file" / "scratch")


async def test_a_cancelled_download_leaves_nothing(clock: NoWait, scratch: Path) -> None:
    arriving = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_length = 4 * CHUNK_BYTES
        await answer.prepare(request)
        await answer.write(bytes(2 * CHUNK_BYTES))
        await asyncio.sleep(600)
        return answer

    async with serving(slow, clock) as store:

        async def fetch() -> None:
            async with store.fetch(CLIP, REGION, scratch, lambda _: arriving.set()):
                raise AssertionError("it cannot have arrived")

        task = asyncio.create_task(fetch())
        async with asyncio.timeout(60):
            await arriving.wait()
        assert len(list(scratch.iterdir())) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(scratch.iterdir()) == []


async def test_an_error_in_the_block_leaves_nothing(
    store: ObjectStore, s3: Any, scratch: Path
) -> None:
    s3.put_object(Bucket="clips", Key="clip", Body=b"video")
    with pytest.raises(ZeroDivisionError):
        async with store.fetch(ObjectRef("clips", "clip"), REGION, scratch, quiet):
            raise ZeroDivisionError
    assert list(scratch.iterdir()) == []
