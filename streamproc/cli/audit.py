"""streamproc audit: is the log of what was done with faces whole, and what does it say?

Reads the data folder; needs no daemon and disturbs none.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from streamproc.cli.terminal import harmless
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.audit.line import Line

audit = typer.Typer(help="The hash-chained log of what was done with faces.", no_args_is_help=True)

DataDir: TypeAlias = Annotated[Path | None, typer.Option(help="The daemon's folder, as for serve.")]
ConfigFile: TypeAlias = Annotated[Path | None, typer.Option(help="TOML file, as for serve.")]

_LISTED_MAX = 8


@audit.command("verify")
def verify_log(
    data_dir: DataDir = None,
    config: ConfigFile = None,
    first: Annotated[
        int,
        typer.Option("--from", min=1, help="Line that it begins with, if older ones are archived."),
    ] = 1,
    expect: Annotated[
        str, typer.Option(metavar="HASH", help="Hash of a line, noted earlier: it must be there.")
    ] = "",
) -> None:
    """Check that every line is there, unchanged and in its place; exit code 1, and the line
    named, if not. Note the hash that it prints somewhere else: whoever can write in the folder
    can cut lines off its end, and only --expect with that hash tells."""
    from streamproc.audit.verify import verify

    folder = _folder(data_dir, config)
    found = verify(folder, first, expect.strip().lower())
    if not found.last.number:
        typer.echo("The audit log has no line yet.")
        return
    count = found.last.number - found.first + 1
    lines = "1 line" if count == 1 else f"{count} lines"
    typer.echo(f"{lines}, number {found.first} to {found.last.number}: whole and unchanged.")
    if found.first > 1:
        typer.echo(f"Begins behind line {found.first - 1}, whose hash is {found.before}")
    if found.torn_bytes:
        typer.echo(
            f"Then {found.torn_bytes} bytes of a line whose writer was stopped; the next line "
            "will say so."
        )
    typer.echo(f"Head: {found.last.hash}")


@audit.command()
def show(
    data_dir: DataDir = None,
    config: ConfigFile = None,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="2026-01-31 or 2026-01-31T12:00+01:00; else UTC."),
    ] = "",
    event: Annotated[
        list[str] | None, typer.Option(help="Only these, such as DeleteFaces; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they are.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many lines; 0 shows all.")] = 0,
) -> None:
    """Show what the log says, oldest first. Whether it is true is for verify to say."""
    from streamproc.audit.verify import read_lines

    begin = _instant(since)
    wanted = (
        line
        for line in read_lines(_folder(data_dir, config))
        if line.time >= begin and (not event or line.event in event)
    )
    for line in islice(wanted, limit or None):
        typer.echo(json.dumps(_members(line)) if as_json else harmless(_words(line)))


def _folder(data_dir: Path | None, config: Path | None) -> Path:
    from streamproc.config import load_config

    overrides = {"storage": {"data_dir": data_dir}} if data_dir else None
    folder = load_config(config, overrides).storage.data_dir / "audit"
    if not folder.is_dir():
        raise StreamprocError(
            f"there is no audit log at {folder}; name the daemon's folder with --data-dir"
        )
    return folder


def _instant(text: str) -> str:
    """As the log writes times, so that the order of text is that of time."""
    from streamproc.audit.line import time_text

    if not text:
        return ""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise StreamprocError(
            f"--since {text} is no time; write 2026-01-31 or 2026-01-31T12:00:00"
        ) from None
    return time_text((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def _members(line: "Line") -> dict[str, Any]:
    return {name: getattr(line, name) for name in line.__dataclass_fields__}


def _words(line: "Line") -> str:
    details = "  ".join(_detail(name, value) for name, value in line.details.items())
    return f"{line.time}  {line.event}  {line.who}  {details}"


def _detail(name: str, value: Any) -> str:
    if isinstance(value, list):
        value = " ".join(_items(value)) or "none"
    return f"{name}={value}"


def _items(values: list[Any]) -> Iterator[str]:
    for value in values[:_LISTED_MAX]:
        if isinstance(value, dict):
            value = "/".join(str(part) for part in value.values())
        yield str(value)
    if len(values) > _LISTED_MAX:
        yield f"and {len(values) - _LISTED_MAX} more"
