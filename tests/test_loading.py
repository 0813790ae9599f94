"""The daemon while its models load: what it answers, what waits, and what a failure leaves."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from streamproc import daemon
from streamproc.api import rekognition
from streamproc.config import Config, load_config
from streamproc.data_folder import endpoint_of
from streamproc.engines.fake import FakeEngine
from streamproc.errors import EngineError
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InternalFailure, ServiceError
from streamproc.loading import (
    ANSWERED_AT_ONCE,
    WAITING_BYTES_MAX,
    WAITING_MAX,
    Late,
    Loading,
    StartAbandoned,
)
from streamproc.model.job import JobKind
from tests.conftest import aws_client, wait_until

# What it needs is a package, not a download; nothing here loads it.
DLIB: dict[str, Any] = {"engine": {"name": "dlib"}}


class SlowModels:
    """What loads the engine, as long as a test wants it to."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.error: EngineError | None = None

    def load(self, _: Config) -> FakeEngine:
        assert self.may_end.wait(60)
        if self.error is not None:
            raise self.error
        return FakeEngine()


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowModels]:
    slow = SlowModels()
    monkeypatch.setattr(daemon, "_load_engine", slow.load)
    yield slow
    slow.may_end.set()


@asynccontextmanager
async def starting(
    folder: Path, models: SlowModels, settings: dict[str, Any] | None = None
) -> AsyncIterator[tuple["asyncio.Task[None]", Callable[..., Any]]]:
    """A daemon that answers; the rest of its start as a task, and its services' operations."""
    overrides: dict[str, Any] = {**DLIB, "storage": {"data_dir": folder}, "server": {"port": 0}}
    config = load_config(None, overrides | (settings or {}))
    up, may_end = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        async with daemon.serving(config):
            up.set()
            await may_end.wait()

    async def start() -> None:
        await asyncio.wait(
            [serving, asyncio.ensure_future(up.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        if serving.done():
            serving.result()

    serving = asyncio.create_task(serve())
    url = await asyncio.to_thread(wait_until, lambda: endpoint_of(folder), 60.0)
    clients = {name: aws_client(name, url) for name in ("rekognition", "kinesis", "kinesisvideo")}

    async def call(operation: str, service: str = "rekognition", **members: Any) -> Any:
        return await asyncio.to_thread(getattr(clients[service], xform_name(operation)), **members)

    started = asyncio.create_task(start())
    try:
        yield started, call
    finally:
        models.may_end.set()
        may_end.set()
        await asyncio.wait([serving, started])


async def make_processor(call: Callable[..., Any]) -> None:
    """One called door, and its streams."""
    video = await call("CreateStream", "kinesisvideo", StreamName="cam", DataRetentionInHours=24)
    await call("CreateStream", "kinesis", StreamName="out", ShardCount=1)
    data_arn = "arn:aws:kinesis:us-east-1:000000000000:stream/out"
    await call(
        "CreateStreamProcessor",
        Name="door",
        Input={"KinesisVideoStream": {"Arn": video["StreamARN"]}},
        Output={"KinesisDataStream": {"Arn": data_arn}},
        Settings={"FaceSearch": {"CollectionId": "people"}},
        RoleArn="arn:aws:iam::000000000000:role/any",
    )


async def calling(loading: Loading, operation: str, members: Any = None) -> Any:
    """A call that waits for models, whose handler nobody comes to."""
    handlers = loading.gated(rekognition.bind(cast("Any", None))).handlers
    context = RequestContext("rekognition", operation, "us-east-1", "", "")
    return await handlers[operation](members or {}, context)


def test_only_operations_that_exist_are_answered_at_once() -> None:
    assert rekognition.operations >= ANSWERED_AT_ONCE


async def test_processors_and_jobs_are_answered_for_while_models_load(
    tmp_path: Path, models: SlowModels
) -> None:
    async with starting(tmp_path, models) as (started, call):
        await make_processor(call)
        await call("ListStreamProcessors")
        for operation in ("Start", "Describe", "Stop"):
            await call(f"{operation}StreamProcessor", Name="door")
        for kind in JobKind:
            with pytest.raises(ClientError, match="JobId unknown is no"):
                await call(f"Get{kind}", JobId="unknown")
        assert not started.done()


async def test_what_needs_a_model_waits_for_it(tmp_path: Path, models: SlowModels) -> None:
    async with starting(tmp_path, models) as (started, call):
        creating = asyncio.create_task(call("CreateCollection", CollectionId="people"))
        await call("ListStreamProcessors")
        assert not creating.done()
        models.may_end.set()
        made = await creating
        await started
        assert made["FaceModelVersion"] == FakeEngine().info.model_version


async def test_a_processor_that_is_resumed_is_starting_until_models_are_there(
    tmp_path: Path, models: SlowModels
) -> None:
    models.may_end.set()
    async with starting(tmp_path, models) as (started, call):
        await started
        await make_processor(call)
        await call("CreateCollection", CollectionId="people")
        await call("StartStreamProcessor", Name="door")
    models.may_end.clear()
    models.error = EngineError("no such pack")
    async with starting(tmp_path, models) as (started, call):
        assert (await call("DescribeStreamProcessor", Name="door"))["Status"] == "STARTING"
        models.may_end.set()
        with pytest.raises(EngineError, match="no such pack"):
            await started
    models.error = None
    async with starting(tmp_path, models) as (started, call):
        await started
        status = (await call("DescribeStreamProcessor", Name="door"))["Status"]
        assert status in ("STARTING", "RUNNING"), "a wrong pack is no failure of the processor"


async def test_a_start_is_not_timed_while_models_load(tmp_path: Path, models: SlowModels) -> None:
    patience = {"processors": {"start_timeout_s": 0.001}}
    async with starting(tmp_path, models, patience) as (started, call):
        await make_processor(call)
        await call("StartStreamProcessor", Name="door")

        async def told() -> tuple[str, str]:
            view = await call("DescribeStreamProcessor", Name="door")
            return view["Status"], view.get("StatusMessage", "")

        assert await told() == ("STARTING", "Not running yet: the models are loading.")
        models.may_end.set()
        await started
        async with asyncio.timeout(60):
            while (await told())[0] == "STARTING":  # noqa: ASYNC110 (no event tells)
                await asyncio.sleep(0.01)
        assert await told() != ("STARTING", "Not running yet: the models are loading.")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EngineError("no such pack"), "ListCollections needs models that cannot be loaded"),
        (StartAbandoned(), "ListCollections needs models that were still loading when streamproc"),
    ],
)
async def test_calls_that_wait_hear_how_loading_ended(error: Exception, told: str) -> None:
    loading = Loading()
    waiting = asyncio.create_task(calling(loading, "ListCollections"))
    await asyncio.sleep(0)
    with pytest.raises(type(error)), loading.under_way():
        raise error
    with pytest.raises(InternalFailure, match=told):
        await waiting


