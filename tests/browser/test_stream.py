"""What the page makes of its streams: when they fall silent, break off, or tell a lot at once."""

import json
import signal
import uuid
from collections.abc import Callable
from typing import Any

import pytest

LONGER_THAN_SILENCE_MS = 60_000
STORE, PICTURES = "js/store.js", "js/pictures.js"


@pytest.fixture(scope="module")
def daemon(start_shared_daemon: Callable[..., Any]) -> Any:
    """A daemon with a processor that waits for video."""
    running = start_shared_daemon()
    rekognition = running.client("rekognition")
    rekognition.create_collection(CollectionId="family")
    video = running.client("kinesisvideo").create_stream(StreamName="door", DataRetentionInHours=1)
    running.client("kinesis").create_stream(StreamName="door", ShardCount=1)
    rekognition.create_stream_processor(
        Name="door",
        Input={"KinesisVideoStream": {"Arn": video["StreamARN"]}},
        Output={"KinesisDataStream": {"Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/door"}},
        Settings={"FaceSearch": {"CollectionId": "family"}},
        RoleArn="arn:aws:iam::000000000000:role/any",
    )
    rekognition.start_stream_processor(Name="door")
    return running


def test_a_daemon_that_hangs_is_noticed_and_found_again(
    daemon: Any, open_tab: Callable[..., Any]
) -> None:
    """Its connections stay, and nothing comes: a machine asleep, a cable pulled."""
    tab = open_tab(daemon.url)
    tab.context.clock.install()
    with tab.page.expect_request("**/console/view*"):
        page = tab.show("processor/door")
    behind = tab.another()
    behind.goto(f"{daemon.url}/console/")
    for each in (page, behind):
        each.locator("#link[data-link=live]").wait_for()
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        with page.expect_request("**/console/view*"):
            tab.context.clock.fast_forward(LONGER_THAN_SILENCE_MS)
        for each in (page, behind):
            each.locator("#link[data-link=lost]").wait_for()
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    for each in (page, behind):
        each.locator("#link[data-link=live]").wait_for()


def test_trouble_is_forgotten_once_it_is_over(daemon: Any, open_tab: Callable[..., Any]) -> None:
    tab = open_tab(daemon.url)
    trouble = ("trouble", {"Topic": "jobs", "Message": "The disk is full."})
    _tell(tab.page, [("hello", {"NewestId": 0}), trouble, ("jobs", {"Jobs": []})])
    tab.show("jobs").get_by_text("No video was looked through yet.").wait_for()


def test_many_events_at_once_are_drawn_together(daemon: Any, open_tab: Callable[..., Any]) -> None:
    tab = open_tab(daemon.url)
    page = tab.show("system")
    page.evaluate(
        """async (store) => {
          const { watch } = await import(store);
          window.drawn = 0;
          watch(["events"], new AbortController().signal, () => window.drawn++);
        }""",
        f"{daemon.url}/console/{STORE}",
    )
    happened = [("event", _event(number)) for number in range(1, 901)]
    _tell(page, [("hello", {"NewestId": 900}), *happened])
    page.evaluate(
        """async (store) => {
          const { listen, state } = await import(store);
          listen();
          while (state.events[0]?.Id !== 900) await new Promise(requestAnimationFrame);
        }""",
        f"{daemon.url}/console/{STORE}",
    )
    assert 0 < page.evaluate("window.drawn") < 100


@pytest.mark.parametrize("newest", [0, 5000], ids=["another data folder", "far behind"])
def test_a_page_that_knows_too_little_begins_anew(
    daemon: Any, open_tab: Callable[..., Any], newest: int
) -> None:
    """Instead of taking other events for its own, or hearing thousands that nobody will see."""
    tab = open_tab(daemon.url)
    first, second = (
        [("hello", {"NewestId": 7}), ("event", _event(7))],
        ("hello", {"NewestId": newest}),
    )
    old = ("event", _event(8, Processor="old"))
    asked = _tell(tab.page, first, [second, old], [second, ("event", _event(newest + 1))])
    page = tab.show()
    page.locator(".events a", has_text=f"door {newest + 1}").wait_for()
    assert asked[:3] == ["", "after=7", ""]
    assert page.locator(".events li").count() == 1


def test_a_picture_that_is_gone_is_not_asked_for_again(
    daemon: Any, open_tab: Callable[..., Any]
) -> None:
    """While the person is in view there may be one yet."""
    tab = open_tab(daemon.url)
    page = tab.show("system")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.headers.get("x-amz-target", "")))
    look = """async ([store, pictures, visit, isOpen]) => {
      const { state } = await import(store);
      if (isOpen) state.visits.set(visit, { VisitId: visit });
      await (await import(pictures)).pictureOf(visit);
    }"""
    visit = str(uuid.uuid4())
    modules = [f"{daemon.url}/console/{name}" for name in (STORE, PICTURES)]
    for is_open, expected in ((False, 1), (False, 1), (True, 2)):
        page.evaluate(look, [*modules, visit, is_open])
        assert sum(name.endswith("GetStreamprocFacePicture") for name in asked) == expected


def _event(number: int, **members: Any) -> dict[str, Any]:
    return {
        "Id": number, "Event": "exit", "Reason": "left", "At": "2026-11-22T10:00:00.200Z",
        "Processor": f"door {number}", "VisitId": f"visit {number}",
        "Person": {"Name": "ada", "Known": True}, **members,
    }  # fmt: skip


def _tell(page: Any, *streams: list[tuple[str, Any]]) -> list[str]:
    """Tell the page these instead of the daemon's streams: one each time that it connects, and
    the last one from then on. What it asked for is put into the list that is answered."""
    asked: list[str] = []

    def answer(route: Any) -> None:
        messages = streams[min(len(asked), len(streams) - 1)]
        asked.append(route.request.url.partition("?")[2])
        text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in messages)
        route.fulfill(content_type="text/event-stream", body=text)

    def history(route: Any) -> None:
        if route.request.headers.get("x-amz-target", "").endswith("ListStreamprocEvents"):
            route.fulfill(content_type="application/x-amz-json-1.1", body='{"Events": []}')
        else:
            route.fallback()

    page.route("**/console/events*", answer)
    page.route("**/", history)
    return asked
