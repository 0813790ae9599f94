"""The live view: free while nobody watches, one JPEG for all who do, and never a late one."""

import base64
import gc
import json
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from streamproc.audit.log import NoAudit, open_audit
from streamproc.clock import FakeClock
from streamproc.errors import StoreUnavailable
from streamproc.model.face import BoundingBox, Face, IndexedFace, Match
from streamproc.model.media import Fragment, Frame
from streamproc.model.processor import ProcessorKey, ProcessorSpec
from streamproc.web import live
from streamproc.web.live import LiveViews
from tests.peers.sse import Message, Stream
from tests.web.conftest import ACCOUNT, REGION, Listen, Serve, eventually

BOX = BoundingBox(0.25, 0.1, 0.2, 0.4)
FACE = Face(BOX, 99.0)


def spec(name: str = "door") -> ProcessorSpec:
    arn = f"arn:aws:kinesisvideo:{REGION}:{ACCOUNT}:stream/{name}/1"
    return ProcessorSpec(REGION, name, arn, arn, "people", 80.0, "arn:aws:iam::0:role/any")


def frame(timestamp: float, size: tuple[int, int] = (64, 48), grey: int = 90) -> Frame:
    width, height = size
    image = np.full((height, width, 3), grey, np.uint8)
    return Frame(Fragment("1", 1.0, 1.0, 0, ()), 0.0, timestamp, image)


def match(name: str | None, similarity: float = 97.5) -> Match:
    indexed = IndexedFace("f-1", "i-1", name, BOX, 99.0, "1.0")
    return Match(indexed, similarity)


def picture_of(message: Message) -> Any:
    return cv2.imdecode(np.frombuffer(base64.b64decode(message.data["jpeg"]), np.uint8), 1)


async def watched(listen: Listen, url: str, views: LiveViews, name: str = "door") -> Stream:
    """A stream, once its watcher counts."""
    stream = await listen(f"{url}/console/view?name={name}")
    await eventually(lambda: views.is_watched((REGION, name)))
    return stream


async def nothing_comes(stream: Stream) -> None:
    """But a heart-beat."""
    assert (await stream.next()).name == ""


async def test_a_picture_comes_with_its_boxes_and_names(
    serve: Serve, listen: Listen, views: LiveViews
) -> None:
    stream = await watched(listen, await serve(), views)
    faces = [(FACE, [match("alice"), match("bob", 90.0)]), (FACE, [match(None)]), (FACE, []),
             (FACE, []), (FACE, [])]  # fmt: skip
    views.seen(spec(), frame(1234.5), faces, ["alice", None, "unknown-7", "carol", None])
    told = (await stream.next("picture")).data
    assert (told["timestamp"], told["width"], told["height"]) == (1234.5, 64, 48)
    assert [(face["name"], face["known"], face.get("similarity")) for face in told["faces"]] == [
        ("alice", True, 97.5), ("f-1", True, 97.5), ("unknown-7", False, None),
        ("carol", True, None), (None, False, None),
    ]  # fmt: skip
    assert told["faces"][0]["box"] == {"Left": 0.25, "Top": 0.1, "Width": 0.2, "Height": 0.4}


@pytest.mark.parametrize(
    ("size", "sent"),
    [((1920, 1080), (960, 540)), ((960, 540), (960, 540)), ((1080, 1920), (540, 960)),
     ((3000, 2), (960, 1)), ((16, 16), (16, 16))],
)  # fmt: skip
async def test_a_picture_is_made_small(
    serve: Serve, listen: Listen, views: LiveViews, size: tuple[int, int], sent: tuple[int, int]
) -> None:
    stream = await watched(listen, await serve(), views)
    views.seen(spec(), frame(1.0, size), [])
    message = await stream.next("picture")
    assert (message.data["width"], message.data["height"]) == sent
    assert picture_of(message).shape == (sent[1], sent[0], 3)


