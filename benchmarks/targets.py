"""What was asked of speed, what was measured, and whether that is enough: one table.

    python -m benchmarks.targets --write

Reads what the other benchmarks left in benchmarks/out and measures nothing. What was not
measured says which command does. With --write the table in docs/performance.md is this one.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

from benchmarks.figures import from_level, shares
from benchmarks.results import kept
from benchmarks.watched import AROUND, COLOUR, DECODING, NETWORKS

Results: TypeAlias = Mapping[str, Any]
"""By benchmark, what it wrote."""

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/performance.md"
BEGIN = "<!-- written by: python -m benchmarks.targets --write -->"
END = "<!-- end of what is written -->"
COMMANDS = {
    "pipeline": "python -m benchmarks.pipeline",
    "scale": "python -m benchmarks.scale",
    "start": "python -m benchmarks.start",
    "search": "python -m benchmarks.search",
    "recognition": "python -m benchmarks.recognition",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure against its bound."""

    name: str
    bound: float
    measured: float | None  # None: not measured
    unit: str = ""  # "%": figures are shares of 1
    at_least: bool = False  # or else at most
    peer: str = ""  # the same figure of the plain loop or of whoever else ran beside us
    limit: str = ""  # what cannot be undercut without looking at less
    source: str = ""  # the benchmark
    void: str = ""  # why the figure does not count

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        if self.void:
            return f"void: {self.void}"
        if self.measured >= self.bound if self.at_least else self.measured <= self.bound:
            return "met"
        return f"no: {self.measured / self.bound - 1:+.0%}" if self.bound else "no"


def rows(results: Results) -> Iterator[Row]:
    """Every target, in the order in which they were set."""
    for source, group in GROUPS:
        yield from group(results.get(source, {}), source)


def _cost(found: Results, source: str) -> Iterator[Row]:
    for view, words, bound in (
        ("one", "one or two faces", 0.28),
        ("eight", "eight faces", 0.28),
        ("none", "no face", 0.25),
    ):
        name = f"1 CPU per camera, of the plain loop's: {words}"
        if view not in found:
            yield Row(name, bound, None, source=source)
            continue
        one = found[view]
        ours = one["ours"]["cpu_s_per_camera_s"]
        plain = one["plain"]["cpu_s"] / one["plain"]["video_s"]
        single = one["plain on 1 thread"]["cpu_s"] / one["plain on 1 thread"]["video_s"]
        least = (one["limit"]["decoding_s"] + one["limit"]["networks_s"]) / one["limit"]["video_s"]
        yield Row(
            f"{name} ({ours:.3f} CPU s/s)",
            bound,
            ours / plain,
            peer=f"{plain:.3f}; {single:.3f} on 1 thread",
            limit=f"{least:.3f}",
            source=source,
            void=one["ours"]["fell_behind"],
        )


def _recognition(found: Results, source: str) -> Iterator[Row]:
    share, wrong = "1 faces named rightly, on labelled clips", "1 faces named wrongly"
    if not found:
        yield Row(share, 0.0, None, at_least=True, source=source)
        yield Row(wrong, 0.0, None, source=source)
        return
    plain, ours = (_tally(found["labelled"][way]) for way in ("plain loop", "live view"))
    yield Row(share, plain[0], ours[0], "%", True, f"{plain[0]:.1%}", source=source)
    bound = max(plain[1] - 1.0, 0.0)  # fewer are wanted, and none are as few as there can be
    yield Row(wrong, bound, ours[1], peer=f"{plain[1]:.0f}", source=source)


def _tally(scenes: Mapping[str, Mapping[str, int]]) -> tuple[float, float]:
    """Share of the faces of known people that got their name; how many wrong names there were."""
    total = Counter[str]()
    for scene in scenes.values():
        total.update(scene)
    known = sum(total[what] for what in ("right", "wrong", "unnamed", "unseen"))
    wrong = sum(count for what, count in total.items() if what.startswith("wrong"))
    return total["right"] / known, float(wrong)


def _overhead(found: Results, source: str) -> Iterator[Row]:
    for view in ("one", "eight", "none", "busy"):
        one = found.get(view, {}).get("ours") if view != "busy" else found.get("busy")
        words = {"busy": "busy, street cameras"}.get(view, f"one camera, {view} in view")
        name = f"2 neither decoding, scaling nor models: {words}"
        if not one:
            yield Row(name, 0.10, None, "%", source=source)
            continue
        part = shares(one["cpu_s"], one["parts_s"])
        around = part.get(AROUND, 0.0)
        rest = 1.0 - sum(part.get(known, 0.0) for known in (DECODING, COLOUR, NETWORKS)) - around
        yield Row(
            f"{name} (boxes, tracks, quality: {around:.1%} more)", 0.10, rest, "%", source=source
        )


