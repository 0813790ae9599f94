"""Topics and payloads, without a broker: names of any letters, and what is retained."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.events.mqtt_messages import Retained, Status, Topics, event_message, level
from streamproc.model.event import Event, EventKind

DOOR = ("us-east-1", "door")
TOPICS = Topics("home/streamproc")
RUNNING = Status(*DOOR, "RUNNING", "", 1_700_000_000.0)


def visit(number: int, kind: EventKind, visit_id: str, name: str, **body: Any) -> Event:
    person = {"Name": name, "Known": not name.startswith("unknown")}
    return Event(
        number, kind, *DOOR, 1_700_000_000.0 + number,
        {"VisitId": visit_id, "Person": person, "FirstSeen": "2023-11-14T22:13:20.000Z", **body},
    )  # fmt: skip


def state(number: int, status: str) -> Event:
    return Event(number, EventKind.STATE, *DOOR, 1_700_000_000.0 + number, {"Status": status})


def told(retained: Retained) -> dict[str, Any]:
    """What the broker would retain, by the last level of the topic."""
    return {
        message.topic.rpartition("/")[2]: json.loads(message.payload or "null")
        for message in retained.messages(DOOR, TOPICS)
    }


def test_an_event_is_told_as_it_is_everywhere_and_is_not_retained() -> None:
    event = visit(7, EventKind.ENTER, "v1", "Zoë")
    message = event_message(event, TOPICS)
    assert message.topic == "home/streamproc/us-east-1/door/events"
    assert json.loads(message.payload) == event.members
    assert not message.retain


@given(st.text(min_size=1))
def test_any_name_is_one_level_of_a_topic_and_comes_back(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return  # half a surrogate pair is no name
    encoded = level(name)
    assert not set(encoded) & set("+#/ \x00")
    assert TOPICS.processor_of(TOPICS.status(("eu-west-1", name))) == ("eu-west-1", name)


def test_what_an_API_name_may_hold_stays_readable() -> None:
    assert level("Front_door-2.cam") == "Front_door-2.cam"
    assert level("a+b/c #1") == "a%2Bb%2Fc%20%231"


@pytest.mark.parametrize("topic", ["home/streamproc/status", "home/other/us-east-1/door/status"])
def test_a_topic_of_something_else_is_no_processor_s(topic: str) -> None:
    assert TOPICS.processor_of(topic) is None


def test_presence_follows_visits() -> None:
    retained = Retained([RUNNING], [])
    assert told(retained) == {
        "status": {"At": "2023-11-14T22:13:20.000Z", "Region": "us-east-1", "Processor": "door",
                   "Status": "RUNNING", "StatusMessage": ""},
        "present": {"Region": "us-east-1", "Processor": "door", "Count": 0, "People": []},
    }  # fmt: skip
    retained.apply(visit(1, EventKind.ENTER, "v1", "alice"))
    retained.apply(visit(2, EventKind.ENTER, "v2", "unknown-1"))
    now = told(retained)
    assert now["present"]["Count"] == 2
    assert [one["Person"]["Name"] for one in now["present"]["People"]] == ["alice", "unknown-1"]
    assert now["person"]["Person"]["Name"] == "unknown-1"
    retained.apply(
        visit(3, EventKind.UPDATE, "v2", "bob", Change="identified", WasName="unknown-1")
    )
    retained.apply(visit(4, EventKind.EXIT, "v1", "alice", Reason="left"))
    now = told(retained)
    assert [one["Person"]["Name"] for one in now["present"]["People"]] == ["bob"]
    assert now["person"]["Person"]["Name"] == "bob"


def test_an_event_that_is_told_twice_changes_nothing() -> None:
    retained = Retained([RUNNING], [])
    once = [visit(1, EventKind.ENTER, "v1", "alice"), visit(2, EventKind.EXIT, "v1", "alice")]
    for event in [once[0], once[0], once[1], once[1]]:
        retained.apply(event)
    assert told(retained)["present"]["Count"] == 0


def test_open_visits_of_before_are_present_from_the_beginning() -> None:
    retained = Retained([RUNNING], [visit(9, EventKind.UPDATE, "v1", "alice")])
    assert told(retained)["present"]["Count"] == 1


def test_a_deleted_processor_leaves_nothing_at_the_broker() -> None:
    retained = Retained([RUNNING], [visit(1, EventKind.ENTER, "v1", "alice")])
    retained.apply(state(2, "STOPPED"))
    assert told(retained)["status"]["Status"] == "STOPPED"
    retained.apply(state(3, "DELETED"))
    assert DOOR not in retained
    messages = list(retained.messages(DOOR, TOPICS))
    assert {message.topic for message in messages} == set(TOPICS.retained(DOOR))
    assert all(message.retain and message.payload == "" for message in messages)
