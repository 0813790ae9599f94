"""One daemon, some cameras, a while: everything that can be said of it.

The daemon starts on an empty folder and is warm before it is measured. All cameras are one other
process; they begin at random moments with random fragments, the same ones at every run.
CPU seconds are the kernel's count for the daemon alone. How delay is measured: scale.py.
"""

import os
import random
import time
from pathlib import Path
from typing import Any

from benchmarks.cameras import Plan, Shot
from benchmarks.clips import FPS
from benchmarks.daemon import filming, running, what_was_sent
from benchmarks.figures import delays_ms, fell_behind, percentile, rates, spread


def shots(clip: Path, clip_s: float, cameras: int, seed: int) -> list[Shot]:
    """Cameras that have nothing to do with each other; more cameras are these and others."""
    chance = random.Random(seed)
    return [
        Shot(f"camera-{number}", str(clip), chance.randrange(max(1, int(clip_s))), chance.random())
        for number in range(cameras)
    ]


def split_cores(wanted: int, usable: set[int]) -> tuple[set[int], set[int]]:
    """The daemon's cores, and the cameras': others, where there are more than the daemon gets.
    Raises ValueError where there are fewer."""
    if wanted > len(usable):
        raise ValueError(f"{wanted} cores are asked for, and {len(usable)} may be used")
    ordered = sorted(usable)
    return set(ordered[:wanted]), set(ordered[wanted:]) or usable


def observe(
    clip: Path,
    clip_s: float,
    cameras: int,
    *,
    seconds: float,
    fps: float = 5.0,
    cores: int = 2,
    warm_up_s: float = 5.0,
    seed: int = 5,
    parts: bool = False,
    stored: Path | None = None,
) -> dict[str, Any]:
    """With parts, CPU seconds of the daemon's parts, too, which costs it next to nothing. With
    stored, two jobs search this video meanwhile, and are in no figure but delay and rate."""
    own, others = split_cores(cores, os.sched_getaffinity(0))
    settings = [f"processors.analysis_fps={fps}"]
    if stored is not None:
        settings.append(f'buckets.clips="{stored.parent}"')
    with running(*settings, parts=parts, cores=own) as daemon:
        watched = shots(clip, clip_s, cameras, seed)
        plan = Plan(daemon.url, warm_up_s + seconds + 1.0, FPS, watched)
        daemon.enrol([clip])
        daemon.prepare([shot.stream for shot in watched])
        if stored is not None:
            daemon.search_stored(stored.name)
        with filming(plan, others) as process:
            time.sleep(warm_up_s)
            parts_before = daemon.parts() if parts else {}
            before, began = daemon.usage(), time.time()
            time.sleep(seconds)
            after, ended = daemon.usage(), time.time()
            parts_after = daemon.parts() if parts else {}
            told = what_was_sent(process)
        daemon.settle()
        daemon.stop()
        records = daemon.acknowledged()
    window, sent, cpu_s = (began, ended), told["sent"], after.cpu_s - before.cpu_s
    delays = delays_ms(records, sent, window)
    each = list(rates(records, sent, window).values())
    return {
        "cameras": cameras,
        "cores": cores,
        "seconds": ended - began,
        "cpu_s": cpu_s,
        "cpu_s_per_camera_s": cpu_s / (ended - began) / cameras,
        "load": cpu_s / (ended - began) / cores,
        "cameras_cpu_s_per_s": told["cpu_s"] / plan.seconds,
        "rates": each,
        "rate_spread": spread(each),
        "delay_p50_ms": percentile(delays, 0.5),
        "delay_p99_ms": percentile(delays, 0.99),
        "fell_behind": fell_behind(each, fps, percentile(delays, 0.5), ended - began),
        "delay_max_ms": max(delays),
        "records": len(delays),
        "faces": sum(
            record.faces
            for record in records
            if began <= sent[record.stream][record.media_ms] < ended
        ),
        "resident_mb": after.resident_mb,
        "proportional_mb": after.proportional_mb,
        "parts_s": {
            part: spent - parts_before["parts"].get(part, 0.0)
            for part, spent in parts_after.get("parts", {}).items()
        },
    }
