"""A daemon with cameras in front of it and consumers behind it.

A lane is one camera, one processor, one data stream and one consumer. A Rig opens lanes on
embedded video streams; a PeerRig on the scripted video service, with the scripted proxy before
the data streams. Knows how things are joined; what goes wrong is decided in faults.py.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import web

from tests.chaos.camera import Camera
from tests.chaos.consumer import UNREACHABLE, Consumer, Place
from tests.chaos.data_proxy import DataProxy
from tests.chaos.film import Film, portraits
from tests.chaos.ledger import Expected, Key, Ledger, Verdict
from tests.chaos.process import DaemonChild
from tests.chaos.video_peer import PeerStream, VideoPeer

COLLECTION = "digits"
STOP_TIMEOUT_S = 3.0
_ROLE = "arn:aws:iam::000000000000:role/any"
_SETTINGS = {
    # Every frame is due: the film has no more of them than are analysed, and none is ever late.
    "processors.analysis_fps": 5,
    "processors.analysis_fps_min": 5,
    "processors.lag_max_s": 1_000_000,
    "processors.start_at": "earliest",
    "processors.stop_timeout_s": STOP_TIMEOUT_S,
    "aws.read_timeout_s": 4,
    "data.retention_hours": 8760,  # a clock that is stepped must not make anything expire
    "logging.level": "WARNING",
}
_RETENTION_HOURS = 8760


class Source(Protocol):
    """A camera, of either kind."""

    ledger: Ledger

    @property
    def is_idle(self) -> bool:
        """Paused, and nothing is on its way any more."""
        ...

    async def run(self) -> None: ...
    def pause(self) -> None: ...
    def go_on(self) -> None: ...


class Trouble(Exception):
    """What a person would have had to see to."""


@dataclass(frozen=True)
class Past:
    expected: dict[Key, Expected]
    place: Place


@dataclass
class Lane:
    name: str
    camera: Source
    consumer: Consumer
    rig: "Rig"
    repeats: int = 0  # fragments whose records may have come again
    resent: int = 0  # fragments that the service has sent again

    async def recovered(self, since: float, timeout_s: float) -> float:
        """Seconds from then, epoch, until the next new record. Raises Trouble."""

        def arrived() -> bool:
            return self.consumer.fresh_at > since

        if not await until(arrived, timeout_s):
            raise Trouble(f"{self.name}: no new record for {timeout_s:.0f} s; {await self.state()}")
        newer = (each.at for each in self.consumer.arrivals if each.at > since)
        return min(newer) - since

    async def check(self) -> None:
        """Raises Trouble unless the processor is on its way or running."""
        described = await self.described()
        if described.get("Status") not in {"RUNNING", "STARTING"}:
            raise Trouble(f"{self.name} is {described}")

    async def settle(self, timeout_s: float) -> None:
        """Stop the camera; return once everything due is here and all is well again.

        Raises Trouble if it does not come to that; what is lost the ledger says.
        """
        self.camera.pause()

        def everything() -> bool:
            return self.camera.is_idle and not self.camera.ledger.missing(self.consumer.keys)

        if not await until(everything, timeout_s):
            raise Trouble(f"{self.name}: not everything is here: {await self.state()}")
        with contextlib.suppress(*UNREACHABLE):
            await self.consumer.read()  # what came twice may come last

    async def at_rest(self) -> str:
        """What the processor complains about though nothing is wrong any more; "" if nothing."""
        described: dict[str, Any] = {}
        for _ in range(50):
            described = await self.described()
            if described.get("Status") == "RUNNING" and not described.get("StatusMessage"):
                return ""
            await asyncio.sleep(0.2)
        return f"{self.name}, when all is well again: {described}"

    def past(self) -> Past:
        """What is known now; return_to() forgets what came later, as a restored backup does."""
        return Past(dict(self.camera.ledger.expected), self.consumer.place())

    def return_to(self, past: Past) -> None:
        self.camera.ledger.expected = dict(past.expected)
        self.consumer.return_to(past.place)

    def verdict(self) -> Verdict:
        return self.camera.ledger.judge(
            self.consumer.arrivals, self.repeats + self.rig.unheard(self.name), self.resent
        )

    async def described(self) -> dict[str, Any]:
        try:
            answer = await self.rig.rekognition.describe_stream_processor(Name=self.name)
        except UNREACHABLE as error:
            return {"Status": f"unknown: {error}"}
        return {key: answer[key] for key in ("Status", "StatusMessage") if key in answer}

    async def state(self) -> str:
        running = self.rig.child.is_running
        return (
            f"the daemon {'runs' if running else 'has ended'}, processor {await self.described()}"
        )


@dataclass
class Rig:
    """Open it with opened(). Clients are plain aiobotocore ones, without retries."""

    child: DaemonChild
    film: Film
    chance: random.Random
    pace: float = 1.0  # fragments per second of each camera; less where the machine is busy
    clock_stepped_s: float = 0.0
    rekognition: Any = None
    kinesis: Any = None
    kinesisvideo: Any = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """The daemon runs, its sixteen persons are enrolled."""
        async with AsyncExitStack() as stack:
            await self._prepare(stack)
            stack.callback(self.child.close)
            await asyncio.to_thread(self.child.start)
            for service in ("rekognition", "kinesis", "kinesisvideo"):
                setattr(self, service, await stack.enter_async_context(self._client(service)))
            await self.rekognition.create_collection(CollectionId=COLLECTION)
            for digit, png in portraits():
                await self.rekognition.index_faces(
                    CollectionId=COLLECTION, ExternalImageId=digit, Image={"Bytes": png},
                    QualityFilter="NONE",
                )  # fmt: skip
            yield self

    @asynccontextmanager
    async def lanes(
        self, name: str, count: int = 1, pace: float = 1.0
    ) -> AsyncIterator[list[Lane]]:
        """So many lanes, called name-0 and so on, with running processors."""
        names = [f"{name.replace(' ', '-').replace(',', '')}-{number}" for number in range(count)]
        lanes = [await self._lane(each, self.pace * pace) for each in names]
        jobs = [job for lane in lanes for job in (lane.camera.run(), lane.consumer.run())]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            yield lanes
        finally:
            for task in tasks:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            for lane in lanes:
                with contextlib.suppress(*UNREACHABLE):
                    await self.rekognition.stop_stream_processor(Name=lane.name)
        for error in found:
            if isinstance(error, Exception):
                raise error  # a part of the harness itself is broken

    async def _lane(self, name: str, pace: float) -> Lane:
        await self.kinesis.create_stream(StreamName=name, ShardCount=1)
        answer = await self.kinesis.describe_stream_summary(StreamName=name)
        data_arn = answer["StreamDescriptionSummary"]["StreamARN"]
        video_arn, camera = await self._video(name, pace)
        await self.rekognition.create_stream_processor(
            Name=name,
            Input={"KinesisVideoStream": {"Arn": video_arn}},
            Output={"KinesisDataStream": {"Arn": data_arn}},
            Settings={"FaceSearch": {"CollectionId": COLLECTION, "FaceMatchThreshold": 90}},
            RoleArn=_ROLE,
        )
        await self.rekognition.start_stream_processor(Name=name)
        consumer = Consumer(self.kinesis, name, lambda: self.clock_stepped_s)
        return Lane(name, camera, consumer, self)

    def unheard(self, stream: str) -> int:
        """PutRecords that were accepted, and whose caller did not hear of it."""
        return 0

    async def _video(self, name: str, pace: float) -> tuple[str, Source]:
        answer = await self.kinesisvideo.create_stream(
            StreamName=name, DataRetentionInHours=_RETENTION_HOURS
        )
        return answer["StreamARN"], Camera(self.child.url, name, self.film, pace)

    async def _prepare(self, stack: AsyncExitStack) -> None:
        """What the daemon needs to be there before it starts."""

    def _client(self, service: str) -> Any:
        config = AioConfig(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=20)
        return get_session().create_client(
            service, endpoint_url=self.child.url, region_name="us-east-1", config=config,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip


@dataclass
class PeerRig(Rig):
    """Video and data come and go through services of our own."""

    video: VideoPeer = field(default_factory=VideoPeer)
    proxy: DataProxy = field(default_factory=lambda: DataProxy(""))

    async def _prepare(self, stack: AsyncExitStack) -> None:
        self.proxy = DataProxy(self.child.url)
        self.video.url = await stack.enter_async_context(_serving(self.video.app()))
        data_url = await stack.enter_async_context(_serving(self.proxy.app()))
        self.child.set("endpoints.kinesisvideo", self.video.url)
        self.child.set("endpoints.kinesis", data_url)

    def unheard(self, stream: str) -> int:
        return self.proxy.unheard.get(stream, 0)

    async def _video(self, name: str, pace: float) -> tuple[str, Source]:
        stream = PeerStream(self.film, random.Random(self.chance.random()), pace)
        self.video.streams[name] = stream
        return f"arn:aws:kinesisvideo:us-east-1:000000000000:stream/{name}/1700000000000", stream


def daemon_in(folder: Path, name: str, disk: Path | None = None) -> DaemonChild:
    """A child as the rigs want it; its data may lie on another disk than its log."""
    return DaemonChild((disk or folder) / name, _SETTINGS, log_file=folder / f"{name}.log")


async def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


@asynccontextmanager
async def _serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()
