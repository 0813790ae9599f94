"""What is set for a whole process, seen in one of its own: it cannot be taken back."""

import subprocess
import sys

import pytest

# A block just above the threshold raises glibc's own, once freed; blocks of that size then come
# from the heap, where a small one allocated after them keeps them from being returned.
SCRIPT = """
import ctypes, sys
from pathlib import Path
from streamproc.heap import return_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "set" and not return_freed_memory():
    sys.exit(3)
libc.free(libc.malloc(16 << 20))
before = resident()
blocks = []
for _ in range(50):
    block = libc.malloc(2 << 20)
    libc.memset(block, 1, 2 << 20)
    blocks.append(block)
    libc.malloc(100_000)  # lives on
for block in blocks:
    libc.free(block)
print(resident() - before)
"""


def kept_bytes(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, timeout=60
    )
    if run.returncode == 3:
        pytest.skip("the heap is not glibc's")
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


def test_memory_of_freed_pictures_is_returned_beside_small_blocks_that_live_on() -> None:
    assert kept_bytes("set") < 10 << 20


def test_it_would_be_kept_otherwise() -> None:
    if kept_bytes("set") < 10 << 20:
        assert kept_bytes("left alone") > 80 << 20


def test_what_the_start_has_built_is_left_out_of_later_searches_for_garbage() -> None:
    script = """
import gc
from streamproc.heap import pause_collector, resume_collector

pause_collector()
assert not gc.isenabled()
built = [[] for _ in range(1000)]
resume_collector()
assert gc.isenabled()
assert gc.get_freeze_count() > 1000
loop = []
loop.append(loop)
del loop
assert gc.collect() >= 1
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
