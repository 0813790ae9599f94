"""DetectFaces, CompareFaces, and every way a picture can be wrong, as boto3 sees them."""

import base64
import json
import struct
import threading
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image as Pillow

from streamproc.engines.fake import FakeEngine
from streamproc.model.face import Face, Landmark, Rated, Traits
from streamproc.model.media import Image
from streamproc.model.members import ALL_LANDMARKS
from tests.api.conftest import StartApi
from tests.api.live_api import REGION, client_of, painted

ANN, BOB, EVE = 1, 5, 9
BY_DEFAULT = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}


def test_detect_faces_gives_every_face_largest_first(rekognition: Any) -> None:
    picture = painted((ANN, 10, 10, 40), (BOB, 100, 80, 100))
    large, small = rekognition.detect_faces(Image={"Bytes": picture})["FaceDetails"]
    assert large["BoundingBox"]["Width"] == pytest.approx(100 / 320)
    assert small["BoundingBox"]["Width"] == pytest.approx(40 / 320)
    assert set(large) == BY_DEFAULT
    assert rekognition.detect_faces(Image={"Bytes": painted()})["FaceDetails"] == []


def test_attributes_that_no_model_measured_are_left_out(rekognition: Any) -> None:
    [face] = rekognition.detect_faces(
        Image={"Bytes": painted((ANN, 40, 40, 60))}, Attributes=["ALL"]
    )["FaceDetails"]
    assert set(face) == BY_DEFAULT


class Expressive(FakeEngine):
    """Everyone is five and smiles, to who asks."""

    def analyse(
        self, images: Sequence[Image], *, attributes: bool = False, embeddings: bool = True
    ) -> list[list[Face]]:
        found = super().analyse(images, embeddings=embeddings)
        return [[expressive(face) for face in faces] if attributes else faces for faces in found]


def expressive(face: Face) -> Face:
    marks = (Landmark(name, 0.5, 0.5) for name in ALL_LANDMARKS)
    return replace(
        face,
        landmarks=tuple(marks),
        age=5,
        gender="Female",
        traits=Traits(
            smile=Rated(True, 91.5),
            eyes_open=Rated(True, 80.0),
            mouth_open=Rated(False, 60.0),
            eyeglasses=Rated(False, 99.0),
            emotions=(("HAPPY", 90.0), ("CALM", 10.0)),
        ),
    )


TOLD = {
    "AgeRange": {"Low": 0, "High": 13},
    "Gender": {"Value": "Female"},
    "Smile": {"Value": True, "Confidence": 91.5},
    "EyesOpen": {"Value": True, "Confidence": 80.0},
    "MouthOpen": {"Value": False, "Confidence": 60.0},
    "Eyeglasses": {"Value": False, "Confidence": 99.0},
    "Emotions": [{"Type": "HAPPY", "Confidence": 90.0}, {"Type": "CALM", "Confidence": 10.0}],
}


@pytest.mark.parametrize(
    ("attributes", "told", "landmarks"),
    [
        (["DEFAULT"], set(), 5),
        (["AGE_RANGE"], {"AgeRange"}, 5),
        (["DEFAULT", "SMILE", "EMOTIONS"], {"Smile", "Emotions"}, 5),
        (["BEARD", "EYES_OPEN"], {"EyesOpen"}, 5),
        (["GENDER", "EYEGLASSES", "MOUTH_OPEN"], {"Gender", "Eyeglasses", "MouthOpen"}, 5),
        (["ALL"], set(TOLD), 30),
        (["ALL", "SMILE"], set(TOLD), 30),
    ],
)
def test_attributes_are_given_where_they_are_asked_for(
    start_api: StartApi, attributes: list[str], told: set[str], landmarks: int
) -> None:
    client = client_of(start_api(Expressive()))
    picture = {"Bytes": painted((ANN, 40, 40, 60))}
    [face] = client.detect_faces(Image=picture, Attributes=attributes)["FaceDetails"]
    client.create_collection(CollectionId="team")
    indexed = client.index_faces(
        CollectionId="team", Image=picture, DetectionAttributes=attributes, QualityFilter="NONE"
    )
    for detail in (face, indexed["FaceRecords"][0]["FaceDetail"]):
        assert {name: detail[name] for name in set(detail) - BY_DEFAULT} == {
            name: TOLD[name] for name in told
        }
        assert [mark["Type"] for mark in detail["Landmarks"]] == list(ALL_LANDMARKS[:landmarks])


def test_the_engine_is_asked_for_attributes_only_where_they_are_wanted(
    start_api: StartApi,
) -> None:
    class Asked(FakeEngine):
        def analyse(
            self, images: Sequence[Image], *, attributes: bool = False, embeddings: bool = True
        ) -> list[list[Face]]:
            asked.append(attributes)
            return super().analyse(images, attributes=attributes)

    asked: list[bool] = []
    client = client_of(start_api(Asked()))
    client.create_collection(CollectionId="team")
    picture = {"Bytes": painted((ANN, 40, 40, 60))}
    for wanted in (["DEFAULT"], ["BEARD"], ["AGE_RANGE"], ["SMILE"], ["ALL"]):
        client.detect_faces(Image=picture, Attributes=wanted)
        client.index_faces(CollectionId="team", Image=picture, DetectionAttributes=wanted)
    assert asked == [False] * 4 + [True] * 6
    client.search_faces_by_image(CollectionId="team", Image=picture)
    client.compare_faces(SourceImage=picture, TargetImage=picture)
    assert asked[10:] == [False] * 3


