"""Clips in which it is known who is where: photographs of people, moved over backgrounds.

Heads are cut out of Labelled Faces in the Wild and of the named photos and shown moving, scaled,
turned, blurred, in other light, one before the other, and cut from one person to another in
the same place. Everything is drawn with a fixed seed; 1280×720, 30 fps, H.264.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from itertools import count, islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.engines.base import FaceEngine
from streamproc.model.media import Image

WIDTH, HEIGHT, FPS = 1280, 720, 30
STRANGERS = 25  # people of the gallery who are shown and not enrolled
SEED = 5

# LFW's own errata: this picture shows Abdullah Gul.
MISLABELLED = "Recep_Tayyip_Erdogan_0004"

_SIDE, _FACE = 250, 88.0  # pixels of an LFW picture, and of the face in it from ear to ear
_MIDDLE = (125.0, 122.0)

_NAMED = {
    "obama": ("knn/train/obama/obama.jpg", "knn/train/obama/obama2.jpg", "tests/obama3.jpg"),
    "biden": ("knn/train/biden/biden.jpg", "knn/train/biden/biden2.jpg"),
    "kit_harington": ("knn/train/kit_harington/john1.jpeg", "knn/train/kit_harington/john2.jpeg"),
    "rose_leslie": ("knn/train/rose_leslie/img1.jpg", "knn/train/rose_leslie/img2.jpg"),
    "alex_lacamoire": ("knn/train/alex_lacamoire/img1.jpg", "knn/test/alex_lacamoire1.jpg"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    name: str | None  # None: a stranger
    enrolled: Image = field(repr=False)
    shown: Sequence[Image] = field(repr=False)  # 250 × 250, the face in the middle


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A photograph in a frame; those behind come first."""

    person: Person
    photo: int
    x: float  # pixels, the middle of the face
    y: float
    size: float  # pixels, the face from ear to ear
    turned: float = 0.0  # degrees


@dataclass(frozen=True, slots=True)
class Air:
    """What lies between a scene and the picture of it."""

    light: float = 1.0
    blur: float = 0.0  # pixels
    smear: int = 0  # pixels, sideways
    noise: float = 0.0  # grey levels


@dataclass(frozen=True, slots=True)
class Scene:
    name: str
    seconds: float
    background: Image = field(repr=False)
    placed: Callable[[float], Sequence[Placed]]
    air: Callable[[float], Air] = lambda _: Air()


@dataclass(frozen=True, slots=True)
class Label:
    """Who is shown where. Whose face is half hidden or cut is nobody's loss."""

    name: str | None
    x: float
    y: float
    size: float
    counts: bool


def people(testdata: Path, engine: FaceEngine) -> tuple[list[Person], list[Person]]:
    """Those to enrol, and the strangers. The engine only says where the named photos' faces are."""
    gallery = [
        [_read(file) for file in sorted(folder.iterdir()) if file.stem != MISLABELLED]
        for folder in sorted((testdata / "lfw" / "gallery").iterdir())
    ]
    names = sorted(folder.name for folder in (testdata / "lfw" / "gallery").iterdir())
    order = np.random.default_rng(SEED).permutation(len(gallery))
    strangers = [Person(None, gallery[at][0], gallery[at]) for at in order[:STRANGERS]]
    known = [Person(names[at], gallery[at][0], gallery[at][1:]) for at in order[STRANGERS:]]
    photos = testdata / "photos" / "face_recognition"
    for name, (first, *others) in _NAMED.items():
        shown = [_framed(_read(photos / other), engine) for other in others]
        known.append(Person(name, _framed(_read(photos / first), engine), shown))
    return known, strangers


