"""Discovery payloads against what Home Assistant documents, and its templates rendered by Jinja
over what we really publish."""

import json
import re
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.events.home_assistant import Discovery, identifier
from streamproc.events.mqtt_messages import Retained, Status, Topics, event_message
from streamproc.model.event import Event, EventKind

DOOR = ("us-east-1", "Front_door.1")
TOPICS = Topics("home/streamproc")
DISCOVERY = Discovery("homeassistant", TOPICS, "home/streamproc", "http://127.0.0.1:4600/console/")

# The keys that its documentation has: of a device discovery payload, of the device and the
# origin, of every entity, and of each platform.
ROOT_KEYS = {"device", "origin", "components", "availability", "qos"}
DEVICE_KEYS = {"identifiers", "name", "manufacturer", "model", "sw_version", "configuration_url"}
ENTITY_KEYS = {
    "platform", "unique_id", "name", "icon", "entity_category", "state_topic", "value_template",
    "json_attributes_topic", "availability", "availability_mode", "device_class",
}  # fmt: skip
PLATFORM_KEYS: dict[str, set[str]] = {
    "binary_sensor": set(), "sensor": {"state_class"}, "event": {"event_types"},
}  # fmt: skip


@pytest.fixture(name="device")
def announced_device() -> dict[str, Any]:
    return dict(json.loads(DISCOVERY.announced(DOOR).payload))


def rendered(template: str, payload: str) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(value=payload, value_json=json.loads(payload))


def component(device: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(one) for key, one in device["components"].items() if key.endswith(f"__{name}"))


def payloads(*events: Event) -> dict[str, str]:
    """What is retained after these events, by topic."""
    retained = Retained([Status(*DOOR, "RUNNING", "", 0.0)], [])
    for event in events:
        retained.apply(event)
    return {message.topic: message.payload for message in retained.messages(DOOR, TOPICS)}


ENTER = Event(
    5, EventKind.ENTER, *DOOR, 0.0,
    {"VisitId": "v1", "Person": {"Name": 'Zoë "Z"', "Known": True}, "FirstSeen": "1970"},
)  # fmt: skip


def test_every_key_is_one_that_home_assistant_knows(device: dict[str, Any]) -> None:
    assert set(device) == ROOT_KEYS
    assert set(device["device"]) == DEVICE_KEYS
    assert device["origin"]["name"] == "streamproc"
    assert len(device["components"]) == 5
    for one in device["components"].values():
        allowed = ENTITY_KEYS | PLATFORM_KEYS[one["platform"]]
        assert set(one) <= allowed, set(one) - allowed
        assert {"platform", "unique_id", "state_topic"} <= set(one)


def test_the_topic_has_the_form_that_discovery_needs() -> None:
    # TOPIC_MATCHER of homeassistant/components/mqtt/discovery.py
    form = (
        r"(?P<component>\w+)/(?:(?P<node_id>[a-zA-Z0-9_-]+)/)?(?P<object_id>[a-zA-Z0-9_-]+)/config"
    )
    topic = DISCOVERY.announced(DOOR).topic.removeprefix("homeassistant/")
    found = re.fullmatch(form, topic)
    assert found is not None
    assert (found["component"], found["node_id"]) == ("device", None)


def test_entities_of_two_processors_are_never_one(device: dict[str, Any]) -> None:
    other = json.loads(DISCOVERY.announced(("us-east-1", "Front-door_1")).payload)
    assert not {one["unique_id"] for one in device["components"].values()} & {
        one["unique_id"] for one in other["components"].values()
    }
    assert device["device"]["identifiers"] != other["device"]["identifiers"]


@given(st.text(), st.text())
def test_an_identifier_is_legal_and_tells_names_apart(one: str, other: str) -> None:
    try:
        first, second = identifier(one), identifier(other)
    except UnicodeEncodeError:
        return  # half a surrogate pair is no name
    assert re.fullmatch(r"[a-zA-Z0-9_-]*", first)
    assert "__" not in first
    assert (first == second) is (one == other)


def test_presence_and_count_follow_the_retained_topic(device: dict[str, Any]) -> None:
    for events, state, count in [((), "OFF", "0"), ((ENTER,), "ON", "1")]:
        told = payloads(*events)
        present, people = component(device, "present"), component(device, "people")
        assert rendered(present["value_template"], told[present["state_topic"]]) == state
        assert rendered(people["value_template"], told[people["state_topic"]]) == count


def test_the_last_person_is_named(device: dict[str, Any]) -> None:
    person = component(device, "person")
    told = payloads(ENTER)[person["state_topic"]]
    assert rendered(person["value_template"], told) == 'Zoë "Z"'


def test_running_and_availability_follow_the_status(device: dict[str, Any]) -> None:
    running = component(device, "running")
    for status, state, availability in [("RUNNING", "ON", "online"), ("FAILED", "OFF", "offline")]:
        changed = Event(1, EventKind.STATE, *DOOR, 0.0, {"Status": status})
        told = payloads(changed)[running["state_topic"]]
        assert rendered(running["value_template"], told) == state
        looked_at = component(device, "present")["availability"][1]
        assert looked_at["topic"] == running["state_topic"]
        assert rendered(looked_at["value_template"], told) == availability


@pytest.mark.parametrize("kind", EventKind)
def test_the_event_entity_takes_enter_and_exit_and_nothing_else(
    device: dict[str, Any], kind: EventKind
) -> None:
    body = {"Status": "RUNNING"} if kind is EventKind.STATE else ENTER.body
    visits = component(device, "visits")
    message = event_message(Event(5, kind, *DOOR, 0.0, body), TOPICS)
    assert message.topic == visits["state_topic"]
    taken = json.loads(rendered(visits["value_template"], message.payload))
    if kind.value not in visits["event_types"]:
        assert taken == {}
    else:
        assert taken == {
            "event_type": kind.value, "person": 'Zoë "Z"', "known": True, "visit_id": "v1", "id": 5,
        }  # fmt: skip


def test_a_processor_that_is_deleted_is_removed_by_an_empty_payload() -> None:
    removed = DISCOVERY.removed(DOOR)
    assert removed.topic == DISCOVERY.announced(DOOR).topic
    assert removed.payload == ""
    assert removed.retain


def test_without_a_console_there_is_no_link_to_it() -> None:
    device = json.loads(Discovery("ha", TOPICS, "home", "").announced(DOOR).payload)["device"]
    assert "configuration_url" not in device
