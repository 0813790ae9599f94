"""[mqtt] and [webhooks]: what is wrong is named, and no secret is repeated."""

from pathlib import Path
from typing import Any

import pytest

from streamproc.config import load_config
from streamproc.errors import ConfigError


@pytest.mark.parametrize(
    ("table", "keys", "told"),
    [
        ("mqtt", {"url": "tcp://broker"}, "mqtt.url"),
        ("mqtt", {"url": "broker:1883"}, "mqtt.url"),
        ("mqtt", {"url": "mqtt://"}, "mqtt.url"),
        ("mqtt", {"url": "mqtt://broker:port"}, "mqtt.url"),
        ("mqtt", {"url": "mqtt://cam:s3cret@broker"}, "see mqtt.username"),
        ("mqtt", {"url": "mqtt://broker:1883/topic"}, "nothing follows the port"),
        ("mqtt", {"topic_prefix": "a/+"}, "mqtt.topic_prefix"),
        ("mqtt", {"topic_prefix": "/a"}, "mqtt.topic_prefix"),
        ("mqtt", {"topic_prefix": ""}, "mqtt.topic_prefix"),
        ("mqtt", {"topic_prefix": "$SYS"}, "mqtt.topic_prefix"),
        ("mqtt", {"home_assistant_prefix": "ha#"}, "mqtt.home_assistant_prefix"),
        ("mqtt", {"client_id": ""}, "mqtt.client_id"),
        ("mqtt", {"keepalive_s": 0}, "mqtt.keepalive_s"),
        ("mqtt", {"password": "s3cret"}, "needs mqtt.username"),
        (
            "mqtt",
            {"username": "cam", "password": "s3cret", "password_file": "x"},
            "mqtt.password and mqtt.password_file are both set",
        ),
        ("webhooks", {"bell": {"url": "ftp://example.org/s3cret"}}, "webhooks.bell.url"),
        ("webhooks", {"bell": {"secret": "s3cret"}}, "webhooks.bell.url"),
        ("webhooks", {"bell": {"url": "http://a", "events": ["come"]}}, "webhooks.bell.events"),
        ("webhooks", {"bell": {"url": "http://a", "hurry": 1}}, "webhooks.bell.hurry is not known"),
        ("webhooks", {"my bell": {"url": "http://a/s3cret"}}, '"my bell" is no name'),
    ],
)
def test_a_wrong_key_is_named_and_no_secret_repeated(
    table: str, keys: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(None, {table: keys})
    assert told in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_legal_ones_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "streamproc.toml"
    file.write_text(
        '[mqtt]\nurl = "mqtts://broker.lan"\nusername = "cam"\npassword_file = "~/broker"\n'
        'topic_prefix = "home/cams"\n'
        '[webhooks.bell]\nurl = "https://example.org/hook?key=1"\nevents = ["enter"]\n'
        '[webhooks.log_2]\nurl = "http://127.0.0.1:1"\n'
    )
    config = load_config(file)
    assert config.mqtt.password_file == str(Path("~/broker").expanduser())
    assert list(config.webhooks.root) == ["bell", "log_2"]
    assert config.webhooks.root["log_2"].events == ["enter", "exit", "state"]
