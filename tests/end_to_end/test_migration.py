"""The page for people who come from Amazon Rekognition: its Python runs as it is printed."""

import csv
import io
import os
import re
import subprocess
import sys

import skimage.data
from PIL import Image

from tests.conftest import CREDENTIALS, ROOT, DaemonFactory, DaemonProcess
from tests.end_to_end.conftest import ROLE

PAGE = (ROOT / "docs" / "coming-from-rekognition.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(program: str, daemon: DaemonProcess) -> str:
    """Its output; it is told of us by the environment alone, as any program of boto3's."""
    program = program.replace("http://127.0.0.1:4600", daemon.url)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
        env={**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": daemon.url,
             "AWS_DEFAULT_REGION": "us-east-1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def jpeg() -> bytes:
    buffer = io.BytesIO()
    picture = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    Image.fromarray(picture).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def test_every_program_of_the_page_runs(start_daemon: DaemonFactory) -> None:
    daemon = start_daemon()
    rekognition = daemon.client("rekognition")
    rekognition.create_collection(CollectionId="family")
    indexed = rekognition.index_faces(
        CollectionId="family", ExternalImageId="eileen", Image={"Bytes": jpeg()}, MaxFaces=1
    )["FaceRecords"][0]["Face"]
    video = daemon.client("kinesisvideo").create_stream(StreamName="door")["StreamARN"]
    daemon.client("kinesis").create_stream(StreamName="faces", ShardCount=1)
    data = daemon.client("kinesis").describe_stream_summary(StreamName="faces")
    rekognition.create_stream_processor(
        Name="door",
        Input={"KinesisVideoStream": {"Arn": video}},
        Output={"KinesisDataStream": {"Arn": data["StreamDescriptionSummary"]["StreamARN"]}},
        Settings={"FaceSearch": {"CollectionId": "family"}},
        RoleArn=ROLE,
    )
    listing, export = PROGRAMS
    assert run(listing, daemon) == "door STOPPED\n"
    assert list(csv.reader(run(export, daemon).splitlines())) == [
        ["ExternalImageId", "ImageId", "FaceId"],
        ["eileen", indexed["ImageId"], indexed["FaceId"]],
    ]
