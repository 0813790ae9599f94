"""The daemon while its models load: what it answers, what waits, and what a failure leaves."""

import asyncio
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
from streamproc.gateway.errors import InternalFailure
from streamproc.loading import ANSWERED_AT_ONCE, Late, Loading
from streamproc.model.job import JobKind
from tests.conftest import aws_client, wait_until


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
    folder: Path, models: SlowModels
) -> AsyncIterator[tuple["asyncio.Task[None]", Callable[..., Any]]]:
    """A daemon that answers; the rest of its start as a task, and its services' operations."""
    config = load_config(None, {"storage": {"data_dir": folder}, "server": {"port": 0}})
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


async def test_calls_that_wait_hear_that_loading_failed() -> None:
    loading = Loading()
    handlers = loading.gated(rekognition.bind(cast("Any", None))).handlers
    context = RequestContext("rekognition", "ListCollections", "us-east-1", "", "", "")
    waiting = asyncio.create_task(cast("Any", handlers["ListCollections"]({}, context)))
    await asyncio.sleep(0)
    with pytest.raises(EngineError), loading.under_way():
        raise EngineError("no such pack")
    with pytest.raises(InternalFailure, match="ListCollections needs models that cannot be loaded"):
        await waiting


def test_what_is_not_there_yet_says_so() -> None:
    late = Late[FakeEngine]("the engine is")
    analyse = partial(getattr, late.stand_in, "analyse")
    with pytest.raises(EngineError, match="the engine is not there yet"):
        analyse()
    late.become(FakeEngine())
    assert analyse()([]) == []
