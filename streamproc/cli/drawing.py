"""Boxes and words on a picture, readable on anything."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2

from streamproc.model.media import Image

Colour = tuple[int, int, int]  # blue, green, red

GREEN: Colour = (80, 200, 80)  # known by name
ORANGE: Colour = (60, 140, 240)  # not
_WHITE: Colour = (255, 255, 255)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MARGIN = 6  # pixels between words and the edges of their plate, and of the picture


class Boxed(NamedTuple):
    box: Mapping[str, float]  # as Rekognition gives it: parts of the picture
    text: str  # what it is; may be empty
    colour: Colour


class _Plate(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int

    def covers(self, other: "_Plate") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def annotate(
    picture: Image, boxes: Sequence[Boxed], notes: Sequence[str], time: str, scale: float = 0.55
) -> None:
    """Draw boxes with what they are above them, notes in the top left corner, and the time below.

    Lines come first, so that none crosses words. Words stay in the picture, and off each other
    as long as a place at their box is free: above it, below it, or in it.
    """
    height, width = picture.shape[:2]
    words = _Words(picture, scale)
    corners = []
    for box, _, colour in boxes:
        left, top = int(box["Left"] * width), int(box["Top"] * height)
        right = left + int(box["Width"] * width)
        bottom = top + int(box["Height"] * height)
        cv2.rectangle(picture, (left, top), (right, bottom), colour, max(2, round(4 * scale)))
        corners.append(_Plate(left, top, right, bottom))
    words.write(time, _WHITE, _Plate(_MARGIN, height - _MARGIN, 0, height))
    below = 0
    for note in notes:
        at = _Plate(_MARGIN, below, 0, below)
        below = words.write(note, _WHITE, at) + _MARGIN
    for (_, text, colour), corner in zip(boxes, corners, strict=True):
        if text:
            words.write(text, colour, corner)


class _Words:
    """Writes in black on plates of colour, and knows where plates are."""

    def __init__(self, picture: Image, scale: float) -> None:
        self._picture = picture
        self._scale = scale
        self._taken: list[_Plate] = []

    def write(self, text: str, colour: Colour, at: _Plate) -> int:
        """At the left of a box, wherever there is room; returns where the plate ends (its y).

        The font is sure to have the letters of ASCII alone: accents go, the rest becomes "?".
        """
        plain = unicodedata.normalize("NFKD", text)
        plain = "".join(mark for mark in plain if not unicodedata.combining(mark))
        plain = plain.encode("ascii", "replace").decode()
        (wide, high), _ = cv2.getTextSize(plain, _FONT, self._scale, 1)
        wide, high = wide + 2 * _MARGIN, high + 2 * _MARGIN
        tops = (at.top - high, at.bottom, at.top, at.bottom - high)
        places = [self._inside(at.left - 1, top, wide, high) for top in tops]
        plate = next((place for place in places if self._is_free(place)), places[0])
        self._taken.append(plate)
        cv2.rectangle(self._picture, plate[:2], plate[2:], colour, -1)
        start = (plate.left + _MARGIN, plate.bottom - _MARGIN)
        cv2.putText(self._picture, plain, start, _FONT, self._scale, (0, 0, 0), 1, cv2.LINE_AA)
        return plate.bottom

    def _inside(self, left: int, top: int, wide: int, high: int) -> _Plate:
        height, width = self._picture.shape[:2]
        left, top = max(0, min(left, width - wide)), max(0, min(top, height - high))
        return _Plate(left, top, left + wide, top + high)

    def _is_free(self, place: _Plate) -> bool:
        return not any(place.covers(taken) for taken in self._taken)
