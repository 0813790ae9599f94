"""What a live processor costs: CPU against the plain loop, where it goes, delay, memory.

The plain loop runs twice: with ONNX Runtime's defaults, whose threads spin while they wait,
and on one thread, which is the harder comparison.

The camera is `streamproc put-media` in a process of its own, at the clip's own pace. The
daemon runs in this process, so that its parts can be timed from inside: CPU seconds of the
threads that decode, convert and infer; what is left is ours. Memory is read from a second
daemon in a process of its own.
"""

import argparse
import asyncio
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console
from rich.table import Table

from benchmarks.clips import make_clip, testdata
from streamproc.config import load_config
from streamproc.daemon import serving
from streamproc.data_folder import endpoint_of

CREDENTIALS = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}
ENVIRONMENT = {**os.environ, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
ROLE = "arn:aws:iam::000000000000:role/bench"
OUT = Path(__file__).resolve().parent / "out"


class Stopwatch:
    """CPU seconds per part, of the thread that runs it; nested parts count once, innermost."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._inner = threading.local()

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Time every call of this method, and every step if it is a generator."""
        plain: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(plain)
        def timed(*args: Any, **kwargs: Any) -> Any:
            result = self._time(part, lambda: plain(*args, **kwargs))
            return self._steps(part, result) if hasattr(result, "__next__") else result

        setattr(owner, name, timed)

    def _steps(self, part: str, steps: Any) -> Any:
        done = object()
        while (item := self._time(part, lambda: next(steps, done))) is not done:
            yield item

    def _time(self, part: str, call: Callable[[], Any]) -> Any:
        outer, self._inner.cpu_s = getattr(self._inner, "cpu_s", 0.0), 0.0
        before = time.thread_time()
        try:
            return call()
        finally:
            spent = time.thread_time() - before
            with self._lock:
                self.cpu_s[part] += spent - self._inner.cpu_s
            self._inner.cpu_s = outer + spent


class Client:
    """The calls a benchmark needs, through boto3."""

    def __init__(self, url: str) -> None:
        self.url = url
        make = functools.partial(
            boto3.client, endpoint_url=url, region_name="us-east-1", **CREDENTIALS
        )
        self.rekognition, self.kinesis, self.video = map(
            make, ("rekognition", "kinesis", "kinesisvideo")
        )

    def prepare(self, name: str) -> None:
        """Streams, a collection and a running processor of this name."""
        video = self.video.create_stream(StreamName=name, DataRetentionInHours=1)
        self.kinesis.create_stream(StreamName=name, ShardCount=1)
        data = self.kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        self.rekognition.create_collection(CollectionId=name)
        self.rekognition.create_stream_processor(
            Name=name,
            Input={"KinesisVideoStream": {"Arn": video["StreamARN"]}},
            Output={"KinesisDataStream": {"Arn": data["StreamARN"]}},
            Settings={"FaceSearch": {"CollectionId": name, "FaceMatchThreshold": 80}},
            RoleArn=ROLE,
        )
        self.rekognition.start_stream_processor(Name=name)
        while self.rekognition.describe_stream_processor(Name=name)["Status"] != "RUNNING":
            time.sleep(0.05)

    def search_stored(self, name: str) -> None:
        """Two jobs, which is as many as run at once."""
        for _ in range(2):
            video = {"S3Object": {"Bucket": "clips", "Name": name}}
            self.rekognition.start_face_search(Video=video, CollectionId="bench")

    def camera(self, clip: Path, name: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "streamproc", "put-media", str(clip), "--stream", name,
             "--endpoint-url", self.url],
            stdout=subprocess.DEVNULL, env=ENVIRONMENT,
        )  # fmt: skip

    def records(self, name: str) -> list[Any]:
        shard = self.kinesis.list_shards(StreamName=name)["Shards"][0]["ShardId"]
        iterator = self.kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found: list[Any] = []
        while True:
            answer = self.kinesis.get_records(ShardIterator=iterator)
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                return found
            found += answer["Records"]
            iterator = answer["NextShardIterator"]


def delay_s(record: Any) -> float:
    """From the camera's clock at the frame to the data stream's clock at its record."""
    video = json.loads(record["Data"])["InputInformation"]["KinesisVideo"]
    shown = video["ProducerTimestamp"] + video["FrameOffsetInSeconds"]
    return float(record["ApproximateArrivalTimestamp"].timestamp() - shown)


