"""What a command reads video from, as it was given: on the command line, or in a file.

A command line is read by everybody on the machine, so a URL with a password belongs in a file.
Opens no video.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.kvs.camera_url import SourceUrl

FROM_STDIN = "-"

UrlFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="A file that holds the URL, or - for standard input: no password on the command line."
    ),
]


def given_source(source: str | None, url_file: Path | None) -> "SourceUrl":
    """Raises StreamprocError if not exactly one of them is given, or it names no source."""
    from streamproc.kvs.camera_url import parse_source

    if (source is None) == (url_file is None):
        raise StreamprocError("give either the source, such as a camera's URL, or --url-file")
    return parse_source(source if source is not None else _text_of(url_file or Path()))


def _text_of(url_file: Path) -> str:
    try:
        is_stdin = str(url_file) == FROM_STDIN
        content = sys.stdin.buffer.read() if is_stdin else url_file.read_bytes()
        return content.decode("utf-8-sig").strip()
    except OSError as error:
        raise StreamprocError(f"--url-file {url_file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StreamprocError(f"--url-file {url_file} cannot be read: it is not text") from None
