"""The AWS CLI starts every kind of job and reads its results, unmodified."""

import json
from typing import Any

import numpy as np

from streamproc.cli.demo_video import EILEEN
from tests.end_to_end.stored_video.conftest import KINDS, OPERATION, Studio, on_grey, render


def test_aws_cli_starts_every_kind_and_reads_every_page(plain_studio: Studio, aws_cli: Any) -> None:
    eileen = on_grey(np.asarray(EILEEN.portrait()), 640, 480)
    render(plain_studio.folder / "eileen.mp4", [eileen] * 6)
    video = json.dumps({"S3Object": {"Bucket": "clips", "Name": "eileen.mp4"}})
    plain_studio.rekognition.create_collection(CollectionId="cli")
    url = plain_studio.daemon.url
    jobs = {}
    for kind in KINDS:
        command = OPERATION[kind].replace("_", "-")
        options = ["--collection-id", "cli"] if kind == "FaceSearch" else []
        answer = aws_cli(url, f"start-{command}", "--video", video, "--job-tag", kind, *options)
        jobs[kind] = answer["JobId"]
    assert plain_studio.wait("FaceDetection", jobs["FaceDetection"])["JobStatus"] == "SUCCEEDED"
    job = ["get-face-detection", "--job-id", jobs["FaceDetection"], "--max-results", "2"]
    first = aws_cli(url, *job)
    assert [face["Timestamp"] for face in first["Faces"]] == [0, 200]
    assert first["VideoMetadata"]["Codec"] == "h264"
    second = aws_cli(url, *job, "--next-token", first["NextToken"])
    assert [face["Timestamp"] for face in second["Faces"]] == [400]
    assert "NextToken" not in second
