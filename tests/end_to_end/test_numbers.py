"""Figures of a daemon at work, as Prometheus and Grafana see them: scraped, queried, alerted on."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamproc.metrics.exposition import PARTS
from tests.conftest import wait_until
from tests.end_to_end.conftest import EVERY_FRAME, Rig
from tests.metrics.dashboard import panel_queries, rule_queries, variable_queries

EXPECTED_EMPTY = {
    "Checks that fail": "of a daemon that is well, but for what this test breaks",
    "Progress of jobs": "no job runs here",
}
"""Panels without data, and why."""

SCRAPE = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: streamproc
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.fixture(scope="module")
def at_work(
    start_shared_daemon: Callable[..., Any], clip: Path, eileen_png: bytes
) -> Iterator[Rig]:
    """A daemon with a processor that recognises somebody, a webhook that takes no events and a
    camera that is off."""
    off = _closed_port()
    daemon = start_shared_daemon(
        *EVERY_FRAME,
        "--set", "logging.format=json",
        "--set", f"webhooks.bell.url=http://127.0.0.1:{off}/hook",
        "--set", f"cameras.yard.url=rtsp://127.0.0.1:{off}/yard",
        engine="dlib",
    )  # fmt: skip
    rig = Rig(daemon, wait_until)
    rig.rekognition.create_collection(CollectionId="people")
    rig.enrol(eileen_png, "Eileen-Collins")
    rig.create(*rig.streams())
    rig.start()
    command = [sys.executable, "-m", "streamproc", "put-media", str(clip), "--stream", "cam",
               "--loop", "--endpoint-url", daemon.url]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as camera:
        wait_until(rig.records, 60.0, lambda: daemon.log)
        yield rig
        camera.kill()


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return int(closed.getsockname()[1])


def _scraped(rig: Rig) -> str:
    with urlopen(f"{rig.daemon.url}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def test_promtool_and_the_client_s_parser_find_nothing_wrong(at_work: Rig) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here; apt install prometheus")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=_scraped(at_work), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_every_figure_is_there_with_the_labels_that_it_says(at_work: Rig) -> None:
    told = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(_scraped(at_work))
        for sample in family.samples
    }
    for figure in (figure for part in PARTS.values() for figure in part):
        if figure.name in {"streamproc_job_progress_ratio",
                           "streamproc_camera_last_fragment_timestamp_seconds"}:  # fmt: skip
            continue  # no job runs, no fragment came
        for series in figure.series:
            assert told[series] - {"le"} == set(figure.labels), series


def test_what_is_counted_is_what_happened(at_work: Rig) -> None:
    told = {
        (sample.name, sample.labels.get("processor"))
        : sample.value
        for family in text_string_to_metric_families(_scraped(at_work))
        for sample in family.samples
    }  # fmt: skip
    analysed = told["streamproc_processor_frames_analysed_total", "cam"]
    assert 0 < told["streamproc_processor_matches_total", "cam"] <= analysed
    assert told["streamproc_processor_records_total", "cam"] >= len(at_work.records()) - 1
    assert told["streamproc_collection_faces", None] == 1
    assert told["streamproc_search_seconds_count", None] > 0
    assert told["streamproc_sink_records_total", None] > 0


def test_who_is_not_ready_is_no_camera_s_or_webhook_s_fault(at_work: Rig) -> None:
    def warnings() -> set[str]:
        with urlopen(f"{at_work.daemon.url}/readyz", timeout=60) as answer:
            told = json.loads(answer.read())
        assert told["Ready"]
        return {warning["Name"] for warning in told["Warnings"]}

    wait_until(lambda: {"cameras", "outlets"} <= warnings(), 60.0)


def test_a_log_for_machines_is_json_to_the_last_line_and_says_what_it_is_about(
    at_work: Rig,
) -> None:
    with pytest.raises(at_work.rekognition.exceptions.ResourceNotFoundException):
        at_work.rekognition.stop_stream_processor(Name="nobody")
    with pytest.raises(at_work.rekognition.exceptions.ResourceInUseException):
        at_work.rekognition.start_stream_processor(Name="cam")

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in at_work.daemon.log.splitlines()]

    of_camera = wait_until(
        lambda: [line for line in lines() if line.get("camera") == "yard"], 60.0, lines
    )
    assert of_camera[0]["region"] == "us-east-1"
    begun = [line for line in lines() if line["message"] == "processor cam is STARTING"]
    assert len(begun[0]["request_id"]) == 36
    [running] = [line for line in lines() if line["message"] == "processor cam is RUNNING"]
    assert (running["processor"], running["region"]) == ("cam", "us-east-1")
    assert "request_id" not in running
    for line in lines():
        assert {"time", "level", "logger", "message"} <= line.keys()


@dataclass
class Prometheus:
    """A real one."""

    url: str

    def get(self, path: str, **query: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(query)}", timeout=60) as answer:
            told = json.loads(answer.read())
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expr: str) -> list[Any]:
        return list(self.get("query", query=expr)["result"])


@pytest.fixture(scope="module")
def prometheus(at_work: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Has scraped the daemon several times."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not here; apt install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    target = at_work.daemon.url.removeprefix("http://")
    (folder / "prometheus.yml").write_text(SCRAPE.format(target=target))
    address = f"127.0.0.1:{_closed_port()}"
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(
        ["prometheus", f"--config.file={folder / 'prometheus.yml'}",
         f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"],
        stdout=out, stderr=out,
    ) as process:  # fmt: skip
        found = Prometheus(f"http://{address}")
        try:
            wait_until(lambda: _is_scraped(found), 60.0, log.read_text)
            yield found
        finally:
            process.kill()


def _is_scraped(prometheus: Prometheus) -> bool:
    try:
        scrapes = prometheus.query('count_over_time(up{job="streamproc"}[1m]) > 4')
    except OSError:  # it does not listen yet
        return False
    return bool(scrapes)


def test_every_panel_of_the_dashboard_has_data(prometheus: Prometheus) -> None:
    empty = {query.where for query in panel_queries() if not prometheus.query(query.plain)}
    assert empty <= EXPECTED_EMPTY.keys()


def test_the_dashboard_s_variables_find_what_to_choose_from(prometheus: Prometheus) -> None:
    for name, series, label in variable_queries():
        plain = series.replace("$instance", ".*").replace("$region", ".*")
        values = prometheus.get(f"label/{label}/values", **{"match[]": plain})
        assert values, name


def test_every_alert_is_evaluated_and_those_for_what_is_broken_would_fire(
    prometheus: Prometheus,
) -> None:
    would_fire = {query.where for query in rule_queries() if prometheus.query(query.plain)}
    assert {"StreamprocCameraAway", "StreamprocOutletAway"} <= would_fire
    assert not would_fire & {"StreamprocDown", "StreamprocNotReady", "StreamprocProcessorFailed"}
