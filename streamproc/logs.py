"""How the daemon's log lines look: text for people, one JSON object a line for machines.

Whatever a record carries, no secret leaves here, and no line that we did not write: what
clients and cameras send may be in any message.
"""

import json
import logging
import re
import sys
from types import TracebackType
from typing import Any, Final

from streamproc.settings import LoggingConfig

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_HIDDEN: Final = "***"
# Every repetition is bounded, or of what cannot match twice: hostile text takes linear time.
_SECRETS: Final = (
    # rtsp://user:password@camera; a password may hold whatever a URL should not.
    (re.compile(r"://\S{1,512}@"), f"://{_HIDDEN}@"),
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
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def one_line(text: str) -> str:
    """The text with control characters escaped: it can neither end a line nor speak to a
    terminal."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class JsonFormatter(logging.Formatter):
    """Everything a record carries, `extra` included. JSON escapes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        line |= {key: _told(key, value) for key, value in _extra(record).items()}
        if exception := _exception(self, record):
            line["exception"] = redacted(exception)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """Time, level, message, and what `extra` adds as key=value. A record is one line; further
    ones, a traceback's, are indented, so that nothing else begins where a record begins."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
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
    sys.excepthook = _log_crash  # else the interpreter itself would print it, secrets and all


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _told(key: str, value: Any) -> Any:
    """As JSON has it: numbers stay numbers, all else becomes text that can be looked through."""
    if value is None or isinstance(value, bool | int | float):
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
