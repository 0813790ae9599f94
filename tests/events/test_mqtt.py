"""The MQTT outlet against a real broker, heard by a client that is not ours."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import trustme

from streamproc.clock import SystemClock
from streamproc.events import mqtt, mqtt_connection
from streamproc.events.mqtt import MqttTarget
from streamproc.events.mqtt_messages import Status
from streamproc.events.outlet import Outlet
from streamproc.model.event import Event
from streamproc.settings import MqttConfig
from tests.events.outlet_parts import DOOR, PATIENCE_S, Diary, opened_diary, until
from tests.peers.mosquitto import Mosquitto, Subscriber, subscriber

EVENTS = "streamproc/us-east-1/door/events"
STATUS = "streamproc/us-east-1/door/status"
PRESENT = "streamproc/us-east-1/door/present"
PERSON = "streamproc/us-east-1/door/person"
AVAILABILITY = "streamproc/status"
DISCOVERY = "homeassistant/device/streamproc__us-east-1__door/config"


class Statuses:
    """The processors that there are, as the supervisor would tell."""

    def __init__(self) -> None:
        self.now: dict[tuple[str, str], str] = {DOOR: "RUNNING"}

    def __call__(self) -> list[Status]:
        return [Status(*key, status, "", 0.0) for key, status in self.now.items()]


@pytest.fixture(name="broker")
def running_broker(tmp_path: Path) -> Any:
    broker = Mosquitto(tmp_path / "broker")
    yield broker.start()
    broker.kill()


@pytest.fixture(name="diary")
async def opened(tmp_path: Path) -> AsyncIterator[Diary]:
    async with opened_diary(tmp_path) as diary:
        yield diary


@pytest.fixture(name="statuses")
def statuses_of_the_house() -> Statuses:
    return Statuses()


@pytest.fixture(name="start")
async def started_outlets(diary: Diary, statuses: Statuses) -> AsyncIterator[Callable[..., Outlet]]:
    """Start outlets that end with the test."""
    running = []

    def start(broker: Mosquitto | None = None, **settings: Any) -> Outlet:
        url = settings.pop("url", None) or (broker.url if broker else "")
        config = MqttConfig(url=url, **settings)
        target = MqttTarget(config, diary.log, statuses)
        outlet = Outlet(
            "mqtt", target, diary.log, SystemClock(), waiting_max=1000, roll=lambda: 0.1
        )
        running.append(outlet)
        outlet.start()
        return outlet

    yield start
    for outlet in running:
        await outlet.aclose()


def ids(heard: Subscriber) -> list[int]:
    """Of events, in the order in which they came."""
    return [one.json["Id"] for one in heard.on(EVENTS)]


def once_each(numbers: list[int]) -> list[int]:
    """What a consumer makes of them who minds the Id."""
    return list(dict.fromkeys(numbers))


async def test_events_arrive_once_each_and_in_order(
    broker: Mosquitto, diary: Diary, start: Any
) -> None:
    with subscriber(broker) as consumer:
        outlet = start(broker)
        events = await diary.visits(10)
        await until(lambda: len(ids(consumer)) >= 20)
        heard = consumer.on(EVENTS)
        assert [one.json for one in heard] == [json.loads(json.dumps(e.members)) for e in events]
        assert not any(one.retained for one in heard)
        await until(lambda: outlet.view().delivered_total == 20)


async def test_a_broker_that_is_down_misses_nothing_of_what_happens_meanwhile(
    tmp_path: Path, diary: Diary, start: Any
) -> None:
    broker = Mosquitto(tmp_path / "lasting", remembers=True).start()
    try:
        with subscriber(broker) as consumer:
            outlet = start(broker)
            before = await diary.visits(3)
            await until(lambda: len(ids(consumer)) >= 6)
            broker.stop()
            meanwhile = await diary.visits(20)
            await until(lambda: not outlet.view().connected)
            assert outlet.view().message
            broker.start()
            after = await diary.visits(3)
            expected = [event.id for event in [*before, *meanwhile, *after]]
            await until(lambda: once_each(ids(consumer)) == expected, lambda: ids(consumer))
            await until(lambda: outlet.view().waiting == 0)
            assert outlet.view().delivered_total == len(expected)
            assert outlet.view().message == ""
    finally:
        broker.kill()


async def test_a_broker_that_is_off_at_the_start_gets_everything_when_it_comes(
    tmp_path: Path, diary: Diary, start: Any
) -> None:
    broker = Mosquitto(tmp_path / "lasting", remembers=True).start()
    with subscriber(broker) as consumer:
        broker.stop()
        outlet = start(broker)
        events = await diary.visits(5)
        await until(lambda: outlet.view().failures_total > 1)
        message = outlet.view().message
        assert f"no answer from the broker at mqtt://127.0.0.1:{broker.port}" in message
        assert "Connection refused" in message
        broker.start()
        await until(lambda: once_each(ids(consumer)) == [event.id for event in events])
    broker.kill()


async def test_a_broker_that_hangs_is_given_up_and_misses_nothing(
    broker: Mosquitto, diary: Diary, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_connection, "ANSWER_S", 0.5)
    with subscriber(broker) as consumer:
        outlet = start(broker)
        await until(lambda: outlet.view().connected)
        broker.freeze()
        events = await diary.visits(3)
        await until(lambda: "not answered" in outlet.view().message, lambda: outlet.view())
        broker.thaw()
        await until(lambda: once_each(ids(consumer)) == [event.id for event in events])


async def test_a_broker_that_hangs_does_not_hold_up_the_end(
    broker: Mosquitto, diary: Diary, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_GOODBYE_S", 0.2)
    outlet = start(broker)
    await until(lambda: outlet.view().connected)
    broker.freeze()
    async with asyncio.timeout(PATIENCE_S):
        await outlet.aclose()
    broker.thaw()


async def test_a_look_at_the_broker_says_what_is_wrong_and_leaves_the_daemon_alone(
    broker: Mosquitto, start: Any
) -> None:
    outlet = start(broker)
    await until(lambda: outlet.view().connected)
    assert await mqtt_connection.trouble_with(MqttConfig(url=broker.url)) == ""
    broker.kill()
    assert "no answer from the broker" in await mqtt_connection.trouble_with(
        MqttConfig(url=broker.url)
    )


async def test_what_is_retained_is_told_again_to_a_broker_that_has_forgotten(
    broker: Mosquitto, diary: Diary, start: Any
) -> None:
    outlet = start(broker)
    await diary.enter("v1", "alice")
    await until(lambda: outlet.view().delivered_total == 1)
    broker.kill()
    await until(lambda: not outlet.view().connected)
    broker.start()
    await until(lambda: outlet.view().connected)
    with subscriber(broker) as newcomer:  # hears only what is retained
        await until(lambda: newcomer.on(PRESENT) and newcomer.on(DISCOVERY))
        assert newcomer.last(AVAILABILITY) == "online"
        assert json.loads(newcomer.last(STATUS))["Status"] == "RUNNING"
        people = json.loads(newcomer.last(PRESENT))["People"]
        assert [one["Person"]["Name"] for one in people] == ["alice"]
        assert all(one.retained for one in newcomer.heard)
        assert not newcomer.on(EVENTS)


async def test_states_and_presence_are_retained_as_they_change(
    broker: Mosquitto, diary: Diary, start: Any, statuses: Statuses
) -> None:
    statuses.now.clear()
    with subscriber(broker) as consumer:
        start(broker)
        await until(lambda: consumer.last(AVAILABILITY) == "online")
        assert not consumer.on(DISCOVERY)
        for status in ("STOPPED", "STARTING", "RUNNING"):
            await diary.state(status)
        await until(lambda: consumer.on(STATUS) and "RUNNING" in consumer.last(STATUS))
        told = [json.loads(one.payload)["Status"] for one in consumer.on(STATUS)]
        assert told == ["STOPPED", "STARTING", "RUNNING"]
        assert json.loads(consumer.last(DISCOVERY))["device"]["name"] == "door"
        await diary.enter("v1", "alice")
        await until(lambda: consumer.on(PERSON))
        assert json.loads(consumer.last(PRESENT))["Count"] == 1
        await diary.leave("v1")
        await until(lambda: json.loads(consumer.last(PRESENT))["Count"] == 0)


async def test_a_deleted_processor_leaves_nothing_behind(
    broker: Mosquitto, diary: Diary, start: Any, statuses: Statuses
) -> None:
    outlet = start(broker)
    await diary.enter("v1", "alice")
    await diary.leave("v1")
    statuses.now.clear()
    await diary.state("DELETED")
    await until(lambda: outlet.view().delivered_total == 3)
    await asyncio.to_thread(assert_nothing_but_availability, broker)


async def test_one_that_was_deleted_while_nobody_was_connected_is_forgotten_too(
    broker: Mosquitto, diary: Diary, start: Any, statuses: Statuses
) -> None:
    first = start(broker)
    await diary.enter("v1", "alice")
    await until(lambda: first.view().delivered_total == 1)
    await first.aclose()
    with subscriber(broker) as consumer:
        await until(lambda: consumer.last(STATUS) and consumer.last(AVAILABILITY) == "offline")
        statuses.now = {("us-east-1", "gate"): "RUNNING"}
        start(broker)
        await until(lambda: consumer.last(STATUS) == "" and consumer.last(DISCOVERY) == "")
        await until(lambda: "RUNNING" in consumer.last(STATUS.replace("door", "gate")))


def assert_nothing_but_availability(broker: Mosquitto) -> None:
    with subscriber(broker) as newcomer:
        assert {one.topic for one in newcomer.heard if one.payload} <= {AVAILABILITY}


async def test_who_says_goodbye_is_offline(broker: Mosquitto, start: Any) -> None:
    with subscriber(broker) as consumer:
        outlet = start(broker)
        await until(lambda: consumer.last(AVAILABILITY) == "online")
        await outlet.aclose()
        await until(lambda: consumer.last(AVAILABILITY) == "offline")


async def test_who_says_goodbye_before_all_is_told_is_offline_too(
    broker: Mosquitto, start: Any, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = asyncio.Event()

    async def read_for_ever() -> list[Event]:
        reading.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(diary.log, "open_visits", read_for_ever)
    with subscriber(broker) as consumer:
        outlet = start(broker)
        await reading.wait()
        await outlet.aclose()
        await until(
            lambda: [one.payload for one in consumer.on(AVAILABILITY)] == ["online", "offline"]
        )


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(
    broker: Mosquitto, diary: Diary, statuses: Statuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = aiomqtt.Client.publish
    tasks: list[asyncio.Task[None]] = []

    async def publish_and_lose_it(
        client: aiomqtt.Client, topic: str, *rest: Any, **more: Any
    ) -> None:
        await publish(client, topic, *rest, **more)
        (task,) = tasks
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    async def use() -> None:
        async with MqttTarget(MqttConfig(url=broker.url), diary.log, statuses).open():
            raise AssertionError("it went on")

    monkeypatch.setattr(aiomqtt.Client, "publish", publish_and_lose_it)
    tasks.append(asyncio.create_task(use()))
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]


async def test_a_wrong_password_is_told_in_words_and_mended_without_a_restart(
    tmp_path: Path, diary: Diary, statuses: Statuses
) -> None:
    broker = Mosquitto(tmp_path / "broker", username="cam", password="right").start()
    file = tmp_path / "password"
    file.write_text("not-right\n")
    config = MqttConfig(url=broker.url, username="cam", password_file=str(file))
    target = MqttTarget(config, diary.log, statuses)
    outlet = Outlet("mqtt", target, diary.log, _Impatient(), waiting_max=10)
    outlet.start()
    try:
        await until(lambda: outlet.view().message)
        message = outlet.view().message
        assert "refuses the login" in message
        assert "mqtt.password_file" in message
        assert "not-right" not in message
        file.write_text("right\n")
        await until(lambda: outlet.view().connected)
        with subscriber(broker, username="cam", password="right") as consumer:
            events = await diary.visits(1)
            await until(lambda: ids(consumer) == [event.id for event in events])
    finally:
        await outlet.aclose()
        broker.kill()


class _Impatient(SystemClock):
    """What is tried again slowly is tried again soon; each pause is noted."""

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 60.0
        await asyncio.sleep(0.05)


async def test_no_login_where_one_is_asked_for_is_told_too(tmp_path: Path, start: Any) -> None:
    broker = Mosquitto(tmp_path / "broker", username="cam", password="right").start()
    outlet = start(broker)
    await until(lambda: "refuses the login" in outlet.view().message)
    broker.kill()


@pytest.fixture(name="authority", scope="module")
def certificate_authority() -> trustme.CA:
    return trustme.CA()


def secure_broker(folder: Path, authority: trustme.CA, *, asks: bool = False) -> Mosquitto:
    folder.mkdir()
    certificate = folder / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for file in folder.iterdir():
        file.chmod(0o644)
    return Mosquitto(
        folder, certificate=certificate, authorities=folder / "ca.pem" if asks else None
    ).start()


async def test_a_broker_with_tls_is_trusted_by_its_authority(
    tmp_path: Path, diary: Diary, start: Any, authority: trustme.CA
) -> None:
    broker = secure_broker(tmp_path / "tls", authority)
    outlet = start(broker, ca_file=str(tmp_path / "tls" / "ca.pem"))
    await diary.visits(1)
    await until(lambda: outlet.view().delivered_total == 2, lambda: outlet.view())
    broker.kill()


# paho leaves the socket of a handshake that fails to be closed by Python.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
async def test_a_certificate_that_nobody_trusts_is_told_with_the_remedy(
    tmp_path: Path, start: Any, authority: trustme.CA
) -> None:
    broker = secure_broker(tmp_path / "tls", authority)
    unknown = start(broker)
    await until(lambda: unknown.view().message)
    assert "is not trusted" in unknown.view().message
    assert "mqtt.ca_file" in unknown.view().message
    other_name = start(
        broker, url=f"mqtts://127.0.0.1:{broker.port}", ca_file=str(tmp_path / "tls" / "ca.pem")
    )
    await until(lambda: other_name.view().message)
    assert "the name in the certificate" in other_name.view().message
    broker.kill()


async def test_a_broker_that_asks_for_a_certificate_gets_ours(
    tmp_path: Path, diary: Diary, start: Any, authority: trustme.CA
) -> None:
    broker = secure_broker(tmp_path / "tls", authority, asks=True)
    ours = authority.issue_cert("streamproc@example.org")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    ours.cert_chain_pems[0].write_to_path(certificate)
    ours.private_key_pem.write_to_path(key)
    ca_file = str(tmp_path / "tls" / "ca.pem")
    outlet = start(
        broker, ca_file=ca_file, certificate_file=str(certificate), private_key_file=str(key)
    )
    await diary.visits(1)
    await until(lambda: outlet.view().delivered_total == 2, lambda: outlet.view())
    broker.kill()


async def test_a_broker_that_misses_our_certificate_is_told_so(
    tmp_path: Path, start: Any, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_connection, "ANSWER_S", 0.5)
    broker = secure_broker(tmp_path / "tls", authority, asks=True)
    outlet = start(broker, ca_file=str(tmp_path / "tls" / "ca.pem"))
    await until(lambda: "mqtt.certificate_file" in outlet.view().message)
    assert not outlet.view().connected
    broker.kill()


@pytest.mark.parametrize(
    ("key", "url"),
    [("ca_file", "mqtts://localhost:1"), ("certificate_file", "mqtts://localhost:1"),
     ("password_file", "mqtt://localhost:1")],
)  # fmt: skip
async def test_a_file_that_is_not_there_is_named_with_its_setting(
    key: str, url: str, tmp_path: Path, broker: Mosquitto, start: Any
) -> None:
    missing = str(tmp_path / "missing.pem")
    more = {"username": "cam"} if key == "password_file" else {}
    outlet = start(broker, url=url, **{key: missing}, **more)
    await until(lambda: outlet.view().message)
    message = outlet.view().message
    assert f"mqtt.{key} = {missing!r} cannot be read: No such file or directory" in message


async def test_a_host_that_nobody_knows_is_told(broker: Mosquitto, start: Any) -> None:
    outlet = start(broker, url="mqtt://no-such-host.invalid")
    await until(lambda: outlet.view().message)
    assert "no answer from the broker at mqtt://no-such-host.invalid:1883" in outlet.view().message


async def test_a_port_where_nobody_speaks_does_not_hold_up_the_end(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_connection, "_GIVEN_UP_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outlet = start(url=f"mqtt://127.0.0.1:{silent.getsockname()[1]}")
        peer, _ = await asyncio.to_thread(silent.accept)
        async with asyncio.timeout(PATIENCE_S):
            await outlet.aclose()
        peer.close()


async def test_two_clients_of_one_name_are_told_so(
    broker: Mosquitto, start: Any, diary: Diary
) -> None:
    first = start(broker)
    await until(lambda: first.view().connected)
    second = start(broker)
    await until(lambda: "mqtt.client_id" in first.view().message or second.view().message)


async def test_names_of_other_letters_reach_their_topics(
    broker: Mosquitto, diary: Diary, start: Any, statuses: Statuses
) -> None:
    key = ("us-east-1", "Front_door.1-x")
    statuses.now[key] = "RUNNING"
    with subscriber(broker) as consumer:
        start(broker, topic_prefix="home/cams")
        event: Event = await diary.enter("v1", "Zoë + Ben", key)
        await until(lambda: consumer.on("home/cams/us-east-1/Front_door.1-x/events"))
        (heard,) = consumer.on("home/cams/us-east-1/Front_door.1-x/events")
        assert heard.json["Person"]["Name"] == event.body["Person"]["Name"]
        config = "homeassistant/device/home_2fcams__us-east-1__Front_5fdoor_2e1-x/config"
        assert json.loads(consumer.last(config))["device"]["name"] == "Front_door.1-x"
