"""GetMedia: every way to start, the live tail, and how it ends."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.clock import FakeClock
from streamproc.gateway.errors import ConnectionLimitExceeded
from streamproc.local.kinesis_video.archive import Archive
from streamproc.local.kinesis_video.connections import Connections
from streamproc.local.kinesis_video.follow import document
from streamproc.model.media import FragmentEnded, FragmentStarted, Packet
from streamproc.settings import VideoConfig
from tests.local.kinesis_video.support import (
    END_OF_FRAGMENT,
    HEADER,
    MKV,
    VideoService,
    cluster,
    events_of,
    eventually,
)


@pytest.fixture
async def recorded(timed: VideoService, fake_clock: FakeClock) -> list[str]:
    """Three fragments of one second, two seconds apart at the server, from producer time 100."""
    await timed.create()
    numbers = []
    for start in ("100", "101", "102"):
        numbers += await timed.push(HEADER, cluster(0), x_amzn_producer_start_timestamp=start)
        await fake_clock.advance(2)
    return numbers


async def test_a_document_is_the_header_the_tags_and_the_producers_own_bytes(
    timed: VideoService, recorded: list[str], fake_clock: FakeClock
) -> None:
    async with timed.follow(start="EARLIEST") as follower:
        started, ended = await follower.started(), await follower.ended()
    assert started.fragment.number == recorded[0]
    assert started.fragment.server_timestamp == fake_clock.now() - 6
    assert started.fragment.producer_timestamp == 100.0
    assert ended == FragmentEnded(
        recorded[0], True, millis_behind_now=6000, continuation_token=recorded[0]
    )
    assert follower.raw.startswith(HEADER)
    assert cluster(0) in follower.raw


SELECTORS: list[tuple[str, dict[str, Any], int]] = [
    ("EARLIEST", {}, 0),
    ("SERVER_TIMESTAMP", {"StartTimestamp": 0}, 0),
    ("SERVER_TIMESTAMP", {"StartTimestamp": 1_700_000_002.9}, 1),  # in the second fragment
    ("SERVER_TIMESTAMP", {"StartTimestamp": 1_700_000_003.1}, 2),  # behind it: the next one
    ("PRODUCER_TIMESTAMP", {"StartTimestamp": 100.999}, 0),
    ("PRODUCER_TIMESTAMP", {"StartTimestamp": 101}, 1),
    ("PRODUCER_TIMESTAMP", {"StartTimestamp": 102.5}, 2),
]


@pytest.mark.parametrize(("kind", "members", "first"), SELECTORS)
async def test_a_selector_starts_where_it_says(
    timed: VideoService, recorded: list[str], kind: str, members: dict[str, Any], first: int
) -> None:
    async with timed.follow(start=kind, **members) as follower:
        assert await follower.numbers(3 - first) == recorded[first:]


@pytest.mark.parametrize("kind", ["FRAGMENT_NUMBER", "CONTINUATION_TOKEN"])
async def test_a_number_starts_behind_its_fragment(
    timed: VideoService, recorded: list[str], kind: str
) -> None:
    member = {"FRAGMENT_NUMBER": "AfterFragmentNumber"}.get(kind, "ContinuationToken")
    async with timed.follow(start=kind, **{member: recorded[0]}) as follower:
        assert await follower.numbers(2) == recorded[1:]
    # A number that no fragment has is as good: its place in the order counts.
    between = str(int(recorded[1]) + 1)
    async with timed.follow(start=kind, **{member: between}) as follower:
        assert await follower.numbers(1) == recorded[2:]


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("NOW", {}),
        ("FRAGMENT_NUMBER", {}),  # the last one's
        ("PRODUCER_TIMESTAMP", {"StartTimestamp": 2_000_000_000}),
    ],
)
async def test_behind_everything_waits_for_what_comes(
    timed: VideoService, recorded: list[str], kind: str, members: dict[str, Any]
) -> None:
    if kind == "FRAGMENT_NUMBER":
        members = {"AfterFragmentNumber": recorded[-1]}
    async with timed.follow(start=kind, **members) as follower:
        (number,) = await timed.push(HEADER, cluster(0))
        assert await follower.numbers(1) == [number]


@pytest.mark.parametrize(
    ("selector", "named"),
    [
        ({"StartSelectorType": "FRAGMENT_NUMBER"}, "AfterFragmentNumber"),
        ({"StartSelectorType": "SERVER_TIMESTAMP"}, "StartTimestamp"),
        ({"StartSelectorType": "CONTINUATION_TOKEN"}, "ContinuationToken"),
        ({"StartSelectorType": "CONTINUATION_TOKEN", "ContinuationToken": "abc"}, "abc"),
    ],
)
async def test_a_selector_without_its_member_is_refused(
    video: VideoService, selector: dict[str, str], named: str
) -> None:
    await video.create()
    with pytest.raises(ClientError, match=named) as refused:
        async with video.follow(start=selector.pop("StartSelectorType"), **selector):
            pass
    assert refused.value.response["Error"]["Code"] == "InvalidArgumentException"


async def test_the_live_tail_delivers_before_the_fragment_ends(video: VideoService) -> None:
    await video.create()
    async with video.produce() as producer, video.follow() as follower:
        producer.send(HEADER, MKV.cluster(0), MKV.block(1, 0, True, b"key frame"))
        started = await follower.started()
        packet = await follower.next()
        assert packet == Packet(1, 0, True, b"key frame")
        producer.send(MKV.block(1, 33, False, b"next frame"))
        assert await follower.next() == Packet(1, 33_000_000, False, b"next frame")
        buffering = await producer.ack()
        assert buffering is not None
        assert buffering["FragmentNumber"] == started.fragment.number
        assert len(producer.seen) == 1  # and nothing says that it is whole
        producer.send(END_OF_FRAGMENT)
        ended = await follower.ended()
    assert ended.complete
    assert ended.continuation_token == started.fragment.number


async def test_the_live_tail_asks_nothing_of_the_archive(
    video: VideoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many cameras that would be a query per camera and second."""

    async def refuse(*_: object) -> None:
        raise AssertionError("a query")

    await video.create()
    monkeypatch.setattr(Archive, "after", refuse)
    async with video.follow() as follower, video.produce() as producer:
        numbers = []
        for second in range(4):
            producer.send(*([] if second else [HEADER]), cluster(second * 1000))
            numbers.append((await follower.started()).fragment.number)
        assert numbers == sorted(set(numbers))


