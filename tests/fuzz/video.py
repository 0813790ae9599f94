"""Damaged films through StoredVideo and VideoDecoder, in children: FFmpeg is C.

A child has a limit of memory and of time. Frames, MediaError and UnsupportedCodec are well; a
signal, any other error, silence, and memory beyond what a small film may take are findings.
"""

import multiprocessing
import re
import resource
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import av.logging

from streamproc.decode.decoder import VideoDecoder
from streamproc.decode.stored import StoredVideo
from streamproc.errors import MediaError
from streamproc.model.media import FragmentStarted, MediaEvent, Packet
from tests.decode.clips import Clip, film, fragments, in_annex_b
from tests.decode.movies import movie
from tests.fuzz.mutate import damaged, elements, restructured
from tests.fuzz.tally import Tally, peak_mb

ADDRESS_SPACE_BYTES = 6 << 30
"""Libraries and the stacks of their threads are mapped in it, most of it never touched."""
MEMORY_MB_MAX = 900
TIMEOUT_S = 120.0
_PIXELS_MAX = 1_000_000
_FRAMES_MAX = 3000
_BATCH = 200  # films that a child lives for
_SIZE = (64, 48)

_FILES: dict[str, dict[str, object]] = {
    "a.mp4": {"sound_ms": (0, 500)},
    "faststart.mp4": {"muxer": {"movflags": "faststart"}},
    "part.mp4": {"muxer": {"movflags": "frag_keyframe+empty_moov"}, "sound_ms": (0, 500)},
    "hevc.mp4": {"encoder": "libx265"},
    "pcm.mov": {"sound_ms": (0, 500), "sound_encoder": "pcm_s16le"},
    "jpeg.mov": {"encoder": "mjpeg", "pixels": "yuvj420p"},
    "cover.mp4": {"cover": True},
    "a.mkv": {"sound_ms": (0, 500)},
    "live.mkv": {"muxer": {"live": "1"}},
    "hevc.mkv": {"encoder": "libx265"},
    "a.webm": {"encoder": "libvpx-vp9"},
    "a.ts": {},
    "a.avi": {"encoder": "mpeg4"},
    "a.flv": {},
    "a.h264": {},
}
_TABLES = re.compile(
    rb"stsz|stts|stsc|stco|co64|ctts|elst|trun|tfhd|tfdt|mvhd|tkhd|mdhd|stsd|avcC|hvcC|avc1|stss"
    rb"|mehd|trex|esds|moov|trak|mdat|moof|edts|hdlr|vmhd|dref|meta|uuid|free|sidx|mfra|sgpd|sbgp"
)
_NUMBERS = [0, 1, 2, 255, 65_535, 65_536, 10**6, 10**7, 2**31 - 1, 2**31, 2**32 - 1]


@cache
def films(folder: Path) -> dict[str, bytes]:
    """Whole films in every container that people send, each of some kilobytes."""
    made = {}
    for file, options in _FILES.items():
        path = folder / file
        if not path.exists():
            movie(path, frames=12, size=_SIZE, **options)  # type: ignore[arg-type]
        made[file] = path.read_bytes()
    return made


@cache
def clips() -> tuple[Clip, ...]:
    size, few = (64, 48), 12
    clip, hevc = film(frames=few, size=size), film("libx265", frames=few, size=size)
    ordered = film(frames=few, size=size, b_frames=2)
    return clip, hevc, ordered, in_annex_b(clip, in_band=True), in_annex_b(hevc, short_codes=True)


def stored_input(files: dict[str, bytes], chance: Random) -> tuple[str, bytes]:
    name = chance.choice(list(files))
    data = files[name]
    tables = [found.end() for found in _TABLES.finditer(data)]
    match chance.randrange(4):
        case 0 if tables:
            return name, _renumbered(data, tables, chance)
        case 1 if name.endswith(("mkv", "webm")):
            return name, restructured(data, elements(data), chance)
        case 2:
            head = min(len(data), 1500)
            return name, damaged(data[:head], chance) + data[head:]
        case _:
            return name, damaged(data, chance, chance.choice(list(files.values())))


def _renumbered(data: bytes, tables: list[int], chance: Random) -> bytes:
    """Other numbers in the tables of an MP4: counts, sizes and offsets."""
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.choice(tables) + 4 * chance.choice((-2, 0, 1, 1, 2, 2, 3, 4, 5))
        spoilt[at : at + 4] = chance.choice(_NUMBERS).to_bytes(4)
    return bytes(spoilt)


