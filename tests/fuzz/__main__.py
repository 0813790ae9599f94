"""Every fuzzer for a while, with a table: python -m tests.fuzz --inputs 1000000 --requests 20000

A finding is printed with what makes it happen again, and makes the exit code 1.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from tests.conftest import DaemonProcess
from tests.fuzz import gateway, images, parser, video
from tests.fuzz.tally import HEADER, Tally, merged, row

_SLICE = 20_000  # inputs of a process between two rows of the table
_TOLD_EVERY_S = 5.0
_REPRODUCTION_MAX = 3000


def main() -> int:
    options = _options()
    print(f"seed {options.seed}, at most {options.seconds:.0f} s for each fuzzer")
    print(HEADER, flush=True)
    fuzzers: dict[str, Callable[[], Iterator[Tally]]] = {
        "parser": partial(_in_slices, parser.fuzz, options.inputs, options.seed, options.seconds),
        "images": partial(_in_slices, images.fuzz, options.images, options.seed, options.seconds),
        "gateway": partial(_gateway, options.requests, options.seed, options.seconds),
        "video": partial(_video, options.films, options.seed, options.seconds),
    }
    tallies = [_watched(fuzzers[name]()) for name in options.only or fuzzers]
    findings = [(tally, finding) for tally in tallies for finding in tally.findings]
    for tally, finding in findings:
        print(f"\n{tally.name} (seed {tally.seed}): {finding.what}")
        print(f"  {finding.reproduction[:_REPRODUCTION_MAX]}")
    return 1 if findings else 0


def _options() -> argparse.Namespace:
    parsing = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parsing.add_argument("--inputs", type=int, default=1_000_000, help="of the Matroska parsers")
    parsing.add_argument("--images", type=int, default=100_000, help="pictures")
    parsing.add_argument("--requests", type=int, default=20_000, help="to the gateway")
    parsing.add_argument("--films", type=int, default=5000, help="stored and live videos")
    parsing.add_argument("--seconds", type=float, default=900.0, help="most for each fuzzer")
    parsing.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    choices = ("parser", "images", "gateway", "video")
    parsing.add_argument("--only", nargs="*", choices=choices, help="these fuzzers")
    return parsing.parse_args()


def _watched(running: Iterator[Tally]) -> Tally:
    """Print the row as it grows, and the last one to stay."""
    told_at, tally = time.monotonic(), None
    for tally in running:
        if sys.stdout.isatty() or time.monotonic() - told_at > _TOLD_EVERY_S:
            print(row(tally), end="\r" if sys.stdout.isatty() else "\n", flush=True)
            told_at = time.monotonic()
    assert tally is not None
    print(row(tally), flush=True)
    return tally


def _in_slices(
    fuzz: Callable[[int, int, float], Tally], inputs: int, seed: int, seconds: float
) -> Iterator[Tally]:
    """On every core. Slice n has the seed + n."""
    deadline = time.monotonic() + seconds
    total: Tally | None = None
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        slices = [
            processes.submit(_slice, fuzz, seed + number, min(_SLICE, inputs - begin), deadline)
            for number, begin in enumerate(range(0, inputs, _SLICE))
        ]
        for done in as_completed(slices):
            total = done.result() if total is None else merged([total, done.result()])
            yield total


def _slice(
    fuzz: Callable[[int, int, float], Tally], seed: int, inputs: int, deadline: float
) -> Tally:
    return fuzz(seed, inputs, max(0.0, deadline - time.monotonic()))


def _gateway(requests: int, seed: int, seconds: float) -> Iterator[Tally]:
    with tempfile.TemporaryDirectory() as folder:
        daemon = DaemonProcess(Path(folder) / "data", "--engine", "dlib").start()
        try:
            yield gateway.fuzz(daemon, seed, requests, seconds)
        finally:
            daemon.kill()


def _video(films: int, seed: int, seconds: float) -> Iterator[Tally]:
    yield video.fuzz(seed, films, seconds)


if __name__ == "__main__":
    sys.exit(main())
