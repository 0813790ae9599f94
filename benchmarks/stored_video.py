"""What the analysis of stored video costs: per analysis, against the plain loop, and in memory.

A daemon in a process of its own runs one job after the other; its CPU seconds are the kernel's
count, so everything is in them: decoding, models, storing results. The plain loop of
plain_loop.py looks at the same frames of the same clip, with ONNX Runtime's defaults and on one
thread. With --hour, one hour of video made by repetition shows whether memory grows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import boto3
import cv2
from rich.console import Console
from rich.table import Table

from benchmarks.clips import testdata
from benchmarks.daemon import CREDENTIALS, ENVIRONMENT
from benchmarks.loops import plain_loop
from benchmarks.process import cpu_s, resident_mb
from benchmarks.results import keep
from streamproc.config import load_config
from streamproc.data_folder import endpoint_of
from streamproc.decode.stored import StoredVideo
from streamproc.engines.load import load_engine
from streamproc.settings import JobsConfig
from tests.jobs.test_face_search import ENROLLED_AT, shown

THRESHOLD = 80.0  # StartFaceSearch's default
SETTINGS = JobsConfig()
# Analysis, its operation in boto3, the clip it is measured on, frames looked at per second.
ANALYSES = (
    ("face detection", "face_detection", "crowd", SETTINGS.face_fps),
    ("face detection, ALL", "face_detection", "crowd", SETTINGS.face_fps),
    ("face search", "face_search", "crowd", SETTINGS.face_fps),
    ("celebrities", "celebrity_recognition", "crowd", SETTINGS.face_fps),
    ("person tracking", "person_tracking", "visitors", SETTINGS.person_fps),
    ("labels", "label_detection", "visitors", SETTINGS.label_fps),
    ("moderation", "content_moderation", "visitors", SETTINGS.moderation_fps),
)
CLIPS = {
    "crowd": "videos/facenet_pytorch_video.mp4",  # 1080p, 25 fps, six or more faces in view
    "visitors": "videos/one-by-one-person-detection.mp4",  # 768x432, 10 fps, one person or none
}
STEPS = 21  # frames of the crowd at five a second, of which it is known who is where


@dataclass
class Daemon:
    """`streamproc serve` over one bucket, seen from outside."""

    pid: int
    url: str

    def __post_init__(self) -> None:
        self.rekognition = boto3.client(
            "rekognition", endpoint_url=self.url, region_name="us-east-1", **CREDENTIALS
        )

    def run(self, operation: str, name: str, **members: Any) -> dict[str, Any]:
        """One job from start to end: what it cost and its id."""
        cpu_s, wall = self.cpu_s(), time.monotonic()
        video = {"S3Object": {"Bucket": "clips", "Name": name}}
        start = getattr(self.rekognition, f"start_{operation}")
        job_id = start(Video=video, **members)["JobId"]
        peak_mb: list[tuple[float, float]] = []
        while (answer := self.get(operation, job_id))["JobStatus"] == "IN_PROGRESS":
            peak_mb.append((self.progress(job_id), resident_mb(self.pid)))
            time.sleep(0.25)
        if answer["JobStatus"] != "SUCCEEDED":
            sys.exit(f"{operation}: {answer['StatusMessage']}")
        return {
            "job_id": job_id,
            "cpu_s": self.cpu_s() - cpu_s,
            "wall_s": time.monotonic() - wall,
            "video_s": answer["VideoMetadata"]["DurationMillis"] / 1000,
            "memory_mb": [*peak_mb, (1.0, resident_mb(self.pid))],
        }

    def get(self, operation: str, job_id: str, **members: Any) -> dict[str, Any]:
        return dict(getattr(self.rekognition, f"get_{operation}")(JobId=job_id, **members))

    def items(self, operation: str, member: str, job_id: str) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self.get(operation, job_id, **token)
            yield from page[member]
            if "NextToken" not in page:
                return
            token = {"NextToken": page["NextToken"]}

    def progress(self, job_id: str) -> float:
        request = urllib.request.Request(
            self.url, data=b"{}", method="POST",
            headers={"X-Amz-Target": "RekognitionService.ListStreamprocJobs",
                     "Content-Type": "application/x-amz-json-1.1"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as answer:
            jobs = {job["JobId"]: job["Progress"] for job in json.load(answer)["Jobs"]}
        return float(jobs[job_id])

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        return cpu_s(self.pid)


@contextmanager
def daemon(folder: Path, clips: Path) -> Iterator[Daemon]:
    models = testdata() / "models"
    process = subprocess.Popen(
        [sys.executable, "-m", "streamproc", "serve", "--port", "0", "--data-dir", str(folder),
         "--pack", str(models / "mbf_arcface"), "--set", "logging.level=WARNING",
         "--set", f'buckets.clips="{clips}"',
         "--set", f'analysis.models_dir="{models / "analysis"}"'],
        env=ENVIRONMENT,
    )  # fmt: skip
    try:
        while (url := endpoint_of(folder)) is None:
            time.sleep(0.05)
        yield Daemon(process.pid, url)
    finally:
        process.terminate()
        process.wait()


def two_people(folder: Path) -> list[Path]:
    """The two of the crowd whose every face is known by eye, cut out of an early frame."""
    video = StoredVideo(testdata() / CLIPS["crowd"], "crowd")
    image = next(islice(video.frames(5.0), ENROLLED_AT, None)).image
    height, width = image.shape[:2]
    files = []
    for face in load_engine(_config().engine).analyse([image])[0]:
        if (name := shown(ENROLLED_AT, face.box.left)) is not None:
            side = int(2 * face.box.width * width)
            left = max(int((face.box.left - face.box.width / 2) * width), 0)
            top = max(int(face.box.top * height) - side // 4, 0)
            files.append(folder / f"{name}.png")
            cv2.imwrite(str(files[-1]), image[top : top + side + side // 4, left : left + side])
    return sorted(files)


def cosine_of_threshold() -> float:
    return load_engine(_config().engine).cosine(THRESHOLD)


def _config() -> Any:
    return load_config(None, {"engine": {"pack": str(testdata() / "models" / "mbf_arcface")}})


def repeated(source: Path, file: Path, seconds: float) -> Path:
    """The recording's video packets, again and again, until they are this long."""
    shift, length = 0, 0
    with av.open(file, "w") as output:
        stream = None
        while True:
            with av.open(source) as recording:
                track = recording.streams.video[0]
                if stream is None:
                    stream = output.add_stream_from_template(track)
                for packet in recording.demux(track):
                    if packet.dts is None or packet.pts is None:
                        continue
                    length = max(length, packet.pts + (packet.duration or 1))
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    output.mux(packet)
                shift += length
                if shift * (track.time_base or 1) >= seconds:
                    return file


