"""Celebrities: people whom an operator has made known by name. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Celebrity:
    """One entry of a registry. Photos of it carry its id as their external image id."""

    id: str  # 1 to 64 of [0-9A-Za-z]
    name: str
    urls: tuple[str, ...] = ()  # without a scheme, as Rekognition gives them
    gender: str = ""  # Male, Female, Nonbinary or Unlisted; "" where nobody said


@dataclass(frozen=True, slots=True)
class Recognised:
    celebrity: Celebrity
    similarity: float  # 0 to 100
