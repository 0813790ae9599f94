"""The checkpoint is never ahead of the truth, and never needlessly behind it."""

import pytest

from streamproc.processor.checkpoint import Checkpoint, CheckpointTracker


@pytest.fixture
def advances() -> list[None]:
    return []


@pytest.fixture
def tracker(advances: list[None]) -> CheckpointTracker:
    return CheckpointTracker(advanced=lambda: advances.append(None))


def play(tracker: CheckpointTracker, script: str) -> str | None:
    """The number reached. s1 a fragment starts, f1 a frame of it is sampled, d1 one is decoded,
    c1 it is complete, a an acknowledgement, e the decoder is emptied."""
    for at, step in enumerate(script.split()):
        match step[0]:
            case "s":
                tracker.started(step[1:])
            case "f":
                tracker.sampled(step[1:], timestamp=float(at))
            case "d":
                tracker.decoded(step[1:])
            case "c":
                tracker.completed(step[1:])
            case "a":
                tracker.acknowledged(1)
            case "e":
                tracker.drained()
    return tracker.position.number if tracker.position is not None else None


@pytest.mark.parametrize(
    ("script", "position"),
    [
        ("s1 f1 a", None),  # not complete
        ("s1 f1 c1 a", None),  # the decoder may hold more of it
        ("s1 f1 c1 e", None),  # not acknowledged
        ("s1 f1 c1 a e", "1"),
        ("s1 f1 c1 e a", "1"),
        ("s1 f1 c1 a s2 d1", None),  # a late frame of 1 says nothing of the next
        ("s1 f1 c1 a s2 d2", "1"),
        ("s1 f1 c1 s2 f1 d2 a", None),  # a late frame is in flight
        ("s1 f1 c1 s2 f1 d2 a a", "1"),
        ("s1 c1 e", "1"),  # nothing of it was sampled
        ("s1 f1 f1 c1 e a", None),
        ("s1 f1 f1 c1 e a a", "1"),
        ("s1 f1 c1 s2 f2 d2 c2 e a", "1"),
        ("s1 f1 c1 s2 f2 d2 c2 e a a", "2"),
        # 2 is whole and delivered, but 1 is not: a restart must begin behind nothing
        ("s1 f1 c1 s2 c2 e", None),
        # cut off, and delivered again: one fragment, not two
        ("s1 f1 s1 f1 c1 e a", None),
        ("s1 f1 s1 f1 c1 e a a", "1"),
        # cut off, and given up by the source: passed over, never a checkpoint itself
        ("s1 f1 a s2 d2 c2 e", "2"),
        ("s1 f1 s2 d2 c2 e", None),
        ("s1 f1 a s2 d2", None),
        # a producer's own recording has no fragment numbers
        ("s f c e a", None),
        # a frame that comes out after its fragment was done with
        ("s1 c1 e s2 f1 f2 c2 e a", "1"),
        ("s1 c1 e s2 f1 f2 c2 e a a", "2"),
    ],
)
def test_position_after(tracker: CheckpointTracker, script: str, position: str | None) -> None:
    assert play(tracker, script) == position


def test_it_tells_of_each_advance_once(tracker: CheckpointTracker, advances: list[None]) -> None:
    play(tracker, "s1 f1 c1 s2 d2 c2 e")
    assert advances == []
    play(tracker, "a")
    assert tracker.position == Checkpoint("2", sampled_at=1.0)
    play(tracker, "s3 f3")
    assert len(advances) == 1


def test_fragments_without_numbers_do_not_pile_up(tracker: CheckpointTracker) -> None:
    for _ in range(100):
        play(tracker, "s f d c a")
    assert len(tracker._fragments) <= 2
