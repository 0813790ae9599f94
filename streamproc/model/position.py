"""Where the reading of a video stream begins. Values only."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class StartAt(Enum):
    NOW = "now"
    EARLIEST = "earliest"


@dataclass(frozen=True, slots=True)
class AfterFragment:
    """Begin with the fragment behind this one."""

    number: str


@dataclass(frozen=True, slots=True)
class FromServerTime:
    """Begin with the fragment that holds this instant, seconds since the epoch."""

    timestamp: float


StartPosition: TypeAlias = StartAt | AfterFragment | FromServerTime
