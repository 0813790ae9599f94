"""Whatever the footage and the load: pictures that can be decoded are analysed, and a processor
that analyses none says so."""

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from streamproc.clock import FakeClock
from streamproc.mkv import nal
from streamproc.model.face import Face
from streamproc.model.media import (
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    Image,
    MediaEvent,
    Packet,
)
from streamproc.model.position import StartAt
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.checkpoint import Checkpoint
from streamproc.processor.fake import ScriptedWorld
from streamproc.processor.governor import Governor
from streamproc.processor.pipeline import Pipeline, Shared
from streamproc.processor.view import Counters, Notices
from streamproc.settings import ProcessorsConfig

Fragment: TypeAlias = list[MediaEvent]
Damage: TypeAlias = Callable[[int, Fragment], Fragment]
"""What becomes of a fragment, the how many-eth it is."""

CAMERA_FPS = 10
LOADED_S = 25
"""Long enough for the least rate, and keyframes alone where there are enough of them."""


class AtOnce(Executor):
    """Does its work where it is asked to: then a clock that is set by hand tells when all is
    done."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # whatever it is, it belongs to who asked
            future.set_exception(error)
        return future


class Machine(ScriptedWorld):
    """A picture takes this machine cost_s."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.cost_s = 0.0
        self.analysed_at: list[float] = []  # by the clock

    async def analyse(self, image: Image, timestamp_s: float) -> list[Face]:
        if self.cost_s:
            await self.clock.sleep(self.cost_s)
        self.analysed_at.append(self.clock.monotonic())
        return []


