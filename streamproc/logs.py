"""How the daemon's log lines look: text for people, one JSON object a line for machines.

Whatever a record carries, no secret leaves here, and no line that we did not write: what
clients and cameras send may be in any message.
"""

import json
import logging
import math
import re
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from streamproc.model.log_context import log_context
from streamproc.settings import LoggingConfig

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_HIDDEN: Final = "***"
_WORD: Final = re.compile(r"\S+")
# Every repetition is bounded, or of what cannot match twice: hostile text takes linear time.
_SECRETS: Final = (
    # Authorization, as a header, in a mapping or in a list of pairs.
    (re.compile(r"(?i)(authorization\W{1,6})[^\r\n'\"]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"AWS4-HMAC-SHA256[^\r\n'\"&]*"), f"AWS4-HMAC-SHA256 {_HIDDEN}"),
    # Presigned queries, and the same names as headers.
    (
        re.compile(r"(?i)\b(x-amz-(?:signature|security-token|credential)\W{1,4})[^\s&'\",;)]+"),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"(?i)\b(signature=)[0-9a-z]{16,}"), rf"\1{_HIDDEN}"),
    (
        re.compile(
            r"(?i)((?:secret(?:[_-]?access)?[_-]?key|(?:session|security)[_-]?token|"
            r"(?<=['\"])token|password|passwd|passphrase)['\"]?\s{0,4}[=:,]\s{0,4}['\"]?)[^\s&'\",;)]+"
        ),
        rf"\1{_HIDDEN}",
    ),
    # SQLAlchemy's errors quote what was written: embeddings, key material.
    (re.compile(r"\[parameters: [^\n]*"), f"[parameters: {_HIDDEN}]"),
    # Embeddings, as bytes or as numbers.
    (re.compile(r"\bb(?:'(?:[^'\\\n]|\\.){48,}'?|\"(?:[^\"\\\n]|\\.){48,}\"?)"), "<bytes>"),
    (
        re.compile(
            r"(?:-?\d{1,4}(?:\.\d{0,20}|(?=e))(?:e[+-]?\d{1,3})?[\s,]{1,16}){8,}"
            r"(?:-?\d[\d.e+-]{0,24})?"
        ),
        "<numbers> ",
    ),
)  # fmt: skip
# Control characters, and those that make text run the other way or break lines.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def redacted(text: str) -> str:
    """The text without keys, passwords, signatures and embeddings. Rather hides too much."""
    if "://" in text and "@" in text:
        text = _WORD.sub(_without_login, text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _without_login(word: re.Match[str]) -> str:
    """rtsp://user:password@camera; a password may hold whatever a URL should not."""
    scheme, found, rest = word[0].partition("://")
    login, at, host = rest.rpartition("@")
    return f"{scheme}://{_HIDDEN}@{host}" if found and at and login else word[0]


def one_line(text: str) -> str:
    """The text with control characters escaped: it can neither end a line nor speak to a
    terminal."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class JsonFormatter(logging.Formatter):
    """One object a line: time (ISO 8601, UTC), level, logger, message; what the line is about
    (processor, camera, region, request_id, …) and what `extra` adds, where there is any; exception
    and stack, as text. JSON escapes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(_message(record)),
        }
        # Neither may take the place of the members that every line has.
        told = {**log_context(), **_extra(record)}
        line |= {key: _told(key, value) for key, value in told.items() if key not in line}
        if exception := _exception(self, record):
            line["exception"] = redacted(exception)
        if record.stack_info:
            line["stack"] = redacted(record.stack_info)
        return json.dumps(line, allow_nan=False)


class TextFormatter(logging.Formatter):
    """Time, level, message, and what `extra` adds as key=value. A record is one line; further
    ones, a traceback's, are indented, so that nothing else begins where a record begins."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.message = _message(record)
        record.asctime = self.formatTime(record, self.datefmt)
        extra = "".join(f" {key}={value}" for key, value in _extra(record).items())
        lines = [one_line(redacted(self.formatMessage(record) + extra))]
        for text in (_exception(self, record), record.stack_info or ""):
            lines += [f"  {one_line(line)}" for line in redacted(text).split("\n") if line]
        return "\n".join(lines)


def configure_logging(config: LoggingConfig) -> None:
    """Log to standard error; libraries speak up only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if config.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("streamproc").setLevel(config.level)
    # What a library warns of (a picture with broken EXIF, say) is a line like any other.
    logging.captureWarnings(True)
    # Else the interpreter itself would print what nobody caught, secrets and all.
    sys.excepthook = _log_crash
    threading.excepthook = _log_crash_of_thread
    sys.unraisablehook = _log_unraisable


def _message(record: logging.LogRecord) -> str:
    """A line whose arguments do not fit is told all the same: logging itself would print a
    traceback instead, which is no line of ours."""
    try:
        return record.getMessage()
    except Exception as error:
        return f"{record.msg} {record.args} ({type(error).__name__}: {error})"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _told(key: str, value: Any) -> Any:
    """As JSON has it: numbers stay numbers, all else becomes text that can be looked through."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):  # JSON has no others
        return value
    return redacted(f"{key}={value}").partition("=")[2]


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info:
        return formatter.formatException(record.exc_info)
    return record.exc_text or ""


def _log_crash(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    logging.getLogger("streamproc").critical("crashed", exc_info=(kind, error, traceback))


def _log_crash_of_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_type is SystemExit:  # as the interpreter has it
        return
    name = told.thread.name if told.thread is not None else "unknown"
    error = told.exc_value or told.exc_type()
    log = logging.getLogger("streamproc")
    log.error("thread %s crashed", name, exc_info=(told.exc_type, error, told.exc_traceback))


def _log_unraisable(told: "sys.UnraisableHookArgs") -> None:
    """What breaks where nobody can hear of it: finalisers, callbacks of libraries."""
    error = told.exc_value or told.exc_type()
    log = logging.getLogger("streamproc")
    what = told.err_msg or "exception ignored"
    log.error("%s", what, exc_info=(told.exc_type, error, told.exc_traceback))