def scenes(testdata: Path, known: Sequence[Person], strangers: Sequence[Person]) -> list[Scene]:
    """Each shows other people; every third is a stranger."""
    rng = np.random.default_rng(SEED)
    rooms: list[Image] = [
        cv2.resize(_read(file), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)  # type: ignore[misc]
        for file in sorted((testdata / "photos" / "objects").iterdir())
    ]
    wall = np.full((HEIGHT, WIDTH, 3), (150, 160, 165), np.uint8)
    friends = iter([known[at] for at in rng.permutation(len(known))])
    others = iter([strangers[at] for at in rng.permutation(len(strangers))])
    cast = (next(others) if turn % 3 == 2 else next(friends) for turn in count())

    def some(number: int) -> list[Person]:
        return list(islice(cast, number))

    return [
        Scene("walking", 6, rooms[0], _walking(some(3)), lambda _: Air(smear=5)),
        Scene("seated", 8, rooms[1], _seated(some(2)), _dusk),
        Scene("replaced", 8, rooms[2], _replaced(some(14), 110.0)),
        Scene("replaced, small", 6, wall, _replaced(some(10), 38.0)),
        Scene("crossing", 6, rooms[3], _crossing(some(4))),
        Scene("one after another", 6, wall, _one_after_another(some(5))),
        Scene("out of focus", 6, rooms[4], _seated(some(2)), _unfocused),
        Scene("crowd", 6, rooms[0], _crowd(some(7), rng)),
        Scene("another crowd", 6, wall, _crowd(some(7), rng)),
        Scene("in the dark", 6, rooms[3], _crossing(some(4)), lambda _: Air(light=0.15, noise=2.0)),
    ]


def filmed(scene: Scene) -> tuple[bytes, list[list[Label]]]:
    """The clip, in Matroska, and what each of its frames shows."""
    rng = np.random.default_rng(SEED)
    buffer, labels = BytesIO(), []
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23", "g": str(FPS), "bf": "0"}
        for number in range(round(scene.seconds * FPS)):
            placed = scene.placed(number / FPS)
            picture = _through(scene.air(number / FPS), _drawn(scene.background, placed), rng)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            labels.append(_labels(placed))
        container.mux(stream.encode(None))
    return buffer.getvalue(), labels


def sampled(clip: bytes, fps: float) -> Iterator[tuple[int, Image]]:
    """The number and the picture of each frame that opens a slot of 1/fps seconds."""
    slot = None
    with av.open(BytesIO(clip), "r") as container:
        for number, frame in enumerate(container.decode(video=0)):
            if (current := math.floor(number / FPS * fps)) != slot:
                slot = current
                yield number, frame.to_ndarray(format="bgr24")  # type: ignore[misc]


def _walking(cast: Sequence[Person]) -> Callable[[float], list[Placed]]:
    """To and fro at three distances, another photograph each second and a half."""

    def placed(t: float) -> list[Placed]:
        return [
            Placed(
                person,
                int(t / 1.5),
                WIDTH / 2 + 420 * math.sin(0.7 * t + 2 * row),
                200 + 150 * row + 8 * math.sin(6 * t + row),
                45 + 35 * row + 10 * math.sin(0.8 * t),
                6 * math.sin(2 * t + row),
            )
            for row, person in enumerate(cast)
        ]

    return placed


def _seated(cast: Sequence[Person]) -> Callable[[float], list[Placed]]:
    """Side by side, hardly moving; another photograph every two seconds."""

    def placed(t: float) -> list[Placed]:
        return [
            Placed(
                person, int(t / 2), 420 + 440 * seat + math.sin(0.9 * t), 330, 95 + 25 * seat,
                1.5 * math.sin(0.7 * t),
            )
            for seat, person in enumerate(cast)
        ]  # fmt: skip

    return placed


