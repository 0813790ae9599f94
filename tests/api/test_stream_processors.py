"""The life of a stream processor as boto3 sees it: every call in every state."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias, cast

import boto3
import pytest
from aiohttp import web
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from streamproc.api import ApiServices, rekognition
from streamproc.api.tag_store import TagStore
from streamproc.clock import FakeClock
from streamproc.config import load_config
from streamproc.errors import PermanentFailure
from streamproc.gateway.app import build_app
from streamproc.processor.fake import ScriptedWorld
from streamproc.processor.supervisor import Supervisor

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ARN = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:streamprocessor/door"
REQUEST: dict[str, Any] = {
    "Name": "door",
    "Input": {
        "KinesisVideoStream": {
            "Arn": f"arn:aws:kinesisvideo:{REGION}:{ACCOUNT}:stream/door/1586000000000"
        }
    },
    "Output": {"KinesisDataStream": {"Arn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/faces"}},
    "Settings": {"FaceSearch": {"CollectionId": "staff", "FaceMatchThreshold": 85.5}},
    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any",
}

Call: TypeAlias = Callable[..., Awaitable[Any]]


class Api:
    """boto3 against a live API over a scripted world, in one loop."""

    def __init__(self, url: str, world: ScriptedWorld) -> None:
        self.world = world
        self.url = url
        self._clients: dict[str, Any] = {}

    async def __call__(self, operation: str, region: str = REGION, **arguments: Any) -> Any:
        client = self._client(region)
        answer = await asyncio.to_thread(getattr(client, operation), **arguments)
        del answer["ResponseMetadata"]
        return answer

    async def refused(self, operation: str, **arguments: Any) -> tuple[str, str]:
        """(code, message) of the modelled error that the call raises"""
        client = self._client(REGION)
        with pytest.raises(ClientError) as caught:
            await asyncio.to_thread(getattr(client, operation), **arguments)
        code = caught.value.response["Error"]["Code"]
        assert isinstance(caught.value, getattr(client.exceptions, code))
        return code, caught.value.response["Error"]["Message"]

    async def reaches(self, state: str) -> Any:
        async with asyncio.timeout(60):
            while True:
                view = await self("describe_stream_processor", Name="door")
                if view["Status"] == state:
                    return view

    def _client(self, region: str) -> Any:
        if region not in self._clients:
            self._clients[region] = boto3.client(
                "rekognition",
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=ClientConfig(retries={"max_attempts": 0}),
            )
        return self._clients[region]


@pytest.fixture
async def start_api(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Api]]]:
    """Starts the API with these settings, as tables."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Api:
            config, clock, world = load_config(None, settings), FakeClock(), ScriptedWorld()
            supervisor = await Supervisor.open(
                tmp_path / "processors.db", world, config.processors, config.sink, clock
            )
            tags = await TagStore.open(tmp_path / "tags.db", config.processors.tags_max)
            stack.push_async_callback(tags.aclose)
            services = ApiServices(
                supervisor=supervisor,
                collections=cast("Any", None),  # no operation on processors asks for these
                scheduler=cast("Any", None),
                tags=tags,
                images=cast("Any", None),
                objects=cast("Any", None),
                jobs=cast("Any", None),
                config=config,
            )
            app = build_app(
                [rekognition.bind(services)],
                account_id=ACCOUNT,
                region=REGION,
                request_bytes_max=config.server.request_bytes_max,
            )
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            stack.push_async_callback(supervisor.aclose)
            stack.callback(world.data.release)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return Api(f"http://127.0.0.1:{runner.addresses[0][1]}", world)

        yield start


@pytest.fixture
async def api(start_api: Callable[..., Awaitable[Api]]) -> Api:
    return await start_api()


# --- the whole life ----------------------------------------------------------------------


