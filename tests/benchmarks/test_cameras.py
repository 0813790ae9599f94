"""The benchmarks' cameras send what a camera sends: whole fragments at rising times."""

import asyncio
import io
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.cameras import Muxed, Plan, Shot, run

FPS, GROUP, FRAMES = 30, 6, 18
ACKS = b'{"EventType":"PERSISTED"}\n'
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + ACKS


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Three groups of six pictures."""
    file = tmp_path / "clip.mp4"
    with av.open(file, "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"g": str(GROUP), "bf": "0", "sc_threshold": "0"}
        for number in range(FRAMES):
            picture = np.full((96, 160, 3), 10 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file


class Listener:
    """Takes PutMedia sessions and gives all the same answer."""

    def __init__(self, answer: bytes = ANSWER) -> None:
        self._answer = answer
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        self.bodies.append(body)
        writer.write(self._answer)
        writer.close()


async def filmed(listener: Listener, shots: list[Shot]) -> dict[str, object]:
    async with await asyncio.start_server(listener, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await run(Plan(f"http://127.0.0.1:{port}", 0.5, FPS, shots))


def times_ms(body: bytes) -> list[int]:
    """When each picture that can be decoded is shown."""
    with av.open(io.BytesIO(body), "r", format="matroska") as container:
        return [round((frame.time or 0.0) * 1000) for frame in container.decode(video=0)]


async def test_a_session_is_matroska_whose_times_are_those_told(clip: Path) -> None:
    listener = Listener()
    told = await filmed(listener, [Shot("front", str(clip), 0, 0.0)])
    sent = [media_ms for media_ms, _ in told["sent"]["front"]]  # type: ignore[index]
    assert len(sent) == 15
    assert times_ms(listener.bodies[0]) == sent
    assert b"x-amzn-stream-name: front\r\n" in listener.heads[0]
    assert told["persisted"] == {"front": 1}


async def test_a_clip_goes_round_without_a_step_back(clip: Path) -> None:
    times = [media_ms for media_ms, _ in islice(Muxed(clip, FPS).frames(2, 1000), 3 * FRAMES)]
    steps = {after - before for before, after in pairwise(times)}
    assert times[0] == 1000
    assert steps <= {33, 34}


async def test_a_camera_may_begin_with_any_fragment(clip: Path) -> None:
    muxed = Muxed(clip, FPS)
    assert len(muxed) == FRAMES // GROUP
    first = muxed.header + b"".join(data for _, data in islice(muxed.frames(1, 0), GROUP))
    assert len(times_ms(first)) == GROUP


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", ANSWER + b'{"EventType":"ERROR"}\n']
)
async def test_a_refused_session_is_no_measurement(clip: Path, answer: bytes) -> None:
    with pytest.raises(ConnectionError, match="front: the session was refused"):
        await filmed(Listener(answer), [Shot("front", str(clip), 0, 0.0)])


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = Plan("http://127.0.0.1:1", 24.0, 30, [Shot("a", "clip.mp4", 3, 0.25)])
    assert Plan.parse(plan.text()) == plan