def analyses(seconds: float, console: Console) -> dict[str, Any]:
    results: dict[str, Any] = {}
    table = Table(title=f"analyses of {seconds:.0f} s of video", title_justify="left")
    for column in ("analysis", "clip", "looked at", "CPU s", "video s per CPU s", "wall s"):
        table.add_column(column, justify="left" if column == "analysis" else "right")
    with tempfile.TemporaryDirectory() as name:
        clips = Path(name) / "clips"
        clips.mkdir()
        for clip, source in CLIPS.items():
            repeated(testdata() / source, clips / f"{clip}.mp4", seconds)
        people = two_people(Path(name))
        with daemon(Path(name) / "data", clips) as streamproc:
            enrol(streamproc, people)
            for what, operation, clip, fps in ANALYSES:
                members: dict[str, Any] = {}
                if operation == "face_search":
                    members = {"CollectionId": "people", "FaceMatchThreshold": THRESHOLD}
                if what.endswith("ALL"):
                    members = {"FaceAttributes": "ALL"}
                cost = streamproc.run(operation, f"{clip}.mp4", **members)
                results[what] = cost
                table.add_row(
                    what, clip, f"{fps:g}/s", f"{cost['cpu_s']:.1f}",
                    f"{cost['video_s'] / cost['cpu_s']:.1f}", f"{cost['wall_s']:.1f}",
                )  # fmt: skip
            job_id = results["face search"]["job_id"]
            found = list(streamproc.items("face_search", "Persons", job_id))
        console.print(table)
        ours = results["face search"] | {"faces": len(found), "named": named(found, people)}
        results["face search"] = ours
        options = ("--cosine", str(cosine_of_threshold()), "--enrol", *map(str, people))
        table = Table(title="\nface search against the plain loop", title_justify="left")
        for column in ("", "CPU s", "ratio", "wall s", "ratio", "faces", "named right", "wrong"):
            table.add_column(column, justify="left" if not column else "right")
        rows = {"streamproc": ours}
        for label, threads in (("plain loop", 0), ("on 1 thread", 1)):
            rows[label] = plain_loop(
                clips / "crowd.mp4", testdata() / "models" / "mbf_arcface", SETTINGS.face_fps,
                threads, *options,
            )  # fmt: skip
            results[label] = rows[label]
        for label, row in rows.items():
            right, wrong = judged(row["named"], people)
            table.add_row(
                label, f"{row['cpu_s']:.1f}", f"{row['cpu_s'] / ours['cpu_s']:.2f}",
                f"{row['wall_s']:.1f}", f"{row['wall_s'] / ours['wall_s']:.2f}",
                str(row["faces"]), str(right), str(wrong),
            )  # fmt: skip
        console.print(table)
        console.print("ratio: how many times what streamproc takes", highlight=False)
    return results