def _replaced(cast: Sequence[Person], size: float) -> Callable[[float], list[Placed]]:
    """Two places; every 0.6 s another person is where one was, from one frame to the next."""

    def placed(t: float) -> list[Placed]:
        turn, half = int(t / 0.6), len(cast) // 2
        return [
            Placed(cast[turn % half], turn // half, 400, 340, size),
            Placed(cast[half + (turn + 1) % half], turn // half, 860, 340, size),
        ]

    return placed


def _crossing(cast: Sequence[Person]) -> Callable[[float], list[Placed]]:
    """Two pairs: one walks in front of the other and comes back."""

    def placed(t: float) -> list[Placed]:
        across = 330 * math.cos(2 * math.pi * t / 6)
        return [
            Placed(
                person, int(t / 3), WIDTH / 2 + (across if side else -across), 220 + 280 * row, 80
            )
            for row in (0, 1)
            for side, person in enumerate(cast[2 * row : 2 * row + 2])
        ]

    return placed


def _one_after_another(cast: Sequence[Person]) -> Callable[[float], list[Placed]]:
    """Each comes in, stands where the last one stood, and is gone; 0.2 s between them."""

    def placed(t: float) -> list[Placed]:
        turn, since = int(t / 1.2), t % 1.2
        if since > 1.0:
            return []
        return [Placed(cast[turn % len(cast)], 0, 640 - 500 * max(0.3 - since, 0), 360, 130)]

    return placed


def _crowd(cast: Sequence[Person], rng: np.random.Generator) -> Callable[[float], list[Placed]]:
    starts = rng.uniform(0, 6, len(cast))

    def placed(t: float) -> list[Placed]:
        return [
            Placed(
                person, int(t + start), 130 + 170 * at + 25 * math.sin(t + start),
                250 + 220 * (at % 2) + 20 * math.sin(1.4 * t + start), 36 + 6 * at,
                4 * math.sin(t + start),
            )
            for at, (person, start) in enumerate(zip(cast, starts, strict=True))
        ]  # fmt: skip

    return placed


def _dusk(t: float) -> Air:
    return Air(light=0.75 + 0.4 * math.cos(0.8 * t), noise=3.0)


def _unfocused(t: float) -> Air:
    return Air(light=0.8, blur=2.2 + 2.2 * math.sin(1.5 * t), noise=2.0)


def _drawn(background: Image, placed: Sequence[Placed]) -> Image:
    picture = background.copy()
    for one in placed:
        photo = one.person.shown[one.photo % len(one.person.shown)]
        matrix: NDArray[np.float64] = np.array(
            cv2.getRotationMatrix2D(_MIDDLE, one.turned, one.size / _FACE)
        )
        matrix[:, 2] += np.array([one.x, one.y]) - _MIDDLE
        reach = one.size * 1.2
        left, top = max(int(one.x - reach), 0), max(int(one.y - reach), 0)
        window = picture[top : int(one.y + reach), left : int(one.x + reach)]
        if window.size == 0:
            continue
        matrix[:, 2] -= (left, top)
        size = (window.shape[1], window.shape[0])
        head = cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_AREA)
        mask = cv2.warpAffine(_HEAD, matrix, size)[..., None]
        window[:] = (head * mask + window * (1 - mask)).astype(np.uint8)
    return picture


def _head() -> NDArray[np.float32]:
    mask = np.zeros((_SIDE, _SIDE), np.float32)
    cv2.ellipse(mask, (125, 122), (62, 86), 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 4)  # type: ignore[return-value]


_HEAD = _head()


@cache
def _grain(noise: float) -> NDArray[np.int16]:
    grain = np.random.default_rng(SEED).normal(0, noise, (HEIGHT, WIDTH, 1))
    return np.repeat(grain.astype(np.int16), 3, axis=2)


def _through(air: Air, picture: Image, rng: np.random.Generator) -> Image:
    if air.blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), air.blur)  # type: ignore[assignment]
    if air.smear:
        picture = cv2.blur(picture, (air.smear, 1))  # type: ignore[assignment]
    if air.light != 1.0:
        picture = cv2.convertScaleAbs(picture, alpha=air.light)  # type: ignore[assignment]
    if air.noise:
        grain = np.roll(_grain(air.noise), tuple(rng.integers(0, 100, 2)), (0, 1))
        picture = cv2.add(picture, grain, dtype=cv2.CV_8U)  # type: ignore[assignment]
    return picture


def _labels(placed: Sequence[Placed]) -> list[Label]:
    labels = []
    for at, one in enumerate(placed):
        inside = one.size < one.x < WIDTH - one.size and one.size < one.y < HEIGHT - one.size
        hidden = any(
            math.hypot(one.x - other.x, one.y - other.y) < (one.size + other.size) * 0.75
            for other in placed[at + 1 :]
        )
        labels.append(Label(one.person.name, one.x, one.y, one.size, inside and not hidden))
    return labels


def _read(file: Path) -> Image:
    picture = cv2.imread(str(file))
    if picture is None:
        raise FileNotFoundError(file)
    return picture  # type: ignore[return-value]


def _framed(photo: Image, engine: FaceEngine) -> Image:
    """A photo as LFW would have cut it."""
    left, top, right, bottom = engine.find(photo)[0].box
    scale = _FACE / (right - left)
    shift = np.array(_MIDDLE) - scale * np.array([(left + right) / 2, (top + bottom) / 2])
    matrix = np.column_stack([np.eye(2) * scale, shift])
    return cv2.warpAffine(photo, matrix, (_SIDE, _SIDE), flags=cv2.INTER_AREA)  # type: ignore[return-value]
