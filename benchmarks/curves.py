"""The curves of docs/performance.md: what a camera costs beside others, and what a search costs.

    python -m benchmarks.curves

Reads what scale.py and search.py wrote to benchmarks/out, and writes docs/performance.svg.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.chart import Chart, Series, draw
from benchmarks.results import kept

FILE = Path(__file__).resolve().parent.parent / "docs" / "performance.svg"
CAMERAS = "cameras"
IN_VIEW = {
    "street": "street",
    "one": "one face",
    "eight": "eight faces",
    "none": "no face",
}


def charts(scale: Mapping[str, Any], search: Sequence[Mapping[str, Any]]) -> Iterator[Chart]:
    """What can be drawn of what was measured."""
    views = [view for view in IN_VIEW if view in scale]
    if views:
        yield Chart(
            "Cost of each camera",
            CAMERAS,
            "CPU s per second",
            [_series(scale[view], IN_VIEW[view], "cpu_s_per_camera_s") for view in views],
        )
        main = scale[views[0]]
        name = IN_VIEW[views[0]]
        yield Chart(
            f"Delay of a record, {name}",
            CAMERAS,
            "ms",
            [_series(main, "p50", "delay_p50_ms"), _series(main, "p99", "delay_p99_ms")],
            bound=(1000.0, "asked of 24 cameras, p99"),
            log_y=True,
        )
        yield Chart(
            f"Analysed, {name}",
            CAMERAS,
            "frames/s of each camera",
            [
                Series("fastest", [(p["cameras"], max(p["rates"])) for p in main["points"]]),
                Series("slowest", [(p["cameras"], min(p["rates"])) for p in main["points"]]),
            ],
        )
        yield Chart(
            f"Memory of the daemon, {name}",
            CAMERAS,
            "MB resident",
            [_series(main, "resident", "resident_mb")],
        )
    if search:
        yield Chart(
            "One search among many faces",
            "faces",
            "ms",
            [
                Series("ours, p50", [(s["faces"], s["search"]["p50_ms"]) for s in search]),
                Series("ours, p99", [(s["faces"], s["search"]["p99_ms"]) for s in search]),
                Series("exact, flat", [(s["faces"], s["flat"]["p50_ms"]) for s in search]),
            ],
            log_x=True,
            log_y=True,
        )
        yield Chart(
            "Memory of a collection",
            "faces",
            "MB resident",
            [
                Series(
                    "with its index",
                    [(s["faces"], max(s["resident_mb"] - s["resident_before_mb"], 1.0))
                     for s in search],
                )
            ],
            log_x=True,
            log_y=True,
        )  # fmt: skip


def in_words(drawn: Sequence[Chart]) -> str:
    """The picture for who cannot see it: where each curve begins and ends."""
    return " ".join(
        f"{chart.name}: "
        + "; ".join(
            f"{series.name} {series.points[0][1]:.3g} at {series.points[0][0]:g}, "
            f"{series.points[-1][1]:.3g} at {series.points[-1][0]:g} {chart.x}"
            for series in chart.series
        )
        + "."
        for chart in drawn
    )


def _series(view: Mapping[str, Any], name: str, figure: str) -> Series:
    return Series(name, [(point["cameras"], point[figure]) for point in view["points"]])


def main() -> None:
    drawn = list(charts(kept("scale", {}), kept("search", [])))
    if not drawn:
        sys.exit("nothing to draw; run benchmarks.scale or benchmarks.search first")
    FILE.write_text(draw("What streamproc costs as cameras and faces grow", in_words(drawn), drawn))
    print(f"{FILE}: {len(drawn)} charts")


if __name__ == "__main__":
    main()
