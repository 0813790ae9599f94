"""The dashboard and the alerts ask for what there is, by the names and labels that it has."""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from streamproc.metrics.exposition import PARTS
from tests.metrics.dashboard import (
    ROOT,
    RULES,
    SCRAPE,
    Query,
    board,
    panel_queries,
    panels,
    rule_queries,
    variable_queries,
)
from tests.metrics.figure_tables import tables

FIGURES = {series: figure for part in PARTS.values() for figure in part for series in figure.series}
# Of prometheus_client's collectors, and Prometheus's own about its target.
OTHERS = {
    "up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
    "process_start_time_seconds", "python_gc_collections_total",
}  # fmt: skip
# What Prometheus adds to every series it scrapes.
SCRAPED = {"instance", "job", "le"}
QUERIES = [*panel_queries(), *rule_queries()]


def test_what_is_taken_out_of_a_query() -> None:
    query = Query(
        "",
        'histogram_quantile(0.95, sum by (le, work) (rate(streamproc_a_bucket{code=~"x y"}[5m]))) '
        "and on (region) 2 * streamproc_b == 1",
    )
    assert query.series == {"streamproc_a_bucket", "streamproc_b"}
    assert query.labels == {"le", "work", "code", "region"}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_a_query_names_series_and_labels_that_exist(query: Query) -> None:
    assert query.series, query.expr
    assert query.series <= FIGURES.keys() | OTHERS
    known = SCRAPED.union(*(FIGURES[name].labels for name in query.series & FIGURES.keys()))
    assert query.labels <= known


def test_variables_choose_among_labels_that_exist() -> None:
    for _, series, label in variable_queries():
        query = Query("", series)
        [name] = query.series
        assert {label} | query.labels <= {*FIGURES[name].labels, *SCRAPED}


def test_every_figure_is_on_the_dashboard_or_in_an_alert() -> None:
    """But for those that say when something was: they are for questions of one's own."""
    used = set().union(*(query.series for query in QUERIES))
    unused = [
        figure.name
        for part in PARTS.values()
        for figure in part
        if not used & set(figure.series) and not figure.name.endswith("_timestamp_seconds")
    ]
    assert unused == ["streamproc_figures_readable"]


def test_the_dashboard_is_whole() -> None:
    ids = Counter(panel["id"] for panel in board()["panels"])
    assert set(ids.values()) == {1}
    titles = Counter(panel["title"] for panel in panels())
    assert [title for title, count in titles.items() if count > 1] == []
    rows = [panel["title"] for panel in board()["panels"] if panel["type"] == "row"]
    assert rows[0] == "Overview"
    places: set[tuple[int, int]] = set()
    for panel in board()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & places, panel["title"]
        places |= cells


def test_promtool_takes_the_rules_and_the_example() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here; apt install prometheus")
    for kind, file in (("rules", RULES), ("config", SCRAPE)):
        checked = subprocess.run(
            ["promtool", "check", kind, str(file)], capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stdout + checked.stderr


# What happens, minute by minute, and the alerts that are due a quarter of an hour later.
_DOOR = 'instance="a", job="streamproc", region="r", processor="door"'
_FIRING = 'alertstate="firing"'
HAPPENINGS = {
    "a camera is off": (
        {f'streamproc_processor_state{{{_DOOR}, state="RUNNING"}}': "1x60",
         f"streamproc_processor_frames_analysed_total{{{_DOOR}}}": "300x60"},
        {"StreamprocProcessorBlind"},
    ),
    "all is well": (
        {f'streamproc_processor_state{{{_DOOR}, state="RUNNING"}}': "1x60",
         f"streamproc_processor_frames_analysed_total{{{_DOOR}}}": "0+300x60",
         f"streamproc_processor_lag_seconds{{{_DOOR}}}": "0.1x60",
         'streamproc_data_folder_free_bytes{instance="a", job="streamproc"}': "1e12-1e6x60",
         'up{instance="a", job="streamproc"}': "1x60"},
        set(),
    ),
    "a processor starts again, its counters from zero": (
        {f'streamproc_processor_state{{{_DOOR}, state="RUNNING"}}': "1x60",
         f"streamproc_processor_frames_analysed_total{{{_DOOR}}}": "0+300x7 0+300x53"},
        set(),
    ),
    "too many cameras": (
        {f"streamproc_processor_lag_seconds{{{_DOOR}}}": "25x60",
         f"streamproc_processor_gaps_total{{{_DOOR}}}": "0+1x60"},
        {"StreamprocProcessorLate", "StreamprocVideoSkipped"},
    ),
    "the daemon is gone": ({'up{instance="a", job="streamproc"}': "0x60"}, {"StreamprocDown"}),
    "the disk fills up": (
        {'streamproc_data_folder_free_bytes{instance="a", job="streamproc"}': "5e10-1e8x60"},
        {"StreamprocDiskFillsUp"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("happens", HAPPENINGS)
def test_an_alert_fires_when_it_should_and_else_does_not(happens: str, tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here; apt install prometheus")
    series, due = HAPPENINGS[happens]
    names = {query.where for query in rule_queries()}
    at = "45m"
    test = {
        "rule_files": [str(RULES)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": key, "values": told} for key, told in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{{_FIRING}, alertname="{name}"}}) or vector(0)',
                        "eval_time": at,
                        "exp_samples": [{"labels": "{}", "value": int(name in due)}],
                    }
                    for name in sorted(names)
                ],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(json.dumps(test))  # YAML has JSON in it
    told = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr


def test_alerts_name_labels_that_their_query_leaves() -> None:
    text = RULES.read_text()
    for block in text.split("- alert: ")[1:]:
        labels = set(re.findall(r"\$labels\.(\w+)", block))
        name = block.partition("\n")[0]
        [query] = [query for query in rule_queries() if query.where == name]
        known = SCRAPED.union(*(FIGURES[n].labels for n in query.series & FIGURES.keys()))
        grouped = re.search(r"\bsum by \(([^)]*)\)", query.expr)
        left = {part.strip() for part in grouped[1].split(",")} if grouped else known
        assert labels <= left, name


def test_the_page_lists_every_figure_as_it_is() -> None:
    page = (ROOT / "docs" / "numbers.md").read_text()
    assert tables() in page, "run: python -m tests.metrics.figure_tables"
