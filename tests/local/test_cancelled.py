"""A caller inside the daemon may be cancelled at any step: no stream is left half made."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from streamproc.clock import SystemClock
from streamproc.gateway.errors import ResourceInUse
from streamproc.local.kinesis_data import DataStreams
from streamproc.local.kinesis_video import VideoStreams
from streamproc.local.kinesis_video.store import StreamExists
from streamproc.settings import DataConfig, VideoConfig

ACCOUNT, REGION = "111122223333", "us-east-1"
STEPS = range(0, 60, 3)


async def cancelled_after(steps: int, work: Coroutine[Any, Any, Any]) -> bool:
    """Whether it was cancelled, rather than done before."""
    task = asyncio.create_task(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return task.cancelled()


async def test_a_video_stream_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    streams = await VideoStreams.open(tmp_path / "video", VideoConfig(), ACCOUNT, SystemClock())
    was_cancelled, was_made = 0, 0
    try:
        for steps in STEPS:
            name = f"cam-{steps}"
            was_cancelled += await cancelled_after(steps, streams.create(REGION, name, 0, {}))
            try:
                await streams.create(REGION, name, 0, {})
            except StreamExists:
                was_made += 1
            assert streams.find(REGION, name) is not None
    finally:
        await streams.aclose()
    assert was_cancelled
    assert was_made


async def test_a_data_stream_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    streams = await DataStreams.open(tmp_path / "data.db", DataConfig(), ACCOUNT, SystemClock())
    wanted: dict[str, Any] = {
        "shard_count": 1, "mode": "PROVISIONED", "record_bytes_max": 1 << 20, "tags": {},
    }  # fmt: skip
    was_cancelled, was_made = 0, 0
    try:
        for steps in STEPS:
            name = f"records-{steps}"
            was_cancelled += await cancelled_after(steps, streams.create(REGION, name, **wanted))
            try:
                await streams.create(REGION, name, **wanted)
            except ResourceInUse:
                was_made += 1
            assert streams.find(REGION, name).shards
    finally:
        await streams.aclose()
    assert was_cancelled
    assert was_made
