"""What is kept of a record while a daemon is measured tells which frame it is of."""

import numpy as np
import pytest

from benchmarks.figures import Acknowledged
from benchmarks.watched import line, read
from streamproc.model.face import BoundingBox, Face
from streamproc.model.media import Fragment, Frame
from streamproc.model.record import build_record, encode_record

STREAM = "arn:aws:kinesisvideo:us-east-1:111122223333:stream/camera-7/1586000000000"
PROCESSOR = "arn:aws:rekognition:us-east-1:111122223333:streamprocessor/camera-7"
FRAGMENT = Fragment("9134385", 1586916361.521, 1586916360.265, 0, ())
FACE = Face(BoundingBox(left=0.1, top=0.1, width=0.2, height=0.2), 99.0)


def record(offset_s: float, faces: int) -> bytes:
    frame = Frame(FRAGMENT, offset_s, 1586916360.265 + offset_s, np.zeros((2, 2, 3), np.uint8))
    return encode_record(build_record(STREAM, PROCESSOR, frame, [(FACE, ())] * faces))


@pytest.mark.parametrize(("offset_s", "media_ms"), [(0.0, 1586916360265), (4.269, 1586916364534)])
def test_a_line_tells_stream_frame_faces_and_when(offset_s: float, media_ms: int) -> None:
    [found] = read([line(1586916365.25, record(offset_s, faces=3))])
    assert found == Acknowledged("camera-7", media_ms, 1586916365.25, faces=3)


def test_a_line_holds_no_more_than_that_of_a_record() -> None:
    assert len(line(0.0, record(1.0, faces=8))) < len(record(1.0, faces=1))


def test_what_is_no_record_of_a_face_search_is_refused() -> None:
    with pytest.raises(ValueError, match="not the beginning of a record"):
        list(read([b'1.0 0 {"something":"else"']))