async def test_nothing_is_encoded_or_held_while_nobody_watches(
    serve: Serve, listen: Listen, views: LiveViews
) -> None:
    url = await serve(exists=lambda _: True)
    shown = frame(1.0)
    image = weakref.ref(shown.image)
    views.seen(spec(), shown, [(FACE, [])])
    del shown
    gc.collect()
    assert image() is None
    await watched(listen, url, views, "another")
    views.seen(spec(), frame(2.0), [(FACE, [])])
    assert views.encoded_total == 0


async def test_a_picture_is_encoded_once_for_all_watchers(
    serve: Serve, listen: Listen, views: LiveViews
) -> None:
    url = await serve()
    tabs = [await watched(listen, url, views) for _ in range(10)]
    views.seen(spec(), frame(1.0), [])
    for tab in tabs:
        assert (await tab.next("picture")).data["timestamp"] == 1.0
    assert views.encoded_total == 1


async def test_who_is_slow_gets_the_newest_and_delays_nobody(
    serve: Serve, listen: Listen, views: LiveViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await watched(listen, await serve(), views)
    for number in range(100):  # within one turn of the loop: nobody could take them
        views.seen(spec(), frame(float(number)), [])
    assert (await stream.next("picture")).data["timestamp"] == 99.0
    assert views.encoded_total == 1


async def test_only_the_newest_frame_is_held(
    serve: Serve, listen: Listen, views: LiveViews
) -> None:
    stream = await watched(listen, await serve(), views)
    images = []
    for number in range(10):
        shown = frame(float(number))
        images.append(weakref.ref(shown.image))
        views.seen(spec(), shown, [])
        del shown
    gc.collect()
    assert [image() is not None for image in images] == [False] * 9 + [True]
    await stream.next("picture")
    await eventually(lambda: images[-1]() is None)  # the thread lets go of it a moment later


async def test_nothing_is_held_of_a_processor_once_its_last_watcher_left(
    serve: Serve, listen: Listen, views: LiveViews
) -> None:
    url = await serve()
    tabs = [await watched(listen, url, views) for _ in range(2)]
    tabs[0].answer.close()
    views.seen(spec(), frame(1.0), [])
    await tabs[1].next("picture")
    tabs[1].answer.close()
    await eventually(lambda: not views.is_watched((REGION, "door")))
    encoded = views.encoded_total
    views.seen(spec(), frame(2.0), [])
    late = await watched(listen, url, views)
    await nothing_comes(late)
    assert views.encoded_total == encoded


@pytest.mark.parametrize("state", ["STOPPED", "FAILED", "DELETED"])
async def test_a_processor_that_rests_shows_nothing_of_before(
    serve: Serve, listen: Listen, views: LiveViews, state: str
) -> None:
    url = await serve()
    stream = await watched(listen, url, views)
    views.seen(spec(), frame(1.0), [])
    await stream.next("picture")
    views.state_changed(spec(), state)
    late = await watched(listen, url, views)
    await nothing_comes(late)
    views.seen(spec(), frame(2.0), [])
    assert (await late.next("picture")).data["timestamp"] == 2.0


async def test_who_comes_after_a_deletion_is_shown_nobody_of_before(
    serve: Serve, listen: Listen, views: LiveViews
) -> None:
    url = await serve()
    stream = await watched(listen, url, views)
    views.seen(spec(), frame(1.0), [(FACE, [match("alice")])], ["alice"])
    await stream.next("picture")
    views.forget("eu-west-1")
    await (await watched(listen, url, views)).next("picture")  # that is another region
    views.forget(REGION)
    late = await watched(listen, url, views)
    await nothing_comes(late)
    views.seen(spec(), frame(2.0), [(FACE, [])])
    for one in (stream, late):
        told = (await one.next("picture")).data
        assert (told["timestamp"], told["faces"][0]["name"]) == (2.0, None)


async def test_a_picture_in_the_making_is_forgotten_too(
    serve: Serve, listen: Listen, views: LiveViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on, jpeg = threading.Event(), threading.Event(), live._jpeg

    def slow(image: Any) -> Any:
        begun.set()
        assert may_go_on.wait(60)
        return jpeg(image)

    monkeypatch.setattr(live, "_jpeg", slow)
    stream = await watched(listen, await serve(), views)
    views.seen(spec(), frame(1.0), [(FACE, [match("alice")])])
    await eventually(begun.is_set)
    views.forget(REGION)
    views.seen(spec(), frame(2.0), [(FACE, [])])
    may_go_on.set()
    assert (await stream.next("picture")).data["timestamp"] == 2.0


async def test_the_view_of_a_processor_that_is_deleted_ends(
    serve: Serve, listen: Listen, views: LiveViews
) -> None:
    there: set[ProcessorKey] = {(REGION, "door")}
    stream = await watched(listen, await serve(exists=lambda key: key in there), views)
    there.clear()
    assert not [message for message in await stream.rest() if message.name]


async def test_a_picture_that_cannot_be_encoded_is_left_out(
    serve: Serve, listen: Listen, views: LiveViews, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    jpeg: Callable[..., Any] = live._jpeg

    def sometimes(image: Any) -> Any:
        if image[0, 0, 0] == 13:
            raise ValueError("no")
        return jpeg(image)

    monkeypatch.setattr(live, "_jpeg", sometimes)
    stream = await watched(listen, await serve(), views)
    views.seen(spec(), frame(1.0, grey=13), [])
    await eventually(lambda: "could not be encoded" in caplog.text)
    views.seen(spec(), frame(2.0), [])
    assert (await stream.next("picture")).data["timestamp"] == 2.0


async def test_what_does_not_exist_has_no_view(
    serve: Serve, session: aiohttp.ClientSession, views: LiveViews
) -> None:
    url = await serve()
    async with session.get(f"{url}/console/view?name=nobody") as answer:
        said = await answer.json()
        assert (answer.status, said["__type"]) == (404, "ResourceNotFoundException")
        assert "Stream processor nobody is not found in us-east-1" in said["message"]
    async with session.get(f"{url}/console/view") as answer:
        assert "name is missing" in (await answer.json())["message"]


class Refusing(NoAudit):
    """An audit log on a disk that is full."""

    async def record(self, *_: Any, **__: Any) -> None:
        raise StoreUnavailable("audit/: the disk is full")


async def test_what_cannot_be_written_down_is_not_shown(
    serve: Serve, session: aiohttp.ClientSession, views: LiveViews
) -> None:
    url = await serve(audit=Refusing())
    async with session.get(f"{url}/console/view?name=door") as answer:
        assert answer.status == 500
        assert "audit log: audit/: the disk is full" in (await answer.json())["message"]
    assert not views.is_watched((REGION, "door"))


async def test_who_finds_no_place_is_not_written_down_as_one_who_saw(
    serve: Serve, session: aiohttp.ClientSession, tmp_path: Path, clock: FakeClock
) -> None:
    audit = await open_audit(tmp_path, clock)
    url = await serve(audit=audit, streams_max=0)
    async with session.get(f"{url}/console/view?name=door") as answer:
        assert answer.status == 503
    await audit.aclose()
    assert not [file.read_text() for file in (tmp_path / "audit").glob("*.jsonl")
                if "GetStreamprocView" in file.read_text()]  # fmt: skip


async def test_who_opens_a_view_is_written_down_first(
    serve: Serve, listen: Listen, views: LiveViews, tmp_path: Path, clock: FakeClock
) -> None:
    audit = await open_audit(tmp_path, clock)
    await watched(listen, await serve(audit=audit), views)
    await audit.aclose()
    [line] = [json.loads(line) for file in (tmp_path / "audit").glob("*.jsonl")
              for line in file.read_text().splitlines()]  # fmt: skip
    assert (line["event"], line["who"]) == ("GetStreamprocView", "anonymous")
    assert line["details"] == {"Region": REGION, "Name": "door"}
