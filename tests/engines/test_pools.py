"""The cores are for our own threads: nobody else's wait beside them, however we are started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamproc import OTHERS_THREADS

WORK = """
import importlib, os, sys
importlib.import_module(sys.argv[1])
import cv2, numpy
before = len(os.listdir("/proc/self/task"))
picture = numpy.zeros((1080, 1920, 3), numpy.uint8)
cv2.cvtColor(cv2.resize(picture, (640, 360)), cv2.COLOR_BGR2GRAY)
numpy.ones((512, 512), numpy.float32) @ numpy.ones((512, 512), numpy.float32)
print(cv2.getNumThreads(), len(os.listdir("/proc/self/task")) - before)
print(before)
"""


def told(entry: str, **environment: str) -> list[str]:
    others = {name: value for name, value in os.environ.items() if name not in OTHERS_THREADS}
    done = subprocess.run(
        [sys.executable, "-c", WORK, entry],
        check=True, timeout=120, env={**others, **environment}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
@pytest.mark.parametrize("entry", ["streamproc.cli.main", "streamproc.daemon", "streamproc"])
def test_pictures_and_products_are_computed_by_the_thread_that_asks(entry: str) -> None:
    assert told(entry) == ["1 0", "1"]


def test_who_wants_them_otherwise_is_heard() -> None:
    assert told("streamproc", OPENCV_FOR_THREADS_NUM="3")[0].startswith("3 ")
