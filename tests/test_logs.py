"""What the log must never say, and lines that nobody else can write into it."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from streamproc.logs import JsonFormatter, TextFormatter, configure_logging, one_line, redacted
from streamproc.model.log_context import about
from streamproc.settings import LoggingConfig

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
HEADER = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/us-east-1/rekognition/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={SIGNATURE}"
)


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("streamproc.test", logging.INFO, "", 0, message, args, None)
    vars(made).update(extra)
    return made


@pytest.fixture(params=[TextFormatter, JsonFormatter])
def formatter(request: pytest.FixtureRequest) -> logging.Formatter:
    made: logging.Formatter = request.param()
    return made


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("cannot open rtsp://admin:hunter2@10.0.0.7:554/stream1", "hunter2"),
        ("cannot open rtsp://admin:hun/ter?2@10.0.0.7/stream1", "ter?2"),
        ("cannot open 'rtsp://admin:hun'ter<2@10.0.0.7/stream1'", "ter<2"),
        ("GET https://user:hunter2@example.org/a failed", "hunter2"),
        ("proxy http://hunter2@example.org", "hunter2"),
        (f"Authorization: {HEADER}", SIGNATURE),
        (f"headers {{'Authorization': '{HEADER}', 'Host': 'x'}}", SIGNATURE),
        (f"headers [('authorization', '{HEADER}')]", SIGNATURE),
        (f"headers [(b'Authorization', b'{HEADER}')]", SIGNATURE),
        ("authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        (f"signed as {HEADER}", SIGNATURE),
        (f"GET /?X-Amz-Date=20260131T000000Z&X-Amz-Signature={SIGNATURE}&x=1", SIGNATURE),
        ("GET /?X-Amz-Security-Token=FwoGZXIvYXdzE%2F&x=1", "FwoGZXIvYXdzE"),
        ("{'x-amz-security-token': 'FwoGZXIvYXdzE'}", "FwoGZXIvYXdzE"),
        (f"aws_secret_access_key={SECRET}", SECRET),
        (f"SecretAccessKey: '{SECRET}'", SECRET),
        (f'{{"secret_key": "{SECRET}"}}', SECRET),
        ("'SessionToken': 'FwoGZXIvYXdzE'", "FwoGZXIvYXdzE"),
        ("{'access_key': 'ASIA', 'token': 'FwoGZXIvYXdzE'}", "FwoGZXIvYXdzE"),
        ("password=hunter2", "hunter2"),
        (f"rtsp://eve:{'long' * 500}@cam/ and /video", "long"),
        ("neither http://a nor rtsp://eve:p@ss://wo@rd@cam/", "wo@rd"),
        (
            f"(sqlite3.OperationalError) disk full [SQL: INSERT] [parameters: ('{SECRET}', 1)]",
            SECRET,
        ),
        (f"embedding {np.linspace(-0.9, 0.9, 512).astype(np.float32).tobytes()!r}", "\\xbf"),
        (f"embedding {np.linspace(-0.9, 0.9, 512).tolist()}", "0.89"),
        (f"embedding {np.linspace(-0.9, 0.9, 64)!r}", "0.8"),
        (f"embedding {[0.5, 1e-05, -0.25, 3e-07, *[0.125, 2e-05] * 4]}", "0.125"),
    ],
)
def test_no_secret_leaves_wherever_it_stands(
    formatter: logging.Formatter, text: str, hidden: str
) -> None:
    assert hidden in text
    try:
        raise RuntimeError(text)
    except RuntimeError:
        raised = sys.exc_info()
    failed = record("it failed")
    failed.exc_info = raised
    carried = record("it failed")
    carried.exc_text = text
    for line in (
        record(text),
        record("%s", text),
        record("it failed", detail=text),
        failed,
        carried,
    ):
        assert hidden not in formatter.format(line)


def test_an_extra_s_name_says_that_it_is_secret(formatter: logging.Formatter) -> None:
    assert SECRET not in formatter.format(record("made", secret_access_key=SECRET))


@pytest.mark.parametrize(
    "text",
    [
        "streamproc 0.1.0 answers on https://cameras.example.org:4600; engine dlib",
        "stream door: fragment 91343852333181432392682062622220590765191907586 is late by 0.25 s",
        "arn:aws:kinesisvideo:us-east-1:000000000000:stream/cam/1795357387152",
        "no key AKIDEXAMPLE; make one with: streamproc keys create",
        "box 0.25 0.5 0.125 0.3 of 4 numbers",
    ],
)
def test_what_is_no_secret_is_told(text: str) -> None:
    assert redacted(text) == text


def test_nobody_forges_a_line(formatter: logging.Formatter) -> None:
    """A client's id with a newline and a terminal's escape sequence in it."""
    forged = "x\n12:00:00 INFO    all is well\r\x1b[2J\x9b31m\u202egnp.exe\u2028next"
    try:
        raise RuntimeError(forged)
    except RuntimeError:
        raised = sys.exc_info()
    line = record("no stream %s", forged, stream=forged)
    line.exc_info = raised
    told = formatter.format(line)
    first, *others = told.split("\n")
    assert not any(char in told for char in "\r\x1b\x9b\u202e\u2028")
    assert "no stream x\\n12:00:00" in first
    assert all(other.startswith("  ") for other in others)
    if isinstance(formatter, JsonFormatter):
        assert json.loads(told)["stream"] == forged


def test_text_in_any_language_is_told_as_it_is() -> None:
    assert one_line("Kamera über der Tür 門 🚪") == "Kamera über der Tür 門 🚪"


def test_numbers_stay_numbers_for_machines() -> None:
    line = json.loads(JsonFormatter().format(record("gap", gap_s=0.25, frames=3, live=True)))
    assert (line["gap_s"], line["frames"], line["live"]) == (0.25, 3, True)


@pytest.mark.parametrize(
    "piece", ["://", "authorization ", "x-amz-signature=", "password ", "b'", "0.1 ", "1", "://@"]
)
def test_hostile_text_does_not_stop_the_log(piece: str) -> None:
    """A quarter of a million characters: where time grew with the square, this would not end."""
    assert redacted(piece * (250_000 // len(piece)))


@pytest.fixture
def restored() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("streamproc")
    before = (root.handlers[:], root.level, own.level)
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:], root.level, own.level = before
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)


def test_a_crash_is_a_line_of_the_log(restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LoggingConfig())
    try:
        raise RuntimeError(f"password={SECRET}")
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    told = capsys.readouterr().err
    assert "CRITICAL crashed" in told
    assert "RuntimeError" in told
    assert SECRET not in told


def as_json(line: logging.LogRecord) -> dict[str, object]:
    told = JsonFormatter().format(line)
    assert "\n" not in told
    return dict(json.loads(told))


def test_a_line_for_machines_has_the_members_that_they_look_for() -> None:
    line = record("door %s", "open")
    line.created = datetime(2026, 11, 22, 10, 0, 0, 250_000, UTC).timestamp()
    assert as_json(line) == {
        "time": "2026-11-22T10:00:00.250+00:00",
        "level": "INFO",
        "logger": "streamproc.test",
        "message": "door open",
    }


async def test_a_line_says_what_it_is_about_in_tasks_and_threads_too() -> None:
    async def nested() -> dict[str, object]:
        return await asyncio.to_thread(as_json, record("read"))

    with about(region="us-east-1", processor="door", request_id="r-1"):
        told = await asyncio.create_task(nested())
        assert (told["region"], told["processor"], told["request_id"]) == (
            "us-east-1",
            "door",
            "r-1",
        )
        with about(camera="front", request_id=None):  # what the request began outlives it
            told = as_json(record("opened"))
        assert (told["camera"], told["processor"]) == ("front", "door")
        assert "request_id" not in told
        assert as_json(record("again"))["request_id"] == "r-1"
    assert "processor" not in as_json(record("over"))


def test_what_a_line_is_about_is_for_machines_alone() -> None:
    with about(processor="door"):
        assert "door" not in TextFormatter().format(record("read"))


def test_an_extra_takes_no_member_s_place_and_its_own_is_told_instead_of_the_context_s() -> None:
    with about(processor="door", level="loud"):
        told = as_json(record("read", processor="gate", time="never"))
    assert told["processor"] == "gate"
    assert told["level"] == "INFO"
    assert told["time"] != "never"


def test_every_line_is_json_whatever_is_in_it() -> None:
    """NaN is none, and logging prints a traceback of its own for arguments that do not fit."""
    assert as_json(record("gap", gap_s=float("nan")))["gap_s"] == "nan"
    assert "%d frames ('few',)" in str(as_json(record("%d frames", "few"))["message"])
    assert as_json(record("odd", what=object(), text="\ud800"))["text"] == "\ud800"


def test_a_stack_is_told(formatter: logging.Formatter) -> None:
    line = record("here")
    line.stack_info = f"Stack: password={SECRET}\nmore"
    told = formatter.format(line)
    assert "more" in told
    assert SECRET not in told


def test_what_a_thread_or_a_finaliser_does_not_catch_is_a_line_of_the_log(
    restored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LoggingConfig(format="json"))

    def crash() -> None:
        raise RuntimeError(f"password={SECRET}")

    thread = threading.Thread(target=crash, name="decode")
    thread.start()
    thread.join(60)

    class Closing:
        def __del__(self) -> None:
            crash()

    closing = Closing()
    del closing
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["level"] for line in lines] == ["ERROR", "ERROR"]
    assert lines[0]["message"] == "thread decode crashed"
    assert all("RuntimeError" in line["exception"] for line in lines)
    assert SECRET not in str(lines)
