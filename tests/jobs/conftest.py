"""Short clips whose frames tell which they are, and what jobs are made of."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import pytest

from streamproc.clock import FakeClock
from streamproc.model.job import JobKind, JobSpec
from streamproc.model.video import ObjectRef

Film: TypeAlias = Callable[..., Path]

TOPIC = "arn:aws:sns:eu-west-1:000000000000:AmazonRekognitionDone"


def film_brightness(path: Path, frames: int, fps: int = 10) -> Path:
    """H.264 in MP4, 64x64: each frame is a little brighter than the last."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        stream.options = {"preset": "ultrafast", "crf": "10"}
        for number in range(frames):
            image = np.full((64, 64, 3), 20 + number * 200 // frames, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (no one event tells)
            await asyncio.sleep(0.002)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of ten frames each."""
    return film_brightness(tmp_path_factory.mktemp("clips") / "clip.mp4", 30)


@pytest.fixture(scope="session")
def film() -> Film:
    return film_brightness


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def job_spec() -> JobSpec:
    return JobSpec(
        region="eu-west-1",
        kind=JobKind.FACE_DETECTION,
        video=ObjectRef("clips", "clip.mp4"),
        parameters={"FaceAttributes": "DEFAULT"},
        job_tag="door",
        topic_arn=TOPIC,
        role_arn="arn:aws:iam::000000000000:role/any",
    )