class Scene:
    """A camera with a fault, and a processor that watches it."""

    def __init__(self, spec: ProcessorSpec, footage: Sequence[Fragment], **settings: Any) -> None:
        config = ProcessorsConfig(**settings)
        self.clock = FakeClock()
        self.machine = Machine(self.clock)
        self.governor = Governor(config.analysis_fps, config.analysis_fps_min)
        self.counters, self.notices = Counters(), Notices()
        shared = Shared(
            self.machine, config, "processor", AtOnce(), self.governor, self.clock, lambda: 1.0
        )
        self._pipeline = Pipeline(
            spec, shared, StartAt.NOW, self.counters, self._save, self.notices
        )
        self._footage = footage
        self._filmed = 0
        self.fps_least = self.governor.fps

    async def _save(self, _: Checkpoint) -> None:
        pass

    async def __aenter__(self) -> "Scene":
        self._task = asyncio.create_task(self._run())
        await self.clock.advance(0)
        return self

    async def _run(self) -> None:
        world, pipeline = self.machine, self._pipeline
        async with world.sink(None, pipeline.delivered, print, pipeline.before_send) as sink:  # type: ignore[arg-type]
            await pipeline.run(world.stream, sink, world, asyncio.Event())

    async def __aexit__(self, *_: object) -> None:
        assert not self._task.done() or self._task.result() is None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def film(self, seconds: float, damage: Damage) -> None:
        """In real time: packets come one after the other, whatever their timestamps say."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            began = self.clock.monotonic()
            fragment = self._footage[self._filmed % len(self._footage)]
            packets = sum(isinstance(event, Packet) for event in fragment)
            starts_s = self.clock.now()
            events = damage(self._filmed, dated(fragment, starts_s, str(self._filmed)))
            self._filmed += 1
            frames = 0
            for event in events:
                if isinstance(event, Packet):
                    frames += 1
                    due = began + min(frames - 1, packets - 1) / CAMERA_FPS
                    await self.clock.advance(max(0.0, due - self.clock.monotonic()))
                await self.machine.stream.append(event)
                self.fps_least = min(self.fps_least, self.governor.fps)
            await self.clock.advance(began + packets / CAMERA_FPS - self.clock.monotonic())

    def analysed(self, last_s: float) -> int:
        now = self.clock.monotonic()
        return sum(at > now - last_s for at in self.machine.analysed_at)


def dated(fragment: Fragment, at_s: float, number: str) -> Fragment:
    """The same pictures at another time."""
    events: Fragment = []
    for event in fragment:
        match event:
            case FragmentStarted(old):
                timecode_ns = round(at_s * 1e9)
                new = replace(
                    old, number=number, server_timestamp=at_s, producer_timestamp=at_s,
                    timecode_ns=timecode_ns,
                )  # fmt: skip
                events.append(FragmentStarted(new))
            case FragmentEnded():
                events.append(FragmentEnded(number, complete=True))
            case _:
                events.append(event)
    return events


def packets_of(change: Callable[[Packet], list[MediaEvent]]) -> Damage:
    """Damage that is done to each packet alike."""

    def damage(_: int, fragment: Fragment) -> Fragment:
        changed: Fragment = []
        for event in fragment:
            changed += change(event) if isinstance(event, Packet) else [event]
        return changed

    return damage


def every_second(damage: Damage) -> Damage:
    return lambda number, fragment: damage(number, fragment) if number % 2 else fragment


def later(jump_s: Callable[[int], float]) -> Damage:
    """Timestamps that are wrong by so much."""

    def damage(number: int, fragment: Fragment) -> Fragment:
        opening = fragment[0]
        assert isinstance(opening, FragmentStarted)
        assert opening.fragment.producer_timestamp is not None
        at_s = opening.fragment.producer_timestamp + jump_s(number)
        return dated(fragment, at_s, opening.fragment.number)

    return damage


def whole(_: int, fragment: Fragment) -> Fragment:
    return fragment


def halved(packet: Packet) -> list[MediaEvent]:
    """A keyframe as two packets of one time, as from a server that cuts it between its slices."""
    if not packet.keyframe:
        return [packet]
    units = nal.units_by_start_code(packet.payload)
    second = [at for at, unit in enumerate(units) if unit[0] & 0x1F in (1, 5)][1]
    parts = units[:second], units[second:]
    return [replace(packet, payload=nal.with_start_codes(part)) for part in parts]


def halves_in_fragments(number: int, fragment: Fragment) -> Fragment:
    """As a producer makes of them that begins a fragment at each keyframe."""
    opening, first, second, *rest = packets_of(halved)(number, fragment)
    assert isinstance(opening, FragmentStarted)
    at_s = opening.fragment.producer_timestamp
    assert at_s is not None
    end = FragmentEnded(str(number), complete=True)
    follows = dated([opening, second, *rest], at_s, str(1_000_000 + number))
    return [opening, first, end, *follows]


def garbage(packet: Packet) -> list[MediaEvent]:
    """A keyframe that opens decoding, by its head, and decodes to nothing."""
    head = nal.START_CODE + b"\x65"
    return [replace(packet, payload=head + b"\x55" * 50) if packet.keyframe else packet]


def without_rest(packet: Packet) -> list[MediaEvent]:
    return [packet] if packet.keyframe else []


def all_keyframes(number: int, fragment: Fragment) -> Fragment:
    keyframe = next(event for event in fragment if isinstance(event, Packet))
    alike = packets_of(lambda packet: [replace(keyframe, offset_ns=packet.offset_ns)])
    return alike(number, fragment)


def keyframe_in_the_middle(_: int, fragment: Fragment) -> Fragment:
    opening, *packets, end = fragment
    moved = packets[-3:] + packets[:-3]
    at = [packet.offset_ns for packet in packets if isinstance(packet, Packet)]
    again = [
        replace(packet, offset_ns=offset_ns)
        for packet, offset_ns in zip(moved, at, strict=True)
        if isinstance(packet, Packet)
    ]
    return [opening, *again, end]


unmarked = packets_of(lambda packet: [replace(packet, keyframe=False)])
never_a_keyframe = packets_of(lambda packet: [] if packet.keyframe else [packet])
of_one_time_in_a_fragment = packets_of(lambda packet: [replace(packet, offset_ns=0)])


def undated(number: int, fragment: Fragment) -> Fragment:
    return dated(of_one_time_in_a_fragment(number, fragment), START_S, str(number))


def unmarked_later(number: int, fragment: Fragment) -> Fragment:
    return (unmarked if number > LOADED_S - 5 else whole)(number, fragment)


START_S = 1_700_000_000.0

DECODABLE: dict[str, tuple[Damage, dict[str, int], dict[str, float]]] = {
    # name: what is wrong, how it is filmed, settings
    "nothing is wrong": (whole, {}, {}),
    "keyframes in two packets": (packets_of(halved), {"slices": 2}, {}),
    "keyframes in two packets and B-frames": (
        packets_of(halved), {"slices": 2, "b_frames": 2}, {}
    ),
    "keyframes in two packets, few": (
        packets_of(halved), {"slices": 2, "fragment_s": 10}, {"analysis_fps_min": 0.05}
    ),
    "halves of keyframes in fragments of their own": (halves_in_fragments, {"slices": 2}, {}),
    "every second keyframe in two packets": (every_second(packets_of(halved)), {"slices": 2}, {}),
    "every second keyframe is garbage": (every_second(packets_of(garbage)), {}, {}),
    "keyframes alone": (packets_of(without_rest), {}, {}),
    "all are keyframes": (all_keyframes, {}, {}),
    "a keyframe in ten seconds": (whole, {"fragment_s": 10}, {}),
    "keyframes in the middle of fragments": (keyframe_in_the_middle, {}, {}),
    "keyframes are not marked": (unmarked, {}, {}),
    "keyframes are not marked any more": (unmarked_later, {}, {}),
    "keyframes are not marked any more while it is late": (
        unmarked_later, {}, {"analysis_fps_min": 2.0}
    ),
    "pictures of one time": (of_one_time_in_a_fragment, {}, {}),
    "timestamps jump ahead": (later(lambda number: 60.0 * (number // 7)), {}, {}),
    "timestamps jump back": (later(lambda number: -60.0 * (number // 7)), {}, {}),
    "timestamps go back and forth": (later(lambda number: 60.0 * (number % 2)), {}, {}),
    "the first seconds are of the future": (later(lambda number: 2.0 * (number < 3)), {}, {}),
    "all of it is of the future": (later(lambda _: 2.0), {}, {}),
}  # fmt: skip


@pytest.mark.parametrize("fault", DECODABLE)
async def test_what_can_be_decoded_is_analysed_once_the_load_is_gone(
    spec: ProcessorSpec, camera: Callable[..., list[Fragment]], fault: str
) -> None:
    damage, filming, settings = DECODABLE[fault]
    footage = camera(1, size=64, fps=CAMERA_FPS, **filming)
    async with Scene(spec, footage, **settings) as scene:
        scene.machine.cost_s = 1.7
        await scene.film(LOADED_S, damage)
        assert scene.fps_least <= 2.0
        scene.machine.cost_s = 0.0
        await scene.film(70, damage)
        # Of some no more than one a second comes, or is dated apart from the others.
        is_sparse = damage is of_one_time_in_a_fragment or fault == "keyframes alone"
        assert scene.analysed(last_s=20) >= (18 if is_sparse else 50)
        assert scene.governor.fps == 5.0
        assert scene.notices.text == ""


@pytest.mark.parametrize("seed", range(3))
async def test_no_sequence_of_faults_and_loads_is_for_ever(
    spec: ProcessorSpec, camera: Callable[..., list[Fragment]], seed: int
) -> None:
    chance = random.Random(seed)
    damages = [damage for damage, *_ in (*DECODABLE.values(), *UNDECODABLE.values())]
    async with Scene(spec, camera(2, size=64, slices=2, b_frames=seed % 3)) as scene:
        for _ in range(12):
            scene.machine.cost_s = chance.choice([0.0, 0.3, 1.7])
            await scene.film(chance.uniform(1, 12), chance.choice(damages))
        scene.machine.cost_s = 0.0
        await scene.film(100, whole)
        assert scene.analysed(last_s=20) >= 95
        assert scene.notices.text == ""


UNDECODABLE: dict[str, tuple[Damage, dict[str, int], str]] = {
    # name: what is wrong, how it is filmed, what is said. From the beginning: behind good pictures
    # FFmpeg takes those for what others lean on.
    "every keyframe is garbage": (packets_of(garbage), {}, "no picture of it could be decoded"),
    "halves of keyframes alone": (
        packets_of(lambda packet: halved(packet) if packet.keyframe else []),
        {"slices": 2}, "gave damaged pictures",
    ),
    "no keyframe ever": (never_a_keyframe, {}, "no keyframe"),
    "all timestamps alike": (undated, {}, "its timestamps stand still"),
    "fragments without packets": (packets_of(lambda _: []), {}, "no new video in it"),
    "fragments that fail": (
        lambda number, _: [FragmentFailed(str(number), 4000, "lost")], {},
        "failed to deliver",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", UNDECODABLE)
async def test_video_of_which_no_picture_comes_is_told_and_taken_back(
    spec: ProcessorSpec, camera: Callable[..., list[Fragment]], fault: str
) -> None:
    damage, filming, words = UNDECODABLE[fault]
    footage = camera(1, size=64, fps=CAMERA_FPS, **filming)
    async with Scene(spec, footage, silence_s=20.0) as scene:
        await scene.film(22, damage)
        assert words in scene.notices.text
        await scene.film(3, whole)
        assert scene.notices.text == ""


@pytest.mark.parametrize("fault", ["fragments without packets", "fragments that fail"])
async def test_what_is_told_is_what_came_last(
    spec: ProcessorSpec, camera: Callable[..., list[Fragment]], fault: str
) -> None:
    damage, _, words = UNDECODABLE[fault]
    async with Scene(spec, camera(1, size=64), silence_s=20.0) as scene:
        await scene.film(5, whole)
        await scene.film(22, damage)
        assert words in scene.notices.text


async def test_a_camera_that_fails_under_load_leaves_no_word_of_the_load(
    spec: ProcessorSpec, camera: Callable[..., list[Fragment]]
) -> None:
    """It is told what is so, not what was so when the last picture came."""
    async with Scene(spec, camera(1, size=64), silence_s=20.0) as scene:
        scene.machine.cost_s = 1.7
        await scene.film(LOADED_S, whole)
        assert "The machine cannot keep up" in scene.notices.text
        await scene.film(30, packets_of(garbage))
        assert scene.notices.text.startswith("Video has come for")
        assert "keep up" not in scene.notices.text
        await scene.clock.advance(30)
        assert scene.notices.text.startswith("No video has come for")
        assert "Video has come" not in scene.notices.text
