"""The console's files: read once, held in memory, answered with strict headers.

They hold nothing that anybody may not see, so they are for everybody. Knows files, types and
caches; knows nothing of who asks or of what the page does.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from aiohttp import web

FOLDER: Final = Path(__file__).parent / "static"
INDEX: Final = "index.html"

TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
"""By suffix, what is served; a file of another suffix is not."""

HEADERS: Final[Mapping[str, str]] = {
    # Names of people come from collections, and a page that shows one must never run it.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every file and every stream of the console."""

_COMPRESSIBLE = frozenset({".html", ".css", ".js", ".json", ".webmanifest", ".txt", ".svg"})


@dataclass(frozen=True, slots=True)
class Page:
    """One file, as it goes over the wire."""

    type: str
    body: bytes = field(repr=False)
    gzipped: bytes | None = field(repr=False)  # None where that is not smaller
    etag: str  # of the content, whichever way it is sent

    @classmethod
    def of(cls, suffix: str, body: bytes) -> Self:
        packed = gzip.compress(body, mtime=0) if suffix in _COMPRESSIBLE else body
        gzipped = packed if len(packed) < len(body) else None
        return cls(TYPES[suffix], body, gzipped, sha256(body).hexdigest()[:32])


class Pages:
    """The files by their path below /console/, such as js/app.js."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Self:
        """Reads a few hundred kB: for a thread."""
        files = [file for file in sorted(folder.rglob("*")) if file.suffix in TYPES]
        return cls(
            {
                file.relative_to(folder).as_posix(): Page.of(file.suffix, file.read_bytes())
                for file in files
                if file.is_file()
            }
        )

    def answer(self, request: web.Request, path: str) -> web.Response:
        """The file at this path, "" for the page itself; 304 if the client has it, 404 if
        there is none."""
        page = self._pages.get(path or INDEX)
        if page is None:
            text = "There is no such file. The console is at /console/\n"
            return web.Response(status=404, headers=HEADERS, text=text)
        headers = {
            **HEADERS,
            "Cache-Control": "no-cache",  # asked for each time, sent once
            # Weak, as both ways of sending are one content.
            "ETag": f'W/"{page.etag}"',
            "Vary": "Accept-Encoding",
        }
        if any(tag.value in (page.etag, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = page.type
        if page.gzipped is not None and _takes_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            return web.Response(headers=headers, body=page.gzipped)
        return web.Response(headers=headers, body=page.body)


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding names gzip and does not refuse it (RFC 9110, 12.5.3)."""
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "x-gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
