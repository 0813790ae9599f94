"""What a processor needs from the world, as protocols. The daemon brings the real ones.

Nothing here knows Kinesis, InsightFace or FAISS; nothing in processor/ may either.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from streamproc.model.face import Embedding, Face, Match
from streamproc.model.media import Frame, Image, MediaEvent
from streamproc.model.position import StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.model.record import Entry
from streamproc.processor.state import ProcessorState

Report: TypeAlias = Callable[[str], None]
"""Told what is wrong in a person's words each time something is tried again, which is how
retries are counted; "" when it is well again."""

Delivered: TypeAlias = Callable[[Sequence[Entry]], None]
"""Called in order, on the loop, with entries that the data stream has acknowledged."""

BeforeSend: TypeAlias = Callable[[], Awaitable[None]]
"""Awaited by a sink each time before it sends, and after everything that is acknowledged by then
was told to Delivered. Returns within seconds, whatever happens."""


class MediaSource(Protocol):
    """A video stream that heals itself: it reconnects, resumes and reports."""

    def events(self, position: StartPosition) -> AsyncGenerator[MediaEvent, None]:
        """Every event from the position on, for ever. The caller closes it.

        After a reconnect it resumes behind the last complete fragment; a fragment that was
        cut is delivered again from its start. Raises PermanentFailure for what no retry
        heals (stream gone, access denied).
        """
        ...


class RecordSink(Protocol):
    """Delivers at least once and in order. Raises PermanentFailure where no retry helps."""

    async def put(self, entry: Entry) -> None:
        """Queue one record; waits while the queue is full."""
        ...

    async def drain(self) -> None:
        """Return once everything put so far is acknowledged."""
        ...


class Analyser(Protocol):
    """The engine behind its scheduler, for pictures each on its own: fair to every owner."""

    async def analyse(self, image: Image, owner: str, *, attributes: bool = False) -> list[Face]:
        """The faces of a picture, largest first; with attributes, age and gender too where
        the engine can tell them."""
        ...


class LiveView(Protocol):
    """What one camera shows, picture after picture: what did not change is not looked at again."""

    async def analyse(self, image: Image, timestamp_s: float) -> list[Face]:
        """The faces of the next picture, largest first; timestamp_s is media time. Not called
        again before it has answered."""
        ...


class LiveAnalyser(Protocol):
    """The engine behind its scheduler, for cameras."""

    def view(self, owner: str) -> LiveView:
        """A view that has seen nothing yet; owner is whose turn its pictures take."""
        ...


class FaceSearch(Protocol):
    """One collection, opened for a processor."""

    async def search_all(self, embeddings: Sequence[Embedding]) -> Sequence[Sequence[Match]]:
        """For each face of a picture its matches at or above the processor's threshold, best
        first.

        Raises PermanentFailure("Collection not found") when it is gone.
        """
        ...


class Watcher(Protocol):
    """Is told what processors see and what becomes of them; one for all."""

    async def seen(
        self,
        spec: ProcessorSpec,
        frame: Frame,
        faces: Sequence[tuple[Face, Sequence[Match]]],
        report: Report,
    ) -> None:
        """A frame was analysed; returns when what follows from it is on disk, before its record
        leaves. Waits, and tells report, while the disk does not take it. Raises nothing."""
        ...

    async def state_changed(
        self,
        spec: ProcessorSpec,
        state: ProcessorState,
        previous: ProcessorState | None,
        message: str,
    ) -> None:
        """A state is on disk; previous is None for a processor that was created. Raises nothing,
        and does not keep the change waiting for anything outside."""
        ...


class Unwatched:
    """Implements Watcher where nobody wants to know."""

    async def seen(
        self,
        spec: ProcessorSpec,
        frame: Frame,
        faces: Sequence[tuple[Face, Sequence[Match]]],
        report: Report,
    ) -> None:
        """Not told to anybody."""

    async def state_changed(
        self,
        spec: ProcessorSpec,
        state: ProcessorState,
        previous: ProcessorState | None,
        message: str,
    ) -> None:
        """Not told to anybody."""


class World(Protocol):
    """Opens what one processor needs, once it is ready. Each context closes what it opened,
    without waiting for anything outside: a sink that is closed gives up what it has not delivered.

    Opening raises PermanentFailure with the documented StatusMessage for what a person has to
    mend, TransientFailure or OSError for what may heal by itself: that is tried again.
    """

    async def ready(self, report: Report) -> None:
        """Return once there is something to open; what is waited for is nobody's fault, and no
        part of a start's time."""
        ...

    def source(
        self, spec: ProcessorSpec, report: Report
    ) -> AbstractAsyncContextManager[MediaSource]: ...

    def sink(
        self, spec: ProcessorSpec, delivered: Delivered, report: Report, before_send: BeforeSend
    ) -> AbstractAsyncContextManager[RecordSink]: ...

    def faces(self, spec: ProcessorSpec) -> AbstractAsyncContextManager[FaceSearch]: ...

    @property
    def analyser(self) -> LiveAnalyser: ...
