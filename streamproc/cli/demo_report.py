"""What the demo saw, held against what the scene really showed.

Pure but for draw(), which writes one picture. Every record's faces are matched to the people
who stood there at that instant, so a wrong name cannot hide.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from rich.table import Table

from streamproc.cli.demo_video import ENROLLED, STRANGERS, Person, present_at, scene
from streamproc.cli.drawing import GREEN, ORANGE, Boxed, annotate
from streamproc.model.media import Image

# A face belongs to the person whose centre is within this share of the frame's width.
_REACH = 0.15


@dataclass(frozen=True, slots=True)
class Sighting:
    """One detected face of one record."""

    time_s: float  # since the camera's first frame
    box: dict[str, float]
    name: str | None  # whom the processor named
    similarity: float | None
    person: Person | None  # who really stood there; None: nobody did


@dataclass
class Report:
    """Collects records and judges them."""

    threshold: float
    sightings: list[Sighting] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    records: int = 0
    _first_timestamp: float | None = None
    _recent: deque[tuple[str, ...]] = field(default_factory=lambda: deque(maxlen=12))

    def add(self, record: dict[str, Any], arrived: datetime) -> None:
        """One record of the data stream, and when the stream received it."""
        video = record["InputInformation"]["KinesisVideo"]
        timestamp = video["ProducerTimestamp"] + video["FrameOffsetInSeconds"]
        if self._first_timestamp is None:
            self._first_timestamp = timestamp
        time_s = timestamp - self._first_timestamp
        delay_s = arrived.timestamp() - timestamp
        self.records += 1
        self.delays_s.append(delay_s)
        for face in record["FaceSearchResponse"]:
            sighting = _sighting(time_s, face)
            self.sightings.append(sighting)
            who = sighting.name or "[dim]stranger[/dim]"
            similarity = f"{sighting.similarity:.1f}" if sighting.similarity else ""
            row = (f"{time_s:6.2f} s", who, similarity, f"{delay_s * 1000:.0f} ms")
            self._recent.append(row)

    def table(self) -> Table:
        """The latest faces, newest at the bottom."""
        table = Table(title=f"{self.records} records", title_justify="left")
        table.add_column("frame", justify="right")
        table.add_column("who", min_width=16)
        table.add_column("similarity", justify="right")
        table.add_column("delay", justify="right")
        for row in self._recent:
            table.add_row(*row)
        return table

    def summary(self) -> Table:
        table = Table(title=f"\n{self._pace()}", title_justify="left")
        for column in ("person", "enrolled", "seen", "recognised", "best similarity"):
            table.add_column(column, justify="left" if column == "person" else "right")
        by_person = self._by_person()
        for person in (*ENROLLED, *STRANGERS):
            seen = by_person[person.name]
            named = [sighting for sighting in seen if sighting.name is not None]
            best = max((sighting.similarity or 0.0 for sighting in named), default=None)
            table.add_row(
                person.name,
                "yes" if person in ENROLLED else "no",
                f"{len(seen)} times",
                f"{len(named)} times",
                "" if best is None else f"{best:.1f}",
            )
        return table

    def problems(self) -> list[str]:
        """What went wrong, in words; empty if everything is as it should be."""
        by_person = self._by_person()
        found = []
        for person in ENROLLED:
            if not any(sighting.name == person.name for sighting in by_person[person.name]):
                found.append(f"{person.name} is enrolled and was not recognised")
        for person in STRANGERS:
            if not by_person[person.name]:
                found.append(f"{person.name}, a stranger, was never seen at all")
        for sighting in self.sightings:
            truth = sighting.person.name if sighting.person else "nobody"
            if sighting.name is not None and sighting.name != truth:
                found.append(f"{truth} was taken for {sighting.name} at {sighting.time_s:.2f} s")
        return found

    def draw(self, folder: Path) -> Path:
        """Write a sheet on which everyone is seen at least once, boxes and names on it."""
        by_person = self._by_person()
        times: list[float] = []
        shown: set[str] = set()
        for person in (*ENROLLED, *STRANGERS):
            if person.name not in shown and (seen := by_person[person.name]):
                best = max(seen, key=lambda item: (item.similarity or 0, item.box["Height"]))
                times.append(best.time_s)
                shown |= {
                    item.person.name
                    for item in self.sightings
                    if item.person is not None and item.time_s == best.time_s
                }
        tiles = [self._tile(time_s) for time_s in sorted(times)]
        while len(tiles) % 2 or not tiles:
            tiles.append(scene(0.0))
        rows = [np.hstack(tiles[at : at + 2]) for at in range(0, len(tiles), 2)]
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "recognised.png"
        cv2.imwrite(str(file), np.vstack(rows))
        return file

    def _tile(self, time_s: float) -> Image:
        picture = scene(time_s)
        boxes = []
        for sighting in self.sightings:
            if sighting.time_s != time_s:
                continue
            known = sighting.name is not None
            label = f"{sighting.name} {sighting.similarity:.1f}" if known else "stranger"
            boxes.append(Boxed(sighting.box, label, GREEN if known else ORANGE))
        annotate(picture, boxes, (), f"{time_s:.2f} s")
        return picture

    def _by_person(self) -> dict[str, list[Sighting]]:
        grouped: dict[str, list[Sighting]] = defaultdict(list)
        for sighting in self.sightings:
            if sighting.person is not None:
                grouped[sighting.person.name].append(sighting)
        return grouped

    def _pace(self) -> str:
        if not self.delays_s:
            return "No record arrived"
        ordered = sorted(self.delays_s)
        slow = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        return (
            f"{self.records} frames analysed, {len(self.sightings)} faces; from camera to "
            f"record {median(ordered) * 1000:.0f} ms (median), {slow * 1000:.0f} ms (99 %)"
        )


def _sighting(time_s: float, face: dict[str, Any]) -> Sighting:
    box = face["DetectedFace"]["BoundingBox"]
    x, y = box["Left"] + box["Width"] / 2, box["Top"] + box["Height"] / 2
    near = [
        (abs(present.x - x) + abs(present.y - y), present.person)
        for present in present_at(time_s)
        if abs(present.x - x) < _REACH and abs(present.y - y) < _REACH
    ]
    person = min(near, key=lambda item: item[0])[1] if near else None
    best = max(face["MatchedFaces"], key=lambda match: match["Similarity"], default=None)
    return Sighting(
        time_s,
        box,
        best["Face"]["ExternalImageId"] if best else None,
        best["Similarity"] if best else None,
        person,
    )
