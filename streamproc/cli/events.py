"""streamproc events: who came, who went, and what became of processors.

Reads the daemon's event log through ListStreamprocEvents, like any client. What an event means:
docs/events.md.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import RenderableType
from rich.text import Text

from streamproc.cli import completion
from streamproc.cli.access import DEFAULT_ENDPOINT_URL, Access, EndpointUrl, Region, run
from streamproc.cli.output import console, print_json, print_json_line, say, show, table
from streamproc.cli.own_operations import OperationRefused, call
from streamproc.cli.resources import known, processor_names
from streamproc.cli.terminal import harmless
from streamproc.errors import StreamprocError

Event: TypeAlias = dict[str, Any]
"""As ListStreamprocEvents answers it."""

_PAGE = 1000
_LOOKED_AT_MAX = 20_000  # how far back a filter by kind looks
_WAIT_S = 20
_RETRY_S = 1.0
_STYLES = {"enter": "green", "exit": "dim", "update": "cyan", "state": "yellow"}


class Kind(StrEnum):
    ENTER = "enter"
    UPDATE = "update"
    EXIT = "exit"
    STATE = "state"


def events(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")
    ] = False,
    processor: Annotated[
        str | None,
        typer.Option(help="Of this one only.", autocompletion=completion.processors),
    ] = None,
    kind: Annotated[
        list[Kind] | None, typer.Option(help="Of this kind only; may be repeated.")
    ] = None,
    most: Annotated[int, typer.Option(min=0, max=_PAGE, help="The latest so many.")] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document; with --follow an event a line.")
    ] = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """Who came, who went, and what became of processors: the latest, oldest first."""
    kinds = {each.value for each in kind or Kind}

    async def work(access: Access) -> None:
        if processor is not None:
            await _known(access, processor)
        found, newest_id = await latest(access, most, processor, kinds)
        if not follow:
            if as_json:
                print_json({"Events": found})
            else:
                show(_table(found))
            return
        tell = print_json_line if as_json else print_line
        for event in found:
            tell(event)
        await follow_events(access, newest_id, processor, kinds, tell)

    run(endpoint_url, region, work)


async def _known(access: Access, processor: str) -> None:
    """A processor that is deleted still has its events; one that never was, has none to wait for.

    Raises StreamprocError with what there is instead.
    """
    page = await call(access, "ListStreamprocEvents", {"Name": processor, "MaxResults": 1})
    if not page.get("Events"):
        work = call(access, "DescribeStreamProcessor", {"Name": processor})
        otherwise = "see: streamproc events"
        await known(work, "processor", processor, access, processor_names, otherwise)


async def latest(
    access: Access, most: int, processor: str | None, kinds: set[str]
) -> tuple[list[Event], int]:
    """The newest events of these kinds, oldest first, and the id of the newest of any kind."""
    request: dict[str, Any] = {"MaxResults": _PAGE if len(kinds) < len(Kind) else max(most, 1)}
    if processor is not None:
        request["Name"] = processor
    found: list[Event] = []
    newest_id, looked_at = None, 0
    while True:
        page = await call(access, "ListStreamprocEvents", request)
        if newest_id is None:
            newest_id = int(page["NewestId"])
        events_of_page = _in_order(page)
        found[:0] = [event for event in events_of_page if event["Event"] in kinds]
        looked_at += len(events_of_page)
        if (
            len(events_of_page) < request["MaxResults"]
            or len(found) >= most
            or looked_at >= _LOOKED_AT_MAX
        ):
            return found[-most:] if most else [], newest_id
        request["Before"] = events_of_page[0]["Id"]


async def follow_events(
    access: Access,
    after: int,
    processor: str | None,
    kinds: set[str],
    tell: Callable[[Event], None],
) -> None:
    """Tell every event behind this id as it happens, until cancelled.

    A daemon that goes away is waited for: its log goes on where it was. Raises OperationRefused.
    """
    request: dict[str, Any] = {"MaxResults": _PAGE, "WaitSeconds": _WAIT_S}
    if processor is not None:
        request["Name"] = processor
    is_away = False
    while True:
        try:
            page = await call(access, "ListStreamprocEvents", {**request, "After": after})
        except OperationRefused:
            raise
        except StreamprocError as error:
            if not is_away:
                say(f"{error}; waiting for it", err=True)
            is_away = True
            await asyncio.sleep(_RETRY_S)
            continue
        is_away = False
        found = _in_order(page)
        for event in found:
            after = event["Id"]
            if event["Event"] in kinds:
                tell(event)
        if len(found) < _PAGE:  # there is nothing for us before the newest
            after = max(after, int(page["NewestId"]))


def _in_order(page: dict[str, Any]) -> list[Event]:
    return sorted(page.get("Events", ()), key=lambda event: int(event["Id"]))


def event_words(event: Event) -> str:
    """What happened, as a person would say it."""
    match event["Event"]:
        case "state":
            message = event.get("StatusMessage")
            return f"is {event['Status']}" + (f": {message}" if message else "")
        case "enter":
            return f"{_who(event)} came"
        case "exit":
            seconds = event.get("DurationSeconds")
            stayed = "" if seconds is None else f" after {seconds:.0f} s"
            reason = event.get("Reason", "left")
            if reason == "merged":  # the visit goes on as that of a person who was there already
                return f"{_who(event)} is counted with somebody who is there already"
            return f"{_who(event)} went{stayed}" + ("" if reason == "left" else f" ({reason})")
        case "update" if event.get("Change") == "identified":
            return f"{event.get('WasName', 'unknown')} is {_who(event)}"
    return f"{_who(event)} is still there"


def _who(event: Event) -> str:
    person = event.get("Person", {})
    name = str(person.get("Name", "somebody"))
    similarity = person.get("Similarity")
    return name if similarity is None else f"{name} ({similarity:.1f} %)"


def _table(found: list[Event]) -> RenderableType:
    if not found:
        return "nothing has happened yet; see what does with: streamproc events --follow"
    shown = table("time", "processor", "event", "", fold=("processor", ""))
    for event in found:
        kind = event["Event"]
        shown.add_row(
            _time(event),
            Text(harmless(event["Processor"])),
            Text(kind, _STYLES.get(kind, "")),
            Text(harmless(event_words(event))),
        )
    return shown


def print_line(event: Event) -> None:
    line = f"{_time(event)}  {event['Processor']}  {event_words(event)}"
    console().print(
        Text(harmless(line), _STYLES.get(event["Event"], "")), soft_wrap=True, no_wrap=True
    )


def _time(event: Event) -> str:
    """In this machine's own time."""
    moment = datetime.fromisoformat(event["At"]).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")
