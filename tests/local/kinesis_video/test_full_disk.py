"""A full disk refuses fragments, loses none that was acknowledged, and heals by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import boto3
import pytest

from streamproc.clock import SystemClock
from streamproc.db import settings
from streamproc.settings import VideoConfig
from tests.local.kinesis_video.support import (
    HEADER,
    VideoService,
    cluster,
    events_of,
    segment_files,
)
from tests.small_disk import SmallDisk, small_disk


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
async def on_disk(disk: SmallDisk, boto_session: boto3.Session) -> AsyncIterator[VideoService]:
    service = await VideoService(disk.folder / "video", boto_session, SystemClock()).start()
    yield service
    await service.stop()


async def numbers_of(video: VideoService) -> list[str]:
    """In the archive, and whole."""
    numbers = sorted(found["FragmentNumber"] for found in await video.list_fragments())
    assert events_of(await video.media_of(numbers))
    return numbers


async def push_until_refused(video: VideoService) -> tuple[list[str], dict[str, object]]:
    """Numbers of the fragments that were acknowledged as PERSISTED, and the ERROR."""
    async with video.produce() as producer:
        producer.send(HEADER)
        for second in range(200):
            producer.send(cluster(second * 1000, size=40_000))  # 160 kB
        error = await producer.until("ERROR")
    persisted = [ack["FragmentNumber"] for ack in producer.seen if ack["EventType"] == "PERSISTED"]
    return persisted, error


def bytes_in_segments(video: VideoService) -> int:
    return sum(file.stat().st_size for file in segment_files(video.folder))


async def test_what_was_acknowledged_is_kept_and_the_rest_refused(
    disk: SmallDisk, on_disk: VideoService
) -> None:
    await on_disk.create()
    persisted, error = await push_until_refused(on_disk)
    assert (error["ErrorId"], error["ErrorCode"]) == (5001, "ARCHIVAL_ERROR")
    assert await numbers_of(on_disk) == persisted
    disk.fill()
    again, error = await push_until_refused(on_disk)
    assert (again, error["ErrorCode"]) == ([], "ARCHIVAL_ERROR")
    size = len(cluster(0, size=40_000))
    assert bytes_in_segments(on_disk) == size * len(persisted), "half a fragment takes room"


async def test_a_producer_that_tries_again_goes_on_when_there_is_room(
    disk: SmallDisk, on_disk: VideoService
) -> None:
    await on_disk.create()
    (before,) = await on_disk.push(HEADER, cluster(0))
    disk.fill()
    for _ in range(3):
        refused, error = await push_until_refused(on_disk)
        assert (refused, error["ErrorCode"]) == ([], "ARCHIVAL_ERROR")
        assert await numbers_of(on_disk) == [before]
    disk.free()
    (after,) = await on_disk.push(HEADER, cluster(1000))
    assert await numbers_of(on_disk) == [before, after]
    await on_disk.restart()
    assert await numbers_of(on_disk) == [before, after]


async def test_a_fragment_whose_row_cannot_be_written_leaves_no_bytes(
    video: VideoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to mount: the index may not grow."""
    await video.create()
    (before,) = await video.push(HEADER, cluster(0))
    kept = bytes_in_segments(video)
    await video.stop()
    with monkeypatch.context() as small:
        small.setattr(settings, "PRAGMAS", (*settings.PRAGMAS, "max_page_count=1"))
        await video.start(VideoConfig())
        session = [HEADER, *(cluster(second * 1000) for second in range(400))]
        for _ in range(2):
            async with video.produce() as producer:
                producer.send(*session)
                error = await producer.until("ERROR")
            assert error["ErrorCode"] == "ARCHIVAL_ERROR"
        persisted = await numbers_of(video)
        size = len(cluster(0))
        assert bytes_in_segments(video) == kept + size * (len(persisted) - 1)
        await video.stop()
    await video.start()
    (after,) = await video.push(HEADER, cluster(0))
    assert await numbers_of(video) == [*persisted, after]
    assert persisted[0] == before
