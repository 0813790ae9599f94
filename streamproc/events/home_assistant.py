"""Home Assistant's MQTT discovery: one device for each processor, with what it can tell.

Pure. Speaks the device discovery payload of Home Assistant 2024.11 and later
(https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload): one retained message
makes the device, an empty one on the same topic removes it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from streamproc import __version__
from streamproc.events.mqtt_messages import Message, Topics
from streamproc.model.processor import ProcessorKey

_RUNNING: Final = "{{ 'online' if value_json.Status == 'RUNNING' else 'offline' }}"
# What is neither renders as {}, which Home Assistant takes for no event.
_VISITS: Final = (
    "{% if value_json.Event in ('enter', 'exit') %}"
    "{{ {'event_type': value_json.Event, 'person': value_json.Person.Name, "
    "'known': value_json.Person.Known, 'visit_id': value_json.VisitId, 'id': value_json.Id} "
    "| tojson }}{% else %}{}{% endif %}"
)


class Discovery:
    """Announces processors under Home Assistant's discovery prefix, "homeassistant" as it comes."""

    def __init__(self, prefix: str, topics: Topics, topic_prefix: str, console_url: str) -> None:
        """topic_prefix tells daemons at one broker apart; console_url may be empty."""
        self._prefix = prefix
        self._topics = topics
        self._daemon = topic_prefix
        self._console_url = console_url

    def announced(self, key: ProcessorKey) -> Message:
        payload = json.dumps(self._device(key), ensure_ascii=False, separators=(",", ":"))
        return Message(self.topic(key), payload, retain=True)

    def removed(self, key: ProcessorKey) -> Message:
        return Message(self.topic(key), "", retain=True)

    def topic(self, key: ProcessorKey) -> str:
        return f"{self._prefix}/device/{self._id(key)}/config"

    def _id(self, key: ProcessorKey) -> str:
        return "__".join(identifier(name) for name in (self._daemon, *key))

    def _device(self, key: ProcessorKey) -> Mapping[str, Any]:
        device = {
            "identifiers": [self._id(key)],
            "name": key[1],
            "manufacturer": "streamproc",
            "model": "Stream processor",
            "sw_version": __version__,
        }
        if self._console_url:
            device["configuration_url"] = self._console_url
        return {
            "device": device,
            "origin": {"name": "streamproc", "sw_version": __version__},
            "availability": [{"topic": self._topics.availability}],
            "qos": 1,
            "components": {
                f"{self._id(key)}__{name}": {"unique_id": f"{self._id(key)}__{name}", **component}
                for name, component in self._components(key).items()
            },
        }

    def _components(self, key: ProcessorKey) -> dict[str, dict[str, Any]]:
        status, present = self._topics.status(key), self._topics.present(key)
        person = self._topics.person(key)
        # Whether somebody is there is known only while somebody looks.
        looking = {
            "availability": [
                {"topic": self._topics.availability},
                {"topic": status, "value_template": _RUNNING},
            ],
            "availability_mode": "all",
        }
        return {
            "present": {
                "platform": "binary_sensor",
                "name": "Somebody there",
                "device_class": "occupancy",
                "state_topic": present,
                "value_template": "{{ 'ON' if value_json.Count > 0 else 'OFF' }}",
                "json_attributes_topic": present,
                **looking,
            },
            "people": {
                "platform": "sensor",
                "name": "People",
                "icon": "mdi:account-multiple",
                "state_class": "measurement",
                "state_topic": present,
                "value_template": "{{ value_json.Count }}",
                **looking,
            },
            "person": {
                "platform": "sensor",
                "name": "Last person",
                "icon": "mdi:account",
                "state_topic": person,
                "value_template": "{{ value_json.Person.Name }}",
                "json_attributes_topic": person,
            },
            "visits": {
                "platform": "event",
                "name": "Visits",
                "icon": "mdi:doorbell-video",
                "event_types": ["enter", "exit"],
                "state_topic": self._topics.events(key),
                "value_template": _VISITS,
            },
            "running": {
                "platform": "binary_sensor",
                "name": "Running",
                "device_class": "running",
                "entity_category": "diagnostic",
                "state_topic": status,
                "value_template": "{{ 'ON' if value_json.Status == 'RUNNING' else 'OFF' }}",
                "json_attributes_topic": status,
            },
        }


def identifier(name: str) -> str:
    """A name in the letters that Home Assistant allows in an object_id, [a-zA-Z0-9_-]: any other
    byte of its UTF-8, and "_" itself, becomes "_" and two hexadecimal digits. So no two names
    are one, and "__" may part them."""
    return re.sub(rb"[^a-zA-Z0-9-]", lambda byte: b"_%02x" % byte[0][0], name.encode()).decode()
