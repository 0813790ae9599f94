"""Who may see figures and checks, and how they are asked for."""

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from urllib3 import PoolManager, Retry

from streamproc.access.keys import NewKey
from streamproc.config import load_config
from streamproc.daemon import serving
from streamproc.engines.fake import FakeEngine
from streamproc.errors import ConfigError
from streamproc.gateway.errors import AccessDenied
from streamproc.health import Health
from streamproc.metrics.routes import Token, add_routes, bears
from streamproc.metrics.sources import Sources
from streamproc.model.caller import ANYONE, Caller, Right
from streamproc.processor.supervisor import Supervisor
from streamproc.settings import MetricsConfig
from tests.end_to_end.policed import REGION, Policed, policed_daemon

TOKEN = "d1f0c5a2b7e94c3f8a6d5e4f3b2a1908"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
LOOKING = {"Effect": "Allow", "Action": "rekognition:DescribeStreamproc", "Resource": "*"}
LISTING = {"Effect": "Allow", "Action": "rekognition:ListFaces", "Resource": "*"}


def get(url: str, path: str, **headers: str) -> Any:
    pool = PoolManager(retries=Retry(0), timeout=60)
    return pool.request("GET", url + path, headers=headers)


def signed(daemon: Policed, path: str, key: NewKey) -> Any:
    request = AWSRequest("GET", daemon.url + path)
    SigV4Auth(Credentials(key.id, key.secret), "rekognition", REGION).add_auth(request)
    return get(daemon.url, path, **dict(request.headers))