def test_compare_faces_sorts_the_target_into_matches_and_others(rekognition: Any) -> None:
    answer = rekognition.compare_faces(
        SourceImage={"Bytes": painted((ANN, 100, 80, 100), (EVE, 10, 10, 20))},
        TargetImage={"Bytes": painted((BOB, 100, 80, 100), (ANN, 10, 10, 40))},
    )
    assert answer["SourceImageFace"]["BoundingBox"]["Width"] == pytest.approx(100 / 320)
    [match] = answer["FaceMatches"]
    assert match["Similarity"] == pytest.approx(100)
    assert match["Face"]["BoundingBox"]["Width"] == pytest.approx(40 / 320)
    [other] = answer["UnmatchedFaces"]
    assert other["BoundingBox"]["Width"] == pytest.approx(100 / 320)
    assert len(other["Landmarks"]) == 5


def test_compare_faces_with_threshold_zero_matches_everyone_best_first(rekognition: Any) -> None:
    answer = rekognition.compare_faces(
        SourceImage={"Bytes": painted((ANN, 100, 80, 100))},
        TargetImage={"Bytes": painted((BOB, 100, 80, 100), (ANN, 10, 10, 40))},
        SimilarityThreshold=0,
    )
    assert [match["Similarity"] for match in answer["FaceMatches"]] == pytest.approx([100, 0])
    assert answer["UnmatchedFaces"] == []


@pytest.mark.parametrize("empty", ["SourceImage", "TargetImage"])
def test_comparing_nobody_is_refused_naming_the_picture(rekognition: Any, empty: str) -> None:
    images = {
        name: {"Bytes": painted((ANN, 40, 40, 60))} for name in ("SourceImage", "TargetImage")
    }
    images[empty] = {"Bytes": painted()}
    with pytest.raises(
        rekognition.exceptions.InvalidParameterException, match=f"no faces in {empty}"
    ):
        rekognition.compare_faces(**images)


def test_faces_below_the_quality_bar_are_not_compared(rekognition: Any) -> None:
    picture = {"Bytes": painted((ANN, 40, 40, 16))}
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="SourceImage"):
        rekognition.compare_faces(SourceImage=picture, TargetImage=picture, QualityFilter="HIGH")


def test_a_picture_is_either_bytes_or_an_s3_object(rekognition: Any) -> None:
    both = {"Bytes": painted(), "S3Object": {"Bucket": "photos", "Name": "ann.png"}}
    for image, words in (({}, "neither Bytes nor S3Object"), (both, "both Bytes and S3Object")):
        with pytest.raises(
            rekognition.exceptions.InvalidParameterException, match=f"Image has {words}"
        ):
            rekognition.detect_faces(Image=image)


def test_a_picture_turned_by_its_exif_is_seen_upright(rekognition: Any) -> None:
    picture = Pillow.open(BytesIO(painted((ANN, 10, 20, 60))))  # near the left edge
    exif = Pillow.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    picture.transpose(Pillow.Transpose.ROTATE_90).save(file, "JPEG", quality=95, exif=exif)
    [face] = rekognition.detect_faces(Image={"Bytes": file.getvalue()})["FaceDetails"]
    assert face["BoundingBox"]["Left"] == pytest.approx(10 / 320, abs=0.02)
    assert face["BoundingBox"]["Top"] == pytest.approx(20 / 240, abs=0.02)


def test_what_is_no_picture_is_refused(rekognition: Any) -> None:
    webp = BytesIO()
    Pillow.new("RGB", (100, 100)).save(webp, "WEBP")
    for data in (b"hello", webp.getvalue(), painted()[:200], b"\xff\xd8\xff\xe0"):
        with pytest.raises(
            rekognition.exceptions.InvalidImageFormatException,
            match=r"Request has invalid image format\. Image: ",
        ):
            rekognition.detect_faces(Image={"Bytes": data})


def test_a_picture_too_small_is_refused_with_its_size(rekognition: Any) -> None:
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="70 x 200"):
        rekognition.detect_faces(Image={"Bytes": painted(width=70, height=200)})


def test_a_hundred_million_pixels_in_a_small_file_are_refused(rekognition: Any) -> None:
    side = 10_000

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    with pytest.raises(rekognition.exceptions.ImageTooLargeException, match="100000000 pixels"):
        rekognition.detect_faces(Image={"Bytes": data})


def test_more_bytes_than_allowed_are_refused(rekognition: Any) -> None:
    with pytest.raises(rekognition.exceptions.ClientError) as caught:
        rekognition.detect_faces(Image={"Bytes": b"\xff\xd8\xff" + bytes(5 * 1024 * 1024)})
    assert caught.value.response["Error"]["Code"] in {
        "ImageTooLargeException",
        "InvalidParameterException",
    }


