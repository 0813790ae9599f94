"""What processors see and become is on disk before it is told, once, whatever happens."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamproc.clock import FakeClock
from streamproc.config import Config
from streamproc.errors import StoreUnavailable
from streamproc.event_world import open_events
from streamproc.events.pictures import face_jpeg
from streamproc.events.schema import Draft, Standing
from streamproc.events.service import EventService
from streamproc.model.event import Event, EventKind
from streamproc.model.media import Fragment, Frame
from streamproc.model.processor import ProcessorSpec
from streamproc.settings import EventsConfig
from tests.events.acting import known, nobody, similarity, turned
from tests.events.outlet_parts import until

ARN = "arn:aws:{}:us-east-1:000000000000:stream/{}"
PICTURE = np.full((1000, 1000, 3), 120, np.uint8)


def spec_of(name: str = "door") -> ProcessorSpec:
    video = ARN.format("kinesisvideo", "cam/1")
    return ProcessorSpec(
        "us-east-1", name, video, ARN.format("kinesis", "faces"), "people", 90.0, ""
    )


class Scene:
    """An event service, and a camera whose media time is the clock's."""

    def __init__(self, folder: Path, clock: FakeClock, **config: Any) -> None:
        self._folder = folder
        self._config = EventsConfig(**config)
        self._ids = itertools.count(1)
        self.clock = clock
        self.media_s = 5000.0
        self.reports: list[str] = []

    async def open(self) -> None:
        self.service = await EventService.open(
            self._folder, self._config, self.clock, similarity, roll=lambda: 1.0,
            new_id=lambda: f"00000000-0000-4000-8000-{next(self._ids):012}",
        )  # fmt: skip

    async def see(self, seconds: float, *faces: Any, name: str = "door", fps: float = 5.0) -> None:
        for _ in range(round(seconds * fps)):
            frame = Frame(Fragment("1", None, None, 0, ()), 0.0, self.media_s, PICTURE)
            await self.service.seen(spec_of(name), frame, faces, self.reports.append)
            self.media_s += 1.0 / fps
            await self.clock.advance(1.0 / fps)

    async def state(self, state: str, previous: str | None, name: str = "door") -> None:
        await self.service.state_changed(spec_of(name), state, previous, "")

    async def told(self) -> list[str]:
        events = await self.service.log.read(0, 1000)
        assert [event.id for event in events] == sorted({event.id for event in events})
        return [line(event) for event in events]


def line(event: Event) -> str:
    body = event.body
    if event.kind is EventKind.STATE:
        return f"{body.get('PreviousStatus')} {body['Status']}"
    return " ".join(filter(None, [event.kind, body["Person"]["Name"], body.get("Reason")]))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(tmp_path) as scene:
        yield scene


@asynccontextmanager
async def a_scene(folder: Path, **config: Any) -> AsyncIterator[Scene]:
    scene = Scene(folder, FakeClock(), **config)
    await scene.open()
    yield scene
    await scene.service.aclose()


async def test_a_visit_is_in_the_log_when_seen_returns(scene: Scene) -> None:
    await scene.see(2, known("alice", 1, 0.2), nobody(2, 0.8))
    assert await scene.told() == ["enter alice", "enter unknown-1"]
    assert scene.service.names(("us-east-1", "door")) == ("alice", "unknown-1")
    assert [visit["Person"]["Name"] for visit in scene.service.open_visits("us-east-1")] == [
        "alice", "unknown-1",
    ]  # fmt: skip
    assert scene.service.open_visits("eu-west-1") == []
    await scene.see(8)
    assert sorted((await scene.told())[2:]) == ["exit alice left", "exit unknown-1 left"]
    figures = scene.service.figures
    assert figures.logged_total == {"enter": 2, "update": 0, "exit": 2, "state": 0}
    assert figures.visits_open == 0


@pytest.mark.parametrize(
    ("state", "reason"), [("STOPPED", "stopped"), ("FAILED", "failed"), ("DELETED", "deleted")]
)
async def test_a_processor_that_ends_ends_its_visits(scene: Scene, state: str, reason: str) -> None:
    await scene.state("RUNNING", "STARTING")
    await scene.see(2, known("alice", 1))
    await scene.see(2, known("bob", 2), name="gate")
    await scene.state(state, "STOPPING")
    assert await scene.told() == [
        "STARTING RUNNING", "enter alice", "enter bob", f"exit alice {reason}",
        f"STOPPING {state}",
    ]  # fmt: skip
    assert len(scene.service.open_visits()) == 1


async def test_a_processor_that_is_created_says_so(scene: Scene) -> None:
    await scene.state("STOPPED", None)
    [event] = await scene.service.log.read(0, 10)
    assert event.members["Status"] == "STOPPED"
    assert "PreviousStatus" not in event.members


