"""Whoever watches the processors: the events, and behind them the live views.

The one Watcher of the daemon. What a frame changes is on disk before anybody sees the frame.
"""

from collections.abc import Sequence
from typing import Protocol

from streamproc.events.service import EventService
from streamproc.model.face import Face, Match
from streamproc.model.media import Frame
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.ports import Report
from streamproc.processor.state import ProcessorState


class FrameViews(Protocol):
    """Shows frames to people. Neither method waits or raises."""

    def seen(
        self,
        spec: ProcessorSpec,
        frame: Frame,
        faces: Sequence[tuple[Face, Sequence[Match]]],
        names: Sequence[str | None] = (),
    ) -> None: ...

    def state_changed(self, spec: ProcessorSpec, state: str) -> None: ...


class Watching:
    """Implements processor.ports.Watcher."""

    def __init__(self, events: EventService | None, views: FrameViews) -> None:
        """events: None where no events are kept."""
        self._events = events
        self._views = views

    async def seen(
        self,
        spec: ProcessorSpec,
        frame: Frame,
        faces: Sequence[tuple[Face, Sequence[Match]]],
        report: Report,
    ) -> None:
        names: Sequence[str | None] = ()
        if self._events is not None:
            await self._events.seen(spec, frame, faces, report)
            # Faces may have been deleted meanwhile.
            faces = self._events.without_forgotten(spec, faces)
            names = self._events.names(spec.key)
        self._views.seen(spec, frame, faces, names)

    async def state_changed(
        self,
        spec: ProcessorSpec,
        state: ProcessorState,
        previous: ProcessorState | None,
        message: str,
    ) -> None:
        self._views.state_changed(spec, state)
        if self._events is not None:
            await self._events.state_changed(spec, state, previous, message)
