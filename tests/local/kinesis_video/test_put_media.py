"""PutMedia: acknowledgements while the body is open, and what is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from streamproc.clock import FakeClock
from streamproc.local.kinesis_video import ingest
from streamproc.local.kinesis_video.live import LiveFragment
from streamproc.mkv.ebml import Id, element
from streamproc.settings import VideoConfig
from tests.local.kinesis_video.support import (
    AUDIO,
    END_OF_FRAGMENT,
    HEADER,
    MKV,
    VIDEO,
    VideoService,
    cluster,
    eventually,
)


async def test_every_step_of_a_fragment_is_acknowledged(video: VideoService) -> None:
    await video.create()
    async with video.produce() as producer:
        assert producer.response.status == 200
        assert producer.response.content_type == "application/json"
        producer.send(HEADER, cluster(0))
        first = await producer.until("BUFFERING")
        assert first["FragmentTimecode"] == 0
        assert len(first["FragmentNumber"]) == 47
        producer.send(cluster(1000))
        producer.end()
        acks = await producer.rest()
    of_first = [a["EventType"] for a in acks if a["FragmentNumber"] == first["FragmentNumber"]]
    assert of_first == ["BUFFERING", "RECEIVED", "PERSISTED"]
    assert [a["FragmentTimecode"] for a in acks if a["EventType"] == "PERSISTED"] == [0, 1000]
    assert int(acks[-1]["FragmentNumber"]) - int(first["FragmentNumber"]) > 1 << 91


async def test_a_stream_without_retention_is_never_persisted(video: VideoService) -> None:
    await video.create(retention_hours=0)
    async with video.produce() as producer:
        producer.send(HEADER, cluster(0))
        producer.end()
        acks = await producer.rest()
    assert [ack["EventType"] for ack in acks] == ["BUFFERING", "RECEIVED"]


async def test_the_end_of_fragment_tag_completes_a_fragment_with_the_body_open(
    video: VideoService,
) -> None:
    """The producer SDK waits for this acknowledgement before it ends its request."""
    await video.create()
    async with video.produce() as producer:
        producer.send(HEADER, cluster(0), END_OF_FRAGMENT)
        persisted = await producer.until("PERSISTED")
        producer.send(cluster(1000))
        producer.end()
        acks = await producer.rest()
    assert persisted["FragmentTimecode"] == 0
    assert acks[-1]["EventType"] == "PERSISTED"
    assert acks[-1]["FragmentTimecode"] == 1000


async def test_acknowledgements_can_be_declined(video: VideoService) -> None:
    await video.create()
    async with video.produce(x_amzn_fragment_acknowledgment_required="0") as producer:
        producer.send(HEADER, cluster(0))
        producer.end()
        assert await producer.rest() == []
    assert len(await video.list_fragments()) == 1


async def test_silence_is_told_and_then_ends_the_session(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    await timed.create()
    async with timed.produce() as producer:
        producer.send(HEADER, cluster(7000))
        await producer.until("BUFFERING")
        await fake_clock.advance(5)
        assert await producer.ack() == {"EventType": "IDLE", "FragmentTimecode": 7000}
        await fake_clock.advance(25)
        acks = await producer.rest()
    assert {ack["EventType"] for ack in acks[2:]} == {"IDLE"}
    assert await timed.list_fragments() == []  # it may not have been whole


async def test_a_silent_session_gives_way_to_the_one_that_replaced_it(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    """A camera lost its connection without a word and came back on another."""
    await timed.create()
    async with timed.produce() as lost, timed.follow() as follower:
        lost.send(HEADER, cluster(0))
        cut = (await follower.started()).fragment.number
        async with timed.produce() as back:
            back.send(HEADER, cluster(0), END_OF_FRAGMENT)
            await back.until("PERSISTED")
            await fake_clock.advance(4)
            back.send(cluster(1000), END_OF_FRAGMENT)
            number = (await back.until("PERSISTED"))["FragmentNumber"]
            await fake_clock.advance(1)
            assert [ack["EventType"] for ack in await lost.rest()] == ["BUFFERING"]
            assert await follower.at_end()
            assert timed.clock.monotonic() == 5
    async with timed.follow(start="FRAGMENT_NUMBER", AfterFragmentNumber=cut) as follower:
        assert (await follower.numbers(2))[-1] == number


async def test_a_slow_disk_is_not_taken_for_a_silent_producer(
    timed: VideoService, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await timed.create()
    stream = timed.streams.find("us-east-1", "cam")
    assert stream is not None
    disk, add = asyncio.Event(), stream.archive.add

    async def stall(*arguments: Any, **options: Any) -> Any:
        await disk.wait()
        return await add(*arguments, **options)

    monkeypatch.setattr(stream.archive, "add", stall)
    async with timed.produce() as producer:
        producer.send(HEADER, *(cluster(second * 1000) for second in range(4)))
        producer.end()
        for _ in range(2):  # memory holds two, and no more is taken up
            await producer.until("BUFFERING")
        await fake_clock.advance(ingest.IDLE_S_MAX + 5)
        disk.set()
        acks = await producer.rest()
    assert [a["FragmentTimecode"] for a in acks if a["EventType"] == "PERSISTED"] == [
        0, 1000, 2000, 3000,
    ]  # fmt: skip
    assert not any(ack["EventType"] == "IDLE" for ack in acks)


async def test_a_fragment_cut_by_its_producer_is_not_kept(video: VideoService) -> None:
    await video.create()
    async with video.produce() as producer:
        producer.send(HEADER, cluster(0), cluster(1000)[:-10])
        persisted = await producer.until("PERSISTED")
    stream = video.streams.find("us-east-1", "cam")
    assert stream is not None
    await eventually(lambda: stream.producers.size == 0)
    assert stream.receiving() is None
    kept = [fragment["FragmentNumber"] for fragment in await video.list_fragments()]
    assert kept == [persisted["FragmentNumber"]]


async def test_relative_timecodes_count_from_the_producers_start(timed: VideoService) -> None:
    await timed.create()
    await timed.push(HEADER, cluster(2000), x_amzn_producer_start_timestamp="1511852108.513")
    await timed.push(HEADER, cluster(5000), x_amzn_producer_start_timestamp="0")
    await timed.push(HEADER, cluster(3000))
    fragments = await timed.list_fragments()
    stamps = [fragment["ProducerTimestamp"].timestamp() for fragment in fragments]
    # Without a start, the session's own.
    assert stamps == [1511852110.513, 5.0, timed.clock.now() + 3]


async def test_absolute_timecodes_are_the_timestamp(timed: VideoService) -> None:
    await timed.create()
    await timed.push(
        HEADER,
        cluster(1726677688724),
        timecodes="ABSOLUTE",
        x_amzn_producer_start_timestamp="12345.5",
    )
    (fragment,) = await timed.list_fragments()
    assert fragment["ProducerTimestamp"].timestamp() == 1726677688.724


async def test_a_session_at_its_limit_ends_between_two_fragments(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    await timed.restart(VideoConfig(connection_s_max=60))
    await timed.create()
    async with timed.produce() as producer:
        producer.send(HEADER, cluster(0))
        await producer.until("BUFFERING")
        stream = timed.streams.find("us-east-1", "cam")
        assert stream is not None
        arriving = stream.receiving()
        assert arriving is not None
        more = MKV.block(1, 300, False, b"more")
        for count in range(1, 8):
            await fake_clock.advance(9)
            producer.send(more)
            await _holds(arriving, len(cluster(0)) + count * len(more))
        producer.send(cluster(63_000))
        acks = await producer.rest()
    assert acks[-1] == {
        "EventType": "ERROR",
        "FragmentTimecode": 63_000,
        "ErrorId": 4003,
        "ErrorCode": "MAX_CONNECTION_DURATION_REACHED",
    }
    assert [a["FragmentTimecode"] for a in acks if a["EventType"] == "PERSISTED"] == [0]


async def test_a_session_that_never_ends_its_fragment_does_not_outlast_its_limit_by_much(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    """Else a byte now and then would hold one of the few places of a stream for ever."""
    await timed.restart(VideoConfig(connection_s_max=60, fragment_duration_s_max=10))
    await timed.create()
    async with timed.produce() as producer:
        producer.send(HEADER, cluster(0))
        await producer.until("BUFFERING")
        stream = timed.streams.find("us-east-1", "cam")
        assert stream is not None
        arriving = stream.receiving()
        assert arriving is not None
        more = MKV.block(1, 300, False, b"more")
        for count in range(1, 7):
            await fake_clock.advance(9)
            producer.send(more)
            await _holds(arriving, len(cluster(0)) + count * len(more))
        await fake_clock.advance(25)  # not silent for long enough to end for that
        acks = await producer.rest()
    assert acks[-1]["ErrorCode"] == "MAX_CONNECTION_DURATION_REACHED"
    assert await timed.list_fragments() == []


async def _holds(fragment: LiveFragment, size: int) -> None:
    await eventually(lambda: len(fragment.data) == size)


@pytest.mark.parametrize(
    ("error_id", "code", "body"),
    [
        (4001, "MAX_FRAGMENT_SIZE_REACHED", [HEADER, cluster(0, size=30_000)]),
        (4002, "MAX_FRAGMENT_DURATION_REACHED", [HEADER, cluster(0, step_ms=4000)]),
        (4004, "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS", [HEADER, cluster(9), cluster(9)]),
        (4006, "INVALID_MKV_DATA", [b"GIF89a, which is no Matroska at all"]),
        (4006, "INVALID_MKV_DATA", [HEADER, cluster(0), HEADER, cluster(1000)]),
        (4006, "INVALID_MKV_DATA", [HEADER, cluster(0), MKV.header([VIDEO, AUDIO])]),
        (4007, "INVALID_PRODUCER_TIMESTAMP", [HEADER, cluster(260_000_000_000_000)]),
        (
            4010,
            "TRACK_NUMBER_MISMATCH",
            [HEADER, cluster(0), MKV.block(3, 0, True, b"of no declared track")],
        ),
        (
            4011,
            "FRAMES_MISSING_FOR_TRACK",
            [
                MKV.header([VIDEO, AUDIO]),
                MKV.cluster(0) + MKV.block(2, 0, True, b"audio only"),
                cluster(1000),
            ],
        ),
        (
            4012,
            "MORE_THAN_ALLOWED_TRACKS_FOUND",
            [
                MKV.header([replace(AUDIO, number=number) for number in range(1, 5)]),
                cluster(0),
            ],
        ),
    ],
)
async def test_media_against_the_rules_is_refused_by_name(
    video: VideoService, error_id: int, code: str, body: list[bytes]
) -> None:
    await video.restart(VideoConfig(fragment_bytes_max=100_000, fragment_duration_s_max=10))
    await video.create()
    async with video.produce() as producer:
        producer.send(*body)  # and the body stays open: the answer must come by itself
        acks = await producer.rest()
    assert (acks[-1]["EventType"], acks[-1]["ErrorId"], acks[-1]["ErrorCode"]) == (
        "ERROR",
        error_id,
        code,
    )


async def test_what_was_whole_before_the_fault_is_kept(video: VideoService) -> None:
    """Two documents in one session, as who pushes a GetMedia recording unchanged sends them."""
    await video.create()
    async with video.produce() as producer:
        producer.send(HEADER + cluster(0) + HEADER + cluster(1000))
        acks = await producer.rest()
    assert [ack["EventType"] for ack in acks] == ["BUFFERING", "RECEIVED", "PERSISTED", "ERROR"]
    assert len(await video.list_fragments()) == 1


async def test_a_cluster_that_states_its_size_is_whole_without_what_follows(
    video: VideoService,
) -> None:
    await video.create()
    blocks = MKV.block(1, 0, True, b"key frame")
    sized = element(Id.CLUSTER, element(Id.TIMECODE, b"\x00"), blocks)
    async with video.produce() as producer:
        producer.send(HEADER, sized, sized[:20])
        await producer.until("BUFFERING")
        await producer.sent()
    stream = video.streams.find("us-east-1", "cam")
    assert stream is not None
    await eventually(lambda: stream.producers.size == 0)
    await stream.settle()
    (fragment,) = await video.list_fragments()
    assert fragment["FragmentSizeInBytes"] == len(sized)


async def test_a_producer_that_reads_no_acknowledgement_is_not_held_up(
    video: VideoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_ACKS_UNREAD_MAX", 4)
    await video.create()
    stream = video.streams.find("us-east-1", "cam")
    assert stream is not None
    taken = []

    async def body() -> AsyncIterator[bytes]:
        yield HEADER
        for at in range(10):
            yield cluster(at * 1000)
            taken.append(at)

    session = ingest.ProducerSession(
        stream,
        body(),
        start_ms=0,
        wants_acks=True,
        config=video.streams.config,
        clock=video.clock,
    )
    acks = session.acks()
    first = json.loads(await anext(acks))
    assert (first["EventType"], first["FragmentTimecode"]) == ("BUFFERING", 0)
    await eventually(lambda: len(taken) == 10)
    await stream.settle()
    left = [json.loads(ack) async for ack in acks]
    assert left[-1]["EventType"] == "PERSISTED"
    assert left[-1]["FragmentTimecode"] == 9000
    assert len(left) < 10  # of the 29 that followed
