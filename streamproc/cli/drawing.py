"""Boxes and words on a picture, readable on anything."""

import unicodedata
from collections.abc import Mapping

import cv2

from streamproc.model.media import Image

Colour = tuple[int, int, int]  # blue, green, red

GREEN: Colour = (80, 200, 80)  # known by name
ORANGE: Colour = (60, 140, 240)  # not
WHITE: Colour = (255, 255, 255)


def draw_box(
    picture: Image, box: Mapping[str, float], text: str, colour: Colour, scale: float = 0.55
) -> None:
    """A box as Rekognition gives it (Left, Top, Width, Height as parts of the picture), what it
    is above it."""
    height, width = picture.shape[:2]
    left, top = int(box["Left"] * width), int(box["Top"] * height)
    right = left + int(box["Width"] * width)
    bottom = top + int(box["Height"] * height)
    cv2.rectangle(picture, (left, top), (right, bottom), colour, 2)
    if text:
        draw_text(picture, text, (left, top - 8), colour, scale)


def draw_text(
    picture: Image, text: str, at: tuple[int, int], colour: Colour, scale: float = 0.55
) -> int:
    """Black on a plate of the colour, from the bottom left corner of the text on; moved down
    where it would leave the picture. Returns where a line below it would begin (its y).

    The font has no other letters than those of ASCII: accents go, the rest becomes "?".
    """
    font = cv2.FONT_HERSHEY_SIMPLEX
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(mark for mark in plain if not unicodedata.combining(mark))
    plain = plain.encode("ascii", "replace").decode()
    (width, height), _ = cv2.getTextSize(plain, font, scale, 1)
    x, y = max(1, at[0]), max(height + 7, at[1])
    cv2.rectangle(picture, (x - 1, y - height - 7), (x + width + 8, y + 7), colour, -1)
    cv2.putText(picture, plain, (x + 4, y), font, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return int(y + height) + 18
