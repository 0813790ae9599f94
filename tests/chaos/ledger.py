"""What was due, what arrived, and the verdict. Pure.

A frame is known by its key: its fragment's number and its offset there. One that must arrive is
due; one that may (its packet was damaged; its fragment was cut before the service kept it) is
told with allow(). Delivery is at least once: after a crash records may come again, but only
those of one fragment, so a repeat is a run of arrivals seen before, and what of a run lies
outside one fragment, or has no crash to explain it, is stray. A fragment that the service itself
sends again to a processor that was started anew is one more; it may adjoin the crash's own.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Key: TypeAlias = tuple[int, int]
"""(fragment number, offset in ms)"""

_TOLD_MAX = 5  # examples of each kind of trouble


@dataclass(frozen=True, slots=True)
class Expected:
    picture: int | None  # what the picture shows; None where it may be spoilt
    media_ms: int  # producer time of the frame
    is_due: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record, as a consumer read it."""

    key: Key
    picture: int | None  # what the record says the picture shows
    media_ms: int
    record_id: str | None = None
    at: float = 0.0  # time.monotonic() when it was read


@dataclass(frozen=True)
class Verdict:
    sampled: int = 0  # frames that were due
    arrived: int = 0  # of these
    lost: int = 0
    out_of_order: int = 0  # first arrivals behind one that should have followed them
    duplicated: int = 0
    stray: int = 0  # duplicates outside one fragment per crash
    wrong: int = 0  # records that are not of the frame that they name, or of none
    identified: bool = True  # every record has an id
    examples: tuple[str, ...] = ()

    @property
    def is_proof(self) -> bool:
        return self.sampled > 0 and not (self.lost or self.out_of_order or self.stray or self.wrong)

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            self.sampled + other.sampled,
            self.arrived + other.arrived,
            self.lost + other.lost,
            self.out_of_order + other.out_of_order,
            self.duplicated + other.duplicated,
            self.stray + other.stray,
            self.wrong + other.wrong,
            self.identified and other.identified,
            self.examples + other.examples,
        )


@dataclass
class Ledger:
    """Frames are entered in the order that the video service delivers them in.

    picture_at: where a picture's number follows from producer time alone, so that frames of
    fragments that nobody ever acknowledged can be judged too; their order is their keys'.
    """

    picture_at: Callable[[int], int] | None = None
    expected: dict[Key, Expected] = field(default_factory=dict)

    def due(self, key: Key, picture: int, media_ms: int) -> None:
        self.expected[key] = Expected(picture, media_ms, is_due=True)

    def allow(self, key: Key, picture: int | None, media_ms: int) -> None:
        self.expected[key] = Expected(picture, media_ms, is_due=False)

    def missing(self, arrived: set[Key]) -> list[Key]:
        """What is due and has not arrived."""
        return [key for key, each in self.expected.items() if each.is_due and key not in arrived]

    def judge(self, arrivals: Sequence[Arrival], repeats_max: int, resent_max: int = 0) -> Verdict:
        """repeats_max: how many crashes there were that may have repeated a fragment's records.
        resent_max: how many fragments the service has sent again of its own accord."""
        seen = {arrival.key for arrival in arrivals}
        lost = self.missing(seen)
        late = self._late(arrivals)
        duplicated, stray = _repeats(arrivals, repeats_max, resent_max)
        wrong = [text for arrival in arrivals if (text := self._fault_of(arrival))]
        wrong += _ambiguous_ids(arrivals)
        due = sum(each.is_due for each in self.expected.values())
        return Verdict(
            sampled=due,
            arrived=due - len(lost),
            lost=len(lost),
            out_of_order=len(late),
            duplicated=duplicated,
            stray=len(stray),
            wrong=len(wrong),
            identified=all(arrival.record_id for arrival in arrivals),
            examples=tuple(
                [f"lost {key}" for key in lost[:_TOLD_MAX]]
                + [f"out of order {key}" for key in late[:_TOLD_MAX]]
                + [f"stray duplicate {key}" for key in stray[:_TOLD_MAX]]
                + wrong[:_TOLD_MAX]
            ),
        )

    def _fault_of(self, arrival: Arrival) -> str:
        """What is wrong with a record; "" if it is as it should be."""
        expected = self.expected.get(arrival.key)
        if expected is None and self.picture_at is None:
            return f"record of {arrival.key}, which was never sent"
        if expected is None:
            assert self.picture_at is not None
            picture: int | None = self.picture_at(arrival.media_ms)
        else:
            picture = expected.picture
            if abs(arrival.media_ms - expected.media_ms) > 1:
                return f"{arrival.key} is said to be at {arrival.media_ms}: {expected.media_ms}"
        if picture is not None and picture != arrival.picture:
            return f"{arrival.key} is said to show picture {arrival.picture}: {picture}"
        return ""

    def _late(self, arrivals: Sequence[Arrival]) -> list[Key]:
        order = {key: index for index, key in enumerate(self.expected)}
        late, seen = [], set[Key]()
        newest: Key | None = None
        for key in (arrival.key for arrival in arrivals):
            if key in seen:
                continue
            seen.add(key)
            # In the order of keys where these are all that is known, else of the service.
            place = key if self.picture_at else (order.get(key, len(order)), 0)
            if newest is not None and place < newest:
                late.append(key)
            newest = place if newest is None else max(newest, place)
        return late


def _repeats(
    arrivals: Sequence[Arrival], repeats_max: int, resent_max: int
) -> tuple[int, list[Key]]:
    """How many duplicates there are, and those that nothing explains."""
    runs: list[list[Key]] = []
    seen: set[Key] = set()
    before: Key | None = None
    for arrival in arrivals:
        key = arrival.key
        if key in seen:
            goes_on = before is not None and runs and before == runs[-1][-1] and before < key
            runs.append([]) if not goes_on else None
            runs[-1].append(key)
        seen.add(key)
        before = key
    explained = repeats_max + resent_max
    stray = [key for run in runs[explained:] for key in run]
    resent = resent_max - max(0, len(runs) - repeats_max)  # that no run of its own has used
    for run in runs[:explained]:
        _, *others = Counter(number for number, _ in run).most_common()
        more = {number for number, _ in others[: max(0, resent)]}
        resent -= len(more)
        unexplained = {number for number, _ in others} - more
        stray += [key for key in run if key[0] in unexplained]
    return sum(map(len, runs)), stray


def _ambiguous_ids(arrivals: Sequence[Arrival]) -> list[str]:
    """One id for one frame: the same every time, and no other frame's."""
    by_key: dict[Key, str | None] = {}
    by_id: dict[str, Key] = {}
    wrong = []
    for arrival in arrivals:
        known = by_key.setdefault(arrival.key, arrival.record_id)
        if known != arrival.record_id:
            wrong.append(f"{arrival.key} came with two ids: {known} and {arrival.record_id}")
        if arrival.record_id is not None:
            owner = by_id.setdefault(arrival.record_id, arrival.key)
            if owner != arrival.key:
                wrong.append(f"id {arrival.record_id} names {owner} and {arrival.key}")
    return wrong