async def test_a_camera_that_shows_nothing_any_more_has_lost_its_people(scene: Scene) -> None:
    await scene.see(2, known("alice", 1))
    await scene.clock.advance(14)
    assert await scene.told() == ["enter alice"]
    await until_told(scene, ["enter alice", "exit alice video-lost"])


async def until_told(scene: Scene, lines: Sequence[str]) -> None:
    """Whatever the clock says meanwhile: the service looks once a second, when it gets its turn."""
    async with asyncio.timeout(60):
        while await scene.told() != lines:
            await scene.clock.advance(1)


async def test_the_next_daemons_go_on_where_this_one_was(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await scene.see(3, known("alice", 1, 0.2), nobody(2, 0.8))
        for _ in range(2):
            await scene.service.aclose()
            await scene.open()
            assert len(scene.service.open_visits()) == 2
            assert len(await scene.service.log.open_visits()) == 2
            scene.media_s -= 2  # a fragment comes again
            await scene.see(4, known("alice", 1, 0.2), nobody(2, 0.8))
            assert await scene.told() == ["enter alice", "enter unknown-1"]
            assert scene.service.figures.frames_repeated_total > 0


async def test_people_whose_camera_never_comes_back_do_not_stay_for_ever(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await scene.see(3, known("alice", 1))
        await scene.service.aclose()
        await scene.open()
        await scene.clock.advance(100)
        assert await scene.told() == ["enter alice"]
        await until_told(scene, ["enter alice", "exit alice video-lost"])


async def test_while_the_disk_refuses_nothing_is_lost_or_told_twice(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = 2
    append = scene.service.log.append

    async def refusing(drafts: Sequence[Draft], standing: Standing | None = None) -> Any:
        nonlocal refusals
        if drafts and refusals:
            refusals -= 1
            raise StoreUnavailable("the disk is full")
        return await append(drafts, standing)

    monkeypatch.setattr(scene.service.log, "append", refusing)
    seeing = asyncio.create_task(scene.see(2, known("alice", 1)))
    while not seeing.done():
        await scene.clock.advance(0.5)
        await asyncio.sleep(0.01)
    assert await scene.told() == ["enter alice"]
    assert "the disk is full" in scene.reports[0]
    assert scene.reports[-1] == ""


async def test_who_gives_up_waiting_tells_nothing_twice(scene: Scene) -> None:
    for _ in range(3):
        seeing = asyncio.create_task(scene.see(1, known("alice", 1)))
        await asyncio.sleep(0)
        while (
            not scene.service._watched or not scene.service._watched["us-east-1", "door"].unwritten
        ):
            if seeing.done():
                break
            await asyncio.sleep(0)
        seeing.cancel()
        await asyncio.wait({seeing})
    await scene.see(1, known("alice", 1))
    await scene.state("STOPPED", "STOPPING")
    assert await scene.told() == ["enter alice", "exit alice stopped", "STOPPING STOPPED"]


async def test_a_change_of_state_does_not_wait_for_a_log_that_hangs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, may_write = scene.service.log.append, asyncio.Event()

    async def hanging(*args: Any) -> Any:
        await may_write.wait()
        return await append(*args)

    monkeypatch.setattr("streamproc.events.service._STATE_S", 0.01)
    monkeypatch.setattr(scene.service.log, "append", hanging)
    await scene.state("STOPPING", "RUNNING")
    await scene.state("STOPPED", "STOPPING")
    assert await scene.told() == []
    may_write.set()
    await until_told(scene, ["RUNNING STOPPING", "STOPPING STOPPED"])


async def test_an_unforeseen_failure_ends_no_watch_over_the_visits(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing() -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(scene.service.log, "prune", failing)
    async with asyncio.timeout(60):
        while "a bug" not in caplog.text:
            await scene.clock.advance(1)
            await asyncio.sleep(0)
    await scene.see(2, known("alice", 1))
    await until_told(scene, ["enter alice", "exit alice video-lost"])


async def test_a_camera_may_come_back_late_after_a_restart(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await scene.see(3, known("alice", 1))
        await scene.service.aclose()
        await scene.open()
        await scene.state("STARTING", "STOPPED")
        await scene.state("RUNNING", "STARTING")
        for _ in range(25):
            await scene.clock.advance(1)
            await asyncio.sleep(0.001)
        scene.media_s += 25
        await scene.see(1, known("alice", 1))
        assert [told for told in await scene.told() if "alice" in told] == ["enter alice"]


async def test_what_became_of_processors_without_a_word_is_told_by_the_next_daemon(
    tmp_path: Path,
) -> None:
    async with a_scene(tmp_path) as scene:
        for name in ("door", "gate", "yard", "roof"):
            await scene.state("RUNNING", "STARTING", name=name)
            await scene.see(2, known("alice", 1), name=name)
        before = await scene.told()
        await scene.service.aclose()  # and before the next, three of them change
        await scene.open()
        statuses = [
            (spec_of("door"), "STOPPED", ""), (spec_of("gate"), "FAILED", "its stream is gone"),
            (spec_of("yard"), "RUNNING", ""),
        ]  # fmt: skip
        for _ in range(2):
            scene.service.go_on(statuses, lambda _: False)
            await until_told(
                scene,
                [
                    *before, "exit alice stopped", "RUNNING STOPPED", "exit alice failed",
                    "RUNNING FAILED", "exit alice deleted", "RUNNING DELETED",
                ],
            )  # fmt: skip
        standings = await scene.service.log.standings()
        assert {one.key[1]: one.status for one in standings} == {
            "door": "STOPPED", "gate": "FAILED", "yard": "RUNNING",
        }  # fmt: skip
        failed = (await scene.service.log.read(0, 100, processor="gate"))[-1]
        assert failed.body["StatusMessage"] == "its stream is gone"


async def test_nothing_is_left_of_a_processor_whose_end_was_told_and_not_tidied_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_scene(tmp_path) as scene:

        async def killed(_: Any) -> None:
            raise StoreUnavailable("killed in that moment")

        monkeypatch.setattr(scene.service.log, "forget_processor", killed)
        await scene.state("DELETED", "STOPPED")
        await scene.service.aclose()
        await scene.open()
        scene.service.go_on([], lambda _: False)
        async with asyncio.timeout(60):
            while await scene.service.log.standings():
                await scene.clock.advance(1)
        assert await scene.told() == ["STOPPED DELETED"]


async def test_a_processor_that_waits_for_its_own_data_stream_has_not_lost_its_video(
    scene: Scene,
) -> None:
    busy = {"us-east-1 door"}
    scene.service.go_on([], lambda key: " ".join(key) in busy)
    await scene.see(2, known("alice", 1))
    began, door = scene.clock.monotonic(), scene.service._watched["us-east-1", "door"]
    async with asyncio.timeout(60):
        while door.heard_at < began + 60 or door.heard_at < scene.clock.monotonic() - 1:
            await scene.clock.advance(1)
            await asyncio.sleep(0.001)
    busy.clear()
    await scene.see(2, known("alice", 1))
    assert await scene.told() == ["enter alice"]
    await until_told(scene, ["enter alice", "exit alice video-lost"])


async def test_a_state_that_cannot_be_told_is_told_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = scene.service.log.append

    async def refusing(*_: Any) -> Any:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(scene.service.log, "append", refusing)
    await scene.state("RUNNING", "STARTING")
    monkeypatch.setattr(scene.service.log, "append", append)
    await until_told(scene, ["STARTING RUNNING"])


async def test_a_visit_has_a_picture_of_the_person(scene: Scene, tmp_path: Path) -> None:
    await scene.see(2, known("alice", 1), nobody(2, 0.8))
    for visit in scene.service.open_visits():
        jpeg = await scene.service.face_picture(visit["VisitId"], "us-east-1")
        assert jpeg is not None
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (250, 250, 3)
    assert {path.name for path in tmp_path.iterdir()} == {
        "events.db", "events.db-wal", "events.db-shm",
    }  # fmt: skip


async def test_a_deleted_faces_pictures_are_gone_from_memory_and_disk(tmp_path: Path) -> None:
    async with a_scene(tmp_path, face_pictures_kept_hours=1.0) as scene:
        await scene.see(2, known("alice", 1, 0.2), known("bob", 2, 0.8))
        alice, bob = (visit["VisitId"] for visit in scene.service.open_visits())
        await until_kept(tmp_path, 2)
        await scene.service.forget("us-east-1", "people", ["face-alice"])
        assert await scene.service.face_picture(alice, "us-east-1") is None
        assert await scene.service.face_picture(bob, "us-east-1") is not None
        # What was searched before the face was deleted brings it back neither.
        await scene.see(0.2, known("alice", 1, 0.2), known("bob", 2, 0.8))
        await scene.see(10, turned(0.2), known("bob", 2, 0.8))
        assert await scene.service.face_picture(alice, "us-east-1") is None
        assert "exit alice left" in await scene.told()
        await scene.service.forget("us-east-1", "people", None)
        assert kept(tmp_path) == []
        await scene.see(0.2, known("bob", 2, 0.8))
        assert await scene.service.face_picture(bob, "us-east-1") is None
        # A collection of the same name that is made since is another.
        await scene.see(2, known("bob", 2, 0.8))
        assert await scene.service.face_picture(bob, "us-east-1") is not None


def kept(folder: Path) -> list[Path]:
    return list((folder / "faces-seen").glob("*/*"))


async def until_kept(folder: Path, count: int) -> None:
    await until(lambda: len(kept(folder)) == count)


@pytest.mark.parametrize("is_here_already", [False, True])
async def test_a_stranger_who_was_recognised_is_forgotten_with_their_face(
    tmp_path: Path, is_here_already: bool
) -> None:
    async with a_scene(tmp_path, face_pictures_kept_hours=1.0) as scene:
        alice = (known("alice", 1, 0.2),) if is_here_already else ()
        await scene.see(3, *alice, nobody(2, 0.8))
        visits = [visit["VisitId"] for visit in scene.service.open_visits()]
        await scene.see(1, *alice, known("alice", 2, 0.8))
        reason = "exit alice merged" if is_here_already else "update alice"
        assert reason in await scene.told()
        await until_kept(tmp_path, len(visits))
        await scene.service.forget("us-east-1", "people", ["face-alice"])
        pictures = [await scene.service.face_picture(visit, "us-east-1") for visit in visits]
        assert pictures == [None] * len(visits)
        assert kept(tmp_path) == []


async def test_who_is_deleted_after_they_left_takes_their_picture_along(tmp_path: Path) -> None:
    async with a_scene(tmp_path, face_pictures_kept_hours=1.0) as scene:
        await scene.see(3, nobody(2))
        await scene.see(1, known("alice", 2))
        await scene.see(8)
        assert "exit alice left" in await scene.told()
        await scene.service.aclose()
        await scene.open()
        await until_kept(tmp_path, 1)
        await scene.service.forget("us-east-1", "people", ["face-alice"])
        assert kept(tmp_path) == []


async def test_a_face_that_is_deleted_while_its_picture_is_made_has_none(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*args: Any) -> bytes:
        begun.set()
        assert go_on.wait(60)
        return face_jpeg(*args)

    monkeypatch.setattr("streamproc.events.service.face_jpeg", slowly)
    seeing = asyncio.create_task(scene.see(0.4, known("alice", 1)))
    assert await asyncio.to_thread(begun.wait, 60)
    await scene.service.forget("us-east-1", "people", ["face-alice"])
    go_on.set()
    await seeing
    [visit] = scene.service.open_visits()
    assert await scene.service.face_picture(visit["VisitId"], "us-east-1") is None


async def test_no_picture_is_left_where_the_config_says_none_now(tmp_path: Path) -> None:
    async with a_scene(tmp_path, face_pictures_kept_hours=1.0) as scene:
        await scene.see(2, known("alice", 1, 0.2))
    assert kept(tmp_path)
    async with a_scene(tmp_path):
        assert not (tmp_path / "faces-seen").exists()


async def test_no_picture_is_left_where_no_events_are_kept_any_more(tmp_path: Path) -> None:
    async with a_scene(tmp_path, face_pictures_kept_hours=1.0) as scene:
        await scene.see(2, known("alice", 1, 0.2))
    assert kept(tmp_path)
    quiet = Config(storage={"data_dir": tmp_path}, events={"enabled": False})
    async with AsyncExitStack() as stack:
        assert await open_events(quiet, similarity, scene.clock, stack) is None
    assert not (tmp_path / "faces-seen").exists()


async def test_a_time_that_no_calendar_has_does_no_harm(scene: Scene) -> None:
    for timestamp in (-5.0, 1e15, 253402300800.0):
        frame = Frame(Fragment("1", None, None, 0, ()), 0.0, timestamp, PICTURE)
        await scene.service.seen(spec_of(), frame, [known("alice", 1)], scene.reports.append)
    await scene.see(1, known("alice", 1))
    assert await scene.told() == ["enter alice"]


async def test_a_deleted_processors_numbers_begin_again(scene: Scene) -> None:
    await scene.see(2, nobody(1))
    await scene.state("DELETED", "STOPPED")
    assert await scene.service.log.standings() == []
    await scene.see(2, nobody(1))
    assert (await scene.told())[-1] == "enter unknown-1"


async def test_a_deletion_that_is_told_with_the_last_breath_ends_nothing_else(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = scene.service.log.append

    async def refusing(*_: Any) -> Any:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(scene.service.log, "append", refusing)
    for name in ("door", "gate"):
        await scene.state("DELETED", "STOPPED", name)
    monkeypatch.setattr(scene.service.log, "append", append)
    await scene.service.aclose()
    await scene.open()
    assert await scene.told() == ["STOPPED DELETED", "STOPPED DELETED"]
