"""What a frame changes is told before anybody sees the frame, under the names it has then."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from streamproc.events.service import EventService
from streamproc.model.face import Face, Match
from streamproc.model.media import Fragment, Frame
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.state import ProcessorState
from streamproc.watching import Watching

SPEC = ProcessorSpec("us-east-1", "door", "video", "data", "people", 90.0, "")
FRAME = Frame(Fragment("1", None, None, 0, ()), 0.0, 5.0, np.zeros((4, 4, 3), np.uint8))


class Both:
    """Events and live views that say what they hear."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def names(self, key: tuple[str, str]) -> tuple[str | None, ...]:
        return (*key, None)

    def without_forgotten(self, spec: ProcessorSpec, faces: Sequence[Any]) -> Sequence[Any]:
        return [(face, [match for match in matches if match != "deleted since"])
                for face, matches in faces]  # fmt: skip


class Events(Both):
    async def seen(self, *_: Any) -> None:
        self.heard.append("events")

    async def state_changed(self, spec: ProcessorSpec, state: str, *_: Any) -> None:
        self.heard.append(f"told {state}")


class Views:
    def __init__(self, heard: list[Any]) -> None:
        self.heard = heard

    def seen(
        self,
        spec: ProcessorSpec,
        frame: Frame,
        faces: Sequence[tuple[Face, Sequence[Match]]],
        names: Sequence[str | None] = (),
    ) -> None:
        self.heard += [matches for _, matches in faces]
        self.heard.append(tuple(names))

    def state_changed(self, spec: ProcessorSpec, state: str) -> None:
        self.heard.append(f"shown {state}")


async def test_events_come_before_the_view_and_name_its_faces() -> None:
    events = Events()
    watching = Watching(cast("EventService", events), Views(events.heard))
    faces = cast("Any", [("a face", ["alice", "deleted since"])])
    await watching.seen(SPEC, FRAME, faces, lambda _: None)
    await watching.state_changed(SPEC, ProcessorState.STOPPED, ProcessorState.STOPPING, "")
    assert events.heard == [
        "events", ["alice"], ("us-east-1", "door", None), "shown STOPPED", "told STOPPED",
    ]  # fmt: skip


@pytest.mark.parametrize("state", ProcessorState)
async def test_without_events_the_view_goes_on(state: ProcessorState) -> None:
    heard: list[Any] = []
    watching = Watching(None, Views(heard))
    await watching.seen(SPEC, FRAME, [], lambda _: None)
    await watching.state_changed(SPEC, state, None, "")
    assert heard == [(), f"shown {state}"]
