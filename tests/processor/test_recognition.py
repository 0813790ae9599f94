"""A frame that was sampled becomes a record, or its processor says why not."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from streamproc.clock import FakeClock
from streamproc.errors import (
    EngineError,
    PermanentFailure,
    StoreUnavailable,
    TransientFailure,
)
from streamproc.model.face import BoundingBox, Embedding, Face, IndexedFace, Match
from streamproc.model.media import Fragment, Frame, Image
from streamproc.processor.recognition import ATTEMPTS_MAX, Found, Recognition

FRAME = Frame(Fragment("17", 0.0, 0.0, 0, ()), 0.4, 0.4, np.zeros((2, 2, 3), np.uint8))
FACE = Face(BoundingBox(0.1, 0.1, 0.5, 0.5), 99.0, embedding=np.ones(4, np.float32))


def match(face_id: str) -> Match:
    return Match(IndexedFace(face_id, face_id, None, FACE.box, 99.0, "1.16"), 100.0)


class Bench:
    """An engine and a collection that fail as told; then all is well."""

    def __init__(self, engine: Sequence[Exception] = (), search: Sequence[Exception] = ()) -> None:
        self.engine, self.searching = deque(engine), deque(search)
        self.told: list[str] = []
        self.clock = FakeClock()
        self.recognition = Recognition(
            self, self, "eu-west-1/door", self.clock, lambda: 1.0, self.told.append
        )

    def view(self, owner: str) -> "Bench":
        return self

    async def analyse(self, image: Image, timestamp_s: float) -> list[Face]:
        if self.engine:
            raise self.engine.popleft()
        return [FACE]

    async def search_all(self, embeddings: Sequence[Embedding]) -> list[Sequence[Match]]:
        if self.searching:
            raise self.searching.popleft()
        return [() for _ in embeddings]

    async def outcome(self) -> Found:
        task = asyncio.ensure_future(self.recognition.of(FRAME))
        for _ in range(600):
            await self.clock.advance(1.0)
            if task.done():
                return task.result()
        raise AssertionError("not done within ten minutes")


class OutOfMemory(Exception):
    """As ONNX Runtime or a driver would raise."""


@pytest.mark.parametrize("error", [EngineError("no"), OutOfMemory("bad allocation"), ValueError()])
async def test_an_engine_that_fails_once_is_asked_again(error: Exception) -> None:
    bench = Bench(engine=[error])
    assert await bench.outcome() == [(FACE, ())]
    told, well = bench.told
    assert told.startswith("The frame at 0.400 s of fragment 17 could not be analysed")
    assert well == ""


async def test_an_engine_that_never_gets_through_a_frame_ends_the_processor_in_words() -> None:
    bench = Bench(engine=[OutOfMemory("bad allocation")] * ATTEMPTS_MAX)
    with pytest.raises(PermanentFailure) as failure:
        await bench.outcome()
    assert str(failure.value) == (
        "The frame at 0.400 s of fragment 17 could not be analysed (OutOfMemory: bad allocation), "
        "6 times in a row. No frame is passed over in silence, so the processor ends here; "
        "StartStreamProcessor begins again at live video."
    )


async def test_all_faces_of_a_frame_are_searched_at_once_and_each_keeps_its_matches() -> None:
    class Names(Bench):
        async def analyse(self, image: Image, timestamp_s: float) -> list[Face]:
            assert timestamp_s == FRAME.timestamp
            return [FACE, replace(FACE, embedding=None), replace(FACE, confidence=50.0)]

        async def search_all(self, embeddings: Sequence[Embedding]) -> list[Sequence[Match]]:
            assert len(embeddings) == 2
            return [[match("first")], [match("second")]]

    found = await Names().outcome()
    assert [[one.face.face_id for one in matches] for _, matches in found] == [
        ["first"], [], ["second"],
    ]  # fmt: skip


async def test_a_search_is_tried_for_as_long_as_it_takes() -> None:
    troubles = [StoreUnavailable("the disk is full"), TransientFailure("busy"), OSError("no")]
    bench = Bench(search=troubles * 20)
    assert await bench.outcome() == [(FACE, ())]
    assert bench.told[0] == "The collection cannot be searched, trying again: the disk is full"
    assert bench.told[-1] == ""


async def test_a_collection_that_is_gone_ends_the_processor_at_once() -> None:
    bench = Bench(search=[PermanentFailure("Collection not found")])
    with pytest.raises(PermanentFailure, match=r"^Collection not found$"):
        await bench.outcome()
    assert bench.told == []
