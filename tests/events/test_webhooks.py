"""Webhooks against a server that behaves, and one that does not."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from streamproc.clock import SystemClock
from streamproc.events.outlet import Outlet
from streamproc.events.webhooks import TRIES_MAX, WebhookTarget, masked
from streamproc.settings import WebhookConfig
from tests.events.outlet_parts import Diary, opened_diary, until

SECRET = "a secret of theirs"


class Hook:
    """A server with one page, which answers as it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []  # the next ones; then 204
        self.answer_always: int | None = None
        self.hang: asyncio.Event | None = None
        self.redirected = 0

    @property
    def ids(self) -> list[int]:
        return [json.loads(body)["Id"] for _, body in self.requests]

    async def post(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((dict(request.headers), await request.read()))
        if self.hang is not None:
            await self.hang.wait()
        status = self.answer_always or (self.answers.pop(0) if self.answers else 204)
        headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)

    async def elsewhere(self, _request: web.Request) -> web.StreamResponse:
        self.redirected += 1
        return web.Response()


@pytest.fixture(name="hook")
async def served_hook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_post("/secret-path", hook.post)
    app.router.add_route("*", "/elsewhere", hook.elsewhere)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = "http://{}:{}/secret-path?token=t0ken".format(*runner.addresses[0][:2])
    yield hook
    if hook.hang is not None:
        hook.hang.set()
    await runner.cleanup()


@pytest.fixture(name="diary")
async def opened(tmp_path: Path) -> AsyncIterator[Diary]:
    async with opened_diary(tmp_path) as diary:
        yield diary


@pytest.fixture(name="start")
async def started_outlets(diary: Diary, hook: Hook) -> AsyncIterator[Callable[..., Outlet]]:
    running = []

    def start(**settings: Any) -> Outlet:
        clock = SystemClock()
        target = WebhookTarget(WebhookConfig(**{"url": hook.url, **settings}), clock)
        outlet = Outlet(
            "webhooks.bell", target, diary.log, clock, waiting_max=1000, roll=lambda: 0.01
        )
        running.append(outlet)
        outlet.start()
        return outlet

    yield start
    for outlet in running:
        await outlet.aclose()


async def test_each_event_is_posted_in_order_as_it_is_everywhere(
    hook: Hook, diary: Diary, start: Any
) -> None:
    outlet = start()
    events = await diary.visits(3)
    await until(lambda: outlet.view().delivered_total == 6)
    assert [json.loads(body) for _, body in hook.requests] == [event.members for event in events]
    headers = hook.requests[0][0]
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Streamproc-Event"] == "enter"
    assert headers["X-Streamproc-Id"] == "1"
    assert headers["User-Agent"].startswith("streamproc/")
    assert "X-Streamproc-Signature" not in headers


async def test_a_secret_signs_the_time_and_the_body(hook: Hook, diary: Diary, start: Any) -> None:
    start(secret=SECRET)
    await diary.enter("v1", "Zoë")
    await until(lambda: hook.requests)
    headers, body = hook.requests[0]
    signed = headers["X-Streamproc-Timestamp"].encode() + b"." + body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Streamproc-Signature"] == f"sha256={digest}"
    assert SECRET not in str(headers)


async def test_the_check_in_the_documentation_takes_it_and_nothing_else(
    hook: Hook, diary: Diary, start: Any
) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "events.md").read_text()
    words: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], words)
    is_genuine = words["is_genuine"]
    start(secret=SECRET)
    await diary.enter("v1", "Zoë")
    await until(lambda: hook.requests)
    headers, body = hook.requests[0]
    assert is_genuine(headers, body, SECRET)
    assert not is_genuine(headers, body + b" ", SECRET)
    assert not is_genuine(headers, body, "another")
    assert not is_genuine({**headers, "X-Streamproc-Timestamp": "1700000000"}, body, SECRET)


async def test_only_the_kinds_and_processors_that_were_asked_for(
    hook: Hook, diary: Diary, start: Any
) -> None:
    outlet = start(events=["exit"], processors=["gate"])
    gate = ("us-east-1", "gate")
    await diary.visits(2)
    await diary.state("STOPPED", gate)
    events = await diary.visits(1, gate)
    await until(lambda: outlet.view().waiting == 0)
    assert hook.ids == [events[1].id]


@pytest.mark.parametrize("status", [500, 502, 503, 408, 425, 429])
async def test_what_may_heal_is_tried_until_it_does(
    status: int, hook: Hook, diary: Diary, start: Any
) -> None:
    outlet = start()
    hook.answers = [204, *[status] * (TRIES_MAX + 2)]
    events = await diary.visits(2)
    await until(lambda: outlet.view().delivered_total == 4)
    assert list(dict.fromkeys(hook.ids)) == [event.id for event in events]
    assert hook.ids.count(2) == TRIES_MAX + 3
    assert outlet.view().failures_total == TRIES_MAX + 2
    assert outlet.view().passed_over_total == 0
    assert outlet.view().message == ""


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 301, 307])
async def test_what_does_not_heal_is_passed_over_after_some_tries(
    status: int, hook: Hook, diary: Diary, start: Any
) -> None:
    outlet = start()
    hook.answers = [status] * TRIES_MAX
    await diary.visits(1)
    await until(lambda: outlet.view().delivered_total == 1)
    assert hook.ids == [1] * TRIES_MAX + [2]
    view = outlet.view()
    assert (view.passed_over_total, view.failures_total) == (1, TRIES_MAX)
    assert hook.redirected == 0


async def test_why_it_is_not_well_is_told_without_what_may_be_secret(
    hook: Hook, diary: Diary, start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answer_always = 404
    outlet = start(secret=SECRET)
    assert outlet.view().connected
    await diary.visits(1)
    await until(lambda: outlet.view().passed_over_total == 1)
    view = outlet.view()
    assert not view.connected
    assert "answered 404" in caplog.text
    for text in (view.message, caplog.text):
        assert "secret" not in text
        assert "t0ken" not in text
    assert f"{hook.url.partition('/secret')[0]}/***" in view.message


async def test_one_that_hangs_is_ended_by_the_timeout_and_tried_again(
    hook: Hook, diary: Diary, start: Any
) -> None:
    hook.hang = asyncio.Event()
    outlet = start(timeout_s=0.3)
    events = await diary.visits(1)
    await until(lambda: len(hook.requests) >= 2)
    assert "has not answered in 0.3 s" in outlet.view().message
    hook.hang.set()
    await until(lambda: outlet.view().delivered_total == 2)
    assert list(dict.fromkeys(hook.ids)) == [event.id for event in events]


async def test_a_server_that_is_off_is_told_and_waited_for(diary: Diary, start: Any) -> None:
    outlet = start(url="http://127.0.0.1:9/hook")
    await diary.visits(1)
    await until(lambda: outlet.view().failures_total > 1)
    assert outlet.view().message.startswith("no answer from http://127.0.0.1:9/***: ")
    assert outlet.view().waiting == 2


async def test_a_host_that_nobody_knows_is_told(diary: Diary, start: Any) -> None:
    outlet = start(url="http://no-such-host.invalid/hook")
    await diary.visits(1)
    await until(lambda: outlet.view().message)
    assert outlet.view().message.startswith("no answer from http://no-such-host.invalid/***: ")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://example.org", "https://example.org/"),
        ("https://example.org/hook/s3cret?key=1", "https://example.org/***"),
        ("http://user:password@example.org:8080/", "http://example.org:8080/"),
        ("http://example.org?key=1", "http://example.org/***"),
    ],
)
def test_a_url_is_told_without_login_path_and_query(url: str, told: str) -> None:
    assert masked(url) == told
