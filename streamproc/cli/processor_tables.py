"""Stream processors as tables for a terminal. Renders; asks nobody."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rich.console import RenderableType
from rich.text import Text

from streamproc.cli.output import age, facts, plain, status_text, table
from streamproc.cli.terminal import harmless

Processor: TypeAlias = Mapping[str, Any]
"""As ListStreamprocProcessors answers it."""

_NONE = "there are no stream processors; make one with: streamproc processors create NAME"


def processor_table(found: Sequence[Processor]) -> RenderableType:
    if not found:
        return _NONE
    headings = ("name", "status", "rate", "lag", "faces", "matches", "message")
    shown = table(*headings, right=("rate", "lag", "faces", "matches"), fold=("name", "message"))
    for each in found:
        shown.add_row(
            plain(each["Name"]),
            status_text(each["Status"]),
            rate(each),
            lag(each),
            number(each, "Faces"),
            number(each, "Matches"),
            Text(harmless(message(each)), "red" if each["Status"] == "FAILED" else "yellow"),
        )
    return shown


def processor_facts(found: Processor, now: float) -> RenderableType:
    """Everything of one, DescribeStreamProcessor's members among it, as of now."""
    return facts(
        {
            "name": plain(found["Name"]),
            "status": status_text(found["Status"]),
            "message": plain(message(found)),
            "video stream": plain(_stream(found, "Input", "KinesisVideoStream")),
            "data stream": plain(_stream(found, "Output", "KinesisDataStream")),
            "collection": _collection(found),
            "rate": rate(found),
            "lag": lag(found),
            "frames analysed": number(found, "FramesAnalysed"),
            "packets passed over": number(found, "PacketsPassedOver"),
            "faces": number(found, "Faces"),
            "matches": number(found, "Matches"),
            "records": _records(found),
            "gaps": _gaps(found),
            "created": _ago(found, "CreationTimestamp", now),
            "status since": _ago(found, "LastUpdateTimestamp", now),
        }
    )


def message(found: Processor) -> str:
    return str(found.get("StatusMessage") or "")


def rate(found: Processor) -> str:
    """Frames analysed of a second of video."""
    return f"{found['FramesPerSecond']:.1f}/s" if "FramesPerSecond" in found else ""


def lag(found: Processor) -> str:
    return f"{found['LagSeconds']:.1f} s" if "LagSeconds" in found else ""


def number(found: Processor, member: str) -> str:
    """AWS itself has no figures: nothing then."""
    return f"{found[member]:,}" if member in found else ""


def _stream(found: Processor, side: str, kind: str) -> str:
    arn: str = found[side][kind]["Arn"]
    return arn.split("/")[1]


def _collection(found: Processor) -> str:
    search = found["Settings"]["FaceSearch"]
    threshold = search.get("FaceMatchThreshold")
    told = "" if threshold is None else f", from Similarity {threshold:g} on"
    return plain(search["CollectionId"]) + told


def _records(found: Processor) -> str:
    if "Records" not in found:
        return ""
    return f"{found['RecordsDelivered']:,} delivered of {found['Records']:,}"


def _gaps(found: Processor) -> str:
    if not found.get("Gaps"):
        return ""
    return f"{found['Gaps']:,}, together {found['GapSeconds']:.1f} s of video"


def _ago(found: Processor, member: str, now: float) -> str:
    return f"{age(now - float(found[member]))} ago" if member in found else ""
