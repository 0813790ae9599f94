"""What is on disk stays there, through crashes, until its time has come."""

import asyncio
import base64
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from sqlalchemy.exc import OperationalError

from streamproc.clock import FakeClock, SystemClock
from streamproc.errors import StoreDamaged
from streamproc.local.kinesis_video import VideoStreams
from streamproc.local.kinesis_video.archive import Archive
from streamproc.local.kinesis_video.index import FragmentIndex
from streamproc.local.kinesis_video.segments import SegmentFiles
from streamproc.local.kinesis_video.store import StreamStore
from streamproc.model.media import FragmentFailed, FragmentStarted
from streamproc.settings import VideoConfig
from tests.local.kinesis_video.support import (
    ACCOUNT,
    HEADER,
    PATIENCE_S,
    VideoService,
    cluster,
    events_of,
    eventually,
    segment_files,
)

HOUR_S = 3600
SMALL = VideoConfig(segment_bytes=4096)  # a cluster has about 1250 bytes


def index_size(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "video.db")) as database:
        return int(database.execute("SELECT count(*) FROM video_fragments").fetchone()[0])


def numbers_in(fragments: list[dict[str, str]]) -> list[str]:
    return [fragment["FragmentNumber"] for fragment in fragments]


async def test_a_restart_loses_no_persisted_fragment(video: VideoService) -> None:
    await video.create()
    numbers = await video.push(HEADER, *(cluster(second * 1000) for second in range(5)))
    await video.restart()
    assert numbers_in(await video.list_fragments()) == numbers
    body = await video.media_of(numbers)
    assert [body.count(cluster(second * 1000)) for second in range(5)] == [1] * 5
    later = await video.push(HEADER, cluster(0))
    assert later[0] > numbers[-1]


async def test_a_fragment_survives_a_kill_from_its_acknowledgement_on(
    video: VideoService, tmp_path: Path, boto_session: boto3.Session
) -> None:
    """The folder as it is when PERSISTED arrives is what kill -9 would leave."""
    await video.create()
    async with video.produce() as producer:
        producer.send(HEADER, cluster(0), cluster(1000), cluster(2000)[:-10])
        kept = [(await producer.until("PERSISTED"))["FragmentNumber"] for _ in range(2)]
        cut = producer.seen[-2]["FragmentNumber"]
        await asyncio.to_thread(shutil.copytree, video.folder, tmp_path / "copy")
    copy = await VideoService(tmp_path / "copy", boto_session, SystemClock()).start()
    try:
        assert numbers_in(await copy.list_fragments()) == kept
        (next_number,) = await copy.push(HEADER, cluster(0))
        assert next_number > max(cut, *kept)
    finally:
        await copy.stop()


async def test_bytes_behind_the_last_indexed_fragment_are_cut_off(video: VideoService) -> None:
    await video.create()
    (number,) = await video.push(HEADER, cluster(0))
    await video.stop()
    (file,) = segment_files(video.folder)
    whole = file.read_bytes()
    file.write_bytes(whole + cluster(1000)[:500])
    await video.start()
    assert file.read_bytes() == whole
    numbers = [number, *await video.push(HEADER, cluster(2000))]
    assert cluster(2000) in await video.media_of(numbers)


async def test_a_fragment_whose_bytes_are_gone_is_forgotten_with_a_warning(
    video: VideoService, caplog: pytest.LogCaptureFixture
) -> None:
    await video.create()
    numbers = await video.push(HEADER, cluster(0), cluster(1000))
    await video.stop()
    (file,) = segment_files(video.folder)
    os.truncate(file, file.stat().st_size - 1)
    with caplog.at_level(logging.WARNING):
        await video.start()
    assert "1 fragments" in caplog.text
    assert numbers_in(await video.list_fragments()) == numbers[:1]
    assert cluster(0) in await video.media_of(numbers[:1])


async def test_the_archive_goes_on_in_a_new_file_when_one_is_full(video: VideoService) -> None:
    await video.restart(SMALL)
    await video.create()
    numbers = await video.push(HEADER, *(cluster(second * 1000) for second in range(10)))
    files = sorted(segment_files(video.folder))
    assert len(files) == 4
    assert all(file.stat().st_size <= 4096 for file in files)
    await video.restart(SMALL)
    body = await video.media_of(numbers)
    assert [body.count(cluster(second * 1000)) for second in range(10)] == [1] * 10


