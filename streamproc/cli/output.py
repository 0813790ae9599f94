"""How every command shows things: tables and colours for people, JSON for programs.

Colour and cursor only where somebody looks at a terminal (rich obeys NO_COLOR); what goes into a
pipe is plain, and as wide as its content. Knows no service and decides nothing.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streamproc.cli.terminal import harmless
from streamproc.errors import StreamprocError

AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="One JSON document, with the API's own members.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for scripts.")]

_PIPE_COLUMNS = 4096  # no line of a table is broken for a program's sake
_COLOURS = {
    **dict.fromkeys(("RUNNING", "ACTIVE", "SUCCEEDED", "LIVE"), "green"),
    **dict.fromkeys(("FAILED", "REFUSED"), "red"),
    **dict.fromkeys(
        ("STARTING", "STOPPING", "UPDATING", "CREATING", "DELETING", "CONNECTING", "RETRYING"),
        "yellow",
    ),
    "STOPPED": "dim",
}


def console(*, stderr: bool = False) -> Console:
    """A terminal as wide as it is, a pipe as wide as it takes; COLUMNS says otherwise."""
    shown = Console(stderr=stderr, highlight=False)
    if not shown.is_terminal and not os.environ.get("COLUMNS"):
        shown.width = _PIPE_COLUMNS
    return shown


def show(*parts: RenderableType) -> None:
    """Print to standard output, without trailing blanks where a program reads."""
    shown = console()
    if shown.is_terminal:
        shown.print(Group(*parts))
        return
    with shown.capture() as captured:
        shown.print(Group(*parts))
    for line in captured.get().splitlines():
        print(line.rstrip())


def say(line: str, *, err: bool = False) -> None:
    """One line of text, whatever names are in it."""
    typer.echo(harmless(line), err=err)


def plain(text: str) -> str:
    """Words of others, for a cell of a table."""
    return escape(harmless(text))


def print_json(document: Any) -> None:
    """One JSON document. Times are ISO 8601 in UTC, as in the output of aws-cli."""
    typer.echo(json.dumps(_told(document), indent=2))


def print_json_line(document: Any) -> None:
    """One of many, on a line of its own, at once."""
    print(json.dumps(_told(document)), flush=True)


def print_json_with(document: Mapping[str, Any], member: str, items: Iterable[Any]) -> None:
    """One JSON document whose last member is a list that need not fit into memory."""
    head = json.dumps(_told(document), indent=2).removesuffix("\n}")
    print(f'{head},\n  "{member}": [', end="")
    for number, item in enumerate(items):
        print("," if number else "", json.dumps(_told(item)), sep="\n    ", end="")
    print("\n  ]\n}")


def table(*headings: str, right: Sequence[str] = (), fold: Sequence[str] = ()) -> Table:
    """Headings in bold, no lines. Columns in right hold numbers; those in fold may be broken
    where a terminal is narrow, the others are not."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=heading not in fold,
            overflow="fold",
        )
    return made


def facts(pairs: Mapping[str, RenderableType | None]) -> Table:
    """What is known of one thing, a line each; what is None or empty is left out."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None and value != "":
            made.add_row(name, value)
    return made


def status_text(status: str, words: str | None = None) -> Text:
    """A status in its colour; or words, which may be none, in the colour of the status."""
    return Text(harmless(status if words is None else words), _COLOURS.get(status, ""))


def trouble(words: str) -> Text:
    """What went wrong, below a table."""
    return Text(harmless(words), "red")


def age(seconds: float) -> str:
    """In one unit, such as 3 min."""
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def size(count: float) -> str:
    """Bytes, in powers of a thousand."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def bar(what: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """A progress bar where somebody looks; yields what to call with how much more is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    shown = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=shown, transient=True, disable=not shown.is_terminal
    ) as progress:
        yield partial(progress.advance, progress.add_task(harmless(what), total=total))


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner where somebody looks; yields what to call with other words."""
    shown = Console(stderr=True)
    if not shown.is_terminal:
        yield lambda _: None
        return
    with shown.status(plain(what)) as status:
        yield lambda words: status.update(plain(words))


def redraw(
    draw: Callable[[], RenderableType], every_s: float, is_over: Callable[[], bool] = bool
) -> None:
    """Show what draw makes, in place, again and again until it is over, or Ctrl-C.

    Once it could be drawn, trouble is shown and tried again: a daemon may be restarted.
    """
    from rich.live import Live

    with Live(draw(), console=console(), auto_refresh=False) as live:
        live.refresh()
        while not is_over():
            time.sleep(every_s)
            try:
                drawn = draw()
            except StreamprocError as error:
                drawn = trouble(str(error))
            live.update(drawn, refresh=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost. Raises StreamprocError where nobody could answer and --yes
    was not given; typer.Abort, exit code 1, on a no."""
    if yes:
        return
    if not Console(stderr=True).is_terminal or not os.isatty(0):
        raise StreamprocError(f"{question} Nobody is there to answer; give --yes")
    typer.confirm(harmless(question), abort=True, err=True)


def _told(value: Any, name: str = "") -> Any:
    """What JSON holds, with every time as text."""
    from streamproc.model.event import iso

    match value:
        case Mapping():
            return {key: _told(item, key) for key, item in value.items()}
        case list() | tuple():
            return [_told(item) for item in value]
        case datetime():
            return iso(value.timestamp())
        # Timestamp alone is a place in a video.
        case float() | int() if name.endswith("Timestamp") and name != "Timestamp":
            return iso(float(value)) if math.isfinite(value) else None
    return value
