"""Eight processors for as long as asked, and what the daemon holds meanwhile.

    make soak MINUTES=10        python -m tests.soak --minutes 10 --processors 8 --pack FOLDER

Cameras that are cut and come back, GetMedia sessions that end every minute, people who come and
go, processors stopped and started, thousands of API calls. Prints memory, threads, files and
tasks over time and a verdict; exits 1 if one of them grows beyond the warm-up, or if something
is left behind once every processor is gone.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.table import Table

from streamproc.cli.demo_video import EILEEN, ENROLLED, Person
from tests.chaos.process import DaemonChild
from tests.conftest import aws_client
from tests.soak.callers import Calling, Describers, Everything
from tests.soak.cameras import Cameras
from tests.soak.trend import ALLOWED, Trend, trend

_SAMPLE_S = 5.0
_SAMPLES_PER_ROW = 6
_FIRST_ROUND_S = 20.0
_SETTLED_S = 20.0
_AT_REST = {"STOPPED", "FAILED"}
_WIDTH = 13
_LEFT_MAX = {"threads": 2, "files": 6, "tasks": 2, "connections": 15}
"""What may be more than before the first processor was started: pools keep what they opened, up to
five connections for each of the databases."""

SETTINGS = {
    "logging.level": "WARNING",
    "video.connection_s_max": 60,  # so that reconnects are many
    "video.bytes_per_stream_max": 8 * 1024 * 1024,  # so that the archive turns over
    "video.segment_bytes": 1024 * 1024,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--processors", type=int, default=8)
    parser.add_argument("--pack", default="", help="folder of an InsightFace pack; dlib without")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    console = Console(width=150, highlight=False)
    engine = {"engine.pack": options.pack} if options.pack else {"engine.name": "dlib"}
    with tempfile.TemporaryDirectory(prefix="streamproc-soak-") as folder:
        console.print(f"{options.processors} processors, {options.minutes:g} min, {engine}")
        child = DaemonChild(Path(folder) / "data", SETTINGS | engine, real_engine=True).start()
        try:
            good = _soak(console, child, Path(folder), options)
        finally:
            child.close()
    return 0 if good else 1


def _soak(console: Console, child: DaemonChild, folder: Path, options: Any) -> bool:
    chance = random.Random(options.seed)
    names = [f"camera-{number}" for number in range(options.processors)]
    client = _client(child)
    _prepare(child.url, names)
    cameras = Cameras(child.url, names, folder, chance)
    cameras.render()

    def people(describers: Describers) -> Calling:
        return Calling(
            describers,
            *(
                Everything(child.url, names, _png(EILEEN), f"moment-{n}", random.Random(n))
                for n in range(2)
            ),
        )

    # Once for all pools and caches, so that what is left behind at the end is left behind.
    with _in_background(cameras.run):
        with people(Describers(child.url, names, chance)):
            _start(client, names)
            time.sleep(_FIRST_ROUND_S)
        _stop(client, names)
    at_rest = _settled(child, None)
    describers = Describers(child.url, names, chance)
    samples = []
    columns = ("min", *ALLOWED, "calls", "sessions", "cut", "Describe p50", "p99 ms", "max ms")
    console.print("".join(f"{name:>{_WIDTH}}" for name in columns))
    with _in_background(cameras.run), people(describers) as calling:
        _start(client, names)
        began = time.monotonic()
        while (at_s := time.monotonic() - began) < options.minutes * 60:
            time.sleep(_SAMPLE_S)
            samples.append(_sample(child))
            if len(samples) % _SAMPLES_PER_ROW == 0:
                row = (f"{at_s / 60:.1f}", *(f"{value:.0f}" for value in samples[-1].values()),
                       calling.calls, cameras.sessions, cameras.cuts,
                       *_percentiles(describers.take_ms()))  # fmt: skip
                console.print("".join(f"{value:>{_WIDTH}}" for value in row))
    failures = [
        f"{name}: {view.get('StatusMessage')}"
        for name in names
        if (view := client.describe_stream_processor(Name=name))["Status"] == "FAILED"
    ]
    _stop(client, names)
    for name in names:
        client.delete_stream_processor(Name=name)
    trends = [trend(figure, [sample[figure] for sample in samples]) for figure in ALLOWED]
    now = _settled(child, at_rest)
    left = {figure: now[figure] - at_rest[figure] for figure in ALLOWED}
    console.print(_verdict(trends, left))
    console.print(f"{calling.calls} calls; refused: {dict(calling.refused) or 'none'}")
    console.print("processors FAILED: " + ("; ".join(failures) or "none"))
    too_much = [figure for figure, most in _LEFT_MAX.items() if left[figure] > most]
    return not (calling.refused or failures or too_much or any(found.grows for found in trends))


def _start(client: Any, names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(client.exceptions.ResourceInUseException):
            client.start_stream_processor(Name=name)


def _stop(client: Any, names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(client.exceptions.ResourceInUseException):
            client.stop_stream_processor(Name=name)
    for name in names:
        while client.describe_stream_processor(Name=name)["Status"] not in _AT_REST:
            time.sleep(0.1)


def _settled(child: DaemonChild, at_rest: dict[str, float] | None) -> dict[str, float]:
    """What the daemon holds once idle connections are closed; sooner if that is no more than
    at_rest."""
    deadline = time.monotonic() + _SETTLED_S
    while time.monotonic() < deadline:
        time.sleep(1.0)
        now = _sample(child)
        if at_rest and all(now[key] - at_rest[key] <= most for key, most in _LEFT_MAX.items()):
            break
    return _sample(child)


def _prepare(url: str, names: list[str]) -> None:
    rekognition, kinesis = aws_client("rekognition", url), aws_client("kinesis", url)
    video = aws_client("kinesisvideo", url)
    rekognition.create_collection(CollectionId="people")
    for person in ENROLLED:
        rekognition.index_faces(
            CollectionId="people", ExternalImageId=person.name, Image={"Bytes": _png(person)}
        )
    for name in names:
        video_arn = video.create_stream(StreamName=name, DataRetentionInHours=1)["StreamARN"]
        kinesis.create_stream(StreamName=name, ShardCount=1)
        data = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        rekognition.create_stream_processor(
            Name=name,
            Input={"KinesisVideoStream": {"Arn": video_arn}},
            Output={"KinesisDataStream": {"Arn": data["StreamARN"]}},
            Settings={"FaceSearch": {"CollectionId": "people", "FaceMatchThreshold": 90}},
            RoleArn="arn:aws:iam::000000000000:role/any",
        )


def _verdict(trends: list[Trend], left: dict[str, float]) -> Table:
    table = Table("figure", "early", "late", "may differ by", "trend", "left behind at the end")
    for found in trends:
        table.add_row(
            found.figure,
            f"{found.early:.1f}",
            f"{found.late:.1f}",
            f"{found.allowed:.1f}",
            "GROWS" if found.grows else "none",
            f"{left[found.figure]:+.1f}",
        )
    return table


@contextlib.contextmanager
def _in_background(run: Callable[[], Any]) -> Iterator[None]:
    """A coroutine on a loop and thread of its own, cancelled at the end."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(run())
    over = threading.Event()

    def turn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        over.set()
        # On and on: a connection with something still to send closes once the daemon takes it.
        loop.run_forever()

    threading.Thread(target=turn, daemon=True).start()
    try:
        yield
        assert not task.done(), f"the cameras ended: {task.exception()!r}"
    finally:
        loop.call_soon_threadsafe(task.cancel)
        assert over.wait(60), "the cameras do not end"


def _sample(child: DaemonChild) -> dict[str, float]:
    stats = child.stats()
    return {
        "memory_mb": stats["rss_bytes"] / 1e6,
        "threads": float(stats["threads"]),
        "files": float(stats["open_files"]),
        "tasks": float(stats["tasks"]),
        "connections": float(stats["connections"]),
    }


def _percentiles(sorted_ms: list[float]) -> tuple[str, str, str]:
    if not sorted_ms:
        return "-", "-", "-"
    at = [sorted_ms[int(share * (len(sorted_ms) - 1))] for share in (0.5, 0.99, 1.0)]
    return f"{at[0]:.1f}", f"{at[1]:.1f}", f"{at[2]:.1f}"


def _png(person: Person) -> bytes:
    return bytes(cv2.imencode(".png", person.portrait())[1].tobytes())


def _client(child: DaemonChild) -> Any:
    return aws_client("rekognition", child.url)


if __name__ == "__main__":
    sys.exit(main())
