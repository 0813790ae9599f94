"""A thread's memory is its own, and the same again when it asks again."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from streamproc.engines.scratch import Scratch


def test_the_same_name_is_the_same_memory_whatever_its_shape() -> None:
    scratch = Scratch()
    large = scratch.block("picture", (100, 200, 3), np.uint8)
    small = scratch.block("picture", (30, 10, 3), np.uint8)
    assert small.shape == (30, 10, 3)
    assert small.flags.c_contiguous
    assert np.shares_memory(large, small)
    assert scratch.block("picture", (300, 200, 3), np.uint8).shape == (300, 200, 3)


def test_other_names_and_other_types_are_other_memory() -> None:
    scratch = Scratch()
    one = scratch.block("one", (50,), np.uint8)
    assert not np.shares_memory(one, scratch.block("two", (50,), np.uint8))
    floats = scratch.block("one", (50,), np.float32)
    assert floats.dtype == np.float32
    assert not np.shares_memory(one, floats)


def test_threads_do_not_write_into_each_others_memory() -> None:
    scratch, met = Scratch(), Barrier(4)

    def fill(number: int) -> bool:
        block = scratch.block("picture", (1000,), np.int64)
        block[:] = number
        met.wait(60)
        return bool((block == number).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(fill, range(4)))
