"""glibc's heap, told to give back what frames and pictures leave.

Knows two of malloc's parameters and why a daemon of video wants them. Knows nothing of what is
allocated.
"""

import ctypes
import logging

log = logging.getLogger(__name__)

# Parameters of mallopt(3), as <malloc.h> numbers them.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MMAP_THRESHOLD_BYTES = 512 * 1024
"""From this size on a block has pages of its own, returned when it is freed: a decoded picture
does, a fragment's records do not. Left alone, glibc raises the threshold up to 32 MiB with each
such block that is freed, and pictures then lie among small things that live on: eight steady
cameras grew by 30 MB in ten minutes without a growing object."""

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