def enrol(streamproc: Daemon, people: list[Path]) -> None:
    """The two as a collection, and as celebrities, so that both analyses have someone to find."""
    with tempfile.TemporaryDirectory() as name:
        for collection in ("people", "stars"):
            folder = Path(name) / collection
            folder.mkdir()
            lines = [f"celebrities = {str(collection == 'stars').lower()}"]
            for person in people:
                (folder / person.name).write_bytes(person.read_bytes())
                lines.append(f'[[people]]\nname = "{person.stem}"\nphotos = ["{person.name}"]')
            (folder / "manifest.toml").write_text("\n".join(lines))
            subprocess.run(
                [sys.executable, "-m", "streamproc", "collections", "apply", str(folder),
                 "--endpoint-url", streamproc.url],
                check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT,
            )  # fmt: skip


def named(persons: list[dict[str, Any]], people: list[Path]) -> list[tuple[float, float, int]]:
    """Second, left edge and who, of every face that was named."""
    numbers = {person.stem.replace(" ", "_"): number for number, person in enumerate(people)}
    return [
        (
            item["Timestamp"] / 1000,
            item["Person"]["Face"]["BoundingBox"]["Left"],
            numbers[matches[0]["Face"]["ExternalImageId"]],
        )
        for item in persons
        if (matches := item["FaceMatches"])
    ]


def judged(names: list[tuple[float, float, int]], people: list[Path]) -> tuple[int, int]:
    """How many faces were named rightly, and how many wrongly."""
    right = sum(
        shown(round(second * 5) % STEPS, left) == people[who].stem for second, left, who in names
    )
    return right, len(names) - right


def memory(console: Console) -> dict[str, Any]:
    """The largest resident memory in each quarter of an hour of video with faces in it."""
    results = {}
    table = Table(title="\none hour of video: most resident memory, MB", title_justify="left")
    for column in ("analysis", "at the start", "1st quarter", "2nd", "3rd", "4th", "wall s"):
        table.add_column(column, justify="left" if column == "analysis" else "right")
    with tempfile.TemporaryDirectory() as name:
        clips = Path(name) / "clips"
        clips.mkdir()
        repeated(testdata() / "kvs" / "vogels_480.mkv", clips / "speaker.mkv", 3600.0)
        repeated(testdata() / CLIPS["visitors"], clips / "visitors.mp4", 3600.0)
        for operation, clip in (
            ("face_search", "speaker.mkv"),
            ("person_tracking", "visitors.mp4"),
        ):
            with daemon(Path(name) / operation, clips) as streamproc:
                streamproc.rekognition.create_collection(CollectionId="people")
                before = resident_mb(streamproc.pid)
                members = {"CollectionId": "people"} if operation == "face_search" else {}
                cost = streamproc.run(operation, clip, **members)
            quarters = [0.0] * 4
            for progress, size in cost["memory_mb"]:
                quarter = min(int(progress * 4), 3)
                quarters[quarter] = max(quarters[quarter], size)
            results[operation] = {"before": before, "quarters": quarters, **cost}
            table.add_row(
                operation, f"{before:.0f}", *(f"{size:.0f}" for size in quarters),
                f"{cost['wall_s']:.0f}",
            )  # fmt: skip
    console.print(table)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=21.0, help="length of the clips")
    parser.add_argument("--hour", action="store_true", help="memory over an hour of video, too")
    arguments = parser.parse_args()
    console = Console()
    results = {"analyses": analyses(arguments.seconds, console)}
    if arguments.hour:
        results["hour"] = memory(console)
    keep("stored_video", results)


if __name__ == "__main__":
    main()
