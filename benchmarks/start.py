"""From exec to the first answer, what an idle daemon costs, and what a further processor weighs.

    python -m benchmarks.start

A start is timed from before exec to the first 200 for ListStreamProcessors, asked every 5 ms over
a plain socket; and to the first answer that needs the models (DetectFaces). The files are in the
page cache and Python's bytecode is there, as pip leaves it: the first start is not counted.
Idle: no processor runs; then as many as --idle run whose cameras send nothing. CPU seconds are the
kernel's count, which has a grain of 10 ms.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.cameras import Plan
from benchmarks.clips import FPS, make_clip, testdata
from benchmarks.daemon import filming, pack, running
from benchmarks.observation import shots
from benchmarks.process import cpu_s
from benchmarks.results import keep

_PAUSE_S = 0.005
_SETTLING_S = 3.0
_WARM_UP_S = 10.0  # a processor's buffers and pools come to their size


def start(options: list[str], photo: bytes, bytecode: str) -> dict[str, float]:
    """One start, ended by SIGTERM; warm where bytecode, a folder, was that of one before."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # of a checkout, it would be compiled anew
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "streamproc", "serve", "--port", str(port),
             "--data-dir", folder, "--set", "logging.level=WARNING", *options],
            env=environment,
        )  # fmt: skip
        try:
            _until(lambda: _answers(port, "ListStreamProcessors", {}), process)
            answers_s, answers_cpu_s = time.monotonic() - began, cpu_s(process.pid)
            image = {"Image": {"Bytes": base64.b64encode(photo).decode()}}
            _until(lambda: _answers(port, "DetectFaces", image), process)
            detects_s, detects_cpu_s = time.monotonic() - began, cpu_s(process.pid)
        finally:
            process.terminate()
            process.wait()
    return {
        "answers_s": answers_s,
        "answers_cpu_s": answers_cpu_s,
        "detects_s": detects_s,
        "detects_cpu_s": detects_cpu_s,
    }


def _until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    while not condition():
        if process.poll() is not None:
            sys.exit(f"the daemon ended with {process.returncode}")
        time.sleep(_PAUSE_S)


def _answers(port: int, operation: str, request: dict[str, Any]) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {
        "X-Amz-Target": f"RekognitionService.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("POST", "/", json.dumps(request), headers)
        return connection.getresponse().status == 200
    return False


def idle(seconds: float, processors: int) -> dict[str, float]:
    """Cores used while nothing happens, without processors and with some whose cameras are
    silent."""
    with running() as daemon:
        found = {}
        for name, names in (
            ("none", []),
            ("silent", [f"camera-{number}" for number in range(processors)]),
        ):
            if names:
                daemon.enrol([])
                daemon.prepare(names)
            time.sleep(_SETTLING_S)
            before, began = cpu_s(daemon.pid), time.monotonic()
            time.sleep(seconds)
            found[name] = (cpu_s(daemon.pid) - before) / (time.monotonic() - began)
    return found


def memory(counts: list[int]) -> list[dict[str, float]]:
    """Of one daemon, with more and more processors at work; each has a camera that sends."""
    found = []
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder, running() as daemon:
        clip = make_clip("one", 10.0, Path(folder) / "one.mp4")
        daemon.enrol([clip])
        with contextlib.ExitStack() as stack:
            all_shots = shots(clip, 10.0, counts[-1], seed=5)
            for before, count in zip([0, *counts], counts, strict=False):
                fresh = all_shots[before:count]
                daemon.prepare([shot.stream for shot in fresh])
                plan = Plan(daemon.url, len(counts) * (_WARM_UP_S + 30.0), FPS, fresh)
                stack.enter_context(filming(plan))
                time.sleep(_WARM_UP_S)
                usage = daemon.usage()
                found.append(
                    {
                        "processors": count,
                        "resident_mb": usage.resident_mb,
                        "proportional_mb": usage.proportional_mb,
                    }
                )
    return found


def each_further_mb(points: list[dict[str, float]]) -> float:
    """Resident, from the first to the last point."""
    first, last = points[0], points[-1]
    return (last["resident_mb"] - first["resident_mb"]) / (last["processors"] - first["processors"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engines", default="insightface,dlib", help="commas between")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0, help="of idling")
    parser.add_argument("--idle", type=int, default=24, help="processors with silent cameras")
    parser.add_argument("--processors", default="1,4,8", help="for memory; commas between")
    options = parser.parse_args()
    console = Console(width=130, highlight=False)
    photo = (testdata() / "photos" / "face_recognition" / "obama.jpg").read_bytes()
    options_of = {"insightface": ["--pack", str(pack())], "dlib": ["--engine", "dlib"]}
    results: dict[str, Any] = {"start": {}}
    for engine in options.engines.split(","):
        with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as bytecode:
            _, *starts = (
                start(options_of[engine], photo, bytecode) for _ in range(options.starts + 1)
            )
        middle = {name: statistics.median(one[name] for one in starts) for name in starts[0]}
        worst_s = max(one["answers_s"] for one in starts)
        results["start"][engine] = {**middle, "answers_max_s": worst_s}
        console.print(
            f"{engine}: answers after {middle['answers_s']:.2f} s (most {worst_s:.2f} s, CPU "
            f"{middle['answers_cpu_s']:.2f} s), detects faces after {middle['detects_s']:.2f} s "
            f"(CPU {middle['detects_cpu_s']:.2f} s); medians of {options.starts}"
        )
    cores = results["idle"] = idle(options.seconds, options.idle)
    console.print(
        f"idle: {cores['none']:.2%} of a core; with {options.idle} running processors whose "
        f"cameras are silent {cores['silent']:.2%}"
    )
    points = results["memory"] = memory([int(count) for count in options.processors.split(",")])
    results["each_further_mb"] = each_further_mb(points)
    told = ", ".join(f"{point['processors']}: {point['resident_mb']:.0f}" for point in points)
    console.print(
        f"memory, MB resident by processors at work: {told}; each further "
        f"{results['each_further_mb']:.1f}"
    )
    keep("start", results)


if __name__ == "__main__":
    main()