def plain_loop(clip: Path, pack: Path, fps: float, threads: int, *options: str) -> dict[str, Any]:
    script = Path(__file__).with_name("plain_loop.py")
    done = subprocess.run(
        [sys.executable, str(script), str(clip), str(pack), "--fps", str(fps),
         "--threads", str(threads), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


async def processor_cost(
    clip: Path, pack: Path, fps: float, stored: Path | None = None
) -> dict[str, Any]:
    """One camera on a daemon in this process; beside it, jobs that search a stored video."""
    from streamproc.decode.decoder import Picture, VideoDecoder
    from streamproc.engines import insightface as engine
    from streamproc.mkv.fragments import FragmentParser

    watch = Stopwatch()
    watch.wrap(VideoDecoder, "feed", "decode")
    watch.wrap(Picture, "image", "colour")
    watch.wrap(engine.InsightFaceEngine, "analyse", "models")
    watch.wrap(FragmentParser, "feed", "parse")
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(
            None,
            {
                "server": {"port": 0},
                "storage": {"data_dir": folder},
                "engine": {"pack": str(pack)},
                "processors": {"analysis_fps": fps},
                "buckets": {"clips": str(stored.parent)} if stored else {},
                "logging": {"level": "WARNING"},
            },
        )
        async with serving(config) as url:
            client = await asyncio.to_thread(Client, url)
            await asyncio.to_thread(client.prepare, "bench")
            if stored:
                await asyncio.to_thread(client.search_stored, stored.name)
            await asyncio.sleep(1.0)
            watch.cpu_s.clear()
            before, wall = time.process_time(), time.monotonic()
            camera = client.camera(clip, "bench")
            code = await asyncio.to_thread(camera.wait)
            await asyncio.sleep(1.0)
            cpu_s, wall_s = time.process_time() - before, time.monotonic() - wall
            parts = dict(watch.cpu_s)
            records = await asyncio.to_thread(client.records, "bench")
    if code != 0 or not records:
        sys.exit(f"put-media ended with {code}; {len(records)} records arrived")
    delays = sorted(map(delay_s, records))
    return {
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "parts_s": parts | {"the rest": cpu_s - sum(parts.values())},
        "records": len(records),
        "faces": sum(len(json.loads(r["Data"])["FaceSearchResponse"]) for r in records),
        "delay_p50_ms": statistics.median(delays) * 1000,
        "delay_p99_ms": delays[min(len(delays) - 1, round(len(delays) * 0.99))] * 1000,
    }


def memory_mb(clip: Path, pack: Path, further: int) -> list[float]:
    """Resident memory of a daemon with 1, 2, ... 1 + further processors at work."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        daemon = subprocess.Popen(
            [sys.executable, "-m", "streamproc", "serve", "--port", "0", "--data-dir",
             str(folder), "--pack", str(pack), "--set", "logging.level=WARNING"]
        )  # fmt: skip
        cameras: list[subprocess.Popen[bytes]] = []
        try:
            while (url := endpoint_of(folder)) is None:
                time.sleep(0.05)
            client, sizes = Client(url), []
            for number in range(1 + further):
                client.prepare(f"cam-{number}")
                cameras.append(client.camera(clip, f"cam-{number}"))
                time.sleep(8.0)
                sizes.append(resident_mb(daemon.pid))
            return sizes
        finally:
            for process in (*cameras, daemon):
                process.terminate()
            for process in (*cameras, daemon):
                process.wait()


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--views", default="one", help="of one, eight, none; commas between")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--fps", type=float, default=5.0, help="analysed frames a second")
    parser.add_argument("--further", type=int, default=3, help="further processors for memory")
    parser.add_argument("--jobs", action="store_true", help="delay beside stored-video jobs, too")
    arguments = parser.parse_args()
    pack = testdata() / "models" / "mbf_arcface"
    console = Console()
    results: dict[str, Any] = {}

    table = Table(title="720p, 30 fps: CPU seconds per second of video", title_justify="left")
    for column in ("in view", "plain loop", "on 1 thread", "streamproc", "ratio", "ratio to 1",
                   "faces", "p50", "p99"):  # fmt: skip
        table.add_column(column, justify="left" if column == "in view" else "right")
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        for view in arguments.views.split(","):
            clip = make_clip(view, arguments.seconds, Path(folder) / f"{view}.mp4")
            plain = plain_loop(clip, pack, arguments.fps, threads=0)
            single = plain_loop(clip, pack, arguments.fps, threads=1)
            ours = asyncio.run(processor_cost(clip, pack, arguments.fps))
            results[view] = {"plain": plain, "plain on 1 thread": single, "ours": ours}
            table.add_row(
                view,
                f"{plain['cpu_s'] / arguments.seconds:.3f}",
                f"{single['cpu_s'] / arguments.seconds:.3f}",
                f"{ours['cpu_s'] / arguments.seconds:.3f}",
                f"{ours['cpu_s'] / plain['cpu_s']:.2f}",
                f"{ours['cpu_s'] / single['cpu_s']:.2f}",
                f"{plain['faces']:.0f} / {ours['faces']}",
                f"{ours['delay_p50_ms']:.0f} ms",
                f"{ours['delay_p99_ms']:.0f} ms",
            )
            parts = sorted(ours["parts_s"].items(), key=lambda item: -item[1])
            told = ", ".join(f"{part} {spent / ours['cpu_s']:.0%}" for part, spent in parts)
            shares.append(f"of streamproc's time, {view}: {told}")
        console.print(table)
        console.print("\n".join(shares), highlight=False)
        console.print("p50, p99: delay from the camera's frame to its record", highlight=False)
        if arguments.jobs:
            camera = make_clip("one", arguments.seconds, Path(folder) / "one.mp4")
            stored = make_clip("eight", 8 * arguments.seconds, Path(folder) / "stored.mp4")
            beside = asyncio.run(processor_cost(camera, pack, arguments.fps, stored))
            results["beside jobs"] = beside
            console.print(
                f"one face in view, beside two face-search jobs: {beside['records']} records, p50 "
                f"{beside['delay_p50_ms']:.0f} ms, p99 {beside['delay_p99_ms']:.0f} ms",
                highlight=False,
            )
        console.print()
        if arguments.further:
            clip = make_clip("one", 8.0 * (arguments.further + 2), Path(folder) / "memory.mp4")
            sizes = memory_mb(clip, pack, arguments.further)
            results["memory_mb"] = sizes
            each = (sizes[-1] - sizes[0]) / arguments.further
            console.print(f"memory: one processor {sizes[0]:.0f} MB, each further {each:.0f} MB")
    OUT.mkdir(exist_ok=True)
    (OUT / "pipeline.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
