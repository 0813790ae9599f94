"""Memory of a daemon of video: glibc's heap, told to give back what frames and pictures leave, and
Python's collector, told where not to look.

Knows two of malloc's parameters and when to look for garbage. Knows nothing of what is allocated.
"""

import ctypes
import gc
import logging

log = logging.getLogger(__name__)

# Parameters of mallopt(3), as <malloc.h> numbers them.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MMAP_THRESHOLD_BYTES = 512 * 1024
"""From this size on a block has pages of its own, returned when it is freed: a decoded picture
does, a fragment's records do not. Left alone, glibc raises the threshold up to 32 MiB with each
such block that is freed, and pictures then lie among small things that live on: eight steady
cameras grew by 30 MB in ten minutes without a growing object.

The price is a page fault for each 4 KB of every such block, up to eight times the work that is done
in it. So nothing of this size is allocated for each picture: who makes pictures keeps buffers
(decode/pixels.py, engines/scratch.py)."""

ARENAS_MAX = 4
"""Heaps that threads share. Left alone there are up to eight for each core, each with holes."""


def return_freed_memory() -> bool:
    """For a process's start, before its threads. False where the heap is not glibc's."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl, macOS
        return False
    done = bool(mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)) and bool(
        mallopt(_M_ARENA_MAX, ARENAS_MAX)
    )
    if not done:
        log.warning("malloc took no parameters; memory may be kept that nobody uses")
    return done


def pause_collector() -> None:
    """For the start: hundreds of modules are built, nearly all of it to stay. Looking for
    cycles of garbage among them again and again takes a fifth of it."""
    gc.disable()


def resume_collector() -> None:
    """Once everything is there. One search for what is garbage already; what is left is here to
    stay, and is left out of every later search, which would stop all threads for a tenth of a
    second each time."""
    gc.collect()
    gc.freeze()
    gc.enable()