async def test_no_more_calls_wait_than_there_is_room_for() -> None:
    loading = Loading()
    waiting = [asyncio.create_task(calling(loading, "ListCollections")) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match=f"{WAITING_MAX} calls .* call again") as refused:
        await calling(loading, "ListCollections")
    assert refused.value.code == "ThrottlingException"
    waiting.pop().cancel()  # room for one
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(calling(loading, "ListCollections")))
    await asyncio.sleep(0)
    assert not waiting[-1].done()
    for task in waiting:
        task.cancel()


async def test_no_more_bytes_wait_than_there_is_room_for() -> None:
    loading = Loading()
    large = {"Image": {"Bytes": bytes(WAITING_BYTES_MAX)}}
    waiting = asyncio.create_task(calling(loading, "DetectFaces", {**large, "Attributes": ["ALL"]}))
    await asyncio.sleep(0)
    assert not waiting.done(), "alone it may be as large as any request"
    with pytest.raises(ServiceError, match=r"1 calls with \d+ bytes wait for them already"):
        await calling(loading, "SearchFacesByImage", {"Image": {"Bytes": b"a picture"}})
    waiting.cancel()


async def test_a_start_that_is_stopped_leaves_the_models_behind(
    tmp_path: Path, models: SlowModels
) -> None:
    config = load_config(None, {**DLIB, "storage": {"data_dir": tmp_path}, "server": {"port": 0}})
    for _ in range(2):  # the folder is free for the next one
        stop = asyncio.Event()

        async def serve(stop: asyncio.Event) -> None:
            async with daemon.serving(config, stop=stop):
                raise AssertionError("it serves without models")

        serving = asyncio.create_task(serve(stop))
        url = await asyncio.to_thread(wait_until, lambda: endpoint_of(tmp_path), 60.0)
        assert await asyncio.to_thread(
            aws_client("kinesis", url).create_stream, StreamName="out", ShardCount=1
        )
        stop.set()
        with pytest.raises(StartAbandoned):
            await serving
        (tmp_path / "data.db").unlink()  # nobody holds it


def test_sigterm_ends_a_process_that_still_loads(tmp_path: Path) -> None:
    script = """
import sys, time
from streamproc import daemon
from streamproc.cli.main import main

daemon._load_engine = lambda _: time.sleep(600)
sys.argv[1:] = ["serve", "--engine", "dlib", "--port", "0", "--data-dir", sys.argv[1]]
main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    try:
        url = wait_until(lambda: endpoint_of(tmp_path), 60.0)
        aws_client("kinesis", url).create_stream(StreamName="out", ShardCount=1)
        process.terminate()
        assert process.wait(60) == 0
        assert process.stderr is not None
        told = process.stderr.read()
        assert "stopped" in told
        assert "Traceback" not in told
        assert not list(tmp_path.glob("*.db-wal")), "a database was not closed"
    finally:
        process.kill()
        process.wait(60)
        assert process.stderr is not None
        process.stderr.close()


def test_a_pack_that_is_not_there_lets_nobody_in(tmp_path: Path) -> None:
    config = load_config(
        None,
        {
            "engine": {"pack": str(tmp_path)},
            "storage": {"data_dir": tmp_path / "data"},
            "server": {"port": 0},
        },
    )

    async def serve() -> None:
        async with daemon.serving(config):
            raise AssertionError("it serves without models")

    with pytest.raises(EngineError, match="holds no ONNX files"):
        asyncio.run(serve())
    assert not list((tmp_path / "data").glob("*.db")), "it was to fail before anything is built"


def test_what_is_not_there_yet_says_so() -> None:
    late = Late[FakeEngine]("the engine is")
    analyse = partial(getattr, late.stand_in, "analyse")
    with pytest.raises(EngineError, match="the engine is not there yet"):
        analyse()
    late.become(FakeEngine())
    assert analyse()([]) == []
