"""What the analysis of stored video costs: per analysis, against the plain loop, and in memory.

A daemon in a process of its own runs one job after the other; its CPU seconds are the kernel's
count, so everything is in them: decoding, models, storing results. The plain loop of
plain_loop.py looks at the same frames of the same clip, with ONNX Runtime's defaults and on one
thread. With --hour, one hour of video made by repetition shows whether memory grows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import boto3
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.clips import make_clip, testdata
from benchmarks.pipeline import CREDENTIALS, ENVIRONMENT, OUT, plain_loop, resident_mb
from streamproc.config import load_config
from streamproc.data_folder import endpoint_of
from streamproc.engines.load import load_engine
from streamproc.settings import JobsConfig

THRESHOLD = 80.0  # StartFaceSearch's default
SETTINGS = JobsConfig()
# Analysis, its operation in boto3, the view it is measured on, frames looked at per second.
ANALYSES = (
    ("face detection", "face_detection", "eight", SETTINGS.face_fps),
    ("face detection, ALL", "face_detection", "eight", SETTINGS.face_fps),
    ("face search", "face_search", "eight", SETTINGS.face_fps),
    ("person tracking", "person_tracking", "none", SETTINGS.person_fps),
    ("labels", "label_detection", "none", SETTINGS.label_fps),
    ("moderation", "content_moderation", "none", SETTINGS.moderation_fps),
    ("celebrities", "celebrity_recognition", "eight", SETTINGS.face_fps),
)


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
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


def two_people(clip: Path, folder: Path) -> list[Path]:
    """The two largest faces of the first frame, each cut out with some of what is around it."""
    with av.open(clip) as container:
        image = np.asarray(next(container.decode(video=0)).to_ndarray(format="bgr24"), np.uint8)
    height, width = image.shape[:2]
    engine = load_engine(_config().engine)
    files = []
    for number, face in enumerate(engine.analyse([image])[0][:2]):
        box = face.box
        left, top = int((box.left - box.width) * width), int((box.top - box.height) * height)
        right = int((box.left + 2 * box.width) * width)
        bottom = int((box.top + 2 * box.height) * height)
        files.append(folder / f"person-{number}.png")
        cv2.imwrite(str(files[-1]), image[max(top, 0) : bottom, max(left, 0) : right])
    return files


def cosine_of_threshold() -> float:
    return load_engine(_config().engine).cosine(THRESHOLD)


def _config() -> Any:
    return load_config(None, {"engine": {"pack": str(testdata() / "models" / "mbf_arcface")}})


def one_hour(source: Path, file: Path, seconds: float = 3600.0) -> Path:
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
    table = Table(title=f"{seconds:.0f} s of 720p, 30 fps", title_justify="left")
    for column in ("analysis", "looked at", "CPU s", "video s per CPU s", "wall s"):
        table.add_column(column, justify="left" if column == "analysis" else "right")
    with tempfile.TemporaryDirectory() as name:
        clips = Path(name) / "clips"
        clips.mkdir()
        for view in {analysis[2] for analysis in ANALYSES}:
            make_clip(view, seconds, clips / f"{view}.mp4")
        people = two_people(clips / "eight.mp4", Path(name))
        with daemon(Path(name) / "data", clips) as streamproc:
            enrol(streamproc, people)
            for what, operation, view, fps in ANALYSES:
                members: dict[str, Any] = {}
                if operation == "face_search":
                    members = {"CollectionId": "people", "FaceMatchThreshold": THRESHOLD}
                if what.endswith("ALL"):
                    members = {"FaceAttributes": "ALL"}
                cost = streamproc.run(operation, f"{view}.mp4", **members)
                results[what] = cost
                table.add_row(
                    what, f"{fps:g}/s", f"{cost['cpu_s']:.1f}",
                    f"{cost['video_s'] / cost['cpu_s']:.1f}", f"{cost['wall_s']:.1f}",
                )  # fmt: skip
            job_id = results["face search"]["job_id"]
            found = list(streamproc.items("face_search", "Persons", job_id))
        console.print(table)
        ours = results["face search"] | {"faces": len(found), "named": named(found)}
        results["face search"] = ours
        options = ("--cosine", str(cosine_of_threshold()), "--enrol", *map(str, people))
        table = Table(title="\nface search against the plain loop", title_justify="left")
        for column in ("", "CPU s", "ratio", "wall s", "ratio", "faces", "named, two people"):
            table.add_column(column, justify="left" if not column else "right")
        rows = {"streamproc": ours}
        for label, threads in (("plain loop", 0), ("plain loop, 1 thread", 1)):
            rows[label] = plain_loop(
                clips / "eight.mp4", testdata() / "models" / "mbf_arcface", SETTINGS.face_fps,
                threads, *options,
            )  # fmt: skip
            results[label] = rows[label]
        for label, row in rows.items():
            table.add_row(
                label, f"{row['cpu_s']:.1f}", f"{row['cpu_s'] / ours['cpu_s']:.2f}",
                f"{row['wall_s']:.1f}", f"{row['wall_s'] / ours['wall_s']:.2f}",
                str(row["faces"]), " / ".join(str(count) for count in row["named"]),
            )  # fmt: skip
        console.print(table)
        console.print("ratio: how many times what streamproc takes", highlight=False)
    return results


def enrol(streamproc: Daemon, people: list[Path]) -> None:
    """The two as a collection, and as celebrities, so that both analyses have someone to find."""
    streamproc.rekognition.create_collection(CollectionId="people")
    for number, picture in enumerate(people):
        answer = streamproc.rekognition.index_faces(
            CollectionId="people", ExternalImageId=str(number), MaxFaces=1, QualityFilter="NONE",
            Image={"Bytes": picture.read_bytes()},
        )  # fmt: skip
        if not answer["FaceRecords"]:
            sys.exit(f"no face was found in the picture of person {number}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "stars"
        folder.mkdir()
        lines = ["celebrities = true"]
        for number, picture in enumerate(people):
            (folder / f"{number}.png").write_bytes(picture.read_bytes())
            lines.append(f'[[people]]\nname = "Person {number}"\nphotos = ["{number}.png"]')
        (folder / "manifest.toml").write_text("\n".join(lines))
        subprocess.run(
            [sys.executable, "-m", "streamproc", "collections", "apply", str(folder),
             "--endpoint-url", streamproc.url],
            check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT,
        )  # fmt: skip


def named(persons: list[dict[str, Any]]) -> list[int]:
    counts = [0, 0]
    for item in persons:
        if matches := item.get("FaceMatches"):
            counts[int(matches[0]["Face"]["ExternalImageId"])] += 1
    return counts


def memory(console: Console) -> dict[str, Any]:
    """The largest resident memory in each quarter of an hour of video with faces in it."""
    results = {}
    table = Table(title="\none hour of video: most resident memory, MB", title_justify="left")
    for column in ("analysis", "at the start", "1st quarter", "2nd", "3rd", "4th", "wall s"):
        table.add_column(column, justify="left" if column == "analysis" else "right")
    with tempfile.TemporaryDirectory() as name:
        clips = Path(name) / "clips"
        clips.mkdir()
        one_hour(testdata() / "kvs" / "vogels_480.mkv", clips / "speaker.mkv")
        one_hour(testdata() / "videos" / "one-by-one-person-detection.mp4", clips / "visitors.mp4")
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
    OUT.mkdir(exist_ok=True)
    (OUT / "stored_video.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
