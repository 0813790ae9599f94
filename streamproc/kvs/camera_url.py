"""Where video comes from, as a person writes it down; and the same without its password.

Pure. Knows how files, cameras and webcams are named, and where URLs hide secrets. Opens nothing.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from streamproc.errors import ConfigError

MASK = "***"

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_WEBCAM = re.compile(r"webcam:(\d+)|/dev/video(\d+)")
# What can only have been meant as a URL: rtsp:/user:password@host as well as "rtsp://…" in quotes.
_NEARLY_URL = re.compile(r"://|:.*@", re.DOTALL)
# Query members and, as some cameras have it, parts of the path: /user=admin_password=1234
_SECRET = re.compile(
    r"((?:pas\w*|pwd|psw|token|secret|auth\w*|session\w*|key|signature|sig|(?<![a-z0-9])(?:pw|p|sid))"
    r"(?:=|%3D))([^&;\s]+)",
    re.IGNORECASE,
)


class SourceKind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    RTSP = "rtsp"
    HTTP = "http"
    WEBCAM = "webcam"


_KINDS = {
    "rtsp": SourceKind.RTSP,
    "rtsps": SourceKind.RTSP,
    "http": SourceKind.HTTP,
    "https": SourceKind.HTTP,
}


@dataclass(frozen=True, slots=True)
class SourceUrl:
    """A source of video. str() is safe to show and to log; url is what opens it."""

    kind: SourceKind
    url: str = field(repr=False)
    shown: str  # without any secret

    @property
    def is_live(self) -> bool:
        """Whether it has no end of its own: one that ends has broken."""
        return self.kind not in {SourceKind.FILE, SourceKind.FOLDER}

    def __str__(self) -> str:
        return self.shown

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or {"rtsp": 554, "rtsps": 322, "https": 443}.get(parts.scheme, 80)

    @property
    def is_encrypted(self) -> bool:
        return urlsplit(self.url).scheme in {"rtsps", "https"}

    def scrubbed(self, text: str) -> str:
        """The text, which others have written about this source, without its secrets."""
        text = text.replace(self.url, self.shown)
        for secret in sorted(_secrets(self.url), key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


def parse_source(text: str) -> SourceUrl:
    """What put-media and [cameras] take: a file, a folder, an rtsp(s):// or http(s):// URL,
    webcam:N or /dev/videoN.

    Raises ConfigError in a person's words if it is a URL of another kind, or one that is broken.
    A path is not looked for.
    """
    if not text.strip():
        raise ConfigError("the source is empty; give a file, a folder, a camera's URL or webcam:0")
    if _WEBCAM.fullmatch(text):
        return SourceUrl(SourceKind.WEBCAM, text, text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        if text.startswith("webcam"):
            raise ConfigError(f"{text} names no webcam; the first one is webcam:0")
        if _NEARLY_URL.search(text):
            raise ConfigError(
                "the source is no URL as it stands, for it does not begin with rtsp:// or http:// "
                "and the like; leave out what stands before that, such as a quote or a space"
            )
        kind = SourceKind.FOLDER if Path(text).is_dir() else SourceKind.FILE
        return SourceUrl(kind, text, masked(text))
    kind_of_url = _KINDS.get(scheme[1].lower())
    if kind_of_url is None:
        raise ConfigError(
            f"{masked(text)}: {scheme[1]}:// is not read; use rtsp://, rtsps://, http:// or https://"
        )
    _check(text)
    return SourceUrl(kind_of_url, text, masked(text))


def masked(url: str) -> str:
    """The URL without its password, and without what its query calls a password, key or token:
    rtsp://user:***@host/cam. A login of one word may be a token, so it is hidden, too. Whatever
    is not a URL is left as it is, but for the query."""
    scheme = _SCHEME.match(url)
    if scheme is not None:
        head, rest = scheme[0], url[scheme.end() :]
        login, at, place = _split_login(rest)
        user, colon, _ = login.partition(":")
        url = f"{head}{user + colon if colon else ''}{at and MASK}{at}{place}"
    return _SECRET.sub(rf"\1{MASK}", url)


def _split_login(rest: str) -> tuple[str, str, str]:
    """What follows ://, as user and password, the @, and the place; the first two may be empty."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    may_have = "@" in authority or (":" in authority and not authority.startswith("["))
    if "@" not in rest or not may_have:
        return "", "", rest
    # A password with / ? # or @ in it should have been encoded; where it was not, better to hide
    # a port, or part of a path, than to show the password.
    end = rest.rindex("@")
    return rest[:end], "@", rest[end + 1 :]


def _check(url: str) -> None:
    shown = masked(url)
    if any(ord(character) <= 32 for character in url):
        raise ConfigError(f"{shown} has a space or a line break in it; write %20 for a space")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0:
        raise ConfigError(
            f"{shown} names no host and port; a password's own / ? # @ and : are written "
            "%2F %3F %23 %40 and %3A"
        )


def _secrets(url: str) -> set[str]:
    scheme = _SCHEME.match(url)
    login = _split_login(url[scheme.end() :])[0] if scheme else ""
    user, colon, password = login.partition(":")
    found = {value for _, value in _SECRET.findall(url)} | {password if colon else user}
    # What others quote may end where the path or the query does, and may be decoded.
    found |= {re.split(r"[/?#]", secret, maxsplit=1)[0] for secret in found}
    found |= {unquote(secret) for secret in found}
    return found - {""}
