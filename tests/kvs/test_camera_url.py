"""Sources as people write them, and what of them may be seen."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import ConfigError
from streamproc.kvs.camera_url import SourceKind, masked, parse_source


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://host/cam", "rtsp://host/cam"),
        ("rtsp://token@host/cam", "rtsp://***@host/cam"),
        ("rtsp://user:pw@host:8554/cam", "rtsp://user:***@host:8554/cam"),
        ("rtsp://user:p@w@host/cam", "rtsp://user:***@host/cam"),
        ("rtsp://user:p/w@host/cam", "rtsp://user:***@host/cam"),
        ("rtsp://user:p#w?@host/cam", "rtsp://user:***@host/cam"),
        ("rtsp://user:12/34@host/cam", "rtsp://user:***@host/cam"),
        ("rtsp://user:12?34@host/cam", "rtsp://user:***@host/cam"),
        ("rtsp://user:p@w/x@host/cam", "rtsp://user:***@host/cam"),
        ("rtsps://[fe80::1]:322/cam", "rtsps://[fe80::1]:322/cam"),
        ("http://host/video?user=a&password=pw&x=1", "http://host/video?user=a&password=***&x=1"),
        ("http://host/v?access_token=abc", "http://host/v?access_token=***"),
        ("http://host/v?loginuse=a&loginpas=pw", "http://host/v?loginuse=a&loginpas=***"),
        ("http://host/v?user=a&pw=pw", "http://host/v?user=a&pw=***"),
        ("http://host/v?u=a&p=pw&fps=5", "http://host/v?u=a&p=***&fps=5"),
        ("http://host/v?session=1&sid=2", "http://host/v?session=***&sid=***"),
        ("http://host/v?password%3Dpw", "http://host/v?password%3D***"),
        ("rtsp://host/password=p/w&channel=1", "rtsp://host/password=***&channel=1"),
        ("rtsp://host/user=admin_password=pw_channel=1", "rtsp://host/user=admin_password=***"),
        ("http://host/video?mail=me@example.com", "http://host/video?mail=me@example.com"),
        ("/films/cam?password=pw", "/films/cam?password=***"),
        ("visit.mp4", "visit.mp4"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert masked(url) == shown


@given(st.text(st.characters(codec="ascii"), min_size=6))
def test_no_password_shows_whatever_is_in_it(password: str) -> None:
    secret = f"~{password}~"  # a text that stands nowhere else
    assert secret not in masked(f"rtsp://viewer:{secret}@host/cam")


def test_words_of_others_are_scrubbed() -> None:
    source = parse_source("rtsp://viewer:s3cr%40t@host/cam?token=abcdef")
    words = f"cannot open {source.url}: login viewer:s3cr@t failed for token abcdef"
    assert source.scrubbed(words) == (
        "cannot open rtsp://viewer:***@host/cam?token=***: login viewer:*** failed for token ***"
    )
    for text in (str(source), repr(source), f"{source}"):
        assert "s3cr" not in text
        assert "abcdef" not in text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("rtsp://host/cam", SourceKind.RTSP),
        ("RTSPS://host/cam", SourceKind.RTSP),
        ("http://host/video", SourceKind.HTTP),
        ("https://host/live.m3u8", SourceKind.HTTP),
        ("webcam:0", SourceKind.WEBCAM),
        ("/dev/video2", SourceKind.WEBCAM),
        ("visit.mp4", SourceKind.FILE),
        ("me@home.mp4", SourceKind.FILE),
        ("10:30.mp4", SourceKind.FILE),
    ],
)
def test_kinds_of_sources(text: str, kind: SourceKind) -> None:
    source = parse_source(text)
    assert source.kind is kind
    assert source.url == text
    assert source.is_live is (kind is not SourceKind.FILE)


def test_a_folder_is_known_when_it_is_seen(tmp_path: Path) -> None:
    assert parse_source(str(tmp_path)).kind is SourceKind.FOLDER


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the source is empty"),
        ("ftp://host/x", "ftp:// is not read; use rtsp://"),
        ("webcam", "the first one is webcam:0"),
        ("rtsp:///cam", "names no host and port"),
        ("rtsp://host:99999/cam", "names no host and port"),
        ("rtsp://user:p#w@host/cam", "%23"),
        ("rtsp://host/my cam", "write %20"),
        ("admin:secret@192.168.1.5/stream", "does not begin with rtsp://"),
        ("admin:se/secret@192.168.1.5/stream", "does not begin with rtsp://"),
        (" rtsp://admin:secret@host/cam", "does not begin with rtsp://"),
        ("\ufeffrtsp://admin:secret@host/cam", "does not begin with rtsp://"),
        ('"rtsp://admin:secret@host/cam"', "does not begin with rtsp://"),
        ("URL=rtsp://admin:secret@host/cam", "does not begin with rtsp://"),
        ("rtsp:/admin:secret@host/cam", "does not begin with rtsp://"),
        ("rtsp//admin:secret@host/cam", "does not begin with rtsp://"),
    ],
)
def test_what_is_no_source_is_told_with_the_way_out(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_source(text)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "p#w" not in str(caught.value)


def test_ports_that_are_not_written() -> None:
    assert parse_source("rtsp://host/cam").port == 554
    assert parse_source("rtsps://host:7441/cam").port == 7441
    assert parse_source("https://host/cam").port == 443
