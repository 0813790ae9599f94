"""streamproc demo: the whole product in half a minute, on pictures its packages carry.

Starts a daemon of its own in a temporary folder and talks to it as any client would: boto3
for Rekognition and Kinesis, `streamproc put-media` for the camera. Checks every answer
against the scene it rendered. Shows; the judging is in demo_report.py.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.live import Live

from streamproc.errors import StreamprocError

CAMERA, RECORDS, COLLECTION, PROCESSOR = "demo-camera", "demo-records", "demo-people", "demo"
THRESHOLD = 90.0
"""Similarity 90: about one false match in ten thousand comparisons (docs/similarity.md)."""

_START_TIMEOUT_S = 60.0
_RUNNING_TIMEOUT_S = 20.0
# After the camera has ended: long enough for a busy machine to finish, short enough to show.
_QUIET_S = 3.0


def demo(
    accept_license: Annotated[
        bool,
        typer.Option(
            help="Install an InsightFace pack for the demo if none is there "
            "(its weights are for non-commercial research)."
        ),
    ] = False,
    engine: Annotated[str | None, typer.Option(help="insightface or dlib [the best here].")] = None,
    pack: Annotated[str | None, typer.Option(help="InsightFace pack, by name or folder.")] = None,
    output: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("demo-output"),
) -> None:
    """Watch it recognise faces: no account, no GPU, about half a minute."""
    from streamproc.engines.choice import choose_engine

    console = Console()
    choice = choose_engine(engine, pack, accept_license=accept_license)
    console.print(f"[bold]Engine[/bold]  {choice.name}, {choice.reason}")
    with tempfile.TemporaryDirectory(prefix="streamproc-demo-") as folder:
        options = ["--engine", choice.name, *(["--pack", choice.pack] if choice.pack else [])]
        passed = asyncio.run(_play(console, Path(folder), options, output))
    raise typer.Exit(0 if passed else 1)


async def _play(console: Console, folder: Path, options: list[str], output: Path) -> bool:
    from streamproc.cli import demo_video
    from streamproc.cli.demo_report import Report

    video = folder / "camera.mp4"
    with ThreadPoolExecutor(1) as worker:
        rendering = worker.submit(demo_video.render, video)
        async with _daemon(folder / "data", options) as url:
            console.print(f"[bold]Daemon[/bold]  {url}, everything embedded, data in {folder}")
            call = _Caller(url)
            await _enrol(console, call)
            await _prepare(console, call)
            await _rendered(console, rendering)
            report = Report(THRESHOLD)
            console.print(
                f"[bold]Camera[/bold]  {demo_video.WIDTH}×{demo_video.HEIGHT} at "
                f"{demo_video.FPS} fps, {demo_video.DURATION_S:.0f} s, sent as it would happen:\n"
                f"        streamproc put-media camera.mp4 --stream {CAMERA} --endpoint-url {url}\n"
            )
            await _watch(console, call, report, _camera(url, video))
            await call("rekognition", "stop_stream_processor", Name=PROCESSOR)
    console.print(report.summary())
    picture = report.draw(output)
    console.print(f"\nWhat it saw: [bold]{picture}[/bold]")
    problems = report.problems()
    for problem in problems:
        console.print(f"[red]✗ {problem}[/red]")
    if not problems:
        console.print("[green]✓ Everyone enrolled was recognised, and no stranger was.[/green]")
    return not problems


@asynccontextmanager
async def _daemon(data_dir: Path, options: list[str]) -> AsyncIterator[str]:
    """A daemon in a process of its own, as in real life; yields its URL."""
    from streamproc.data_folder import endpoint_of

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streamproc", "serve", "--port", "0",
        "--data-dir", str(data_dir), *options, "--set", "logging.level=WARNING",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    ended = asyncio.create_task(process.communicate())
    try:
        async with _within(_START_TIMEOUT_S, "the daemon does not answer"):
            while (url := endpoint_of(data_dir)) is None:
                if ended.done():
                    told = ended.result()[1].decode(errors="replace").strip()
                    raise StreamprocError(f"the daemon did not start: {told}")
                await asyncio.sleep(0.05)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(ended), 15)
        except TimeoutError:
            process.kill()
            await ended


@asynccontextmanager
async def _within(seconds: float, trouble: str) -> AsyncIterator[None]:
    """Fail in words if the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StreamprocError(f"{trouble} after {seconds:.0f} s") from None


