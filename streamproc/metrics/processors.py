"""Figures of stream processors. Their counters are those of one run: Start begins at zero."""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from prometheus_client.metrics_core import Metric

from streamproc.metrics.figure import Figure, counter, gauge
from streamproc.processor.state import ProcessorState
from streamproc.processor.view import RETRIED, ProcessorView

_WHO: Final = ("region", "processor")
_STATES: Final = [state for state in ProcessorState if state is not ProcessorState.DELETED]


def _counted(name: str, meaning: str) -> Figure:
    return counter(f"streamproc_processor_{name}_total", f"{meaning}, in this run.", *_WHO)


STATE: Final = gauge(
    "streamproc_processor_state", "1 for the state that it is in, 0 for the others.", *_WHO, "state"
)
CHANGED: Final = gauge(
    "streamproc_processor_state_changed_timestamp_seconds",
    "When its state changed last, since the epoch.",
    *_WHO,
)
RATE: Final = gauge(
    "streamproc_processor_frames_per_second",
    "Frames analysed per second of video, at present. Only while RUNNING.",
    *_WHO,
)
LAG: Final = gauge(
    "streamproc_processor_lag_seconds",
    "Age of the frame looked at last, when it was looked at: how far analysis is behind the "
    "camera. Only while RUNNING; it stands still while no video comes.",
    *_WHO,
)
WAITING: Final = gauge(
    "streamproc_processor_records_waiting",
    "Records built that the data stream has not acknowledged yet.",
    *_WHO,
)
RETRIES: Final = counter(
    "streamproc_processor_retries_total",
    "Times that a part of it had to try again, in this run.",
    *_WHO,
    "part",
)
_COUNTERS: Final[dict[Figure, Callable[[ProcessorView], float]]] = {
    _counted(name, meaning): attrgetter(f"counters.{member}")
    for name, member, meaning in (
        ("frames_decoded", "frames_decoded_total", "Frames decoded"),
        ("frames_sampled", "frames_sampled_total", "Frames chosen for analysis"),
        ("frames_analysed", "frames_analysed_total", "Frames analysed"),
        ("frames_corrupt", "frames_corrupt_total", "Frames that the decoder dropped as damaged"),
        (
            "packets_passed_over",
            "packets_passed_over_total",
            "Packets not decoded, because nobody would have looked or they were too late",
        ),
        ("packets_undecodable", "packets_undecodable_total", "Packets that cannot be decoded"),
        (
            "fragments_failed",
            "fragments_failed_total",
            "Fragments that the video stream could not deliver",
        ),
        ("gaps", "gaps_total", "Jumps towards live video, when analysis was too far behind"),
        ("gap_seconds", "gap_s_total", "Seconds of video skipped by such jumps"),
        ("faces", "faces_total", "Faces found"),
        ("matches", "matches_total", "Faces found that are in the collection"),
        ("records", "records_total", "Records built"),
        ("records_delivered", "records_delivered_total", "Records that the data stream has"),
    )
}
FIGURES: Final = (STATE, CHANGED, RATE, LAG, WAITING, *_COUNTERS, RETRIES)


def families(views: Sequence[ProcessorView]) -> Iterator[Metric]:
    running = [view for view in views if view.state is ProcessorState.RUNNING]
    yield STATE.of(
        ((*_of(view), state.value), float(view.state is state))
        for view in views
        for state in _STATES
    )
    yield CHANGED.of((_of(view), view.updated_at) for view in views)
    yield RATE.of((_of(view), view.counters.fps) for view in running)
    yield LAG.of((_of(view), view.counters.lag_s) for view in running)
    yield WAITING.of((_of(view), view.counters.records_undelivered) for view in views)
    for figure, value in _COUNTERS.items():
        yield figure.of((_of(view), value(view)) for view in views)
    yield RETRIES.of(
        ((*_of(view), part), view.retries_total.get(part, 0))
        for view in views
        for part in sorted(RETRIED)
    )


def _of(view: ProcessorView) -> tuple[str, str]:
    return view.spec.key
