"""What is told beside the records: who came, who went, and what became of a processor.

Values, and the one JSON object that everybody gets of them: MQTT, webhooks, the API, the page.
Knows nothing of how visits are told from frames, or of who listens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    ENTER = "enter"
    UPDATE = "update"
    EXIT = "exit"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the event log."""

    id: int  # place in the log: rises, is never used again
    kind: EventKind
    region: str
    processor: str
    at: float  # seconds since the epoch: media time of a visit's events, wall time of a state's
    body: Mapping[str, Any] = field(default_factory=dict)  # JSON members beside those above

    @property
    def members(self) -> dict[str, Any]:
        """The event as JSON, the same wherever it is told."""
        return {
            "Id": self.id,
            "Event": self.kind.value,
            "At": iso(self.at),
            "Region": self.region,
            "Processor": self.processor,
            **self.body,
        }


def iso(moment_s: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond: 2026-11-22T10:00:00.200Z"""
    moment = datetime.fromtimestamp(round(moment_s, 3), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
