"""The record is Rekognition's, to the key order and the digit."""

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from streamproc.model.face import BoundingBox, Face, IndexedFace, Landmark, Match, Pose, Quality
from streamproc.model.media import Fragment, Frame
from streamproc.model.record import build_record, encode_record, record_id

STREAM = "arn:aws:kinesisvideo:us-west-2:111122223333:stream/cam1/1586000000000"
PROCESSOR = "arn:aws:rekognition:us-west-2:111122223333:streamprocessor/door"
FRAGMENT = Fragment(
    "91343852333289682796718532614445757584843717598", 1586916361.521, 1586916360.265, 0, ()
)
FRAME = Frame(FRAGMENT, 4.269, 1586916364.534, np.zeros((2, 2, 3), np.uint8))
FACE = Face(
    BoundingBox(left=0.41, top=0.22, width=0.17, height=0.31),
    99.9987,
    (
        Landmark("eyeLeft", 0.47, 0.34),
        Landmark("eyeRight", 0.55, 0.34),
        Landmark("nose", 0.51, 0.40),
        Landmark("mouthLeft", 0.48, 0.46),
        Landmark("mouthRight", 0.54, 0.46),
    ),
    Pose(pitch=4.1, roll=-2.0, yaw=7.7),
    Quality(brightness=61.2, sharpness=53.3),
)
ALICE = IndexedFace(
    "5c3d0b1e-0000-4000-8000-000000000001", "5c3d0b1e-0000-3000-8000-000000000002", "alice",
    BoundingBox(left=0.375401234, top=0.12300349, width=0.198412, height=0.264907), 99.9985, "1.5",
)  # fmt: skip


def test_a_matched_face_gives_the_documented_record() -> None:
    # Values and key order of the developer guide's example; the offset as captures show it.
    assert encode_record(
        build_record(STREAM, PROCESSOR, FRAME, [(FACE, [Match(ALICE, 98.4)])])
    ).decode() == (
        '{"InputInformation":{"KinesisVideo":{'
        f'"StreamArn":"{STREAM}",'
        '"FragmentNumber":"91343852333289682796718532614445757584843717598",'
        '"ServerTimestamp":1586916361.521,"ProducerTimestamp":1586916360.265,'
        '"FrameOffsetInSeconds":4.269000053405762}},'
        '"StreamProcessorInformation":{"Status":"RUNNING"},'
        '"FaceSearchResponse":[{"DetectedFace":{'
        '"BoundingBox":{"Height":0.31,"Width":0.17,"Left":0.41,"Top":0.22},'
        '"Confidence":99.9987,'
        '"Landmarks":[{"X":0.47,"Y":0.34,"Type":"eyeLeft"},{"X":0.55,"Y":0.34,"Type":"eyeRight"},'
        '{"X":0.48,"Y":0.46,"Type":"mouthLeft"},{"X":0.54,"Y":0.46,"Type":"mouthRight"},'
        '{"X":0.51,"Y":0.4,"Type":"nose"}],'
        '"Pose":{"Pitch":4.1,"Roll":-2.0,"Yaw":7.7},'
        '"Quality":{"Brightness":61.2,"Sharpness":53.3}},'
        '"MatchedFaces":[{"Similarity":98.4,"Face":{'
        '"BoundingBox":{"Height":0.264907,"Width":0.198412,"Left":0.375401,"Top":0.123003},'
        '"FaceId":"5c3d0b1e-0000-4000-8000-000000000001","Confidence":99.9985,'
        '"ImageId":"5c3d0b1e-0000-3000-8000-000000000002","ExternalImageId":"alice"}}]}],'
        '"RecordId":"dfc00f65e1a9a9bd45e58840ed92bfd0"}'
    )


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_has_no_word_for_is_no_record(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_record(
            build_record(STREAM, PROCESSOR, FRAME, [(replace(FACE, confidence=number), [])])
        )


def test_a_name_that_reads_like_such_a_number_is_a_name() -> None:
    names = "NaN", "-Infinity", 'Zoë "the" Nan\u2028'
    for name in names:
        match = Match(replace(ALICE, external_image_id=name), 90.0)
        data = encode_record(build_record(STREAM, PROCESSOR, FRAME, [(FACE, [match])]))
        [found] = json.loads(data)["FaceSearchResponse"][0]["MatchedFaces"]
        assert found["Face"]["ExternalImageId"] == name
        assert b"\n" not in data


def test_a_frame_without_faces_gives_a_record_all_the_same() -> None:
    assert build_record(STREAM, PROCESSOR, FRAME, [])["FaceSearchResponse"] == []


def test_what_was_not_measured_is_absent_and_an_unknown_face_matches_nobody() -> None:
    bare = Face(FACE.box, 90.0)
    (answer,) = build_record(STREAM, PROCESSOR, FRAME, [(bare, [])])["FaceSearchResponse"]
    assert answer["MatchedFaces"] == []
    assert answer["DetectedFace"].keys() == {"BoundingBox", "Confidence", "Landmarks"}
    assert answer["DetectedFace"]["Landmarks"] == []


def test_a_face_without_an_external_id_has_no_such_member() -> None:
    nameless = IndexedFace("a", "b", None, FACE.box, 90.0, "1.5")
    record = json.loads(
        encode_record(build_record(STREAM, PROCESSOR, FRAME, [(FACE, [Match(nameless, 90.0)])]))
    )
    matched = record["FaceSearchResponse"][0]["MatchedFaces"][0]["Face"]
    assert "ExternalImageId" not in matched


def test_the_id_is_by_its_published_formula() -> None:
    text = f"{PROCESSOR}\n{FRAGMENT.number}\n4269"
    assert record_id(PROCESSOR, FRAME) == hashlib.sha256(text.encode()).hexdigest()[:32]
    assert build_record(STREAM, PROCESSOR, FRAME, [])["RecordId"] == record_id(PROCESSOR, FRAME)


def test_the_same_frame_has_the_same_id_again_and_any_other_another() -> None:
    again = replace(FRAME, image=np.ones((2, 2, 3), np.uint8), timestamp=0.0)
    assert record_id(PROCESSOR, again) == record_id(PROCESSOR, FRAME)
    others = {
        record_id(PROCESSOR.replace("door", "window"), FRAME),
        record_id(PROCESSOR, replace(FRAME, offset_s=4.27)),
        record_id(PROCESSOR, replace(FRAME, fragment=replace(FRAGMENT, number="1"))),
    }
    assert len(others | {record_id(PROCESSOR, FRAME)}) == 4


def test_frames_of_media_without_numbers_are_told_apart_by_time() -> None:
    def named(producer: float | None, timecode_ms: int) -> str:
        fragment = Fragment("", None, producer, timecode_ms * 1_000_000, ())
        return record_id(PROCESSOR, replace(FRAME, fragment=fragment))

    assert named(1.5, 7) == named(1.5, 8) == named(None, 1500)
    assert len({named(1.5, 7), named(1.501, 7), named(None, 7), named(None, 8)}) == 4