async def test_what_is_too_old_vanishes_at_once_and_its_files_with_the_sweep(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    await timed.restart(SMALL)
    await timed.create(retention_hours=1)
    old = await timed.push(HEADER, *(cluster(second * 1000) for second in range(6)))
    await fake_clock.advance(HOUR_S - 1)
    (new,) = await timed.push(HEADER, cluster(0))
    assert numbers_in(await timed.list_fragments()) == [*old, new]
    await fake_clock.advance(2)
    assert numbers_in(await timed.list_fragments()) == [new]
    async with timed.follow(start="EARLIEST") as follower:
        assert await follower.numbers(1) == [new]
    await timed.streams.sweep()
    assert len(list(segment_files(timed.folder))) == 1
    assert cluster(0) in await timed.media_of([new])


async def test_a_sweep_writes_nothing_while_nothing_is_too_old(
    timed: VideoService, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = 0
    expire = FragmentIndex.expire

    async def counted(index: FragmentIndex, *args: int) -> tuple[int, set[int]]:
        nonlocal swept
        swept += 1
        return await expire(index, *args)

    monkeypatch.setattr(FragmentIndex, "expire", counted)
    await timed.create(retention_hours=1)
    await timed.push(HEADER, cluster(0))
    await timed.restart()
    await fake_clock.advance(HOUR_S / 2)
    await timed.push(HEADER, cluster(0))
    for _ in range(3):
        await timed.streams.sweep()
    assert swept == 0
    for expected in (1, 0):  # the first fragment, then the second
        await fake_clock.advance(HOUR_S / 2 + 1)
        await timed.streams.sweep()
        assert (swept > 0, index_size(timed.folder)) == (True, expected)
    before = swept
    await timed.streams.sweep()
    assert swept == before


async def test_the_sweep_comes_by_itself(timed: VideoService, fake_clock: FakeClock) -> None:
    await timed.create(retention_hours=0)
    await timed.push(HEADER, cluster(0))
    await eventually(lambda: list(segment_files(timed.folder)))
    async with asyncio.timeout(PATIENCE_S):
        while list(segment_files(timed.folder)):
            await fake_clock.advance(10)
            await asyncio.sleep(0.01)  # the sweep works on threads
    assert fake_clock.monotonic() > timed.streams.config.unretained_s
    (number,) = await timed.push(HEADER, cluster(0))
    async with timed.follow(start="EARLIEST") as follower:
        assert await follower.numbers(1) == [number]


async def test_the_oldest_fragments_go_when_a_stream_is_too_large(video: VideoService) -> None:
    await video.restart(VideoConfig(bytes_per_stream_max=1024 * 1024, segment_bytes=100_000))
    await video.create()
    large = [cluster(second * 1000, size=50_000) for second in range(10)]  # 200 kB each
    numbers = await video.push(HEADER, *large)
    kept = await video.list_fragments()
    assert numbers_in(kept) == numbers[5:]
    assert sum(fragment["FragmentSizeInBytes"] for fragment in kept) <= 1024 * 1024
    on_disk = sum(file.stat().st_size for file in segment_files(video.folder))
    assert on_disk == sum(fragment["FragmentSizeInBytes"] for fragment in kept)
    body = await video.media_of(numbers[5:])
    assert all(data in body for data in large[5:])


async def test_a_stream_without_retention_keeps_a_buffer_for_get_media_only(
    video: VideoService,
) -> None:
    await video.restart(VideoConfig(unretained_bytes_max=3000))
    await video.create(retention_hours=0)
    numbers = await video.push(HEADER, *(cluster(second * 1000) for second in range(5)))
    async with video.follow(start="EARLIEST") as follower:
        assert await follower.numbers(2) == numbers[-2:]
    assert await video.list_fragments() == []
    assert isinstance(events_of(await video.media_of(numbers))[0], FragmentFailed)


async def test_a_shorter_retention_deletes_older_fragments_at_once(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    await timed.create(retention_hours=3)
    await timed.push(HEADER, cluster(0))
    await fake_clock.advance(2 * HOUR_S)
    (new,) = await timed.push(HEADER, cluster(0))
    change: dict[str, Any] = {"StreamName": "cam", "DataRetentionChangeInHours": 2}
    await timed.call(
        "update_data_retention",
        **change,
        CurrentVersion=await timed.version(),
        Operation="DECREASE_DATA_RETENTION",
    )
    await timed.call(
        "update_data_retention",
        **change,
        CurrentVersion=await timed.version(),
        Operation="INCREASE_DATA_RETENTION",
    )
    assert numbers_in(await timed.list_fragments()) == [new]


async def test_a_deleted_stream_leaves_nothing_behind(video: VideoService) -> None:
    arn = await video.create()
    await video.push(HEADER, cluster(0))
    await video.call("delete_stream", StreamARN=arn)
    assert list(segment_files(video.folder)) == []
    with closing(sqlite3.connect(video.folder / "video.db")) as database:
        for table in ("video_fragments", "video_headers", "video_stream_tags"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    await video.create()
    assert await video.list_fragments() == []


async def test_a_deletion_that_was_cut_short_is_finished_at_the_next_start(
    video: VideoService,
) -> None:
    stray = video.folder / "streams" / "77"
    stray.mkdir()
    (stray / "00000001.segment").write_bytes(b"left behind")
    foreign = video.folder / "streams" / ".DS_Store"
    foreign.write_bytes(b"not ours")
    await video.restart()
    assert not stray.exists()
    assert foreign.exists()


async def test_a_full_disk_is_told_and_nothing_is_lost(
    video: VideoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await video.create()
    (before,) = await video.push(HEADER, cluster(0))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SegmentFiles, "append", refuse)
    async with video.produce() as producer:
        producer.send(HEADER, cluster(1000), cluster(2000))
        error = await producer.until("ERROR")
    assert (error["ErrorId"], error["ErrorCode"]) == (5001, "ARCHIVAL_ERROR")
    assert error["FragmentTimecode"] == 1000
    monkeypatch.undo()
    (after,) = await video.push(HEADER, cluster(1000))
    assert numbers_in(await video.list_fragments()) == [before, after]


async def test_a_full_disk_is_told_where_a_fragment_cannot_even_begin(
    video: VideoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await video.create()

    async def refuse(*_: object) -> int:
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    monkeypatch.setattr(StreamStore, "reserve_block", refuse)
    async with video.produce() as producer:
        producer.send(HEADER, cluster(1000))
        error = await producer.until("ERROR")
    assert (error["ErrorId"], error["ErrorCode"]) == (5001, "ARCHIVAL_ERROR")
    assert error["FragmentTimecode"] == 1000


async def test_a_fragment_on_disk_is_acknowledged_even_if_older_ones_cannot_be_freed(
    video: VideoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await video.restart(VideoConfig(bytes_per_stream_max=1024 * 1024, segment_bytes=100_000))
    await video.create()

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(SegmentFiles, "remove", refuse)
    large = [cluster(second * 1000, size=50_000) for second in range(7)]  # 200 kB each
    async with video.produce() as producer:
        producer.send(HEADER, *large)
        producer.end()
        acks = await producer.rest()
    persisted = [a["FragmentNumber"] for a in acks if a["EventType"] == "PERSISTED"]
    assert len(persisted) == 7
    assert acks[-1]["EventType"] == "PERSISTED"
    assert numbers_in(await video.list_fragments()) == persisted[-5:]


async def test_a_stream_that_cannot_be_swept_does_not_stop_the_others(
    timed: VideoService, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("broken", "sound"):
        await timed.create(name, retention_hours=1)
        await timed.push(HEADER, cluster(0), name=name)
    await fake_clock.advance(HOUR_S + 1)
    broken = timed.streams.find("us-east-1", "broken")
    assert broken is not None
    sweep = Archive.sweep

    async def refuse(archive: Archive) -> None:
        if archive is broken.archive:
            raise OSError(13, "Permission denied")
        await sweep(archive)

    monkeypatch.setattr(Archive, "sweep", refuse)
    await timed.streams.sweep()
    assert len(list(segment_files(timed.folder))) == 1


@pytest.mark.parametrize("first", ["fails", "need not last"])
def test_a_durable_fragment_has_its_files_name_on_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Whatever was written to the same file before: a file without a name is lost."""
    synced: set[Path] = set()
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    folder = tmp_path / "streams" / "1"
    files = SegmentFiles(folder, 4096)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", note)
        if first == "fails":
            with monkeypatch.context() as full:
                full.setattr(os, "pwrite", _full_disk)
                with pytest.raises(OSError, match="No space"):
                    files.append(b"lost", durable=True)
        else:
            files.append(b"short-lived", durable=False)
        files.append(b"kept", durable=True)
    assert synced == {folder, folder.parent}


def _full_disk(*_: object) -> int:
    raise OSError(28, "No space left on device")


async def test_a_damaged_database_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "video.db").write_bytes(b"this was a database once" * 100)
    with pytest.raises(StoreDamaged, match=r"video\.db"):
        await VideoStreams.open(tmp_path, VideoConfig(), ACCOUNT, SystemClock())


async def test_fragments_are_listed_by_either_clock(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    await timed.create()
    now = fake_clock.now()
    numbers = []
    for start in (100, 102, 104, 106):  # the example of the service's own reference
        numbers += await timed.push(HEADER, cluster(0), x_amzn_producer_start_timestamp=str(start))
        await fake_clock.advance(2)

    async def listed(kind: str, start: float, end: float, **members: Any) -> list[str]:
        selector = {
            "FragmentSelectorType": kind,
            "TimestampRange": {"StartTimestamp": start, "EndTimestamp": end},
        }
        return numbers_in(await timed.list_fragments(FragmentSelector=selector, **members))

    assert await listed("PRODUCER_TIMESTAMP", 101, 104) == numbers[1:3]
    assert await listed("SERVER_TIMESTAMP", now + 1, now + 4) == numbers[1:3]
    assert await listed("SERVER_TIMESTAMP", now, now + 60, MaxResults=1) == numbers
    assert await listed("SERVER_TIMESTAMP", now + 60, now + 61) == []
    first = (await timed.list_fragments())[0]
    assert first["FragmentSizeInBytes"] == len(cluster(0))
    assert first["FragmentLengthInMilliseconds"] == 1000
    assert first["ProducerTimestamp"].timestamp() == 100
    assert first["ServerTimestamp"].timestamp() == now
    with pytest.raises(ClientError, match="ends before"):
        await listed("SERVER_TIMESTAMP", now + 1, now)


def forged(arn: str, **members: Any) -> bytes:
    page = {"stream": arn, "origin": "SERVER_TIMESTAMP", "start_ms": 0, "end_ms": 1, "after": ""}
    return base64.b64encode(json.dumps({**page, **members}).encode())


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: b"bm90IG91cnM=",
        lambda _: b"e30=",
        lambda _: b"%%%",
        lambda _: base64.b64encode(b"[" * 3000),
        lambda arn: forged(arn, end_ms=10**30),  # no database takes it
        lambda arn: forged(arn, after="\ud800"),
    ],
)
async def test_a_foreign_token_is_refused(
    video: VideoService, forge: Callable[[str], bytes]
) -> None:
    token = forge(await video.create()).decode()
    archived = video.client("kinesis-video-archived-media")
    with pytest.raises(archived.exceptions.InvalidArgumentException, match="NextToken"):
        await asyncio.to_thread(archived.list_fragments, StreamName="cam", NextToken=token)


async def test_media_of_a_list_comes_in_its_order_and_without_closing_tags(
    video: VideoService,
) -> None:
    await video.create()
    numbers = await video.push(HEADER, cluster(0), cluster(1000))
    body = await video.media_of(numbers[::-1])
    started = [event for event in events_of(body) if isinstance(event, FragmentStarted)]
    assert [event.fragment.number for event in started] == numbers[::-1]
    assert b"CONTINUATION_TOKEN" not in body


async def test_a_fragment_that_is_not_there_is_told_in_band(video: VideoService) -> None:
    await video.create()
    numbers = await video.push(HEADER, cluster(0), cluster(1000))
    missing = str(int(numbers[0]) + 1)
    events = events_of(await video.media_of([numbers[0], missing, numbers[1]]))
    assert events[-1] == FragmentFailed(missing, 3000, "FRAGMENT_NOT_FOUND")
    assert sum(isinstance(event, FragmentStarted) for event in events) == 1
