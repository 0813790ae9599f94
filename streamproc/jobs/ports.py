"""What a stored-video job needs from the world, as protocols. The daemon brings the real ones.

Nothing here knows S3, SNS, ONNX Runtime or FAISS; nothing in jobs/ may either.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from streamproc.model.detection import Detection
from streamproc.model.face import Embedding, Face, Match
from streamproc.model.job import Group, Item, JobSpec
from streamproc.model.media import Image
from streamproc.model.person import Recognised
from streamproc.model.video import VideoFrame

Seen = TypeVar("Seen")


class Vision(Protocol):
    """The models, on the threads that live processors use, which come first."""

    async def faces(
        self, image: Image, *, attributes: bool = False, embeddings: bool = True
    ) -> list[Face]:
        """Largest first. attributes asks for all that installed models can tell of a face;
        without embeddings, faces are found and not made comparable, which is cheaper."""
        ...

    async def objects(self, image: Image) -> list[Detection]:
        """Instances of the detector's classes, surest first, from a confidence of 10 on."""
        ...

    async def moderation(self, image: Image) -> Mapping[str, float]:
        """The probability, 0 to 1, of each class of the moderation model."""
        ...


class FaceLibrary(Protocol):
    """Collections and the registry of celebrities, by region."""

    async def search(
        self,
        region: str,
        collection_id: str,
        embedding: Embedding,
        *,
        threshold: float,
        limit: int,
    ) -> Sequence[Match]:
        """Best first, at most limit. Raises CollectionNotFound or ModelMismatch."""
        ...

    async def recognise(
        self, region: str, embedding: Embedding, *, threshold: float
    ) -> Sequence[Recognised]:
        """Celebrities of all registries of the region, best first, each once."""
        ...

    async def has_celebrities(self, region: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an analysis says when the video has ended."""

    items: Sequence[Item] = ()
    groups: Sequence[Group] = ()


class Analysis(Protocol[Seen]):
    """One kind of job at work on one video. Frames come in their order; items leave at once,
    so that memory does not grow with the video. What has to wait for the end of a track or
    of the video is said of its group."""

    fps: float  # frames per second of the video that it wants to look at
    model_version: str  # LabelModelVersion, ModerationModelVersion; "" for others

    async def look(self, frame: VideoFrame) -> Seen:
        """Everything that costs time. Called for several frames at once: knows no order."""
        ...

    def add(self, timestamp_ms: int, seen: Seen) -> Iterable[Item]:
        """What was seen of the next frame, in the order of frames."""
        ...

    async def finish(self) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Notice:
    """What a topic is told of a job that ended."""

    region: str
    topic_arn: str
    role_arn: str
    job_id: str
    message: str  # JSON, as documented


class JobWorld(Protocol):
    """Opens what jobs need."""

    def analysis(self, job_id: str, spec: JobSpec) -> Analysis[Any]:
        """Raises EngineError, with the command that installs it, if a model is not there;
        StreamprocError for what else a person has to mend. Loads models: call on a thread."""
        ...

    def video(
        self, spec: JobSpec, fetched: Callable[[float], None]
    ) -> AbstractAsyncContextManager[Path]:
        """The object as a file, for as long as the block lasts. fetched is told the part,
        0 to 1, that has arrived. Raises ObjectUnavailable if it never will,
        TransientFailure if trying again may help."""
        ...

    async def publish(self, notice: Notice) -> None:
        """Returns once the topic has accepted it. Raises TransientFailure, with the reason."""
        ...
