"""A processor that has come to rest leaves no task, no thread, no file and no connection."""

import asyncio
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from streamproc.config import load_config
from streamproc.daemon import serving
from streamproc.engines.fake import FakeEngine
from tests.conftest import aws_client
from tests.end_to_end.films import film, put_media

ROLE = "arn:aws:iam::000000000000:role/any"
WARM_UP, CYCLES = 3, 10  # each of two lives


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (no one event tells)
            await asyncio.sleep(0.02)


def tasks() -> Counter[str]:
    """What runs, by what it does."""
    running = (task.get_coro() for task in asyncio.all_tasks())
    return Counter(getattr(coroutine, "__qualname__", str(coroutine)) for coroutine in running)


def threads() -> Counter[str]:
    """By the pool that they belong to; a pool of connections has one for each."""
    names = (thread.name.rstrip("0123456789") for thread in threading.enumerate())
    return Counter(name for name in names if not name.startswith("Thread-"))


def descriptors() -> Counter[str]:
    """Open files by path, sockets and pipes by kind. Databases keep a few connections each, as
    many as were ever wanted at once: those are counted as one."""
    found: Counter[str] = Counter()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found[str(descriptor.readlink()).split(":[")[0]] += 1
    return Counter({name: 1 if ".db" in name else count for name, count in found.items()})


class Rig:
    """What a user does, from a thread of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rekognition = aws_client("rekognition", url)
        kinesis, video = aws_client("kinesis", url), aws_client("kinesisvideo", url)
        self.rekognition.create_collection(CollectionId="people")
        kinesis.create_stream(StreamName="cam", ShardCount=1)
        data = kinesis.describe_stream_summary(StreamName="cam")["StreamDescriptionSummary"]
        self.data = data["StreamARN"]
        self.video = video.create_stream(StreamName="cam", DataRetentionInHours=1)["StreamARN"]
        self.create("good", "people")
        self.create("bad", "nobody")
        self.film = film()

    def create(self, name: str, collection: str) -> None:
        self.rekognition.create_stream_processor(
            Name=name, Input={"KinesisVideoStream": {"Arn": self.video}},
            Output={"KinesisDataStream": {"Arn": self.data}}, RoleArn=ROLE,
            Settings={"FaceSearch": {"CollectionId": collection}},
        )  # fmt: skip

    def status(self, name: str) -> str:
        return str(self.rekognition.describe_stream_processor(Name=name)["Status"])

    async def reach(self, name: str, status: str) -> None:
        async with asyncio.timeout(60):
            while await asyncio.to_thread(self.status, name) != status:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def cycle(self) -> None:
        """Start, watch a camera over some sessions, stop; and a start that fails."""
        for name, status in (("good", "RUNNING"), ("bad", "FAILED")):
            await asyncio.to_thread(self.rekognition.start_stream_processor, Name=name)
            await self.reach(name, status)
        await asyncio.to_thread(put_media, self.url, "cam", self.film)
        await asyncio.to_thread(self.rekognition.stop_stream_processor, Name="good")
        await self.reach("good", "STOPPED")


async def test_twenty_lives_leave_what_one_leaves(tmp_path: Path) -> None:
    settings: dict[str, dict[str, Any]] = {
        "server": {"port": 0},
        "storage": {"data_dir": tmp_path / "data"},
        "video": {"connection_s_max": 0.2},  # a GetMedia session ends five times a second
        "processors": {"start_at": "earliest"},
    }
    async with serving(load_config(None, settings), engine=FakeEngine()) as url:
        rig = await asyncio.to_thread(Rig, url)
        for _ in range(WARM_UP):
            await rig.cycle()
        before = tasks(), threads(), descriptors()
        for _ in range(CYCLES):
            await rig.cycle()
        # Handlers of connections that were just closed are given their moment.
        await until(lambda: tasks() - before[0] == Counter())
        await until(lambda: descriptors() - before[2] == Counter())
        left = threads() - before[1]
        # Executors start a thread when none is idle, so theirs are counted against their size.
        assert set(left) <= {"asyncio_", "decode_", "inference_"}
