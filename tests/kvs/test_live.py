"""A camera's way into a stream: first with a camera and a stream of failure and time only, then
with real ones."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import EndpointConnectionError

from streamproc.clock import Clock, FakeClock, SystemClock
from streamproc.errors import StreamprocError
from streamproc.kvs.acks import Ack, PutMediaError
from streamproc.kvs.backlog import Backlog
from streamproc.kvs.camera_failures import CameraRefused, CameraUnreachable
from streamproc.kvs.camera_url import SourceUrl
from streamproc.kvs.coded import CodedPacket, Facts
from streamproc.kvs.live import CameraFeed, FeedOptions, FeedStatus, FeedView, Target
from streamproc.kvs.live_session import LiveSession
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentStarted, Packet, Track, TrackKind
from tests.cli.embedded import embedded_services
from tests.decode.clips import film
from tests.peers.rtsp_server import RtspServer, skip_without_rtsp_server

URL = "rtsp://viewer:s3cr3t@camera/cam"
SMALL = Track(1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC", b"\x01small", 160, 120)
LARGE = Track(1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC", b"\x01large", 320, 240)
STEP_S = 0.04


class Camera:
    """Implements Input for each connection: hands out what the test gives it."""

    def __init__(self) -> None:
        self.facts = Facts("h264", 160, 120, 25)
        self.pictures_dropped_total = self.packets_before_keyframe_total = 0
        self.opened_total = self.stopped_total = 0
        self.refusals: deque[Exception] = deque()
        self.options: dict[str, object] = {}
        self._given: deque[CodedPacket | Exception] = deque()
        self._changed = threading.Condition()

    def open(self, source: SourceUrl, **options: object) -> Self:
        self.opened_total += 1
        self.options = options
        if self.refusals:
            raise self.refusals.popleft()
        return self

    def give(self, *items: CodedPacket | Exception) -> None:
        with self._changed:
            self._given.extend(items)
            self._changed.notify_all()

    def packets(self) -> Iterator[CodedPacket]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._given, 60)
                item = self._given.popleft()
            if isinstance(item, Exception):
                raise item
            yield item

    def stop(self) -> None:
        self.stopped_total += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        pass


class Stream:
    """Implements PutMedia: takes sessions apart, and confirms every fragment that is whole."""

    def __init__(self) -> None:
        self.sessions: list[list[FragmentStarted | Packet]] = []
        self.failures: deque[Exception] = deque()
        self.broken = asyncio.Event()  # the running session breaks
        self.down: Exception | None = None
        self.is_silent = False  # takes everything, and acknowledges nothing

    async def find(self) -> Target:
        if self.down is not None:
            raise self.down
        return Target("http://stream", "us-east-1", Credentials("a", "b"))

    async def put(
        self,
        endpoint_url: str,
        stream: str,
        body: AsyncIterator[bytes],
        *,
        region: str,
        credentials: Credentials,
        on_ack: Callable[[Ack], None] | None = None,
    ) -> None:
        assert (endpoint_url, stream, region) == ("http://stream", "door", "us-east-1")
        events: list[FragmentStarted | Packet] = []
        self.sessions.append(events)
        if self.failures:
            await anext(aiter(body))
            raise self.failures.popleft()
        parser = FragmentParser()
        reading = asyncio.create_task(self._read(body, parser, events, on_ack))
        breaking = asyncio.create_task(self.broken.wait())
        await asyncio.wait((reading, breaking), return_when=asyncio.FIRST_COMPLETED)
        breaking.cancel()
        if self.broken.is_set() and not reading.done():
            self.broken.clear()
            reading.cancel()
            await asyncio.wait((reading,))
            raise PutMediaError("the connection to http://stream broke", code="ConnectionError")
        await reading

    async def _read(
        self,
        body: AsyncIterator[bytes],
        parser: FragmentParser,
        events: list[FragmentStarted | Packet],
        on_ack: Callable[[Ack], None] | None,
    ) -> None:
        assert on_ack is not None
        if self.is_silent:
            await asyncio.Event().wait()
        open_ms: int | None = None
        async for data in body:
            for event in parser.feed(data):
                if isinstance(event, FragmentStarted):
                    if open_ms is not None:
                        on_ack(Ack("PERSISTED", timecode=open_ms))
                    open_ms = event.fragment.timecode_ns // 1_000_000
                if isinstance(event, FragmentStarted | Packet):
                    events.append(event)
        if open_ms is not None:
            on_ack(Ack("PERSISTED", timecode=open_ms))

    def payloads(self, session: int = -1) -> list[int]:
        return [
            int.from_bytes(event.payload)
            for event in self.sessions[session]
            if isinstance(event, Packet)
        ]

    def everything(self) -> list[int]:
        return [n for session in range(len(self.sessions)) for n in self.payloads(session)]


def packets(first: int, count: int, track: Track = SMALL) -> list[CodedPacket]:
    """A keyframe every tenth; the payload is the number."""
    return [
        CodedPacket(track, n * STEP_S, STEP_S, n % 10 == 0, n.to_bytes(4))
        for n in range(first, first + count)
    ]


class Running:
    """A feed that runs, and what it told."""

    def __init__(self, feed: CameraFeed, told: list[FeedView], stop: asyncio.Event) -> None:
        self.feed = feed
        self.told = told
        self.stop = stop
        self.task: asyncio.Task[None] | None = None

    @property
    def view(self) -> FeedView:
        return self.feed.view()

    @property
    def statuses(self) -> list[str]:
        return [view.status.value for view in self.told]


async def until(condition: Callable[[], Any], clock: FakeClock | None = None) -> None:
    """The camera is read on a thread: what it gives comes when it comes. With a clock, time
    passes meanwhile."""
    async with asyncio.timeout(60):
        while not condition():
            if clock is not None:
                await clock.advance(0.25)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(
    camera: Camera,
    stream: Stream,
    clock: Clock,
    options: FeedOptions | None = None,
    *,
    give_up: bool = False,
) -> AsyncIterator[Running]:
    told: list[FeedView] = []
    feed = CameraFeed(
        URL, "door", stream.find, options or FeedOptions(), clock=clock, roll=lambda: 1.0,
        put=stream.put, open_input=camera.open, on_change=told.append,
    )  # fmt: skip
    stop = asyncio.Event()
    run = Running(feed, told, stop)
    run.task = asyncio.create_task(feed.run(stop, give_up_when_refused=give_up))
    try:
        yield run
    finally:
        run.task.cancel()
        await asyncio.wait((run.task,))
        camera.give(CameraUnreachable("the test is over"))


async def test_packets_become_a_stream() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock) as run:
        assert run.view.status == "CONNECTING"
        camera.give(*packets(0, 40))
        await until(lambda: len(stream.everything()) == 40)
        assert run.view.status == "LIVE"
        assert run.view.facts == camera.facts
        assert run.view.bytes_total == 160
        run.stop.set()
        assert run.task is not None
        await asyncio.wait_for(run.task, 60)
    assert stream.everything() == list(range(40))
    assert run.view.fragments_persisted_total == len(
        [event for event in stream.sessions[0] if isinstance(event, FragmentStarted)]
    )
    assert camera.options == {
        "transport": "tcp", "transcode": False, "timeout_s": 10.0, "verify_tls": True
    }  # fmt: skip


async def test_pictures_are_dated_by_their_arrival() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock(1_700_000_000.0)
    async with running(camera, stream, clock):
        camera.give(*packets(500, 1))
        await until(lambda: stream.everything())
    started = stream.sessions[0][0]
    assert isinstance(started, FragmentStarted)
    assert started.fragment.timecode_ns == 1_700_000_000 * 10**9


async def test_a_camera_that_breaks_is_opened_again() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock) as run:
        camera.give(*packets(0, 20), CameraUnreachable("the camera is off"))
        await until(lambda: run.view.status is FeedStatus.RETRYING)
        assert run.view.message == "the camera is off"
        await until(lambda: len(stream.everything()) == 20)
        camera.give(*packets(100, 20))
        await until(lambda: len(stream.everything()) == 40, clock)
        assert run.view.status is FeedStatus.LIVE
        assert run.view.reconnects_total == 1
    assert run.statuses == ["LIVE", "RETRYING", "LIVE"]
    assert stream.everything() == [*range(20), *range(100, 120)]
    # The last fragment was ended while the camera was gone, rather than left open.
    assert len(stream.sessions) == 2


async def test_a_camera_that_is_off_is_tried_for_ever_at_bounded_intervals() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    camera.refusals.extend(CameraUnreachable("off") for _ in range(10_000))
    async with running(camera, stream, clock) as run:
        waits: list[float] = []
        before = 0.0
        for attempt in range(1, 100):
            await until(partial(lambda n: camera.opened_total == n and clock._sleepers, attempt))
            waits.append(clock._sleepers[0][0] - before)
            before = clock._sleepers[0][0]
            await clock.advance(waits[-1])
    assert waits[:4] == [0.75, 1.25, 2.25, 4.25]
    assert max(waits[:60]) <= 4.25  # quick for the first minutes
    assert max(waits) == 30.25
    assert run.statuses == ["RETRYING"]


async def test_a_refusal_is_tried_seldom_and_told() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    camera.refusals.append(CameraRefused("wrong password"))
    async with running(camera, stream, clock) as run:
        await until(lambda: run.view.status is FeedStatus.REFUSED)
        await clock.advance(59)
        assert camera.opened_total == 1
        camera.give(*packets(0, 10))
        await until(lambda: run.view.status is FeedStatus.LIVE, clock)
    assert run.told[0].message == "wrong password"


async def test_a_command_gives_up_on_a_refusal() -> None:
    camera, stream = Camera(), Stream()
    camera.refusals.append(CameraRefused("wrong password"))
    async with running(camera, stream, FakeClock(), give_up=True) as run:
        assert run.task is not None
        with pytest.raises(CameraRefused, match="wrong password"):
            await asyncio.wait_for(run.task, 60)


async def test_a_relay_that_starts_anew_may_say_404_for_a_while() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock, give_up=True) as run:
        camera.give(*packets(0, 10))
        await until(lambda: run.view.status is FeedStatus.LIVE)
        camera.refusals.append(CameraRefused("404", may_pass=True))
        camera.give(CameraUnreachable("off"))
        await until(lambda: run.view.status is FeedStatus.RETRYING)
        camera.give(*packets(100, 10))
        await until(lambda: run.view.status is FeedStatus.LIVE, clock)
    assert camera.opened_total == 3
    assert "REFUSED" not in run.statuses


async def test_a_new_size_begins_a_new_session() -> None:
    camera, stream = Camera(), Stream()
    clock = FakeClock()
    async with running(camera, stream, clock) as run:
        camera.give(*packets(0, 20), *packets(20, 20, LARGE))
        await until(lambda: len(stream.everything()) == 40, clock)
        assert run.view.facts is not None
        assert run.view.facts.width == 320
    assert [stream.payloads(n) for n in range(2)] == [[*range(20)], [*range(20, 40)]]
    first = stream.sessions[1][0]
    assert isinstance(first, FragmentStarted)
    assert first.fragment.tracks[0].width == 320


async def test_what_a_broken_session_held_is_sent_again() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock) as run:
        camera.give(*packets(0, 45))  # fragments of 1.2 s
        await until(lambda: len(stream.everything()) == 45)
        stream.broken.set()
        await until(lambda: run.view.status is FeedStatus.RETRYING)
        assert run.view.message == "the connection to http://stream broke"
        await until(lambda: len(stream.sessions) == 2 and len(stream.payloads()) == 15, clock)
        await play(camera, run, clock, packets(45, 45))
        await until(lambda: run.view.status is FeedStatus.LIVE)
    assert stream.payloads(1) == [*range(30, 90)]
    assert run.view.packets_dropped_total == 0


async def test_a_stream_that_is_away_costs_whole_groups_and_never_the_camera() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    stream.down = EndpointConnectionError(endpoint_url="http://stream")
    async with running(camera, stream, clock, FeedOptions(backlog_s_max=3.0)) as run:
        await play(camera, run, clock, packets(0, 200))  # 8 s
        assert run.view.status is FeedStatus.RETRYING
        assert run.view.message.startswith("The connection to Kinesis Video broke, trying again")
        assert 0 < run.view.waiting_s <= 3.0
        assert run.view.groups_dropped_total == 13
        stream.down = None
        await until(lambda: len(stream.everything()) == 70, clock)
    assert stream.everything() == [*range(130, 200)]
    assert camera.opened_total == 1


async def test_a_long_session_is_ended_on_a_keyframe_before_the_service_does() -> None:
    backlog = Backlog(100, 100_000)
    for packet in packets(0, 100):
        backlog.put(1_700_000_000 + packet.pts_s, packet)
    backlog.pause()
    lengths = []
    while not backlog.is_empty:
        session = LiveSession(backlog, session_s_max=1.5)
        lengths.append(len([data async for data in session.body()]))
        session.succeeded()
    assert lengths == [40, 40, 20]


async def test_a_machine_whose_clock_is_set_back_begins_a_new_session() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock) as run:
        await play(camera, run, clock, packets(0, 20))
        clock._start -= 3600
        await play(camera, run, clock, packets(20, 20))
        await until(lambda: len(stream.everything()) == 40)
    begins = [session[0] for session in stream.sessions]
    assert len(begins) == 2
    earlier, later = (
        begin.fragment.timecode_ns / 1e9 for begin in begins if isinstance(begin, FragmentStarted)
    )
    assert later - earlier == pytest.approx(-3600, abs=2)


async def test_media_that_the_stream_refuses_is_not_sent_for_ever() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    stream.failures.append(PutMediaError("refused", code="INVALID_MKV_DATA"))
    async with running(camera, stream, clock) as run:
        camera.give(*packets(0, 10))
        await until(lambda: run.view.message == "refused")
        camera.give(*packets(10, 10))
        await until(lambda: stream.everything(), clock)
        assert stream.everything() == [*range(10, 20)]
        assert run.view.groups_dropped_total == 1


async def test_a_stream_that_takes_everything_and_says_nothing_is_trouble() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    stream.is_silent = True
    async with running(camera, stream, clock) as run:
        await play(camera, run, clock, packets(0, 20))
        assert run.view.status is FeedStatus.LIVE
        await until(lambda: run.view.status is FeedStatus.RETRYING, clock)
        assert run.view.message == "Kinesis Video has acknowledged nothing for 30 s"
        assert 29 <= clock.monotonic() <= 33
        stream.is_silent = False
        await until(lambda: stream.everything(), clock)
        await play(camera, run, clock, packets(20, 60))
        assert run.view.status is FeedStatus.LIVE
    assert stream.everything() == [*range(80)]


async def test_a_stream_that_is_sent_nothing_may_say_nothing() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock) as run:
        await play(camera, run, clock, packets(0, 60))
        await clock.advance(20)  # a fragment of 20 s, and then another
        await play(camera, run, clock, packets(560, 40))
        await clock.advance(20)
        await play(camera, run, clock, packets(1100, 40))
        assert run.statuses == ["LIVE"]
    assert len(stream.sessions) == 1


async def test_parameter_sets_that_change_all_the_time_cost_a_session_a_second() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock) as run:
        for first in range(0, 200, 10):
            track = SMALL if first % 20 else LARGE
            await play(camera, run, clock, packets(first, 10, track))
        assert run.view.sessions_total <= 9  # of 8 s
    assert len(stream.sessions) > 5


async def test_a_connection_that_is_given_up_is_closed() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock) as run:
        await until(lambda: run.view.facts)
        run.stop.set()
        assert run.task is not None
        await asyncio.wait_for(run.task, 60)
        assert camera.stopped_total == 1


async def test_a_wrong_key_is_told() -> None:
    camera, stream = Camera(), Stream()
    stream.down = StreamprocError("there are no AWS credentials")
    async with running(camera, stream, FakeClock()) as run:
        camera.give(*packets(0, 10))
        await until(lambda: run.view.message == "there are no AWS credentials")


async def test_no_password_leaves(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    camera, stream, clock = Camera(), Stream(), FakeClock()
    async with running(camera, stream, clock) as run:
        camera.give(*packets(0, 10), CameraUnreachable(f"{run.feed.source} is off"))
        await until(lambda: run.view.status is FeedStatus.RETRYING)
    assert "rtsp://viewer:***@camera/cam" in caplog.text
    assert "s3cr3t" not in caplog.text + repr(run.told)


async def test_a_stop_does_not_wait_for_a_stream_that_is_away() -> None:
    camera, stream, clock = Camera(), Stream(), FakeClock()
    stream.down = StreamprocError("away")
    async with running(camera, stream, clock) as run:
        camera.give(*packets(0, 10))
        await until(lambda: run.view.message == "away")
        run.stop.set()
        assert run.task is not None
        await asyncio.wait_for(run.task, 60)


async def play(camera: Camera, run: Running, clock: FakeClock, film: list[CodedPacket]) -> None:
    """Hand the packets out as time goes by."""
    for packet in film:
        reached = run.view.bytes_total + len(packet.payload)
        camera.give(packet)
        await until(partial(lambda total: run.view.bytes_total == total, reached))
        await clock.advance(STEP_S)


class TestForReal:
    """GStreamer's camera, FFmpeg, PutMedia on a socket, the embedded video service."""

    async def test_a_camera_killed_and_restarted_goes_on_by_itself(self, tmp_path: Path) -> None:
        skip_without_rtsp_server()
        clip = tmp_path / "visit.mp4"
        clip.write_bytes(film(container="mp4", b_frames=2, frames=100).file)
        (tmp_path / "services").mkdir()
        with (
            embedded_services(tmp_path / "services") as url,
            RtspServer(clip, user="viewer", password="s3cr3t") as camera,
        ):
            service(url, "kinesisvideo").create_stream(StreamName="door", DataRetentionInHours=1)
            feed = CameraFeed(camera.url, "door", _target(url), clock=SystemClock())
            stop = asyncio.Event()
            task = asyncio.create_task(feed.run(stop))
            await until(lambda: feed.view().fragments_persisted_total >= 2)
            camera.kill()
            await until(lambda: feed.view().status is FeedStatus.RETRYING)
            camera.start()
            before = feed.view().fragments_persisted_total
            await until(lambda: feed.view().fragments_persisted_total >= before + 2)
            assert feed.view().status is FeedStatus.LIVE
            assert feed.view().reconnects_total >= 1
            stop.set()
            await asyncio.wait_for(task, 60)
            view = feed.view()
            archive = service(url, "kinesis-video-archived-media")
            fragments = archive.list_fragments(StreamName="door")["Fragments"]
        assert len(fragments) == view.fragments_persisted_total
        assert view.packets_dropped_total == 0
        stamps = sorted(fragment["ProducerTimestamp"].timestamp() for fragment in fragments)
        assert stamps[-1] == view.last_fragment_timestamp

    async def test_a_service_restarted_gets_what_waited(self, tmp_path: Path) -> None:
        clip = tmp_path / "visit.mp4"
        clip.write_bytes(film(container="mp4", frames=50).file)
        (tmp_path / "services").mkdir()
        urls: list[str] = []

        async def find() -> Target:
            if not urls:
                raise EndpointConnectionError(endpoint_url="http://nowhere")
            return await _target(urls[0])()

        feed = CameraFeed(str(clip), "door", find, clock=SystemClock())
        task = asyncio.create_task(feed.run(asyncio.Event()))
        try:
            with embedded_services(tmp_path / "services") as url:
                urls.append(url)
                video = service(url, "kinesisvideo")
                video.create_stream(StreamName="door", DataRetentionInHours=1)
                await until(lambda: feed.view().fragments_persisted_total >= 2)
                urls.clear()
            await until(lambda: feed.view().status is FeedStatus.RETRYING)
            with embedded_services(tmp_path / "services") as url:
                urls.append(url)
                before = feed.view().fragments_persisted_total
                await until(lambda: feed.view().fragments_persisted_total >= before + 3)
                assert feed.view().status is FeedStatus.LIVE
                assert feed.view().packets_dropped_total == 0
                assert feed.view().reconnects_total == 0  # the camera was never lost
        finally:
            task.cancel()
            await asyncio.wait((task,))


def _target(url: str) -> Callable[[], Awaitable[Target]]:
    async def find() -> Target:
        return Target(url, "us-east-1", Credentials("local", "local"))

    return find


def service(url: str, name: str) -> Any:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client(name, endpoint_url=url, region_name="us-east-1", **keys)
