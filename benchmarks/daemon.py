"""A daemon in a process of its own, as the benchmarks see it: its calls, its usage, its records.

Knows how it is started, watched and ended; what is measured is the benchmarks' matter.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import av
import boto3
import cv2

from benchmarks import watched
from benchmarks.cameras import Plan
from benchmarks.clips import testdata
from benchmarks.figures import Acknowledged
from benchmarks.process import Usage, usage
from streamproc.data_folder import endpoint_of

CREDENTIALS = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}
ENVIRONMENT = {**os.environ, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
ROLE = "arn:aws:iam::000000000000:role/bench"
ROOT = Path(__file__).resolve().parent.parent
PEOPLE = "people"
_PAUSE_S, _PAUSES_MAX = 2.0, 15
_ENROLLED_EVERY = 75  # frames: 2.5 s, which meets every scene of a street


def pack() -> Path:
    return testdata() / "models" / "mbf_arcface"


class Daemon:
    """`streamproc serve`, watched."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path, url: str) -> None:
        self.pid = process.pid
        self.url = url
        self._process = process
        self._folder = folder
        make = functools.partial(
            boto3.client, endpoint_url=url, region_name="us-east-1", **CREDENTIALS
        )
        self.rekognition, self.kinesis, self.video = map(
            make, ("rekognition", "kinesis", "kinesisvideo")
        )

    def enrol(self, clips: Sequence[Path]) -> None:
        """A collection of sixty people, and of whoever is largest in a few frames of each clip:
        so there is something to search, and some are known."""
        self.rekognition.create_collection(CollectionId=PEOPLE)
        folders = sorted((testdata() / "lfw" / "gallery").iterdir())
        photos = [sorted(folder.iterdir())[0].read_bytes() for folder in folders]
        for picture in [*photos, *(picture for clip in clips for picture in _frames(clip))]:
            self.rekognition.index_faces(
                CollectionId=PEOPLE, Image={"Bytes": picture}, MaxFaces=1, QualityFilter="NONE"
            )

    def prepare(self, names: Sequence[str]) -> None:
        """A video stream, a data stream and a running processor of each name."""
        for name in names:
            video = self.video.create_stream(StreamName=name, DataRetentionInHours=1)
            self.kinesis.create_stream(StreamName=name, ShardCount=1)
            data = self.kinesis.describe_stream_summary(StreamName=name)
            self.rekognition.create_stream_processor(
                Name=name,
                Input={"KinesisVideoStream": {"Arn": video["StreamARN"]}},
                Output={
                    "KinesisDataStream": {"Arn": data["StreamDescriptionSummary"]["StreamARN"]}
                },
                Settings={"FaceSearch": {"CollectionId": PEOPLE, "FaceMatchThreshold": 80}},
                RoleArn=ROLE,
            )
            self.rekognition.start_stream_processor(Name=name)
        for name in names:
            while (view := self._describe(name))["Status"] != "RUNNING":
                if view["Status"] == "FAILED":
                    sys.exit(f"processor {name} failed: {view['StatusMessage']}")
                time.sleep(0.05)

    def _describe(self, name: str) -> dict[str, Any]:
        return dict(self.rekognition.describe_stream_processor(Name=name))

    def search_stored(self, name: str) -> None:
        """Two jobs, which is as many as run at once."""
        for _ in range(2):
            video = {"S3Object": {"Bucket": "clips", "Name": name}}
            self.rekognition.start_face_search(Video=video, CollectionId=PEOPLE)

    def usage(self) -> Usage:
        return usage(self.pid)

    def parts(self) -> dict[str, Any]:
        """CPU seconds so far, of the process and of each part; it must be started with parts."""
        file = self._folder / "parts"
        known = file.read_text().count("\n") if file.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        while not file.exists() or file.read_text().count("\n") == known:
            time.sleep(0.005)
        return dict(json.loads(file.read_text().splitlines()[-1]))

    def settle(self) -> None:
        """Return once no record has come for a while, or after half a minute."""
        before = -1
        for _ in range(_PAUSES_MAX):
            if (size := (self._folder / "records").stat().st_size) == before:
                return
            before = size
            time.sleep(_PAUSE_S)

    def stop(self) -> None:
        self._process.terminate()
        if code := self._process.wait():
            sys.exit(f"the daemon ended with {code}")

    def acknowledged(self) -> list[Acknowledged]:
        """Every record that a data stream acknowledged; ask once the daemon is stopped."""
        return list(watched.read((self._folder / "records").read_bytes().splitlines()))


@contextmanager
def running(*settings: str, parts: bool = False, cores: set[int] | None = None) -> Iterator[Daemon]:
    """A daemon with the test data's pack on an empty folder. settings are TABLE.KEY=VALUE."""
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as name:
        folder, data = Path(name), Path(name) / "data"
        options = [f"engine.pack={pack()}", "logging.level=WARNING", *settings]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.watched", name, *(["--parts"] if parts else []),
             "serve", "--port", "0", "--data-dir", str(data),
             *(word for option in options for word in ("--set", option))],
            env=ENVIRONMENT, cwd=ROOT,
            preexec_fn=functools.partial(os.sched_setaffinity, 0, cores) if cores else None,
        )  # fmt: skip
        try:
            while (url := endpoint_of(data)) is None:
                if process.poll() is not None:
                    sys.exit(f"the daemon ended with {process.returncode}")
                time.sleep(0.05)
            yield Daemon(process, folder, url)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def filming(plan: Plan, cores: set[int] | None = None) -> Iterator["subprocess.Popen[str]"]:
    """The plan's cameras, all of them sending; ended with the block if they have not."""
    cameras = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cameras"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        preexec_fn=functools.partial(os.sched_setaffinity, 0, cores) if cores else None,
    )  # fmt: skip
    try:
        assert cameras.stdin is not None
        assert cameras.stdout is not None
        cameras.stdin.write(plan.text())
        cameras.stdin.close()
        if cameras.stdout.readline() != "sending\n":
            sys.exit(f"the cameras did not come to send; they ended with {cameras.wait()}")
        yield cameras
    finally:
        cameras.terminate()
        cameras.wait()


def what_was_sent(cameras: "subprocess.Popen[str]") -> dict[str, Any]:
    """What cameras.run() told at its end: cpu_s, persisted, and sent as {stream: {media_ms: s}}."""
    assert cameras.stdout is not None
    told = cameras.stdout.read()
    if code := cameras.wait():
        sys.exit(f"the cameras ended with {code}")
    answer = json.loads(told)
    answer["sent"] = {stream: dict(frames) for stream, frames in answer["sent"].items()}
    return dict(answer)


def _frames(clip: Path) -> Iterator[bytes]:
    """One every _ENROLLED_EVERY frames, as JPEG."""
    with av.open(clip) as container:
        for frame in islice(container.decode(video=0), 0, None, _ENROLLED_EVERY):
            yield cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"))[1].tobytes()
