"""What the benchmarks' raw counts mean: percentiles, delays, rates, how flat a curve is. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_MISSING_MAX = 0.05  # share of the work of a window


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One record that the data stream has, and when the processor heard so."""

    stream: str
    media_ms: int  # producer time of its frame
    at_s: float  # wall clock, seconds since the epoch
    faces: int


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all values does not exceed (nearest rank); share in
    0..1. Raises ValueError without values."""
    if not values:
        raise ValueError("no values: nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def delays_ms(
    records: Iterable[Acknowledged],
    sent: Mapping[str, Mapping[int, float]],
    window: tuple[float, float],
) -> list[float]:
    """From a frame's last byte to its record's acknowledgement, of frames sent in the window.

    sent holds, by stream and producer time in ms, when the frame's last byte was written.
    Raises LookupError for a record of a frame that was never sent.
    """
    found = []
    for record in records:
        at_s = sent[record.stream].get(record.media_ms)
        if at_s is None:
            raise LookupError(f"{record.stream} sent no frame at {record.media_ms} ms")
        if window[0] <= at_s < window[1]:
            found.append((record.at_s - at_s) * 1000)
    return found


def rates(
    records: Iterable[Acknowledged],
    sent: Mapping[str, Mapping[int, float]],
    window: tuple[float, float],
) -> dict[str, float]:
    """Analysed frames per second of each stream, of frames sent in the window; a record that
    came twice counts once."""
    frames = {stream: set[int]() for stream in sent}
    for record in records:
        at_s = sent[record.stream].get(record.media_ms, -math.inf)
        if window[0] <= at_s < window[1]:
            frames[record.stream].add(record.media_ms)
    return {stream: len(seen) / (window[1] - window[0]) for stream, seen in frames.items()}


def spread(values: Sequence[float]) -> float:
    """How far the one farthest from the mean is from it, as a share of the mean: 0 is level."""
    mean = sum(values) / len(values)
    return max(abs(value - mean) for value in values) / mean if mean else math.inf


def shares(cpu_s: float, parts_s: Mapping[str, float]) -> dict[str, float]:
    """Each part's share of a process's CPU time, and that of "the rest": what no part names."""
    return {
        **{part: spent / cpu_s for part, spent in parts_s.items()},
        "the rest": 1 - sum(parts_s.values()) / cpu_s,
    }


def fell_behind(each: Sequence[float], fps: float, p50_ms: float, window_s: float) -> str:
    """Why CPU time of a window says nothing of what its cameras cost, in words; "" if it does.

    Who analyses fewer frames than asked for, or puts them off beyond the window, spends less.
    """
    mean = sum(each) / len(each)
    if mean < fps * (1 - _MISSING_MAX):
        return f"{mean:.2f} of {fps:g} frames/s analysed"
    if p50_ms > window_s * 1000 * _MISSING_MAX:
        return f"half of the records over {p50_ms / 1000:.1f} s late"
    return ""


def from_level(costs: Sequence[float]) -> float:
    """How far the dearest is above the cheapest, as a share of the cheapest: 0 is level."""
    return max(costs) / min(costs) - 1