async def test_a_whole_life(api: Api) -> None:
    created = await api("create_stream_processor", **REQUEST)
    assert created == {"StreamProcessorArn": ARN}
    view = await api("describe_stream_processor", Name="door")
    made = view.pop("CreationTimestamp")
    assert view.pop("LastUpdateTimestamp") == made
    assert made.timestamp() == 1_700_000_000.0
    assert view == {
        "Name": "door",
        "StreamProcessorArn": ARN,
        "Status": "STOPPED",
        "Input": REQUEST["Input"],
        "Output": REQUEST["Output"],
        "RoleArn": REQUEST["RoleArn"],
        "Settings": REQUEST["Settings"],
        "DataSharingPreference": {"OptIn": False},
    }
    assert await api("list_stream_processors") == {
        "StreamProcessors": [{"Name": "door", "Status": "STOPPED"}]
    }
    assert await api("start_stream_processor", Name="door") == {}
    view = await api.reaches("RUNNING")
    assert "StatusMessage" not in view
    assert await api("stop_stream_processor", Name="door") == {}
    await api.reaches("STOPPED")
    assert await api("delete_stream_processor", Name="door") == {}
    assert await api("list_stream_processors") == {"StreamProcessors": []}


async def test_everything_that_may_be_given_is_given_back(api: Api) -> None:
    extras: dict[str, Any] = {
        "NotificationChannel": {"SNSTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"},
        "KmsKeyId": "alias/mine",
        "RegionsOfInterest": [
            {"BoundingBox": {"Left": 0.0, "Top": 0.25, "Width": 0.5, "Height": 0.75}},
            {"Polygon": [{"X": 0.0, "Y": 0.0}, {"X": 1.0, "Y": 0.0}, {"X": 0.5, "Y": 1.0}]},
        ],
        "DataSharingPreference": {"OptIn": True},
    }
    await api("create_stream_processor", **REQUEST, **extras, Tags={"site": "north"})
    view = await api("describe_stream_processor", Name="door")
    assert {member: view[member] for member in extras} == extras
    tags = await api("list_tags_for_resource", ResourceArn=ARN)
    assert tags == {"Tags": {"site": "north"}}


async def test_a_new_processor_of_an_old_name_inherits_no_tags(api: Api) -> None:
    await api("create_stream_processor", **REQUEST, Tags={"site": "north"})
    await api("delete_stream_processor", Name="door")
    await api("create_stream_processor", **REQUEST)
    assert await api("list_tags_for_resource", ResourceArn=ARN) == {"Tags": {}}


async def test_the_threshold_has_a_default_in_the_config_and_is_echoed_as_given(
    start_api: Callable[..., Awaitable[Api]],
) -> None:
    api = await start_api(faces={"face_match_threshold": 72.0, "face_match_threshold_floor": 80.0})
    for name, given in (("none", {}), ("low", {"FaceMatchThreshold": 10.0})):
        settings = {"FaceSearch": {"CollectionId": "staff", **given}}
        await api("create_stream_processor", **REQUEST | {"Name": name, "Settings": settings})
    for name, echoed in (("none", 72.0), ("low", 10.0)):
        view = await api("describe_stream_processor", Name=name)
        assert view["Settings"]["FaceSearch"]["FaceMatchThreshold"] == echoed


# --- every call in every state -----------------------------------------------------------


async def bring_to(api: Api, state: str) -> None:
    """A processor "door" in this state, and held there."""
    await api("create_stream_processor", **REQUEST)
    match state:
        case "STARTING":
            api.world.gate.clear()
            await api("start_stream_processor", Name="door")
        case "RUNNING":
            await api("start_stream_processor", Name="door")
        case "STOPPING":
            api.world.closing.clear()
            await api("start_stream_processor", Name="door")
            await api.reaches("RUNNING")
            await api("stop_stream_processor", Name="door")
        case "FAILED":
            api.world.fail("faces", PermanentFailure("Collection not found"))
            await api("start_stream_processor", Name="door")
    await api.reaches(state)