def test_an_s3_object_without_s3_names_the_setting(rekognition: Any) -> None:
    with pytest.raises(
        rekognition.exceptions.InvalidS3ObjectException, match=r"Set endpoints\.s3 to aws"
    ):
        rekognition.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "ann.png"}})


def test_pictures_are_read_from_the_folder_that_stands_for_a_bucket(
    start_api: StartApi, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "ann.png").write_bytes(painted((ANN, 40, 40, 60)))
    client = client_of(
        start_api(buckets={"photos": tmp_path / "photos"}, faces={"image_bytes_max": 2000})
    )
    there = {"Bucket": "photos", "Name": "ann.png"}
    assert len(client.detect_faces(Image={"S3Object": there})["FaceDetails"]) == 1
    (tmp_path / "secret.png").write_bytes(painted())
    for name in ("bob.png", "../secret.png"):
        with pytest.raises(
            client.exceptions.InvalidS3ObjectException,
            match=rf"Image\.S3Object: s3://photos/{name}",
        ):
            client.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": name}})
    (tmp_path / "photos" / "ann.png").write_bytes(bytes(2001))
    with pytest.raises(client.exceptions.ImageTooLargeException, match="the most is 2000"):
        client.detect_faces(Image={"S3Object": there})


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A versioned bucket "photos" at an S3 that the API is told of; gives its client."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    request = urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["status"] == "ok"
    s3 = boto3.client("s3", endpoint_url=moto_url, region_name=REGION)
    s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    return s3


def test_pictures_are_read_from_s3_by_name_and_version(
    start_api: StartApi, bucket: Any, moto_url: str
) -> None:
    client = client_of(start_api(endpoints={"s3": moto_url}))
    old = bucket.put_object(Bucket="photos", Key="a b/ä.png", Body=painted((ANN, 40, 40, 60)))
    bucket.put_object(Bucket="photos", Key="a b/ä.png", Body=painted())
    there = {"Bucket": "photos", "Name": "a b/ä.png"}
    assert client.detect_faces(Image={"S3Object": there})["FaceDetails"] == []
    versioned = {**there, "Version": old["VersionId"]}
    assert len(client.detect_faces(Image={"S3Object": versioned})["FaceDetails"]) == 1


def test_what_s3_has_not_is_named(start_api: StartApi, bucket: Any, moto_url: str) -> None:
    client = client_of(start_api(endpoints={"s3": moto_url}))
    bucket.put_object(Bucket="photos", Key="ann.png", Body=painted())
    wrong: list[dict[str, str]] = [
        {"Bucket": "photos", "Name": "bob.png"},
        {"Bucket": "nothing-here", "Name": "ann.png"},
        {"Bucket": "photos", "Name": "ann.png", "Version": "nonsense"},
    ]
    for s3_object in wrong:
        with pytest.raises(
            client.exceptions.InvalidS3ObjectException,
            match=f"object metadata from S3.*{s3_object['Bucket']}/{s3_object['Name']}",
        ):
            client.detect_faces(Image={"S3Object": s3_object})
    for missing in ({"Bucket": "photos"}, {"Name": "ann.png"}):
        with pytest.raises(
            client.exceptions.InvalidParameterException, match=r"Image\.S3Object\.\w+ is missing"
        ):
            client.detect_faces(Image={"S3Object": missing})


def test_an_object_larger_than_allowed_is_refused(
    start_api: StartApi, bucket: Any, moto_url: str
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (100, 100, 3), np.uint8)
    file = BytesIO()
    Pillow.fromarray(noise).save(file, "PNG")
    bucket.put_object(Bucket="photos", Key="noise.png", Body=file.getvalue())
    client = client_of(start_api(endpoints={"s3": moto_url}, faces={"image_bytes_max": 2000}))
    with pytest.raises(client.exceptions.ImageTooLargeException, match="the most is 2000"):
        client.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "noise.png"}})


def test_an_s3_that_does_not_answer_is_told(start_api: StartApi, bucket: Any) -> None:
    client = client_of(start_api(endpoints={"s3": "http://127.0.0.1:1"}))
    with pytest.raises(client.exceptions.InvalidS3ObjectException, match="Could not connect"):
        client.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "ann.png"}})


class HalfAnObject(BaseHTTPRequestHandler):
    """An S3 that promises more bytes than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(painted()[:100])

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_an_object_that_s3_cuts_off_is_told(start_api: StartApi, bucket: Any) -> None:
    with HTTPServer(("127.0.0.1", 0), HalfAnObject) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = client_of(start_api(endpoints={"s3": f"http://127.0.0.1:{server.server_port}"}))
        with pytest.raises(client.exceptions.InvalidS3ObjectException, match=r"photos/ann\.png"):
            client.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "ann.png"}})
        server.shutdown()


def test_bytes_travel_as_base64(start_api: StartApi) -> None:
    body = json.dumps({"Image": {"Bytes": base64.b64encode(painted()).decode()}}).encode()
    request = urllib.request.Request(
        start_api(),
        body,
        {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "RekognitionService.DetectFaces",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer) == {"FaceDetails": []}
