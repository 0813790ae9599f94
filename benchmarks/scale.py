"""One daemon under more and more cameras: cost, rate and delay of each, and memory.

    python -m benchmarks.scale --views street,one,eight,none

Every point is a daemon of its own, on --cores cores. The last one is the number of cameras that
takes half of these cores, by the points that kept their rate.

Delay is from the write of a frame's last byte into the camera's socket to the moment the
processor hears that its record is acknowledged: committed to disk by the data stream. It leaves
out the network between a real camera and the daemon, the camera's own encoder, and a consumer's
polling.

The view "street" shows faces a quarter of the time; a round of it lasts 24 s, so that in 24 s
(or 48) every camera shows the same, whenever it began.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.clips import STREET_S, VIEWS, make_clip
from benchmarks.daemon import pack
from benchmarks.loops import limit
from benchmarks.observation import observe
from benchmarks.results import keep, kept

HALF = 0.5
COLUMNS = ("cameras", "CPU s/s each", "load", "frames/s least", "most", "spread", "p50 ms",
           "p99 ms", "max ms", "resident MB", "PSS MB", "cameras' CPU", "fell behind")  # fmt: skip


def half_loading(points: Sequence[dict[str, Any]]) -> int | None:
    """How many cameras take half of the cores, by the cost at the point nearest to that; None
    where no point kept its rate: who analyses less says nothing of what a camera costs."""
    kept_up = [point for point in points if not point["fell_behind"]]
    if not kept_up:
        return None
    nearest = min(kept_up, key=lambda point: abs(point["load"] - HALF))
    return max(1, int(HALF * nearest["cores"] / nearest["cpu_s_per_camera_s"]))


def curve(view: str, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Every number of cameras on one view, and the number that loads the machine by half."""
    clip_s = float(STREET_S)
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder:
        clip = make_clip(view, clip_s, Path(folder) / f"{view}.mp4")
        floor = limit(clip, pack(), options.fps)
        points: list[dict[str, Any]] = []

        def point(cameras: int) -> dict[str, Any]:
            for known in points:
                if known["cameras"] == cameras:
                    return known
            found = observe(
                clip, clip_s, cameras, seconds=options.seconds, fps=options.fps,
                cores=options.cores, warm_up_s=options.warm_up, seed=options.seed,
            )  # fmt: skip
            console.print(
                f"{view}, {cameras} cameras: {found['cpu_s_per_camera_s']:.3f} CPU s/s each, "
                f"load {found['load']:.0%}, p99 {found['delay_p99_ms']:.0f} ms",
                highlight=False,
            )
            return found

        for cameras in map(int, options.cameras.split(",")):
            points.append(point(cameras))
        half = half_loading(points)
        half_loaded = None if half is None else point(half)
    return {
        "limit_s_per_camera_s": (floor["decoding_s"] + floor["networks_s"]) / clip_s,
        "limit_decoding_s_per_camera_s": floor["decoding_s"] / clip_s,
        "points": points,
        "half_loaded": half_loaded,
    }


def _table(view: str, found: dict[str, Any]) -> Table:
    table = Table(
        title=f"\n{view}: limit (every frame decoded, networks on each sampled one) "
        f"{found['limit_s_per_camera_s']:.3f} CPU s per camera and second",
        title_justify="left",
    )
    for column in COLUMNS:
        table.add_column(column, justify="right")
    rows = [(str(point["cameras"]), point) for point in found["points"]]
    if (half := found["half_loaded"]) is not None:
        rows.append((f"{half['cameras']} (half)", half))
    for name, point in rows:
        table.add_row(
            name,
            f"{point['cpu_s_per_camera_s']:.3f}",
            f"{point['load']:.0%}",
            f"{min(point['rates']):.2f}",
            f"{max(point['rates']):.2f}",
            f"{point['rate_spread']:.1%}",
            f"{point['delay_p50_ms']:.0f}",
            f"{point['delay_p99_ms']:.0f}",
            f"{point['delay_max_ms']:.0f}",
            f"{point['resident_mb']:.0f}",
            f"{point['proportional_mb']:.0f}",
            f"{point['cameras_cpu_s_per_s']:.1%}",
            point["fell_behind"],
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--views", default="street", help=f"of {', '.join(VIEWS)}; commas between")
    parser.add_argument("--cameras", default="1,2,4,8,16,24")
    parser.add_argument("--seconds", type=float, default=float(STREET_S), help="of each point")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds before each point")
    parser.add_argument("--fps", type=float, default=5.0, help="analysed frames a second")
    parser.add_argument("--cores", type=int, default=2, help="for the daemon")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    console = Console(width=160)
    # Views that were measured before stay: all of them take twenty minutes.
    results = kept("scale", {})
    for view in options.views.split(","):
        results[view] = curve(view, options, console)
        console.print(_table(view, results[view]))
        keep("scale", results)


if __name__ == "__main__":
    main()
