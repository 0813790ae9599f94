"""Labels: what the detector saw, in Rekognition's words, filtered, per frame and per segment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamproc.engines.yolox import YoloxDetector
from streamproc.jobs.analyses.labels import Labels
from streamproc.model.detection import Detection
from streamproc.model.face import BoundingBox, Edges, overlap
from streamproc.model.job import Aggregation, Item, JobKind, JobSpec
from streamproc.model.media import Image
from streamproc.model.video import ObjectRef, VideoFrame
from tests.jobs.blind_vision import BlindVision

BOX = BoundingBox(0.1, 0.2, 0.3, 0.4)
BLACK = np.zeros((64, 64, 3), np.uint8)


class ObjectVision(BlindVision):
    """A Vision that sees objects only: the next of a script, or what a detector finds."""

    def __init__(self, *script: Sequence[Detection], detector: YoloxDetector | None = None) -> None:
        self._script = list(script)
        self._detector = detector

    async def objects(self, image: Image) -> list[Detection]:
        return self._detector.detect(image) if self._detector else list(self._script.pop(0))


def seen(name: str, confidence: float, box: BoundingBox = BOX) -> Detection:
    return Detection(name, confidence, box)


def label_spec(
    general_labels: Mapping[str, list[str]] | None = None, *, confidence_min: float = 50.0
) -> JobSpec:
    settings = {} if general_labels is None else {"Settings": {"GeneralLabels": general_labels}}
    return JobSpec(
        region="us-east-1",
        kind=JobKind.LABEL_DETECTION,
        video=ObjectRef("bucket", "clip.mp4"),
        parameters={"MinConfidence": confidence_min, **settings},
    )


async def analyse(
    *frames: Sequence[Detection], spec: JobSpec | None = None
) -> tuple[list[Item], list[Item]]:
    """Items of single frames and of segments, for frames every half second."""
    labels = Labels(spec or label_spec(), ObjectVision(*frames), fps=2.0, model_version="1.5")
    items: list[Item] = []
    for number in range(len(frames)):
        frame = VideoFrame(number * 500, BLACK)
        items += labels.add(frame.timestamp_ms, await labels.look(frame))
    items += (await labels.finish()).items
    return (
        [item for item in items if item.aggregation is Aggregation.TIMESTAMPS],
        [item for item in items if item.aggregation is Aggregation.SEGMENTS],
    )


def names(items: Sequence[Item]) -> list[str]:
    return [item.body["Label"]["Name"] for item in items]


async def test_a_car_is_a_vehicle_is_transportation() -> None:
    found, _ = await analyse([seen("car", 80.0)])
    assert [item.body for item in found] == [
        {
            "Label": {
                "Name": "Car",
                "Confidence": 80.0,
                "Instances": [
                    {
                        "BoundingBox": {"Left": 0.1, "Top": 0.2, "Width": 0.3, "Height": 0.4},
                        "Confidence": 80.0,
                    }
                ],
                "Parents": [{"Name": "Transportation"}, {"Name": "Vehicle"}],
                "Aliases": [{"Name": "Automobile"}],
                "Categories": [{"Name": "Vehicles and Automotive"}],
            }
        },
        {
            "Label": {
                "Name": "Transportation",
                "Confidence": 80.0,
                "Instances": [],
                "Parents": [],
                "Aliases": [],
                "Categories": [{"Name": "Vehicles and Automotive"}],
            }
        },
        {
            "Label": {
                "Name": "Vehicle",
                "Confidence": 80.0,
                "Instances": [],
                "Parents": [{"Name": "Transportation"}],
                "Aliases": [],
                "Categories": [{"Name": "Vehicles and Automotive"}],
            }
        },
    ]
    assert [(item.sort_key, item.confidence) for item in found] == [
        ("Car", 80.0), ("Transportation", 80.0), ("Vehicle", 80.0),
    ]  # fmt: skip


async def test_a_label_is_as_sure_as_its_surest_instance_and_a_parent_as_its_surest_child() -> None:
    found, _ = await analyse([seen("cat", 60.0), seen("dog", 70.0), seen("cat", 90.0)])
    confidences = {item.body["Label"]["Name"]: item.confidence for item in found}
    assert confidences == {
        "Cat": 90.0, "Dog": 70.0, "Canine": 70.0, "Animal": 90.0, "Mammal": 90.0, "Pet": 90.0,
    }  # fmt: skip
    cat = next(item.body["Label"] for item in found if item.body["Label"]["Name"] == "Cat")
    assert [instance["Confidence"] for instance in cat["Instances"]] == [90.0, 60.0]


async def test_the_labels_of_a_frame_come_surest_first_then_by_name() -> None:
    found, _ = await analyse([seen("person", 55.0), seen("kite", 70.0), seen("frisbee", 70.0)])
    assert names(found) == ["Frisbee", "Kite", "Toy", "Person"]


async def test_min_confidence_holds_for_labels_and_for_instances() -> None:
    frame = [seen("person", 90.0), seen("person", 74.9), seen("bus", 74.9), seen("cat", 75.0)]
    found, segments = await analyse(
        frame, spec=label_spec({"LabelExclusionFilters": ["Animal"]}, confidence_min=75.0)
    )
    assert names(found) == ["Person", "Cat", "Mammal", "Pet"]
    assert len(found[0].body["Label"]["Instances"]) == 1
    assert sorted(names(segments)) == ["Cat", "Mammal", "Person", "Pet"]


async def test_an_empty_frame_has_no_labels() -> None:
    assert await analyse([], []) == ([], [])


async def test_fps_and_model_version_are_those_it_was_made_with() -> None:
    labels = Labels(label_spec(), ObjectVision(), fps=2.0, model_version="1.5")
    assert (labels.fps, labels.model_version) == (2.0, "1.5")


FRAME = [seen("cat", 90.0), seen("bus", 80.0), seen("person", 70.0)]
ANIMALS = {"Cat", "Animal", "Mammal", "Pet"}
VEHICLES = {"Bus", "Transportation", "Vehicle"}


@pytest.mark.parametrize(
    ("filters", "listed"),
    [
        ({}, ANIMALS | VEHICLES | {"Person"}),
        ({"LabelInclusionFilters": []}, ANIMALS | VEHICLES | {"Person"}),
        ({"LabelInclusionFilters": ["Cat", "Person"]}, {"Cat", "Person"}),
        ({"LabelInclusionFilters": ["Vehicle"]}, {"Vehicle"}),  # a parent, without its children
        ({"LabelInclusionFilters": ["CAT"]}, {"Cat"}),
        ({"LabelInclusionFilters": ["Unicorn"]}, set()),
        ({"LabelCategoryInclusionFilters": ["Animals and Pets"]}, ANIMALS),
        (
            {  # either list lets a label in
                "LabelInclusionFilters": ["Bus"],
                "LabelCategoryInclusionFilters": ["Animals and Pets"],
            },
            ANIMALS | {"Bus"},
        ),
        ({"LabelExclusionFilters": ["Bus"]}, ANIMALS | VEHICLES - {"Bus"} | {"Person"}),
        (
            {"LabelCategoryExclusionFilters": ["vehicles and automotive"]},
            ANIMALS | {"Person"},
        ),
        (
            {  # exclusion wins, by name as by category
                "LabelInclusionFilters": ["Bus", "Cat", "Person"],
                "LabelExclusionFilters": ["Cat"],
                "LabelCategoryExclusionFilters": ["Vehicles and Automotive"],
            },
            {"Person"},
        ),
    ],
)
async def test_filters_choose_what_is_listed(
    filters: dict[str, list[str]], listed: set[str]
) -> None:
    found, segments = await analyse(FRAME, spec=label_spec(filters))
    assert set(names(found)) == listed
    assert set(names(segments)) == listed


async def test_an_excluded_parent_is_still_named_by_its_child() -> None:
    found, _ = await analyse(FRAME, spec=label_spec({"LabelInclusionFilters": ["Bus"]}))
    assert found[0].body["Label"]["Parents"] == [{"Name": "Transportation"}, {"Name": "Vehicle"}]


async def test_segments_merge_frames_and_tell_no_instances() -> None:
    _, segments = await analyse(
        [seen("person", 60.0)], [seen("person", 90.0)], [], [seen("person", 70.0)]
    )
    person = {
        "Name": "Person",
        "Parents": [],
        "Aliases": [{"Name": "Human"}],
        "Categories": [{"Name": "Person Description"}],
    }
    assert [item.body for item in segments] == [
        {
            "Label": {**person, "Confidence": 90.0},
            "StartTimestampMillis": 0,
            "EndTimestampMillis": 500,
            "DurationMillis": 500,
        },
        {
            "Label": {**person, "Confidence": 70.0},
            "StartTimestampMillis": 1500,
            "EndTimestampMillis": 1500,
            "DurationMillis": 0,
        },
    ]
    assert [item.timestamp_ms for item in segments] == [0, 1500]


async def test_a_parent_is_one_segment_while_its_children_take_turns() -> None:
    _, segments = await analyse([seen("cat", 60.0)], [seen("dog", 80.0)], [seen("cat", 70.0)])
    spans = [
        (item.body["Label"]["Name"], item.timestamp_ms, item.body["EndTimestampMillis"])
        for item in segments
    ]
    assert [span for span in spans if span[0] in {"Animal", "Cat", "Dog"}] == [
        ("Cat", 0, 0), ("Dog", 500, 500), ("Animal", 0, 1000), ("Cat", 1000, 1000),
    ]  # fmt: skip


# Of photos/objects: left, top, right, bottom in ratios of the picture, read by eye off a grid of
# tenths laid over each photo. A person is without what is in the hands, the cat has its tail.
# Not in the list, because the detector is less sure of them than 50: the man behind in _2 (49),
# the man in white in _3 (47) and the cat's mirror image in _4 (43).
TRUTH: dict[str, list[tuple[str, Edges]]] = {
    "fastestdet_0.jpg": [
        ("Person", (0.275, 0.0, 0.373, 0.247)),  # pitcher
        ("Person", (0.578, 0.43, 0.68, 0.85)),  # batter
        ("Person", (0.43, 0.625, 0.59, 0.90)),  # catcher
        ("Person", (0.445, 0.577, 0.73, 0.93)),  # umpire
    ],
    "fastestdet_1.jpg": [
        ("Bus", (0.075, 0.17, 0.945, 0.88)),
        ("Person", (0.01, 0.525, 0.078, 0.75)),  # on the pavement
    ],
    "fastestdet_2.jpg": [
        ("Person", (0.12, 0.19, 0.417, 0.99)),
        ("Person", (0.395, 0.133, 0.525, 0.775)),
        ("Person", (0.565, 0.112, 0.765, 0.895)),
        ("Remote Control", (0.585, 0.295, 0.623, 0.345)),
    ],
    "fastestdet_3.jpg": [
        ("Person", (0.085, 0.195, 0.327, 0.893)),
        ("Person", (0.475, 0.405, 0.61, 0.845)),
        ("Person", (0.575, 0.428, 1.0, 0.868)),
        ("Frisbee", (0.184, 0.457, 0.272, 0.577)),
        ("Frisbee", (0.368, 0.591, 0.433, 0.686)),
        ("Frisbee", (0.433, 0.558, 0.498, 0.658)),
        ("Frisbee", (0.505, 0.497, 0.588, 0.616)),
    ],
    "fastestdet_4.jpg": [("Cat", (0.203, 0.353, 0.98, 1.0))],
}
TOO_THIN = {"Baseball Bat"}  # found, and really there, but no box by eye would be a fair one
PARENTS = {
    "Bus": {"Vehicle", "Transportation"},
    "Frisbee": {"Toy"},
    "Cat": {"Animal", "Mammal", "Pet"},
    "Remote Control": {"Electronics"},
}


@pytest.fixture(scope="module")
def object_detector(testdata: Path) -> YoloxDetector:
    path = testdata / "models" / "analysis" / "yolox_nano_coco.onnx"
    return YoloxDetector(path, ["CPUExecutionProvider"], threads=1)


@pytest.mark.testdata
@pytest.mark.parametrize("photo", TRUTH)
async def test_everyday_objects_are_found_where_they_are(
    photo: str, testdata: Path, object_detector: YoloxDetector
) -> None:
    image = cv2.imread(str(testdata / "photos" / "objects" / photo))
    assert image is not None
    labels = Labels(label_spec(), ObjectVision(detector=object_detector), 2.0, "1.0")
    found = {
        item.body["Label"]["Name"]: item.body["Label"]
        for item in labels.add(0, await labels.look(VideoFrame(0, image)))  # type: ignore[arg-type]
    }
    for name, truth in TRUTH[photo]:
        assert max(overlap(truth, edges_of(one)) for one in found[name]["Instances"]) > 0.5, name
    things = {name for name, label in found.items() if label["Instances"]}
    assert things - TOO_THIN == {name for name, _ in TRUTH[photo]}
    for thing in things & set(PARENTS):
        assert {parent["Name"] for parent in found[thing]["Parents"]} == PARENTS[thing]
        assert set(found) >= PARENTS[thing]


def edges_of(instance: dict[str, Any]) -> Edges:
    box = instance["BoundingBox"]
    left, top = box["Left"], box["Top"]
    return left, top, left + box["Width"], top + box["Height"]
