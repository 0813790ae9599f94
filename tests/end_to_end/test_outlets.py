"""Events from a live daemon: a real broker and a webhook hear who came and went, once each.

One daemon, whose broker is off when it starts; who needs both asks for `online`.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streamproc.cli.demo_video import encode, scene
from tests.conftest import wait_until
from tests.end_to_end.conftest import EVERY_FRAME, Rig
from tests.peers.mosquitto import Mosquitto, Subscriber, subscriber

EVENTS = "streamproc/us-east-1/cam/events"
STATUS = "streamproc/us-east-1/cam/status"
PRESENT = "streamproc/us-east-1/cam/present"
DISCOVERY = "homeassistant/device/streamproc__us-east-1__cam/config"
AVAILABILITY = "streamproc/status"
PATIENCE_S = 90.0
FPS = 5
LOGIN = {"username": "cam", "password": "s3cret-word"}


@pytest.fixture(name="broker", scope="module")
def broker_to_be(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"), LOGIN["username"], LOGIN["password"])
    yield broker
    broker.kill()


@pytest.fixture(name="hook", scope="module")
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


@pytest.fixture(name="house", scope="module")
def started_without_a_broker(
    start_shared_daemon: Callable[..., Any], broker: Mosquitto, hook: Any
) -> Rig:
    daemon = start_shared_daemon(
        *EVERY_FRAME, "--set", f"mqtt.url={broker.url}", "--set", f"webhooks.bell.url={hook[0]}",
        *(option for name, value in LOGIN.items() for option in ("--set", f"mqtt.{name}={value}")),
        "--set", "events.exit_after_s=2",
    )  # fmt: skip
    rig = Rig(daemon, wait_until)
    rig.rekognition.create_collection(CollectionId="people")
    return rig


@pytest.fixture(name="online")
def with_its_broker(house: Rig, broker: Mosquitto) -> Rig:
    if not broker.is_running:
        broker.start()
    if house.daemon.process.poll() is not None:
        house.daemon.start()
        house.connect()
    return house


@pytest.fixture(name="consumer")
def somebody_who_listens(online: Rig, broker: Mosquitto) -> Iterator[Subscriber]:
    with subscriber(broker, **LOGIN) as consumer:
        yield consumer


@pytest.fixture(name="two_visitors", scope="module")
def clip_of_two_visitors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eileen Collins until 6.0 s, a stranger from 3.0 to 8.0 s, then nobody."""
    file = tmp_path_factory.mktemp("clip") / "visitors.mp4"
    empty = scene(0.0)
    seen = (scene(number / FPS) for number in range(int(6.9 * FPS)))
    encode(file, [*seen, *(empty for _ in range(4 * FPS))], FPS)
    return file


def test_a_broker_that_is_off_does_not_keep_the_daemon_from_starting_or_ending(
    house: Rig, broker: Mosquitto
) -> None:
    assert not broker.is_running
    house.create(*house.streams("early"), "early")
    assert house.daemon.stop() == 0
    assert f"no answer from the broker at {broker.url}" in house.daemon.log
    assert LOGIN["password"] not in house.daemon.log


def test_broker_and_webhook_hear_each_visit_and_each_state_once(
    online: Rig, consumer: Subscriber, hook: Any, two_visitors: Path, eileen_png: bytes,
    run_cli: Callable[..., Any],
) -> None:  # fmt: skip
    online.enrol(eileen_png, "Eileen-Collins")
    online.create(*online.streams())
    wait_until(lambda: consumer.on(DISCOVERY), PATIENCE_S)
    online.start()
    sent = run_cli("put-media", str(two_visitors), "--stream", "cam", "--fast",
                   "--endpoint-url", online.daemon.url)  # fmt: skip
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

    online.rekognition.stop_stream_processor(Name="cam")
    online.await_status("STOPPED")
    online.rekognition.delete_stream_processor(Name="cam")
    wait_until(lambda: of("state")[-1]["Status"] == "DELETED", PATIENCE_S)
    assert [one["Status"] for one in of("state")] == [
        "STOPPED", "STARTING", "RUNNING", "STOPPING", "STOPPED", "DELETED",
    ]  # fmt: skip
    wait_until(lambda: not any(map(consumer.last, (STATUS, PRESENT, DISCOVERY))), PATIENCE_S)
    numbers = [one.json["Id"] for one in consumer.on(EVENTS)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    heard = [one.json for one in consumer.on(EVENTS) if one.json["Event"] != "update"]

    def posted() -> list[dict[str, Any]]:
        return [one for one in hook[1] if one["Processor"] == "cam"]

    wait_until(lambda: len(posted()) >= len(heard), PATIENCE_S)
    assert posted() == heard


def test_a_killed_daemon_is_offline_by_its_last_will_and_online_again_when_it_is_back(
    online: Rig, consumer: Subscriber
) -> None:
    status, events = STATUS.replace("cam", "late"), EVENTS.replace("cam", "late")
    wait_until(lambda: consumer.last(AVAILABILITY) == "online", PATIENCE_S)
    online.create(*online.streams("late"), "late")
    wait_until(lambda: consumer.on(status), PATIENCE_S)
    online.daemon.kill()
    wait_until(lambda: consumer.last(AVAILABILITY) == "offline", PATIENCE_S)
    before = len(consumer.on(status))
    online.daemon.start()
    wait_until(lambda: consumer.last(AVAILABILITY) == "online", PATIENCE_S)
    wait_until(lambda: len(consumer.on(status)) > before, PATIENCE_S)
    assert json.loads(consumer.last(status))["Status"] == "STOPPED"

    online.connect()
    online.start("late")
    wait_until(lambda: consumer.on(events)[-1].json.get("Status") == "RUNNING", PATIENCE_S)
    numbers = [one.json["Id"] for one in consumer.on(events)]
    once_each = list(dict.fromkeys(numbers))
    assert once_each == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert len(numbers) <= 4  # one at most had no acknowledgement when it was killed
    assert online.daemon.stop() == 0
    wait_until(lambda: consumer.last(AVAILABILITY) == "offline", PATIENCE_S)
