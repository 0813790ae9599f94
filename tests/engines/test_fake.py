"""The fake engine: painted people survive the road that frames take."""

from io import BytesIO

import av
import numpy as np
import pytest

from streamproc.engines.fake import PERSONS, FakeEngine
from streamproc.model.media import Image


def grey(height: int = 360, width: int = 640) -> Image:
    return np.full((height, width, 3), 110, np.uint8)


def person_at(engine: FakeEngine, image: Image) -> list[tuple[int, float]]:
    """(person, left edge in pixels) of each face, from left to right."""
    found = []
    for face in engine.analyse([image])[0]:
        assert face.embedding is not None
        found.append((int(face.embedding.argmax()), face.box.left * image.shape[1]))
    return sorted(found, key=lambda item: item[1])


def through_h264(image: Image, crf: int) -> Image:
    buffer = BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": str(crf)}
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    with av.open(BytesIO(buffer.getvalue()), "r") as received:
        (frame,) = received.decode(video=0)
        return frame.to_ndarray(format="bgr24")  # type: ignore[return-value]


@pytest.mark.parametrize(("size", "crf"), [(16, 28), (30, 35), (60, 40)])
def test_everyone_survives_h264(size: int, crf: int) -> None:
    image = grey()
    for person in range(PERSONS):
        left, top = 10 + (person % 8) * (size + 16), 10 + (person // 8) * (size + 16)
        FakeEngine.paint(image, person, left, top, size)
    engine = FakeEngine()
    found = {person for person, _ in person_at(engine, through_h264(image, crf))}
    assert found == set(range(PERSONS))


def test_boxes_lie_where_people_were_painted() -> None:
    image = grey()
    FakeEngine.paint(image, 3, left=200, top=100, size=40)
    ((face,),) = FakeEngine().analyse([image])
    assert (face.box.left * 640, face.box.top * 360) == (200, 100)
    assert (face.box.width * 640, face.box.height * 360) == (40, 40)
    assert {mark.type for mark in face.landmarks} >= {"eyeLeft", "eyeRight", "nose"}


def test_the_same_person_is_alike_and_others_are_not() -> None:
    image = grey()
    FakeEngine.paint(image, 3, 20, 20, 60)
    FakeEngine.paint(image, 3, 200, 20, 40)
    FakeEngine.paint(image, 4, 400, 20, 20)
    engine = FakeEngine()
    large, small, other = (face.embedding for face in engine.analyse([image])[0])
    assert large is not None
    assert small is not None
    assert other is not None
    assert engine.similarity(float(large @ small)) == 100
    assert engine.similarity(float(large @ other)) == 0
    assert engine.similarity(engine.cosine(80.0)) == pytest.approx(80)


def test_a_grey_picture_has_no_face() -> None:
    assert FakeEngine().analyse([grey(), grey(20, 20)]) == [[], []]


def test_before_is_called_and_may_refuse() -> None:
    def refuse(images: object) -> None:
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        FakeEngine(before=refuse).analyse([grey()])


@pytest.mark.parametrize(("person", "size"), [(-1, 40), (16, 40), (0, 10)])
def test_who_cannot_be_painted_is_refused(person: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"person|size"):
        FakeEngine.paint(grey(), person, 0, 0, size)
