"""Moderation: from the probabilities of the classifier to the two-level taxonomy."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from streamproc.engines.nsfw import CLASSES
from streamproc.jobs.analyses.moderation import ILLUSTRATED, LABELS, Moderation
from streamproc.model.job import Aggregation, Item, JobKind, JobSpec
from streamproc.model.media import Image
from streamproc.model.video import ObjectRef, VideoFrame
from tests.jobs.blind_vision import BlindVision

TWO_LEVELS = {  # Rekognition's, before 2024; what of it the model can tell
    "Explicit Nudity": {"Nudity", "Illustrated Explicit Nudity"},
    "Suggestive": {"Revealing Clothes"},
}
NEUTRAL = {"Neutral": 1.0}


class ModerationVision(BlindVision):
    """A Vision that classifies pictures only, by a script."""

    def __init__(self, script: Sequence[Mapping[str, float]]) -> None:
        self._script = list(script)

    async def moderation(self, image: Image) -> Mapping[str, float]:
        return {**dict.fromkeys(CLASSES, 0.0), **self._script.pop(0)}


async def moderate(
    *frames: Mapping[str, float], confidence_min: float = 50.0
) -> tuple[list[Item], list[Item]]:
    """Items of single frames and of segments, for frames every half second."""
    spec = JobSpec(
        region="us-east-1",
        kind=JobKind.CONTENT_MODERATION,
        video=ObjectRef("bucket", "clip.mp4"),
        parameters={"MinConfidence": confidence_min},
    )
    moderation = Moderation(spec, ModerationVision(frames), fps=2.0, model_version="1.7")
    assert (moderation.fps, moderation.model_version) == (2.0, "1.7")
    items: list[Item] = []
    for number in range(len(frames)):
        frame = VideoFrame(number * 500, np.zeros((64, 64, 3), np.uint8))
        items += moderation.add(frame.timestamp_ms, await moderation.look(frame))
    items += (await moderation.finish()).items
    return (
        [item for item in items if item.aggregation is Aggregation.TIMESTAMPS],
        [item for item in items if item.aggregation is Aggregation.SEGMENTS],
    )


def listed(items: Sequence[Item]) -> list[tuple[str, float]]:
    return [
        (item.body["ModerationLabel"]["Name"], round(item.body["ModerationLabel"]["Confidence"], 3))
        for item in items
    ]


def test_every_class_of_the_model_is_in_the_table_and_leads_into_the_taxonomy() -> None:
    assert set(LABELS) == set(CLASSES) >= set(ILLUSTRATED)
    for label in LABELS.values():
        assert label is None or label[0] in TWO_LEVELS[label[1]]


async def test_a_child_is_listed_before_its_parent() -> None:
    found, _ = await moderate({"Sexy": 0.75, "Neutral": 0.25})
    assert [item.body for item in found] == [
        {
            "ModerationLabel": {
                "Confidence": 75.0,
                "Name": "Revealing Clothes",
                "ParentName": "Suggestive",
                "TaxonomyLevel": 2,
            },
            "ContentTypes": [],
        },
        {
            "ModerationLabel": {
                "Confidence": 75.0,
                "Name": "Suggestive",
                "ParentName": "",
                "TaxonomyLevel": 1,
            },
            "ContentTypes": [],
        },
    ]
    assert [(item.sort_key, item.confidence) for item in found] == [
        ("Revealing Clothes", 75.0), ("Suggestive", 75.0),
    ]  # fmt: skip


@pytest.mark.parametrize("safe", ["Neutral", "Drawing"])
async def test_safe_classes_give_nothing(safe: str) -> None:
    assert await moderate({safe: 1.0}) == ([], [])


async def test_a_parent_is_as_sure_as_its_children_together() -> None:
    found, _ = await moderate({"Porn": 0.5, "Hentai": 0.375, "Neutral": 0.125}, confidence_min=30)
    assert listed(found) == [
        ("Nudity", 50.0), ("Illustrated Explicit Nudity", 37.5), ("Explicit Nudity", 87.5),
    ]  # fmt: skip


async def test_a_parent_may_be_sure_of_what_no_child_is() -> None:
    found, _ = await moderate({"Porn": 0.375, "Hentai": 0.375, "Neutral": 0.25})
    assert listed(found) == [("Explicit Nudity", 75.0)]


async def test_the_surer_parent_comes_first() -> None:
    found, _ = await moderate({"Porn": 0.25, "Sexy": 0.75}, confidence_min=20)
    assert listed(found) == [
        ("Revealing Clothes", 75.0), ("Suggestive", 75.0),
        ("Nudity", 25.0), ("Explicit Nudity", 25.0),
    ]  # fmt: skip


async def test_less_than_min_confidence_is_not_listed() -> None:
    assert await moderate({"Porn": 0.74, "Neutral": 0.26}, confidence_min=75.0) == ([], [])
    found, _ = await moderate({"Porn": 0.75, "Neutral": 0.25}, confidence_min=75.0)
    assert len(found) == 2


async def test_a_drawn_picture_is_said_to_be_illustrated() -> None:
    found, _ = await moderate({"Hentai": 0.625, "Drawing": 0.25, "Porn": 0.125})
    assert listed(found) == [("Illustrated Explicit Nudity", 62.5), ("Explicit Nudity", 75.0)]
    for item in found:
        assert item.body["ContentTypes"] == [{"Confidence": 87.5, "Name": "Illustrated"}]


async def test_float32_rounding_never_exceeds_a_hundred() -> None:
    found, _ = await moderate({"Porn": 1.0000001})
    assert listed(found) == [("Nudity", 100.0), ("Explicit Nudity", 100.0)]


async def test_segments_merge_frames_child_and_parent_alike() -> None:
    frames = [{"Sexy": 0.75}, {"Sexy": 0.875}, NEUTRAL, {"Hentai": 0.625, "Porn": 0.25}]
    _, segments = await moderate(*frames)
    assert listed(segments) == [
        ("Revealing Clothes", 87.5), ("Suggestive", 87.5),
        ("Illustrated Explicit Nudity", 62.5), ("Explicit Nudity", 87.5),
    ]  # fmt: skip
    assert segments[0].body == {
        "ModerationLabel": {
            "Confidence": 87.5,
            "Name": "Revealing Clothes",
            "ParentName": "Suggestive",
            "TaxonomyLevel": 2,
        },
        "StartTimestampMillis": 0,
        "EndTimestampMillis": 500,
        "DurationMillis": 500,
    }
    assert [item.timestamp_ms for item in segments] == [0, 0, 1500, 1500]


async def test_a_parent_is_one_segment_while_its_children_take_turns() -> None:
    _, segments = await moderate({"Porn": 0.75}, {"Hentai": 0.75}, {"Porn": 1.0})
    spans = [
        (item.sort_key, item.timestamp_ms, item.body["EndTimestampMillis"]) for item in segments
    ]
    assert spans == [
        ("Nudity", 0, 0),
        ("Illustrated Explicit Nudity", 500, 500),
        ("Explicit Nudity", 0, 1000),
        ("Nudity", 1000, 1000),
    ]
