"""Events from a live daemon: a real broker and a webhook hear who came and went, once each."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streamproc.cli.demo_video import FPS, encode, scene
from tests.peers.mosquitto import Mosquitto, subscriber

EVENTS = "streamproc/us-east-1/cam/events"
STATUS = "streamproc/us-east-1/cam/status"
PRESENT = "streamproc/us-east-1/cam/present"
DISCOVERY = "homeassistant/device/streamproc__us-east-1__cam/config"
AVAILABILITY = "streamproc/status"
PATIENCE_S = 90.0


@pytest.fixture(name="broker")
def running_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker").start()
    yield broker
    broker.kill()


@pytest.fixture(name="hook")
def served_hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a webhook, and what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", told
        server.shutdown()
        thread.join(10)


@pytest.fixture(name="two_visitors", scope="module")
def clip_of_two_visitors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eileen Collins until 6.0 s, a stranger from 3.0 to 8.0 s, then nobody."""
    file = tmp_path_factory.mktemp("clip") / "visitors.mp4"
    empty = scene(0.0)
    seen = (scene(number / FPS) for number in range(int(6.9 * FPS)))
    encode(file, [*seen, *(empty for _ in range(4 * FPS))])
    return file


def test_broker_and_webhook_hear_each_visit_and_each_state_once(
    rig_with: Callable[..., Any], broker: Mosquitto, hook: Any, two_visitors: Path,
    eileen_png: bytes, run_cli: Callable[..., Any], wait_until: Callable[..., Any],
) -> None:  # fmt: skip
    url, posted = hook
    with subscriber(broker) as consumer:
        rig = rig_with(
            "--set", f"mqtt.url={broker.url}", "--set", f"webhooks.bell.url={url}",
            "--set", "events.exit_after_s=2", engine="dlib",
        )  # fmt: skip
        rig.enrol(eileen_png, "Eileen-Collins")
        rig.create(*rig.streams())
        wait_until(lambda: consumer.on(DISCOVERY), PATIENCE_S)
        rig.start()
        sent = run_cli("put-media", str(two_visitors), "--stream", "cam", "--fast",
                       "--endpoint-url", rig.daemon.url)  # fmt: skip
        assert sent.returncode == 0, sent.stderr

        def of(kind: str) -> list[dict[str, Any]]:
            return [one.json for one in consumer.on(EVENTS) if one.json["Event"] == kind]

        wait_until(lambda: len(of("exit")) >= 2, PATIENCE_S, lambda: consumer.on(EVENTS))
        assert Counter(one["Person"]["Name"] for one in of("enter")) == {
            "Eileen-Collins": 1, "unknown-1": 1,
        }  # fmt: skip
        visits = [one["VisitId"] for one in of("enter")]
        assert Counter(one["VisitId"] for one in of("exit")) == Counter(visits)
        wait_until(lambda: json.loads(consumer.last(PRESENT))["Count"] == 0, PATIENCE_S)

        rig.rekognition.stop_stream_processor(Name="cam")
        rig.await_status("STOPPED")
        rig.rekognition.delete_stream_processor(Name="cam")
        wait_until(lambda: of("state")[-1]["Status"] == "DELETED", PATIENCE_S)
        assert [one["Status"] for one in of("state")] == [
            "STOPPED", "STARTING", "RUNNING", "STOPPING", "STOPPED", "DELETED",
        ]  # fmt: skip
        wait_until(lambda: not any(map(consumer.last, (STATUS, PRESENT, DISCOVERY))), PATIENCE_S)
        numbers = [one.json["Id"] for one in consumer.on(EVENTS)]
        assert numbers == list(range(1, len(numbers) + 1))
        heard = [one.json for one in consumer.on(EVENTS) if one.json["Event"] != "update"]
        wait_until(lambda: len(posted) >= len(heard), PATIENCE_S)
        assert posted == heard


def test_a_killed_daemon_is_offline_by_its_last_will_and_online_again_when_it_is_back(
    rig_with: Callable[..., Any], broker: Mosquitto, wait_until: Callable[..., Any]
) -> None:
    with subscriber(broker, "streamproc/#") as consumer:
        rig = rig_with("--set", f"mqtt.url={broker.url}", engine="dlib")
        wait_until(lambda: consumer.last(AVAILABILITY) == "online", PATIENCE_S)
        rig.create(*rig.streams())
        wait_until(lambda: consumer.on(STATUS), PATIENCE_S)
        rig.daemon.kill()
        wait_until(lambda: consumer.last(AVAILABILITY) == "offline", PATIENCE_S)
        before = len(consumer.on(STATUS))
        rig.daemon.start()
        wait_until(lambda: consumer.last(AVAILABILITY) == "online", PATIENCE_S)
        wait_until(lambda: len(consumer.on(STATUS)) > before, PATIENCE_S)
        assert json.loads(consumer.last(STATUS))["Status"] == "STOPPED"

        rig.connect()
        rig.start()
        wait_until(lambda: consumer.on(EVENTS)[-1].json.get("Status") == "RUNNING", PATIENCE_S)
        numbers = [one.json["Id"] for one in consumer.on(EVENTS)]
        assert list(dict.fromkeys(numbers)) == [1, 2, 3]
        assert len(numbers) <= 4  # one at most had no acknowledgement when it was killed
        assert rig.daemon.stop() == 0
        wait_until(lambda: consumer.last(AVAILABILITY) == "offline", PATIENCE_S)


def test_a_broker_that_is_off_does_not_keep_the_daemon_from_starting_or_ending(
    rig_with: Callable[..., Any], tmp_path: Path
) -> None:
    broker = Mosquitto(tmp_path / "off")  # never started
    rig = rig_with(
        "--set", f"mqtt.url={broker.url}", "--set", "mqtt.username=cam",
        "--set", "mqtt.password=s3cret-word", engine="dlib",
    )  # fmt: skip
    rig.create(*rig.streams())
    assert rig.daemon.stop() == 0
    assert "no answer from the broker at mqtt://127.0.0.1" in rig.daemon.log
    assert "s3cret-word" not in rig.daemon.log
