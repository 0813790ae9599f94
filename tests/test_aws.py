"""Clients of AWS services, against moto as an independent STS."""

from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from moto.server import ThreadedMotoServer

from streamproc.aws import AwsClients
from streamproc.errors import ConfigError, PermanentFailure
from streamproc.settings import AwsConfig, EndpointsConfig

ROLE = "arn:aws:iam::123456789012:role/cameras"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "daemon")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


async def test_a_role_is_assumed_and_its_credentials_renew_themselves(moto: str) -> None:
    clients = AwsClients(EndpointsConfig(kinesis=moto, sts=moto), AwsConfig(role="assume"), "")
    async with clients.open("kinesis", "eu-west-1", role_arn=ROLE) as kinesis:
        held = kinesis._get_credentials()
        assert held.method == "sts-assume-role"
        first = await held.get_frozen_credentials()
        assert first.token, "a role's credentials carry a session token"
        assert "StreamNames" in await kinesis.list_streams()
        await held._protected_refresh(is_mandatory=True)
        assert (await held.get_frozen_credentials()).access_key != first.access_key


async def test_a_role_is_ignored_where_the_config_says_so(moto: str) -> None:
    clients = AwsClients(EndpointsConfig(kinesis=moto, sts="off"), AwsConfig(), "")
    async with clients.open("kinesis", "eu-west-1", role_arn=ROLE) as kinesis:
        assert kinesis._get_credentials().access_key == "daemon"


async def test_a_role_that_is_refused_says_so_in_rekognition_s_words() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        body = (
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
            "<Message>no</Message></Error></ErrorResponse>"
        )
        return web.Response(status=403, text=body, content_type="text/xml")

    app = web.Application()
    app.router.add_post("/", refuse)
    async with TestServer(app) as server:
        endpoints = EndpointsConfig(kinesis="aws", sts=str(server.make_url("")))
        clients = AwsClients(endpoints, AwsConfig(role="assume"), "")
        with pytest.raises(PermanentFailure, match=r"^Access denied to Role$"):
            await _open(clients)


async def test_a_service_that_is_off_names_its_setting() -> None:
    clients = AwsClients(EndpointsConfig(), AwsConfig(), "http://127.0.0.1:1")
    assert not clients.is_enabled("s3")
    with pytest.raises(ConfigError, match=r"endpoints\.s3 is off"):
        async with clients.open("s3", "eu-west-1"):
            pass


class Inside:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, float]] = []

    def client(self, service: str, region: str, *, read_timeout_s: float) -> Any:
        self.asked.append((service, region, read_timeout_s))
        return self


async def test_embedded_services_of_this_process_are_asked_without_a_wire(moto: str) -> None:
    inside = Inside()
    endpoints = EndpointsConfig(kinesisvideo=moto)
    clients = AwsClients(endpoints, AwsConfig(read_timeout_s=7, role="assume"), inside=inside)
    opening = clients.open("kinesis", "eu-west-1", role_arn=ROLE, retries={"max_attempts": 0})
    async with opening as client:
        assert client is inside
    async with clients.open("kinesisvideo", "eu-west-1") as client:
        assert client.meta.endpoint_url == moto
    assert inside.asked == [("kinesis", "eu-west-1", 7)]


async def test_embedded_services_of_another_process_are_asked_at_their_url() -> None:
    clients = AwsClients(EndpointsConfig(), AwsConfig(), "http://127.0.0.1:4600")
    async with clients.open("kinesis", "eu-west-1") as client:
        assert client.meta.endpoint_url == "http://127.0.0.1:4600"
        assert client._get_credentials().access_key == "embedded"


async def _open(clients: AwsClients) -> Any:
    async with clients.open("kinesis", "eu-west-1", role_arn=ROLE) as client:
        return client