class _Caller:
    """boto3 in a thread; what a user's own script would do."""

    def __init__(self, url: str) -> None:
        import boto3

        session = boto3.Session(
            aws_access_key_id="demo", aws_secret_access_key="demo", region_name="us-east-1"
        )
        self._clients = {
            name: session.client(name, endpoint_url=url)
            for name in ("rekognition", "kinesis", "kinesisvideo")
        }

    async def __call__(self, service: str, operation: str, **members: Any) -> dict[str, Any]:
        method: Callable[..., dict[str, Any]] = getattr(self._clients[service], operation)
        try:
            return await asyncio.to_thread(method, **members)
        except (BotoCoreError, ClientError) as error:
            raise StreamprocError(f"{operation} failed: {error}") from error


async def _enrol(console: Console, call: _Caller) -> None:
    import cv2

    from streamproc.cli.demo_video import ENROLLED, STRANGERS

    await call("rekognition", "create_collection", CollectionId=COLLECTION)
    for person in ENROLLED:
        _, encoded = cv2.imencode(".png", person.portrait())
        answer = await call(
            "rekognition", "index_faces", CollectionId=COLLECTION, ExternalImageId=person.name,
            Image={"Bytes": encoded.tobytes()}, MaxFaces=1,
        )  # fmt: skip
        if not answer["FaceRecords"]:
            raise StreamprocError(f"no face was found in the portrait of {person.name}")
    enrolled = ", ".join(person.name for person in ENROLLED)
    strangers = ", ".join(person.name for person in STRANGERS)
    console.print(f"[bold]People[/bold]  enrolled: {enrolled}; strangers to it: {strangers}")


async def _prepare(console: Console, call: _Caller) -> None:
    """Streams and a processor, and wait until it runs."""
    video = await call("kinesisvideo", "create_stream", StreamName=CAMERA, DataRetentionInHours=1)
    await call("kinesis", "create_stream", StreamName=RECORDS, ShardCount=1)
    data = await call("kinesis", "describe_stream_summary", StreamName=RECORDS)
    await call(
        "rekognition", "create_stream_processor", Name=PROCESSOR,
        Input={"KinesisVideoStream": {"Arn": video["StreamARN"]}},
        Output={"KinesisDataStream": {"Arn": data["StreamDescriptionSummary"]["StreamARN"]}},
        Settings={"FaceSearch": {"CollectionId": COLLECTION, "FaceMatchThreshold": THRESHOLD}},
        RoleArn="arn:aws:iam::000000000000:role/demo",
    )  # fmt: skip
    await call("rekognition", "start_stream_processor", Name=PROCESSOR)
    async with _within(_RUNNING_TIMEOUT_S, "the processor is still not RUNNING"):
        while True:
            state = await call("rekognition", "describe_stream_processor", Name=PROCESSOR)
            if state["Status"] == "RUNNING":
                break
            if state["Status"] == "FAILED":
                raise StreamprocError(f"the processor failed: {state.get('StatusMessage')}")
            await asyncio.sleep(0.05)
    console.print(f"[bold]Processor[/bold]  {PROCESSOR} is RUNNING, threshold {THRESHOLD:.0f}")


async def _rendered(console: Console, rendering: "Future[None]") -> None:
    with console.status("rendering the camera's picture"):
        await asyncio.wrap_future(rendering)


def _camera(url: str, video: Path) -> list[str]:
    return [sys.executable, "-m", "streamproc", "put-media", str(video), "--stream", CAMERA,
            "--endpoint-url", url]  # fmt: skip


async def _watch(console: Console, call: _Caller, report: Any, camera: Sequence[str]) -> None:
    """Play the camera, and read the records as any consumer would, until they end."""
    shards = await call("kinesis", "list_shards", StreamName=RECORDS)
    answer = await call(
        "kinesis", "get_shard_iterator", StreamName=RECORDS,
        ShardId=shards["Shards"][0]["ShardId"], ShardIteratorType="TRIM_HORIZON",
    )  # fmt: skip
    iterator = answer["ShardIterator"]
    process = await asyncio.create_subprocess_exec(
        *camera, stdout=subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"},
    )  # fmt: skip
    sending = asyncio.create_task(process.communicate())
    loop = asyncio.get_running_loop()
    last_news = loop.time()
    try:
        with Live(report.table(), console=console, refresh_per_second=8) as live:
            while not sending.done() or loop.time() - last_news < _QUIET_S:
                batch = await call("kinesis", "get_records", ShardIterator=iterator)
                iterator = batch["NextShardIterator"]
                for record in batch["Records"]:
                    report.add(json.loads(record["Data"]), record["ApproximateArrivalTimestamp"])
                    last_news = loop.time()
                live.update(report.table())
                await asyncio.sleep(0.1)
    finally:
        if process.returncode is None:
            process.terminate()
        _, told = await sending
    if process.returncode:
        raise StreamprocError(f"put-media failed: {told.decode(errors='replace').strip()}")