def live_input(chance: Random) -> Iterator[MediaEvent]:
    clip = chance.choice(clips())
    rate = chance.choice((0.05, 0.3))
    for event in fragments(clip):
        match event:
            case Packet() if chance.random() < rate:
                other = chance.choice(chance.choice(clips()).packets).payload
                yield replace(event, payload=damaged(event.payload, chance, other))
            case FragmentStarted(fragment) if chance.random() < rate:
                [track] = fragment.tracks
                private = damaged(
                    track.codec_private, chance, chance.choice(clips()).track.codec_private
                )
                track = replace(track, codec_private=private)
                yield FragmentStarted(replace(fragment, tracks=(track,)))
            case _:
                yield event


def _try_stored(path: Path, files: dict[str, bytes], chance: Random) -> None:
    name, data = stored_input(files, chance)
    path.write_bytes(data)
    video = StoredVideo(path, name, pixels_max=_PIXELS_MAX)
    for frames, frame in enumerate(video.frames(120.0)):
        assert frame.image.shape[2] == 3
        assert frame.image.shape[0] * frame.image.shape[1] <= _PIXELS_MAX
        assert frames <= _FRAMES_MAX, "frames without end"


def _try_live(chance: Random) -> None:
    decoder = VideoDecoder(pixels_max=_PIXELS_MAX)
    for event in live_input(chance):
        for picture in decoder.feed(event):
            assert picture.image().shape[2] == 3
    for picture in decoder.flush():
        picture.image()


@dataclass(frozen=True, slots=True)
class Tried:
    """How one film went: error is "" where it was taken."""

    number: int
    error: str
    words: str
    ms: float
    memory_mb: int


def _work(seed: int, first: int, count: int, folder: str, results: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    av.logging.set_level(None)
    files, path = films(Path(folder)), Path(folder) / f"spoilt-{first}"
    for number in range(first, first + count):
        chance = Random(f"{seed}:{number}")
        began = time.perf_counter()
        error = words = ""
        try:
            if number % 3:
                _try_stored(path, files, chance)
            else:
                _try_live(chance)
        except MediaError as refusal:
            error, words = type(refusal).__name__, str(refusal)
        except BaseException as failure:
            error, words = f"!{type(failure).__name__}", str(failure)
        ms = (time.perf_counter() - began) * 1000
        results.send(Tried(number, error, words, ms, peak_mb()))
    path.unlink(missing_ok=True)


def fuzz(seed: int, inputs: int, seconds: float) -> Tally:
    tally = Tally("video", seed)
    deadline = time.monotonic() + seconds
    spawning = multiprocessing.get_context("spawn")
    number = 0
    with tempfile.TemporaryDirectory() as folder:
        films(Path(folder))
        while number < inputs and time.monotonic() < deadline:
            count = min(_BATCH, inputs - number)
            receiver, sender = spawning.Pipe(duplex=False)
            child = spawning.Process(
                target=_work, args=(seed, number, count, folder, sender), daemon=True
            )
            child.start()
            sender.close()
            number = _watch(child, receiver, tally, number, number + count, deadline)
    return tally


def _watch(
    child: multiprocessing.process.BaseProcess, results: Connection, tally: Tally,
    number: int, end: int, deadline: float,
) -> int:  # fmt: skip
    """Take the child's results; the number of the film that comes next."""
    reproduction = f"tests.fuzz.video, seed {tally.seed}, film {{}}"
    with suppress(EOFError):
        while number < end and time.monotonic() < deadline:
            if not results.poll(TIMEOUT_S):
                tally.found(f"nothing for {TIMEOUT_S:.0f} s", reproduction.format(number))
                child.kill()
                break
            tried: Tried = results.recv()
            number = tried.number + 1
            _count(tally, tried, reproduction.format(tried.number))
        else:
            if number < end:
                child.kill()
    results.close()
    child.join(TIMEOUT_S)
    killed = child.exitcode is not None and child.exitcode < 0
    if killed and child.exitcode != -signal.SIGKILL:
        tally.found(f"signal {-(child.exitcode or 0)}", reproduction.format(number))
    return number if number >= end or time.monotonic() >= deadline else number + killed


def _count(tally: Tally, tried: Tried, reproduction: str) -> None:
    tally.inputs += 1
    tally.slowest_ms = max(tally.slowest_ms, tried.ms)
    if tried.memory_mb > MEMORY_MB_MAX >= tally.memory_mb:
        tally.found(f"{tried.memory_mb} MB of memory", reproduction)
    tally.memory_mb = max(tally.memory_mb, tried.memory_mb)
    if tried.error.startswith("!"):
        tally.found(f"{tried.error[1:]}: {tried.words}", reproduction)
    elif tried.error:
        tally.refuse(tried.error)
        if not tried.words.isprintable() or len(tried.words) > 1000:
            tally.found(f"words that cannot be told: {tried.words[:200]!r}", reproduction)
    else:
        tally.accepted += 1