def _delay(found: Results, source: str) -> Iterator[Row]:
    street = found.get("street", {})
    half = street.get("half_loaded") or {}
    cameras = f"half loaded, {half.get('cameras', '?')} street cameras"
    for figure, bound in (("p50", 60.0), ("p99", 200.0)):
        yield Row(
            f"3 delay {figure}, {cameras}",
            bound,
            half.get(f"delay_{figure}_ms"),
            " ms",
            source=source,
            void=half.get("fell_behind", ""),
        )
    full: dict[str, Any] = next(
        (point for point in street.get("points", ()) if point["cameras"] == 24), {}
    )
    rate = f" ({sum(full['rates']) / 24:.1f} frames a second each)" if full else ""
    yield Row(f"3 delay p99, 24 cameras on 2 cores{rate}", 1000.0, full.get("delay_p99_ms"), " ms",
              source=source)  # fmt: skip
    yield Row("3 farthest from the same rate, 24 cameras", 0.10, full.get("rate_spread"), "%",
              source=source)  # fmt: skip


def _search(found: Any, source: str) -> Iterator[Row]:
    by_size = {one["faces"]: one for one in found}
    for size, words, bound in (
        (10_000, "10 thousand", 0.3),
        (100_000, "100 thousand", 2.0),
        (1_000_000, "1 million", 5.0),
    ):
        one = by_size.get(size)
        yield Row(
            f"4 search among {words}, p50",
            bound,
            one and one["search"]["p50_ms"],
            " ms",
            peer=f"{one['flat']['p50_ms']:.2f} ms flat" if one else "",
            source=source,
        )
    million = by_size.get(1_000_000)
    yield Row("4 recall@1 among 1 million", 0.99, million and million["recall_1"], "%", True,
              source=source)  # fmt: skip
    yield Row("4 a million faces, warm start", 5.0, million and million["start"]["s"], " s",
              source=source)  # fmt: skip
    yield Row("4 a million faces, memory", 1200.0,
              million and million["resident_mb"] - million["resident_before_mb"], " MB",
              source=source)  # fmt: skip


def _start(found: Results, source: str) -> Iterator[Row]:
    for engine in ("insightface", "dlib"):
        one = found.get("start", {}).get(engine, {})
        yield Row(f"5 first answer, {engine}", 1.5, one.get("answers_s"), " s", source=source)
    idle = found.get("idle", {})
    yield Row("5 idle, of a core", 0.01, idle.get("none"), "%", source=source)
    yield Row("5 a further running processor", 25.0, found.get("each_further_mb"), " MB",
              source=source)  # fmt: skip


def _flat(found: Results, source: str) -> Iterator[Row]:
    street = found.get("street", {})
    points = street.get("points", ())
    # Who analyses less than asked for costs less: such a point is named, and does not count.
    costs = [point["cpu_s_per_camera_s"] for point in points if not point["fell_behind"]]
    behind = ", ".join(str(point["cameras"]) for point in points if point["fell_behind"])
    yield Row(
        "6 cost per camera from 1 to 24: dearest above cheapest"
        + (f" (not counted, less was analysed: {behind})" if behind else ""),
        0.15,
        from_level(costs) if costs else None,
        "%",
        limit=f"{street['limit_s_per_camera_s']:.3f} CPU s/s" if costs else "",
        source=source,
        void="fewer than two points kept their rate" if points and len(costs) < 2 else "",
    )


GROUPS: tuple[tuple[str, Callable[[Any, str], Iterator[Row]]], ...] = (
    ("pipeline", _cost),
    ("recognition", _recognition),
    ("pipeline", _overhead),
    ("scale", _delay),
    ("search", _search),
    ("start", _start),
    ("scale", _flat),
)


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "%":
        return f"{value:.1%}"
    return f"{value:,.0f}{unit}" if abs(value) >= 100 else f"{value:.3g}{unit}"


def as_markdown(found: list[Row]) -> str:
    lines = ["| target | bound | measured | met | beside it | limit | command |",
             "|---|---:|---:|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {row.name} | {_bound(row)} | {shown(row.measured, row.unit)} | {row.verdict} "
        f"| {row.peer} | {row.limit} | `{COMMANDS[row.source]}` |"
        for row in found
    ]
    return "\n".join(lines) + "\n"


def _bound(row: Row) -> str:
    return f"{'≥' if row.at_least else '≤'} {shown(row.bound, row.unit)}"


def with_table(page: str, table: str) -> str:
    """The page with this table between its marks. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE} has no {BEGIN} followed by {END}: nowhere to put the table")
    return f"{before}{begin}\n{table}{end}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    options = parser.parse_args()
    found = list(rows({source: kept(source, {}) for source in COMMANDS}))
    table = Table(title="targets", title_justify="left")
    for column in ("target", "bound", "measured", "met", "beside it", "limit", "command"):
        table.add_column(column, justify="right" if column in {"bound", "measured"} else "left")
    for row in found:
        table.add_row(row.name, _bound(row), shown(row.measured, row.unit), row.verdict, row.peer,
                      row.limit, COMMANDS[row.source])  # fmt: skip
    Console(width=190).print(table)
    if options.write:
        page = ROOT / PAGE
        page.write_text(with_table(page.read_text(), as_markdown(found)))


if __name__ == "__main__":
    main()
