"""Any number of cameras in one process, so light that what works beside them is the daemon.

    python -m benchmarks.cameras < plan.json

Media is muxed and framed before the first byte leaves: a camera's work is one write per frame, at
the time the frame is due, and a note of when. Sends PutMedia over plain sockets, unsigned.
Prints "sending" once every camera has its session, and one JSON object at the end.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamproc.kvs.recording import Recording
from streamproc.mkv.writer import MkvWriter

_LAST_ACKS_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One camera of a plan."""

    stream: str
    clip: str  # file; repeated as long as the plan lasts
    fragment: int  # of the clip, which the camera begins with
    phase_s: float  # after the plan's beginning


@dataclass(frozen=True, slots=True)
class Plan:
    url: str
    seconds: float
    fps: int  # of every clip
    shots: list[Shot]

    def text(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def parse(text: str) -> "Plan":
        values = json.loads(text)
        return Plan(**{**values, "shots": [Shot(**shot) for shot in values["shots"]]})


class Muxed:
    """A clip as fragments of blocks: what of a PutMedia body does not depend on when it is sent.

    Every fragment opens on a keyframe, so a camera may begin with any of them and repeat all.
    """

    def __init__(self, clip: Path, fps: int) -> None:
        """The clip holds at least one keyframe. Raises MediaError if it cannot be read."""
        self._writer = MkvWriter()
        self._fps = fps
        packets = list(Recording(clip).packets())
        self.header = self._writer.header([packets[0].track])
        self._fragments: list[list[bytes]] = []
        for packet in packets:
            if packet.keyframe:
                self._fragments.append([])
            rel_ms = round(len(self._fragments[-1]) * 1000 / fps)
            block = self._writer.block(1, rel_ms, packet.keyframe, packet.payload)
            self._fragments[-1].append(block)

    def frames(self, fragment: int, begin_ms: int) -> Iterator[tuple[int, bytes]]:
        """Producer time in ms and bytes of each frame, for ever, one every 1/fps s."""
        number = 0
        while True:
            blocks = self._fragments[fragment % len(self._fragments)]
            cluster_ms = begin_ms + round(number * 1000 / self._fps)
            for index, block in enumerate(blocks):
                head = self._writer.cluster(cluster_ms) if index == 0 else b""
                yield cluster_ms + round(index * 1000 / self._fps), head + block
            number += len(blocks)
            fragment += 1

    def __len__(self) -> int:
        return len(self._fragments)


class Camera:
    """One PutMedia session."""

    def __init__(self, shot: Shot, muxed: Muxed, fps: int) -> None:
        self.shot = shot
        self.sent: list[tuple[int, float]] = []  # producer ms; wall clock at its last byte
        self.answer = b""
        self._muxed = muxed
        self._frame_s = 1 / fps

    async def open(self, host: str, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection(host, port)
        head = (
            "POST /putMedia HTTP/1.1",
            f"Host: {host}:{port}",
            f"x-amzn-stream-name: {self.shot.stream}",
            "x-amzn-fragment-timecode-type: ABSOLUTE",
            "x-amzn-fragment-acknowledgment-required: 1",
            "Transfer-Encoding: chunked",
            "Connection: close",
            "\r\n",
        )
        self._writer.write("\r\n".join(head).encode() + _chunk(self._muxed.header))

    async def send(self, begin_s: float, seconds: float) -> None:
        """From begin_s, of the loop's clock, plus the phase, for so many seconds. Never waits for
        the daemon, as no camera could. Raises ConnectionError if it ends the session."""
        reading = asyncio.create_task(self._reader.read())
        loop = asyncio.get_running_loop()
        due_s = begin_s + self.shot.phase_s
        begin_ms = round((time.time() + due_s - loop.time()) * 1000)
        frames = self._muxed.frames(self.shot.fragment, begin_ms)
        for number in range(round((seconds - self.shot.phase_s) / self._frame_s)):
            await asyncio.sleep(due_s + number * self._frame_s - loop.time())
            if reading.done():
                break
            media_ms, data = next(frames)
            self._writer.write(_chunk(data))
            self.sent.append((media_ms, time.time()))
        else:
            self._writer.write(b"0\r\n\r\n")
        async with asyncio.timeout(_LAST_ACKS_TIMEOUT_S):
            self.answer = await reading
        self._writer.close()
        if not self.answer.startswith(b"HTTP/1.1 200") or b'"ERROR"' in self.answer:
            said = self.answer[-400:].decode(errors="replace")
            raise ConnectionError(f"{self.shot.stream}: the session was refused: {said}")


def _chunk(data: bytes) -> bytes:
    """RFC 9112, 7.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def run(plan: Plan) -> dict[str, Any]:
    """Every camera from its phase to the end of the plan; what each sent, and when."""
    clips = {shot.clip for shot in plan.shots}
    muxed = {clip: Muxed(Path(clip), plan.fps) for clip in clips}
    where = urlsplit(plan.url)
    cameras = [Camera(shot, muxed[shot.clip], plan.fps) for shot in plan.shots]
    await asyncio.gather(
        *(camera.open(where.hostname or "", where.port or 80) for camera in cameras)
    )
    print("sending", flush=True)
    began, begin_s = time.process_time(), asyncio.get_running_loop().time()
    await asyncio.gather(*(camera.send(begin_s, plan.seconds) for camera in cameras))
    return {
        "cpu_s": time.process_time() - began,
        "sent": {camera.shot.stream: camera.sent for camera in cameras},
        "persisted": {
            camera.shot.stream: camera.answer.count(b'"PERSISTED"') for camera in cameras
        },
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Plan.parse(sys.stdin.read())))))
