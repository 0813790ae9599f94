"""What an MQTT broker is told: topics, payloads, and what is retained.

Pure. Knows how names become levels of a topic; knows nothing of connections, nor of what Home
Assistant makes of it. What each topic means: docs/events.md.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from streamproc.model.event import Event, EventKind, iso
from streamproc.model.processor import ProcessorKey

ONLINE: Final = "online"
OFFLINE: Final = "offline"

_ABSENT: Final = "DELETED"  # the status of a processor that is no more


@dataclass(frozen=True, slots=True)
class Message:
    """One PUBLISH, QoS 1. An empty payload that is retained makes the broker forget the topic."""

    topic: str
    payload: str
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """A processor's state, and since when."""

    region: str
    processor: str
    status: str
    message: str
    at: float  # seconds since the epoch

    @property
    def key(self) -> ProcessorKey:
        return (self.region, self.processor)

    @property
    def members(self) -> dict[str, Any]:
        return {
            "At": iso(self.at),
            "Region": self.region,
            "Processor": self.processor,
            "Status": self.status,
            "StatusMessage": self.message,
        }


def level(name: str) -> str:
    """A name as one level of a topic: what is not a letter, digit, "_", ".", "-" or "~" of ASCII
    is percent-encoded as UTF-8 (RFC 3986). MQTT itself forbids + # / in it; others mind spaces."""
    return quote(name, safe="")


class Topics:
    """Every topic under one prefix."""

    def __init__(self, prefix: str) -> None:
        self.availability = f"{prefix}/status"
        self.every_status = f"{prefix}/+/+/status"
        self._prefix = prefix
        self._status = re.compile(re.escape(prefix) + r"/([^/]+)/([^/]+)/status")

    def events(self, key: ProcessorKey) -> str:
        """Every event, in order; not retained."""
        return self._of(key, "events")

    def status(self, key: ProcessorKey) -> str:
        """How the processor is; retained."""
        return self._of(key, "status")

    def present(self, key: ProcessorKey) -> str:
        """Who is there; retained."""
        return self._of(key, "present")

    def person(self, key: ProcessorKey) -> str:
        """Who came last; retained."""
        return self._of(key, "person")

    def retained(self, key: ProcessorKey) -> Iterator[str]:
        """What is left at the broker when the processor is deleted."""
        yield from (self.status(key), self.present(key), self.person(key))

    def processor_of(self, topic: str) -> ProcessorKey | None:
        """Whose status topic this is."""
        match = self._status.fullmatch(topic)
        return (unquote(match[1]), unquote(match[2])) if match else None

    def _of(self, key: ProcessorKey, what: str) -> str:
        return f"{self._prefix}/{level(key[0])}/{level(key[1])}/{what}"


class Retained:
    """How everything stands, as retained topics tell it: kept up by events, one after the other."""

    def __init__(self, statuses: Iterable[Status], visits: Iterable[Event]) -> None:
        """visits: of each open visit one event, whichever."""
        self._statuses = {status.key: status for status in statuses}
        self._visits: dict[ProcessorKey, dict[str, Mapping[str, Any]]] = {}
        self._last: dict[ProcessorKey, Event] = {}
        for event in visits:
            self.apply(event)

    @property
    def processors(self) -> Iterable[ProcessorKey]:
        return list(self._statuses)

    def __contains__(self, key: ProcessorKey) -> bool:
        return key in self._statuses

    def apply(self, event: Event) -> None:
        key = (event.region, event.processor)
        if event.kind is EventKind.STATE:
            if event.body["Status"] == _ABSENT:
                for known in (self._statuses, self._visits, self._last):
                    known.pop(key, None)
            else:
                self._statuses[key] = Status(
                    *key, event.body["Status"], event.body.get("StatusMessage", ""), event.at
                )
            return
        visits = self._visits.setdefault(key, {})
        visit_id = event.body["VisitId"]
        if event.kind is EventKind.EXIT:
            visits.pop(visit_id, None)
        else:
            visits[visit_id] = event.body
        if event.kind is EventKind.ENTER or event.body.get("Change") == "identified":
            self._last[key] = event

    def messages(self, key: ProcessorKey, topics: Topics) -> Iterator[Message]:
        """Every retained topic of a processor, as it should be."""
        status = self._statuses.get(key)
        if status is None:
            yield from (Message(topic, "", retain=True) for topic in topics.retained(key))
            return
        yield Message(topics.status(key), _json(status.members), retain=True)
        yield Message(topics.present(key), _json(self._present(key)), retain=True)
        if (last := self._last.get(key)) is not None:
            yield Message(topics.person(key), _json(last.members), retain=True)

    def _present(self, key: ProcessorKey) -> dict[str, Any]:
        visits = self._visits.get(key, {})
        return {
            "Region": key[0],
            "Processor": key[1],
            "Count": len(visits),
            "People": [
                {name: body[name] for name in ("VisitId", "Person", "FirstSeen") if name in body}
                for body in visits.values()
            ],
        }


def event_message(event: Event, topics: Topics) -> Message:
    return Message(topics.events((event.region, event.processor)), _json(event.members))


def _json(members: Mapping[str, Any]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))
