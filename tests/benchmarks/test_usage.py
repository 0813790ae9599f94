"""What the kernel tells of a process is read right."""

import os
import time

import pytest

from benchmarks.process import cpu_s, parse_cpu_s, usage

TICKS = os.sysconf("SC_CLK_TCK")


def test_time_is_that_of_user_and_system_whatever_the_process_is_called() -> None:
    stat = "42 (a name) 7 8) S 1 42 42 0 -1 4194560 900 0 0 0 250 50 9 9 20 0 4 0 100 0 0"
    assert parse_cpu_s(stat) == pytest.approx(300 / TICKS)


def test_our_own_time_is_what_python_counts() -> None:
    assert cpu_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.5)


def test_shared_pages_count_in_part() -> None:
    found = usage(os.getpid())
    assert 0 < found.proportional_mb <= found.resident_mb