async def test_now_is_the_fragment_that_is_being_received_from_its_beginning(
    video: VideoService,
) -> None:
    await video.create()
    async with video.produce() as producer:
        producer.send(HEADER, cluster(0), MKV.cluster(1000), MKV.block(1, 0, True, b"first"))
        await producer.until("PERSISTED")
        async with video.follow(start="NOW") as follower:
            started = await follower.started()
            assert started.fragment.timecode_ns == 1_000_000_000
            assert await follower.next() == Packet(1, 0, True, b"first")


async def test_a_server_timestamp_of_now_is_the_fragment_being_received(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    await timed.create()
    async with timed.produce() as producer:
        producer.send(HEADER, cluster(0))
        buffering = await producer.until("BUFFERING")
        await fake_clock.advance(3)
        async with timed.follow(
            start="SERVER_TIMESTAMP", StartTimestamp=fake_clock.now()
        ) as follower:
            assert (await follower.started()).fragment.number == buffering["FragmentNumber"]


async def test_an_empty_stream_waits_for_its_first_fragment(video: VideoService) -> None:
    await video.create(retention_hours=0)
    async with video.follow(start="EARLIEST") as follower:
        (number,) = await video.push(HEADER, cluster(0))
        assert await follower.numbers(1) == [number]


async def test_what_a_producer_left_in_the_middle_ends_the_session_there(
    video: VideoService,
) -> None:
    """A document behind half a block would be taken for the block's other half."""
    await video.create()
    async with video.follow() as follower:
        async with video.produce() as producer:
            producer.send(HEADER, cluster(0)[:-10])
            cut = (await follower.started()).fragment.number
        assert await follower.at_end()
    assert follower.raw.endswith(cluster(0)[:-10])
    assert events_of(follower.raw)[-1] == FragmentEnded(cut, complete=False)
    async with video.follow(start="FRAGMENT_NUMBER", AfterFragmentNumber=cut) as follower:
        (number,) = await video.push(HEADER, cluster(0))
        assert await follower.numbers(1) == [number]


async def test_several_followers_share_what_arrives(video: VideoService) -> None:
    await video.create()
    async with video.follow() as one, video.follow() as other:
        numbers = await video.push(HEADER, *(cluster(second * 1000) for second in range(5)))
        assert await one.numbers(5) == await other.numbers(5) == numbers
    bodies = [one.raw.count(cluster(second * 1000)) for second in range(5)]
    assert bodies == [1] * 5


async def test_a_reader_that_falls_behind_goes_on_from_disk(video: VideoService) -> None:
    """Nothing is queued for it: once a fragment is stored, memory forgets it."""
    await video.create()
    stream = video.streams.find("us-east-1", "cam")
    assert stream is not None
    fragment = await stream.begin(HEADER, timecode=0, producer_ms=0)
    fragment.data += b"half of a Cluster "
    chunks = document(stream, fragment)
    opening = await anext(chunks)
    fragment.data += b"and its other half"
    await stream.finish(fragment, length_ms=1000)
    assert not fragment.data
    rest = [chunk async for chunk in chunks]
    assert (opening + b"".join(rest)).endswith(b"half of a Cluster and its other half")


async def test_a_slow_reader_misses_nothing(video: VideoService) -> None:
    await video.create()
    large = [cluster(second * 1000, size=400_000) for second in range(6)]
    async with video.follow(start="EARLIEST") as follower:
        numbers = await video.push(HEADER, *large)  # 10 MB, while the follower reads nothing
        assert await follower.numbers(6) == numbers
    assert all(follower.raw.count(data) == 1 for data in large)


async def test_two_sessions_are_followed_in_the_order_of_their_numbers(
    video: VideoService,
) -> None:
    """A producer that changes its connection opens the new one before the old one is done."""
    await video.create()
    async with video.follow() as follower, video.produce() as old, video.produce() as new:
        old.send(HEADER, cluster(0))
        first = (await old.until("BUFFERING"))["FragmentNumber"]
        new.send(HEADER, cluster(5000), END_OF_FRAGMENT)
        second = (await new.until("PERSISTED"))["FragmentNumber"]
        old.send(END_OF_FRAGMENT)
        assert await follower.numbers(2) == [first, second]
    assert int(first) < int(second)


async def test_deleting_the_stream_ends_its_sessions(video: VideoService) -> None:
    arn = await video.create()
    async with video.produce() as producer, video.follow() as follower:
        producer.send(HEADER, cluster(0))
        await follower.started()
        await video.call("delete_stream", StreamARN=arn)
        assert await follower.at_end()
        producer.send(cluster(1000))
        error = await producer.until("ERROR")
    assert (error["ErrorId"], error["ErrorCode"]) == (4008, "STREAM_NOT_ACTIVE")


async def test_a_session_at_its_limit_ends_between_two_documents(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    await timed.restart(VideoConfig(connection_s_max=60))
    await timed.create()
    (number,) = await timed.push(HEADER, cluster(0))
    async with timed.follow(start="EARLIEST") as follower:
        assert await follower.numbers(1) == [number]
        ended = asyncio.create_task(follower.at_end())
        began = fake_clock.monotonic()
        while not ended.done():
            await fake_clock.advance(10)
            await asyncio.sleep(0.02)  # the sweep that looks at it works on a thread
        assert fake_clock.monotonic() - began >= 60
        assert await ended
    last = events_of(follower.raw)[-1]
    assert isinstance(last, FragmentEnded)
    assert last.complete


async def test_concurrent_sessions_are_limited_and_places_come_back(video: VideoService) -> None:
    await video.restart(VideoConfig(get_media_per_stream_max=1, put_media_per_stream_max=1))
    await video.create()
    stream = video.streams.find("us-east-1", "cam")
    assert stream is not None
    async with video.follow(), video.produce() as producer:
        with pytest.raises(ClientError) as refused:
            async with video.follow():
                pass
        assert refused.value.response["Error"]["Code"] == "ConnectionLimitExceededException"
        producer.end()
        await producer.rest()
        await eventually(lambda: stream.producers.size == 0)
        async with video.produce(), video.produce() as second:
            assert second.response.status == 400
            answer = await second.response.json()
            assert "PutMedia" in answer["Message"]
    await eventually(lambda: stream.followers.size == stream.producers.size == 0)
    async with video.follow():
        pass


async def test_an_answer_that_nobody_began_to_read_gives_its_place_back() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"never asked for"

    connections = Connections("GetMedia", 1)
    session = connections.open(chunks())
    with pytest.raises(ConnectionLimitExceeded, match="1 GetMedia"):
        connections.open(chunks())
    await session.aclose()
    await session.aclose()
    assert connections.size == 0


async def test_a_name_or_an_arn_finds_the_stream(video: VideoService) -> None:
    arn = await video.create()
    media = video.client("kinesis-video-media")
    start = {"StartSelectorType": "NOW"}
    answer = await asyncio.to_thread(media.get_media, StreamARN=arn, StartSelector=start)
    assert answer["ContentType"] == "video/webm"
    answer["Payload"].close()
    with pytest.raises(media.exceptions.ResourceNotFoundException):
        await asyncio.to_thread(media.get_media, StreamName="other", StartSelector=start)
    with pytest.raises(media.exceptions.InvalidArgumentException, match="StreamName"):
        await asyncio.to_thread(media.get_media, StartSelector=start)


async def test_boto3_reads_a_recording_back_frame_by_frame(video: VideoService) -> None:
    await video.create()
    numbers = await video.push(HEADER, cluster(0), cluster(1000))
    media = video.client("kinesis-video-media")
    answer = await asyncio.to_thread(
        media.get_media, StreamName="cam", StartSelector={"StartSelectorType": "EARLIEST"}
    )
    body = b""
    while body.count(b"CONTINUATION_TOKEN") < 2:
        body += await asyncio.to_thread(answer["Payload"].read, 1)
    answer["Payload"].close()
    started = [event for event in events_of(body) if isinstance(event, FragmentStarted)]
    assert [event.fragment.number for event in started] == numbers