OK = "ok"
IN_USE = "ResourceInUseException"
STATES = ("STOPPED", "STARTING", "RUNNING", "STOPPING", "FAILED")
CALLS: dict[str, dict[str, str]] = {
    "start_stream_processor": dict(zip(STATES, (OK, IN_USE, IN_USE, IN_USE, OK), strict=True)),
    "stop_stream_processor": dict(zip(STATES, (IN_USE, OK, OK, IN_USE, IN_USE), strict=True)),
    "delete_stream_processor": dict(zip(STATES, (OK, IN_USE, IN_USE, IN_USE, OK), strict=True)),
    "update_stream_processor": dict.fromkeys(STATES, "InvalidParameterException"),
    "create_stream_processor": dict.fromkeys(STATES, IN_USE),
    "describe_stream_processor": dict.fromkeys(STATES, OK),
    "list_stream_processors": dict.fromkeys(STATES, OK),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("operation", CALLS)
async def test_every_call_in_every_state(api: Api, operation: str, state: str) -> None:
    await bring_to(api, state)
    before = await api("describe_stream_processor", Name="door")
    arguments: dict[str, Any] = {"Name": "door"}
    if operation == "create_stream_processor":
        settings = {"FaceSearch": {"CollectionId": "other"}}
        arguments = REQUEST | {"Settings": settings, "Tags": {"site": "north"}}
    elif operation == "list_stream_processors":
        arguments = {}
    expected = CALLS[operation][state]
    if expected == OK:
        await api(operation, **arguments)
    else:
        code, message = await api.refused(operation, **arguments)
        assert code == expected
        assert "door" in message or message == "Stream processor name already in use."
        if operation not in ("update_stream_processor", "create_stream_processor"):
            assert state in message
        assert await api("describe_stream_processor", Name="door") == before
        assert await api("list_tags_for_resource", ResourceArn=ARN) == {"Tags": {}}
    api.world.gate.set()
    api.world.closing.set()


async def test_failed_shows_its_cause_until_it_is_started_again(api: Api) -> None:
    await bring_to(api, "FAILED")
    view = await api("describe_stream_processor", Name="door")
    assert view["StatusMessage"] == "Collection not found"
    await api("start_stream_processor", Name="door")
    assert "StatusMessage" not in await api.reaches("RUNNING")


@pytest.mark.parametrize("operation", sorted(set(CALLS) - {"create_stream_processor"}))
async def test_what_does_not_exist_is_not_found(api: Api, operation: str) -> None:
    if operation == "list_stream_processors":
        assert await api(operation) == {"StreamProcessors": []}
        return
    code, message = await api.refused(operation, Name="door")
    assert code == "ResourceNotFoundException"
    assert "door" in message


async def test_names_are_per_region(api: Api) -> None:
    await api("create_stream_processor", **REQUEST)
    assert await api("list_stream_processors", region="us-east-1") == {"StreamProcessors": []}
    await api("create_stream_processor", region="us-east-1", **REQUEST)


# --- bad input ---------------------------------------------------------------------------

VIDEO = REQUEST["Input"]["KinesisVideoStream"]
TRIANGLE = [{"X": 0.0, "Y": 0.0}, {"X": 1.0, "Y": 0.0}, {"X": 0.5, "Y": 1.0}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Input": {}}, ["Input.KinesisVideoStream", "missing"]),
        ({"Input": {"KinesisVideoStream": {}}}, ["Input.KinesisVideoStream.Arn", "missing"]),
        (
            {"Input": {"KinesisVideoStream": {"Arn": VIDEO["Arn"].replace(":stream/", ":x/")}}},
            ["Input.KinesisVideoStream.Arn", ":x/door", "stream/NAME"],
        ),
        ({"Input": {"KinesisVideoStream": {"Arn": "door"}}}, ["arn", "door"]),
        ({"Output": {}}, ["Output.KinesisDataStream", "missing"]),
        ({"Output": {"KinesisDataStream": {}}}, ["Output.KinesisDataStream.Arn", "missing"]),
        (
            {"Output": {**REQUEST["Output"], "S3Destination": {"Bucket": "bucket"}}},
            ["Output.S3Destination", "label detection"],
        ),
        ({"Settings": {}}, ["Settings.FaceSearch", "missing"]),
        ({"Settings": {"FaceSearch": {}}}, ["Settings.FaceSearch.CollectionId", "missing"]),
        ({"Settings": {"ConnectedHome": {"Labels": ["ALL"]}}}, ["ConnectedHome", "not served"]),
        (
            {"Settings": {"FaceSearch": {"CollectionId": "staff", "FaceMatchThreshold": 101.0}}},
            ["FaceMatchThreshold", "101"],
        ),
        ({"RoleArn": "role"}, ["RoleArn", "role"]),
        ({"Name": "the door"}, ["Name", "the door"]),
        ({"Name": "d" * 129}, ["Name", "128"]),
        ({"RegionsOfInterest": [{}]}, ["RegionsOfInterest[0]", "BoundingBox or a Polygon"]),
        ({"RegionsOfInterest": [{"Polygon": TRIANGLE[:2]}]}, ["Polygon", "2 points"]),
        ({"RegionsOfInterest": [{"Polygon": TRIANGLE * 4}]}, ["Polygon", "12 points"]),
        ({"RegionsOfInterest": [{"BoundingBox": {"Left": 1.5}}]}, ["Left", "1.5"]),
        ({"RegionsOfInterest": [{"Polygon": TRIANGLE}] * 11}, ["RegionsOfInterest", "10"]),
    ],
)
async def test_bad_requests_are_answered_in_words(
    api: Api, change: dict[str, Any], words: list[str]
) -> None:
    code, message = await api.refused("create_stream_processor", **REQUEST | change)
    assert code == "InvalidParameterException"
    assert all(word.lower() in message.lower() for word in words), message
    assert await api("list_stream_processors") == {"StreamProcessors": []}


