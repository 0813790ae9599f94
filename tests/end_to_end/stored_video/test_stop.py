"""SIGTERM in the middle of jobs: the daemon stops soon, and the next one takes them up."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.conftest import wait_until
from tests.end_to_end.stored_video.conftest import HeldPeer, Studio, render

CHANNEL = {
    "SNSTopicArn": "arn:aws:sns:us-east-1:123456789012:AmazonRekognition-jobs",
    "RoleArn": "arn:aws:iam::123456789012:role/any",
}


def test_stopped_in_the_middle_jobs_are_run_again_and_no_start_is_counted(
    open_studio: Callable[..., Studio],
    held_peer: HeldPeer,
    list_jobs: Callable[[Studio], dict[str, dict[str, Any]]],
) -> None:
    """One is decoding, one is fetching from an S3 that hangs, one has a topic to tell that
    does not answer."""
    studio = open_studio(
        "--set", f"endpoints.s3={held_peer.url}", "--set", f"endpoints.sns={held_peer.url}",
        "--set", "jobs.running_max=3", "--set", "jobs.starts_max=1",
    )  # fmt: skip
    noise = np.random.default_rng(1)
    frames = [noise.integers(0, 255, (120, 160, 3), np.uint8) for _ in range(20)]
    render(studio.folder / "noise.mp4", frames * 15)
    ended = studio.start("LabelDetection", "noise.mp4", NotificationChannel=CHANNEL)  # no model
    fetching = studio.start("FaceDetection", "grey.mp4", "films")
    decoding = studio.start("FaceDetection", "noise.mp4")
    assert held_peer.halfway.wait(60)
    assert held_peer.asked.wait(60)
    wait_until(lambda: list_jobs(studio)[decoding]["Progress"] > 0.06, 120.0)

    assert studio.daemon.stop() == 0, studio.daemon.log[-3000:]  # within a minute
    assert list((studio.daemon.data_dir / "scratch").iterdir()) == []

    held_peer.asked.clear()
    held_peer.release()
    studio.daemon.start()
    studio.connect()
    for job_id in (fetching, decoding):
        answer = studio.wait("FaceDetection", job_id)
        assert answer["JobStatus"] == "SUCCEEDED", answer.get("StatusMessage")
    assert studio.get("LabelDetection", ended)["JobStatus"] == "FAILED"
    assert held_peer.asked.wait(60)  # the topic is told what it has not heard
