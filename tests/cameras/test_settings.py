"""[cameras.NAME]: where its keys may stand, what they may be, and that no password is repeated."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.config import Config, load_config, parse_assignment
from streamproc.errors import ConfigError

URL = "rtsp://viewer:ge-heim@192.168.1.20/1"


def of_set(*assignments: str) -> Config:
    """As `streamproc serve --set … --set …` loads it."""
    overrides: dict[str, dict[str, Any]] = {}
    for text in assignments:
        table, key, value = parse_assignment(text)
        overrides.setdefault(table, {})[key] = value
    return load_config(None, overrides)


def test_all_places_of_a_setting_come_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "streamproc.toml"
    file.write_text(f'[cameras.door]\nurl = "{URL}"\ncollection = "family"\nstream = "a"\n')
    monkeypatch.setenv("STREAMPROC_CAMERAS__DOOR__STREAM", "b")
    monkeypatch.setenv("STREAMPROC_CAMERAS__GATE__URL", "webcam:0")
    overrides = {"cameras": {"door.transport": "udp", "hall.url": "/films/hall.mp4"}}
    cameras = load_config(file, overrides).cameras.root
    assert cameras.keys() == {"door", "gate", "hall"}
    door = cameras["door"]
    assert (door.url, door.collection, door.stream, door.transport) == (URL, "family", "b", "udp")
    assert cameras["gate"].url == "webcam:0"
    assert cameras["hall"].url == "/films/hall.mp4"


def test_a_name_with_a_dot_is_a_name() -> None:
    assert of_set("cameras.front.door.url=webcam:0").cameras.root.keys() == {"front.door"}


def test_a_camera_can_be_one_inline_table() -> None:
    camera = of_set(f'cameras.door={{url = "{URL}", transcode = true}}').cameras.root["door"]
    assert camera.transcode


def test_buckets_keep_their_dots() -> None:
    assert of_set("buckets.my.bucket=/srv").buckets.root == {"my.bucket": Path("/srv")}


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("cameras.door.transport=tpc", "cameras.door.transport = 'tpc'"),
        ("cameras.door.stream=front door", "cameras.door.stream = 'front door': \"front door\" is"),
        ("cameras.door.collection=a/b", "is no CollectionId"),
        ("cameras.door.bla=1", "cameras.door.bla is not known"),
        ("cameras.door.url_file=/etc/door", "both are given of url and url_file"),
        ('cameras.door.url=""', "neither is given of url and url_file"),
        ('cameras.door.url=["rtsp://viewer:ge-heim@door"]', "cameras.door.url: Input should be"),
        ("cameras.yard=rtsp://viewer:ge-heim@yard", "cameras.yard: Input should be"),
        ("cameras.front door.url=webcam:0", '"front door" cannot name a camera'),
    ],
)
def test_a_wrong_key_is_named_and_no_password_repeated(assignment: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of_set(f"cameras.door.url={URL}", assignment)
    assert told in str(caught.value)
    assert "ge-heim" not in str(caught.value)


def test_a_camera_that_is_printed_shows_no_url() -> None:
    config = of_set(f"cameras.door.url={URL}")
    assert "ge-heim" not in repr(config)
    assert "ge-heim" not in str(config.cameras)


def test_a_long_name_leaves_room_for_its_data_stream() -> None:
    name = "x" * 125
    assert of_set(f"cameras.{name}.url=webcam:0").cameras.root.keys() == {name}
    with pytest.raises(ConfigError, match="1 to 128"):
        of_set(f"cameras.{name}.url=webcam:0", f"cameras.{name}.collection=people")


def test_the_environment_takes_a_table_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_CAMERAS", json.dumps({"door": {"url": URL}}))
    assert load_config().cameras.root["door"].url == URL
    monkeypatch.setenv("STREAMPROC_CAMERAS", f"door: {URL}")
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert "ge-heim" not in str(caught.value)
