"""A camera that films painted people, and what processors are made of."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np
import pytest

from streamproc.engines.fake import FakeEngine
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentStarted,
    MediaEvent,
    Packet,
    Track,
    TrackKind,
)
from streamproc.model.processor import ProcessorSpec

Footage: TypeAlias = list[list[MediaEvent]]
"""Fragments, each as its events."""

START = 1_700_000_000.0


def film(
    fragments: int,
    *,
    first: int = 1,
    start: float = START,
    size: int = 128,
    b_frames: int = 0,
    fps: int = 10,
    slices: int = 1,
    fragment_s: int = 1,
) -> Footage:
    """Fragments of H.264, a second each; person k is in the picture in second k."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width = encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, fps)
    encoder.framerate = Fraction(fps)
    encoder.gop_size = fps * fragment_s
    encoder.max_b_frames = b_frames
    encoder.options = {
        "preset": "ultrafast", "sc_threshold": "0", "bf": str(b_frames), "crf": "18",
        "slices": str(slices),
    }  # fmt: skip
    encoder.flags |= 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER
    encoder.open()
    packets = [
        packet
        for frame in _frames(fragments * fragment_s, fps, first, size)
        for packet in encoder.encode(frame)
    ]
    packets += encoder.encode(None)
    track = Track(
        1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC", bytes(encoder.extradata or b""), size, size
    )
    footage: Footage = []
    for packet in packets:
        if packet.is_keyframe:
            number = first + len(footage)
            at = start + (number - first) * fragment_s
            started = FragmentStarted(Fragment(str(number), at, at, round(at * 1e9), (track,)))
            footage.append([started])
        assert packet.pts is not None
        offset_ns = (packet.pts - fps * fragment_s * (len(footage) - 1)) * 1_000_000_000 // fps
        footage[-1].append(Packet(1, offset_ns, packet.is_keyframe, bytes(packet)))
    for fragment in footage:
        opening = fragment[0]
        assert isinstance(opening, FragmentStarted)
        fragment.append(FragmentEnded(opening.fragment.number, complete=True))
    assert len(footage) == fragments
    return footage


def _frames(fragments: int, fps: int, first: int, size: int) -> Iterator[av.VideoFrame]:
    for index in range(fragments * fps):
        image = np.full((size, size, 3), 128, np.uint8)
        person = (first + index // fps) % 16
        FakeEngine.paint(image, person, left=32, top=40, size=48)
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts = index
        yield frame


@pytest.fixture(scope="session")
def camera() -> Callable[..., Footage]:
    return film


@pytest.fixture
def spec() -> ProcessorSpec:
    return ProcessorSpec(
        region="eu-west-1",
        name="door",
        video_stream_arn="arn:aws:kinesisvideo:eu-west-1:000000000000:stream/door/1",
        data_stream_arn="arn:aws:kinesis:eu-west-1:000000000000:stream/faces",
        collection_id="staff",
        face_match_threshold=70.0,
        role_arn="arn:aws:iam::000000000000:role/any",
    )
