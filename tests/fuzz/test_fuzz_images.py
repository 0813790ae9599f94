"""A short run of the pictures' fuzzer; every named picture is part of it."""

import pytest

from tests.fuzz import images


@pytest.mark.filterwarnings("ignore::UserWarning")  # as collection/images.py has it by itself
def test_no_picture_is_too_much() -> None:
    tally = images.fuzz(seed=4, inputs=1200, seconds=600.0)
    assert not tally.findings, tally.findings
    assert tally.inputs == 1200 > len(images.NAMED)
    assert tally.accepted > 100
    assert {"NoPicture", "ImageTooLarge", "ImageTooSmall"} <= set(tally.refused)
