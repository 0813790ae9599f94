"""Exactly one enter and one exit per visit: on clips of which it is known who is where."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from streamproc.engines.base import FaceEngine
from streamproc.model.media import Image
from tests.events.clips import (
    DEMO_ENROLLED,
    DEMO_LABELS,
    TURNS,
    TURNS_LABELS,
    check,
    demo_frames,
)
from tests.events.labelled import collection_of, watch


async def test_people_who_turn_are_covered_cross_and_come_back(
    mbf: FaceEngine, portraits: Mapping[str, Sequence[Image]], tmp_path: Path
) -> None:
    enrolled = {name: portraits[name][0] for name in ("alice", "bob")}
    async with collection_of(mbf, tmp_path, enrolled) as people:
        watched = await watch(mbf, people, TURNS.frames(portraits))
    check(watched.visits(), TURNS_LABELS)


async def test_the_demos_people_by_an_engine_that_needs_no_test_data(
    dlib: FaceEngine, tmp_path: Path
) -> None:
    enrolled = {person.name: person.portrait() for person in DEMO_ENROLLED}
    async with collection_of(dlib, tmp_path, enrolled) as people:
        watched = await watch(dlib, people, demo_frames(3.0))
    check(watched.visits(), DEMO_LABELS)