@pytest.mark.parametrize(
    "selector",
    [
        {"StartSelector": {"KVSStreamStartSelector": {"ProducerTimestamp": 1}}},
        {"StopSelector": {"MaxDurationInSeconds": 10}},
    ],
)
async def test_selectors_are_not_for_a_face_search(api: Api, selector: dict[str, Any]) -> None:
    await api("create_stream_processor", **REQUEST)
    code, message = await api.refused("start_stream_processor", Name="door", **selector)
    assert code == "InvalidParameterException"
    assert next(iter(selector)) in message
    assert (await api("describe_stream_processor", Name="door"))["Status"] == "STOPPED"


async def test_too_many_processors_and_too_many_tags(
    start_api: Callable[..., Awaitable[Api]],
) -> None:
    api = await start_api(processors={"processors_max": 1, "tags_max": 1})
    code, message = await api.refused(
        "create_stream_processor", **REQUEST, Tags={"a": "1", "b": "2"}
    )
    assert code == "ServiceQuotaExceededException"
    await api("create_stream_processor", **REQUEST)
    code, message = await api.refused("create_stream_processor", **REQUEST | {"Name": "other"})
    assert (code, message) == (
        "LimitExceededException",
        "Stream processor limit exceeded for account, limit - 1.",
    )


# --- paging ------------------------------------------------------------------------------


async def test_pages_hold_every_processor_once(api: Api) -> None:
    names = sorted([f"camera-{index}" for index in range(6)] + ["d" * 128])
    for name in names:
        await api("create_stream_processor", **REQUEST | {"Name": name})
    listed, token = [], None
    while True:
        page = await api(
            "list_stream_processors", MaxResults=3, **({"NextToken": token} if token else {})
        )
        listed += [processor["Name"] for processor in page["StreamProcessors"]]
        token = page.get("NextToken")
        if token is None:
            break
        assert len(token) <= 255
    assert listed == names


async def test_a_token_that_was_not_given_out_is_refused(api: Api) -> None:
    code, _ = await api.refused("list_stream_processors", NextToken="nonsense")
    assert code == "InvalidPaginationTokenException"