@pytest.fixture(scope="module")
def open_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policed]:
    folder = tmp_path_factory.mktemp("open")
    with policed_daemon(folder, auth={"required": False}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.fixture(scope="module")
def closed_daemon(tmp_path_factory: pytest.TempPathFactory, token_file: Path) -> Iterator[Policed]:
    folder = tmp_path_factory.mktemp("closed")
    with policed_daemon(folder, metrics={"token_file": str(token_file)}) as daemon:
        yield daemon


def test_text_and_openmetrics_are_read_by_the_client_s_own_parsers(open_daemon: Policed) -> None:
    plain = get(open_daemon.url, "/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert plain.headers["Cache-Control"] == "no-store"
    named = {family.name for family in read_text(plain.data.decode())}
    other = get(open_daemon.url, "/metrics", Accept=OPEN_METRICS)
    assert other.headers["Content-Type"].startswith("application/openmetrics-text")
    families = read_openmetrics(other.data.decode())  # type: ignore[no-untyped-call]
    again = {family.name for family in families}
    assert {"streamproc_info", "streamproc_engine_info", "process_cpu_seconds"} <= again
    assert named == again


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=abc", "text/plain; version=x", "*/*", ";,;"]
)
def test_whatever_is_accepted_is_answered(open_daemon: Policed, accept: str) -> None:
    assert get(open_daemon.url, "/metrics", Accept=accept).status == 200


def test_a_scrape_is_counted_nowhere_and_a_call_of_the_api_is(open_daemon: Policed) -> None:
    key = open_daemon.key(LISTING)
    open_daemon.client("rekognition", key).list_collections()
    told = get(open_daemon.url, "/metrics").data.decode()
    line = next(line for line in told.splitlines() if "ListCollections" in line)
    assert line == (
        'streamproc_http_requests_total{operation="ListCollections",service="rekognition",'
        'status="200"} 1.0'
    )
    assert 'operation="unknown"' not in told


def test_a_page_of_others_sees_no_figures(open_daemon: Policed) -> None:
    """Whose name it has made stand for this machine."""
    answer = get(open_daemon.url, "/metrics", Host="evil.example")
    assert answer.status == 403
    assert b"streamproc_" not in answer.data


def test_a_probe_from_anywhere_is_told_that_it_lives_and_is_ready(closed_daemon: Policed) -> None:
    assert get(closed_daemon.url, "/healthz").data == b"ok\n"
    ready = get(closed_daemon.url, "/readyz")
    assert (ready.status, ready.json()["Ready"]) == (200, True)


def test_where_keys_are_asked_for_figures_need_a_token_or_a_signature(
    closed_daemon: Policed,
) -> None:
    url = closed_daemon.url
    assert get(url, "/metrics").status == 403
    for wrong in ("wrong", f"{TOKEN}x", "", TOKEN[:-1]):
        assert get(url, "/metrics", Authorization=f"Bearer {wrong}").status == 403
    assert get(url, "/metrics", Authorization=f"Basic {TOKEN}").status in {400, 403}
    right = get(url, "/metrics", Authorization=f"Bearer {TOKEN}")
    assert right.status == 200
    assert TOKEN.encode() not in right.data
    assert signed(closed_daemon, "/metrics", closed_daemon.key(LOOKING)).status == 200
    assert signed(closed_daemon, "/metrics", closed_daemon.key(LISTING)).status == 403


def test_a_token_is_changed_without_a_restart(closed_daemon: Policed, token_file: Path) -> None:
    def status(token: str) -> int:
        answer = get(closed_daemon.url, "/metrics", Authorization=f"Bearer {token}")
        return int(answer.status)

    other = TOKEN[::-1]
    try:
        token_file.write_text(other)
        assert (status(TOKEN), status(other)) == (403, 200)
        token_file.unlink()
        assert (status(TOKEN), status("")) == (403, 403)
    finally:
        token_file.write_text(TOKEN)


def test_describe_says_what_the_checks_say(closed_daemon: Policed) -> None:
    key = closed_daemon.key(LOOKING)
    told = closed_daemon.run(_described(closed_daemon, key))
    assert told["Ready"] is True
    assert told["EngineName"] == "fake"
    checks = {check["Name"]: check["Ok"] for check in told["Checks"]}
    assert {"models", "inference", "disk", "audit", "cameras", "outlets"} <= checks.keys()
    models = {model["Name"]: model for model in told["Models"]}
    assert {"buffalo_sc", "dlib", "yolox_nano_coco"} <= models.keys()
    assert "non-commercial" in models["buffalo_sc"]["Licence"]
    assert told["DataFolderBytesFree"] > 0
    assert told["UptimeSeconds"] > 0


def test_a_disk_that_hangs_keeps_nobody_waiting_and_takes_one_thread(
    open_daemon: Policed, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked, usage = threading.Event(), 0, shutil.disk_usage

    def hangs(path: Any) -> Any:
        nonlocal asked
        asked += 1
        assert answers.wait(60)
        return usage(path)

    def readable(text: bytes) -> str:
        return next(line for line in text.decode().splitlines() if 'readable{part="disk"}' in line)

    monkeypatch.setattr(shutil, "disk_usage", hangs)
    key = open_daemon.key(LOOKING)
    try:
        with ThreadPoolExecutor(8) as pool:
            scrapes = [pool.submit(get, open_daemon.url, "/metrics") for _ in range(2)]
            told = [pool.submit(open_daemon.run, _described(open_daemon, key)) for _ in range(6)]
            for scrape in scrapes:
                assert readable(scrape.result(60).data).endswith(" 0.0")
            for one in told:
                assert one.result(60).keys() >= {"Models", "Checks"}
                assert "DataFolderBytesFree" not in one.result()
        assert asked == 1
    finally:
        answers.set()
    assert readable(get(open_daemon.url, "/metrics").data).endswith(" 1.0")


async def _described(daemon: Policed, key: NewKey) -> dict[str, Any]:
    import aiohttp

    url, target = f"{daemon.url}/", "RekognitionService.DescribeStreamproc"
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", url, headers=headers, data=b"{}")
    SigV4Auth(Credentials(key.id, key.secret), "rekognition", REGION).add_auth(request)
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=b"{}", headers=dict(request.headers)) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return dict(await answer.json(content_type=None))


async def test_who_is_stopping_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, Any]] = []
    drain = Supervisor.drain

    async def asked_meanwhile(supervisor: Supervisor) -> None:
        if not told:
            answer = await asyncio.to_thread(get, url, "/readyz")
            told.append((answer.status, answer.json()["Failing"]))
        await drain(supervisor)

    monkeypatch.setattr(Supervisor, "drain", asked_meanwhile)
    config = load_config(None, {"server": {"port": 0}, "storage": {"data_dir": str(tmp_path)}})
    async with serving(config, engine=FakeEngine()) as url:
        pass
    words = "streamproc is stopping; ask another, or later"
    assert told == [(503, [{"Name": "stopping", "Message": words}])]


class _Gate:
    """Lets in who has the right name."""

    async def admit(self, request: web.Request, *rights: Right) -> Caller:
        if request.headers.get("X-Name") != "friend":
            raise AccessDenied("who are you?")
        return ANYONE


@pytest.fixture
async def troubled() -> Any:
    """A client of a daemon that is not well; only its health is there."""
    health = Health()
    health.add("models", lambda: "the models are loading", vital=True)
    health.add("cameras", lambda: "not live: door")
    health.add("disk", str, vital=True)
    app = web.Application()
    sources = cast("Sources", _OnlyHealth(health))
    add_routes(app, sources, MetricsConfig(enabled=False), _Gate(), asks_for_keys=True)
    async with TestClient(TestServer(app)) as client:
        yield client


class _OnlyHealth:
    def __init__(self, health: Health) -> None:
        self.health = health


async def test_who_is_not_ready_says_why_to_those_who_may_know(troubled: Any) -> None:
    answer = await troubled.get("/readyz", headers={"X-Name": "friend"})
    assert answer.status == 503
    assert await answer.json() == {
        "Ready": False,
        "Failing": [{"Name": "models", "Message": "the models are loading"}],
        "Warnings": [{"Name": "cameras", "Message": "not live: door"}],
    }
    answer = await troubled.get("/readyz")
    assert answer.status == 503
    assert await answer.json() == {
        "Ready": False, "Failing": [{"Name": "models"}], "Warnings": [{"Name": "cameras"}],
    }  # fmt: skip
    assert (await troubled.get("/healthz")).status == 200


async def test_metrics_that_are_off_are_not_there(troubled: Any) -> None:
    assert (await troubled.get("/metrics", headers={"X-Name": "friend"})).status == 404


def _config(**settings: Any) -> MetricsConfig:
    return MetricsConfig(**settings)


def test_a_token_that_is_of_no_use_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(ConfigError, match=r"metrics\.token_file .*No such file"):
        Token(_config(token_file=str(file)))
    file.write_text("\n")
    with pytest.raises(ConfigError, match=r"metrics\.token_file holds 0 bytes"):
        Token(_config(token_file=str(file)))
    with pytest.raises(ConfigError, match=r"metrics\.token holds 6 bytes") as refused:
        Token(_config(token="secret"))
    assert "secret" not in str(refused.value)
    with pytest.raises(ConfigError, match="both set"):
        Token(_config(token=TOKEN, token_file=str(file)))


def test_no_token_lets_nobody_in() -> None:
    none, some = Token(_config()).wanted(), Token(_config(token=TOKEN)).wanted()
    assert not bears("Bearer ", none)
    assert not bears("Bearer x", none)
    assert bears(f"bearer  {TOKEN} ", some)
    assert not bears("Bearer \udcff", some)
    assert not bears(f"Basic {TOKEN}", some)


def test_nobody_waits_for_prometheus_s_client_who_does_not_scrape() -> None:
    said = "import sys, streamproc.daemon; sys.exit('prometheus_client' in sys.modules)"
    subprocess.run([sys.executable, "-c", said], check=True, timeout=120)
