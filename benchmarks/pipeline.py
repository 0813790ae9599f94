"""What a live processor costs: CPU against the plain loop and the limit, where it goes, delay.

The plain loop runs twice: with ONNX Runtime's defaults, whose threads spin while they wait,
and on one thread, which is the harder comparison. The limit is decoding every frame and the
networks alone on each sampled one (limit.py); who looks only where the picture changed can stay
below it.

Where CPU time goes is timed inside the daemon, by the thread that spends it: decoding; scaling
and colour; the models, which is ONNX Runtime; around the models, which is boxes, tracks, quality;
parsing; and what is left, which is ours.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.clips import STREET_S, VIEWS, make_clip
from benchmarks.daemon import pack
from benchmarks.figures import shares
from benchmarks.loops import limit, plain_loop
from benchmarks.observation import observe
from benchmarks.results import keep

COLUMNS = ("in view", "plain loop", "on 1 thread", "limit", "streamproc", "ratio", "to 1 thread",
           "to limit", "faces", "p50", "p99", "if void, why")  # fmt: skip


def compared(view: str, seconds: float, fps: float, folder: Path) -> dict[str, Any]:
    """Everyone over the same clip."""
    clip = make_clip(view, seconds, folder / f"{view}.mp4")
    return {
        "plain": plain_loop(clip, pack(), fps, threads=0),
        "plain on 1 thread": plain_loop(clip, pack(), fps, threads=1),
        "limit": limit(clip, pack(), fps),
        "ours": observe(clip, seconds, 1, seconds=seconds, fps=fps, parts=True),
    }


def _row(view: str, found: dict[str, Any], seconds: float) -> tuple[str, ...]:
    plain, single = found["plain"]["cpu_s"] / seconds, found["plain on 1 thread"]["cpu_s"] / seconds
    least = (found["limit"]["decoding_s"] + found["limit"]["networks_s"]) / seconds
    ours = found["ours"]["cpu_s_per_camera_s"]
    return (
        view,
        *(f"{cost:.3f}" for cost in (plain, single, least, ours)),
        *(f"{ours / cost:.2f}" for cost in (plain, single, least)),
        f"{found['plain']['faces']:.0f} / {found['ours']['faces']}",
        f"{found['ours']['delay_p50_ms']:.0f} ms",
        f"{found['ours']['delay_p99_ms']:.0f} ms",
        found["ours"]["fell_behind"],
    )


def in_words(found: dict[str, Any]) -> str:
    """The shares of an observation, largest first."""
    parts = sorted(shares(found["cpu_s"], found["parts_s"]).items(), key=lambda part: -part[1])
    return ", ".join(f"{part} {share:.0%}" for part, share in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--views", default="one,eight,none", help=f"of {', '.join(VIEWS)}; commas between"
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--fps", type=float, default=5.0, help="analysed frames a second")
    parser.add_argument("--busy", type=int, default=8, help="street cameras, for the shares; 0: no")
    parser.add_argument("--jobs", action="store_true", help="delay beside stored-video jobs, too")
    options = parser.parse_args()
    console = Console(width=160)
    results: dict[str, Any] = {}

    table = Table(title="720p, 30 fps: CPU seconds per second of video", title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "in view" else "right")
    told = []
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as name:
        folder = Path(name)
        for view in options.views.split(","):
            found = results[view] = compared(view, options.seconds, options.fps, folder)
            table.add_row(*_row(view, found, options.seconds))
            told.append(f"of streamproc's time, {view}: {in_words(found['ours'])}")
        if options.busy:
            clip = make_clip("street", STREET_S, folder / "street.mp4")
            busy = results["busy"] = observe(
                clip, STREET_S, options.busy, seconds=STREET_S, fps=options.fps, parts=True
            )
            told.append(f"{options.busy} street cameras, load {busy['load']:.0%}: {in_words(busy)}")
        if options.jobs:
            camera = make_clip("one", options.seconds, folder / "camera.mp4")
            stored = make_clip("eight", 8 * options.seconds, folder / "stored.mp4")
            beside = results["beside jobs"] = observe(
                camera, options.seconds, 1, seconds=options.seconds, fps=options.fps, stored=stored
            )
            told.append(
                f"one face in view, beside two face-search jobs: {beside['records']} records, p50 "
                f"{beside['delay_p50_ms']:.0f} ms, p99 {beside['delay_p99_ms']:.0f} ms"
            )
    console.print(table)
    console.print("\n".join(told), highlight=False)
    console.print("p50, p99: from a frame's last byte to its record's acknowledgement")
    keep("pipeline", results)


if __name__ == "__main__":
    main()
