"""The text of server-sent events, and the bell."""

import asyncio

import pytest
from aiohttp.test_utils import make_mocked_request

from streamproc.gateway.errors import InvalidParameter
from streamproc.web.sse import Bell, message, resumes_behind


def test_a_message_is_as_the_standard_has_it() -> None:
    assert message("jobs", b'{"Jobs":[]}') == b'event: jobs\ndata: {"Jobs":[]}\n\n'
    assert message("event", b"{}", number=812) == b"id: 812\nevent: event\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, "", None),
        ({"Last-Event-ID": "812"}, "", 812),
        ({}, "?after=0", 0),
        ({"Last-Event-ID": "812"}, "?after=1", 812),
        ({"Last-Event-ID": ""}, "?after=7", 7),
        ({}, "?after=", None),
    ],
)
def test_a_client_says_what_it_has(
    headers: dict[str, str], query: str, expected: int | None
) -> None:
    request = make_mocked_request("GET", f"/console/events{query}", headers=headers)
    assert resumes_behind(request) == expected


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "9" * 20, str(2**63), "٣", "1 2"])
def test_what_is_no_id_is_refused_in_words(text: str) -> None:
    request = make_mocked_request("GET", "/console/events", headers={})
    request = request.clone(rel_url=request.rel_url.with_query(after=text))
    with pytest.raises(InvalidParameter, match="is no event's id; leave it out"):
        resumes_behind(request)


async def test_a_ring_wakes_all_who_wait_and_is_not_missed_by_who_was_busy() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.heard(0, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring()
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert await bell.heard(0, 60) is True
    assert await bell.heard(1, 0) is False
