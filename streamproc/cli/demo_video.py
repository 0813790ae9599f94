"""The demo's camera: people from two packaged pictures walk through a rendered scene.

Knows who stands where at every instant, so that the demo can check the answers it gets.
Knows nothing of streams, processors or recognition. The pictures are Eileen Collins in
skimage.data.astronaut() and the six people of insightface.data.get_image("t1"), who are
named by their seats, because the picture does not say who they are.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.model.media import Image

WIDTH, HEIGHT, FPS = 960, 540, 25
DURATION_S = 20.0
_FACE_HEIGHT = 150  # pixels of a face in the scene at scale 1


@dataclass(frozen=True, slots=True)
class Person:
    """Where a face lies in its picture, in pixels: left, top, right, bottom."""

    name: str
    picture: str
    face: tuple[int, int, int, int]

    def portrait(self) -> Image:
        """Head and shoulders, as one would enrol them."""
        return _cut(_picture(self.picture), self.face, reach=2.4)


EILEEN = Person("Eileen-Collins", "astronaut", (183, 69, 270, 173))
SEAT_1 = Person("seat-1", "t1", (55, 260, 168, 397))
SEAT_3 = Person("seat-3", "t1", (463, 266, 572, 415))
SEAT_4 = Person("seat-4", "t1", (745, 342, 847, 480))
SEAT_6 = Person("seat-6", "t1", (1130, 272, 1227, 400))
ENROLLED = (EILEEN, SEAT_3, SEAT_4)
STRANGERS = (SEAT_1, SEAT_6)


@dataclass(frozen=True, slots=True)
class Visit:
    """One person crosses one half of the scene."""

    person: Person
    start_s: float
    end_s: float
    lane: int  # 0 is the left half, 1 the right
    direction: int  # 1 walks to the right, -1 to the left
    scale: float = 1.0

    def place(self, time_s: float) -> tuple[float, float, float, float]:
        """Centre x and y in pixels, scale, and tilt in degrees at this time."""
        way = (time_s - self.start_s) / (self.end_s - self.start_s)
        x = WIDTH / 4 + self.lane * WIDTH / 2 + self.direction * (way - 0.5) * WIDTH * 0.16
        y = HEIGHT * 0.5 + 14 * math.sin(time_s * 2.2)
        return x, y, self.scale * (0.94 + 0.12 * way), 4 * math.sin(time_s * 1.3)


VISITS = (
    Visit(EILEEN, 0.4, 6.0, 0, 1),
    Visit(SEAT_6, 3.0, 8.0, 1, -1),
    Visit(SEAT_3, 7.0, 12.4, 0, -1, 1.1),
    Visit(SEAT_4, 9.0, 14.0, 1, 1),
    Visit(SEAT_1, 13.0, 18.4, 0, 1),
    Visit(EILEEN, 15.0, 19.6, 1, -1, 1.25),
)


@dataclass(frozen=True, slots=True)
class Present:
    """Who is where: the centre of the face in ratios of the frame."""

    person: Person
    x: float
    y: float


def present_at(time_s: float) -> list[Present]:
    """The people in view at this time."""
    return [
        Present(visit.person, x / WIDTH, y / HEIGHT)
        for visit in VISITS
        if visit.start_s <= time_s <= visit.end_s
        for x, y, _, _ in [visit.place(time_s)]
    ]


def render(file: Path) -> None:
    """Write the whole scene as H.264 in MP4."""
    encode(file, (scene(number / FPS) for number in range(int(DURATION_S * FPS))))


def encode(file: Path, pictures: Iterable[Image], fps: int = FPS) -> None:
    """Write pictures of the scene's size as H.264 in MP4, fps of them a second.

    A keyframe every second, and no B-frames, as cameras have none.
    """
    with av.open(file, "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, fps)
        stream.options = {"preset": "superfast", "crf": "21", "g": str(fps), "bf": "0",
                          "sc_threshold": "0"}  # fmt: skip
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def scene(time_s: float) -> Image:
    """The picture at this time, shape (HEIGHT, WIDTH, 3), BGR."""
    # Light that breathes, and sensor noise: a real camera is never still.
    light = 0.92 + 0.08 * math.sin(time_s * 0.9)
    canvas = np.asarray(cv2.convertScaleAbs(_background(), alpha=light), np.uint8)
    for visit in VISITS:
        if visit.start_s <= time_s <= visit.end_s:
            _paste(canvas, visit, time_s, light)
    noise = _noise()[int(time_s * FPS) % len(_noise())]
    return np.asarray(cv2.subtract(cv2.add(canvas, noise), _NOISE_MEAN), np.uint8)


def _paste(canvas: Image, visit: Visit, time_s: float, light: float) -> None:
    portrait, mask = _patch(visit.person)
    x, y, scale, tilt = visit.place(time_s)
    side = portrait.shape[0]
    # Only the square that the portrait can reach is touched.
    reach = math.ceil(side * scale * 0.6)
    left, top = max(round(x) - reach, 0), max(round(y) - reach, 0)
    part = canvas[top : round(y) + reach, left : round(x) + reach]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), tilt, scale)
    matrix[:, 2] += (x - left - side / 2, y - top - side / 2)
    size = (part.shape[1], part.shape[0])
    # Fade in and out at the doors, so that nobody pops up from one frame to the next.
    fade = min(1.0, (time_s - visit.start_s) / 0.3, (visit.end_s - time_s) / 0.3)
    alpha = cv2.warpAffine(mask, matrix, size) * max(fade, 0.0)
    lit = cv2.convertScaleAbs(cv2.warpAffine(portrait, matrix, size), alpha=light)
    part[:] = cv2.blendLinear(lit, part, alpha, 1 - alpha)


_NOISE_MEAN = np.full((HEIGHT, WIDTH, 3), 8, np.uint8)


@cache
def _noise() -> list[Image]:
    """A few frames of sensor noise around _NOISE_MEAN, coarse as after a cheap lens."""
    roll = np.random.default_rng(7)
    fields = roll.normal(8, 2.5, (6, HEIGHT // 2, WIDTH // 2)).clip(0, 16).astype(np.uint8)
    return [cv2.merge([cv2.resize(field, (WIDTH, HEIGHT))] * 3) for field in fields]


@cache
def _background() -> Image:
    """A wall, a floor and two doors."""
    rows = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    wall = np.array([96, 104, 108], np.float32) * (1 - rows) + np.array([70, 78, 84]) * rows
    picture = np.ascontiguousarray(np.broadcast_to(wall, (HEIGHT, WIDTH, 3)), np.float32)
    cv2.rectangle(picture, (0, int(HEIGHT * 0.86)), (WIDTH, HEIGHT), (52, 58, 66), -1)
    for x in (WIDTH // 4, 3 * WIDTH // 4):
        cv2.rectangle(picture, (x - 150, 50), (x + 150, int(HEIGHT * 0.86)), (84, 92, 98), -1)
        cv2.rectangle(picture, (x - 150, 50), (x + 150, int(HEIGHT * 0.86)), (60, 66, 72), 3)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.2), np.uint8)


@cache
def _patch(person: Person) -> tuple[Image, NDArray[np.float32]]:
    """The portrait at scene size, and a soft oval that cuts it out of its own background."""
    portrait = _cut(_picture(person.picture), person.face, reach=2.2)
    factor = _FACE_HEIGHT / (person.face[3] - person.face[1])
    side = round(portrait.shape[0] * factor)
    portrait = np.asarray(
        cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA), np.uint8
    )
    mask = np.zeros((side, side), np.float32)
    centre = (side // 2, side // 2)
    cv2.ellipse(mask, centre, (int(side * 0.33), int(side * 0.40)), 0, 0, 360, 1.0, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), side * 0.025), np.float32)
    return portrait, mask


def _cut(picture: Image, face: tuple[int, int, int, int], reach: float) -> Image:
    """A square around the face, reach times its height, edges repeated where it ends."""
    left, top, right, bottom = face
    half = round((bottom - top) * reach / 2)
    x, y = (left + right) // 2, (top + bottom) // 2
    padded = cv2.copyMakeBorder(picture, half, half, half, half, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(padded[y : y + 2 * half, x : x + 2 * half])


@cache
def _picture(name: str) -> Image:
    if name == "astronaut":
        import skimage.data

        return np.ascontiguousarray(
            skimage.data.astronaut()[  # type: ignore[no-untyped-call]
                :, :, ::-1
            ]
        )
    import insightface.data

    return np.asarray(insightface.data.get_image(name), np.uint8)
