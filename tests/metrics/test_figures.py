"""What figures are called, and what becomes of views."""

import re
from collections import Counter
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric

from streamproc.disk import disk_view
from streamproc.gateway.figures import UNKNOWN, CallFigures
from streamproc.metrics import outputs, processors, work
from streamproc.metrics.exposition import PARTS
from streamproc.metrics.figure import Figure, histogram
from streamproc.metrics.work import CallsView
from streamproc.model.histogram import Histogram
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.state import ProcessorState
from streamproc.processor.view import Counters, Notices, ProcessorView
from streamproc.sink.figures import OTHER, SinkFigures

FIGURES = [figure for part in PARTS.values() for figure in part]


def view(name: str, state: ProcessorState, **counters: Any) -> ProcessorView:
    spec = ProcessorSpec("eu-west-1", name, "", "", "people", 80.0, "")
    return ProcessorView(spec, state, "", 1.0, 2.0, Counters(**counters), {"opening": 3})


def samples(families: Any, name: str) -> dict[tuple[str, ...], float]:
    """Values of one series, by those of its labels in the order of their names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_every_figure_has_a_name_of_its_own() -> None:
    names = Counter(series for figure in FIGURES for series in figure.series)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_names_follow_prometheus_s_conventions(figure: Figure) -> None:
    assert re.fullmatch(r"streamproc_[a-z_]+", figure.name)
    assert figure.name.endswith("_total") == (figure.kind == "counter")
    assert not re.search(r"_(ms|s|kb|mb|percent|milliseconds|minutes|hours)(_|$)", figure.name)
    if figure.kind == "histogram":
        assert figure.name.endswith("_seconds")
    assert figure.meaning.endswith(".")
    assert len(set(figure.labels)) == len(figure.labels)


def test_a_histogram_counts_up_to_each_bound() -> None:
    spread = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        spread.observe(value)
    family = histogram("streamproc_test_seconds", "A test.").spread([((), spread.read())])
    assert samples([family], "streamproc_test_seconds_bucket") == {
        ("0.1",): 2.0, ("1.0",): 3.0, ("+Inf",): 4.0,
    }  # fmt: skip
    assert samples([family], "streamproc_test_seconds_count") == {(): 4.0}
    assert samples([family], "streamproc_test_seconds_sum") == {(): pytest.approx(7.65)}


def test_a_processor_is_in_one_state_and_tells_of_the_present_only_while_it_runs() -> None:
    views = [
        view("door", ProcessorState.RUNNING, fps=4.5, lag_s=0.2, frames_analysed_total=7),
        view("gate", ProcessorState.FAILED, fps=4.5, lag_s=0.2, records_total=5),
    ]
    told: list[Metric] = list(processors.families(views))
    states = samples(told, "streamproc_processor_state")
    assert {key for key, value in states.items() if value} == {
        ("door", "eu-west-1", "RUNNING"), ("gate", "eu-west-1", "FAILED"),
    }  # fmt: skip
    assert len(states) == 2 * 6
    assert samples(told, "streamproc_processor_frames_per_second") == {("door", "eu-west-1"): 4.5}
    assert samples(told, "streamproc_processor_lag_seconds") == {("door", "eu-west-1"): 0.2}
    analysed = samples(told, "streamproc_processor_frames_analysed_total")
    assert analysed == {("door", "eu-west-1"): 7, ("gate", "eu-west-1"): 0}
    assert samples(told, "streamproc_processor_records_waiting")["gate", "eu-west-1"] == 5
    retries = samples(told, "streamproc_processor_retries_total")
    assert retries["opening", "door", "eu-west-1"] == 3
    assert retries["data stream", "door", "eu-west-1"] == 0


def test_a_part_that_tries_again_is_counted_each_time() -> None:
    notices = Notices()
    report, silence = notices.slot("data stream"), notices.slot("silence")
    report("refused; trying again")
    report("refused; trying again")
    report("")
    silence("No media for 60 s.")
    assert notices.retries_total == {"data stream": 2}


def test_codes_from_outside_make_no_labels_without_end() -> None:
    figures = SinkFigures()
    for number in range(1000):
        figures.failed(f"Code{number}")
    assert len(figures.errors_total) < 50
    assert figures.errors_total[OTHER] > 900
    assert figures.errors_total.total() == 1000


def test_requests_that_nobody_serves_make_no_labels() -> None:
    figures = CallFigures()
    for _ in range(100):
        figures.answered(None, 404, 0.001)
    told = list(work.call_families(CallsView.of(figures)))
    assert samples(told, "streamproc_http_requests_total") == {(UNKNOWN, UNKNOWN, "404"): 100}


def test_every_kind_of_event_has_a_series_from_the_beginning() -> None:
    """What appears with its first value has no rate then."""
    told = list(outputs.event_families(outputs.EventsView({"enter": 2}, 1, 0)))
    assert samples(told, "streamproc_events_total") == {
        ("enter",): 2, ("update",): 0, ("exit",): 0, ("state",): 0,
    }  # fmt: skip


def test_a_database_is_told_with_the_log_that_is_still_to_be_merged(tmp_path: Any) -> None:
    (tmp_path / "jobs.db").write_bytes(bytes(100))
    (tmp_path / "jobs.db-wal").write_bytes(bytes(20))
    (tmp_path / "endpoint").write_bytes(bytes(7))
    view = disk_view(tmp_path)
    assert view.databases == {"jobs": 120}
    assert 0 < view.free <= view.size
