"""A running Kinesis Video service; the clock is the machine's, or stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import boto3
import pytest

from streamproc.clock import FakeClock, SystemClock
from tests.local.kinesis_video.support import VideoService


@pytest.fixture(scope="session")
def boto_session() -> boto3.Session:
    """Loading botocore's models once is most of the cost of a client."""
    return boto3.Session()


@pytest.fixture
async def video(tmp_path: Path, boto_session: boto3.Session) -> AsyncIterator[VideoService]:
    service = await VideoService(tmp_path / "video", boto_session, SystemClock()).start()
    yield service
    await service.stop()


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def timed(
    tmp_path: Path, boto_session: boto3.Session, fake_clock: FakeClock
) -> AsyncIterator[VideoService]:
    """The same on a clock that only the test moves."""
    service = await VideoService(tmp_path / "video", boto_session, fake_clock).start()
    yield service
    await service.stop()
