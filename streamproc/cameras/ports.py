"""What cameras need from the world, as protocols. The daemon brings the real ones.

Nothing here knows RTSP, Kinesis or FFmpeg; nothing in cameras/ may either.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from streamproc.cameras.view import Camera, FeedView
from streamproc.model.processor import ProcessorKey, ProcessorSpec


@dataclass(frozen=True, slots=True)
class ExistingProcessor:
    """A processor of a camera's name, whoever made it."""

    spec: ProcessorSpec
    was_started: bool  # ever: what rests since then rests because somebody wants it to


class Feed(Protocol):
    """One camera on its way to its video stream: it opens both, and opens them again."""

    def view(self) -> FeedView: ...

    async def run(self, stop: asyncio.Event) -> None:
        """Until stop is set; then ends what is being sent, within seconds. Trouble with camera or
        network is told in the view, and never raised."""
        ...


class World(Protocol):
    """Where cameras lead. Whatever cannot be done just now is raised as a StreamprocError or an
    OSError, and tried again."""

    def feed(self, camera: Camera) -> Feed:
        """Opens nothing yet. The video stream is made when there is none."""
        ...

    async def video_stream(self, camera: Camera) -> str:
        """ARN of its video stream, which is made if there is none."""
        ...

    def video_arn(self, camera: Camera) -> str:
        """What video_stream() told last, without asking again; "" before the first time."""
        ...

    async def data_stream(self, camera: Camera) -> str:
        """ARN of its processor's data stream, which is made if there is none."""
        ...

    async def has_collection(self, camera: Camera) -> bool:
        """Waits until that can be told."""
        ...

    def role_arn(self, camera: Camera) -> str:
        """Whom its processor acts as."""
        ...

    def processor(self, key: ProcessorKey) -> ExistingProcessor | None: ...

    async def create_processor(self, spec: ProcessorSpec) -> None:
        """Nothing, if somebody else was faster."""
        ...

    async def start_processor(self, key: ProcessorKey) -> None:
        """Nothing, if somebody else was faster."""
        ...
