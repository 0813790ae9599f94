"""What the audit log says of matches: ids and similarities, and nothing of a face itself.

Pure. External image ids, boxes and vectors stay out: the first are names, the others are faces.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from streamproc.model.face import Match

LISTED_MAX: Final = 100
"""Matches listed in one line, the first; their number is always told."""


def match_details(matches: Sequence[Match]) -> dict[str, Any]:
    """Of a search; best first."""
    return {
        "Matched": len(matches),
        "Matches": _listed((match.face.face_id, match.similarity) for match in matches),
    }


def record_details(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of a processor's record, as in model/record.py; None if nobody in it was recognised."""
    found = [
        (str(match["Face"]["FaceId"]), float(match["Similarity"]))
        for face in record["FaceSearchResponse"]
        for match in face["MatchedFaces"]
    ]
    if not found:
        return None
    video = record["InputInformation"]["KinesisVideo"]
    return {
        "RecordId": record.get("RecordId"),
        "FragmentNumber": video["FragmentNumber"],
        "FrameOffsetInSeconds": video["FrameOffsetInSeconds"],
        "Faces": len(record["FaceSearchResponse"]),
        "Matched": len(found),
        "Matches": _listed(found),
    }


def group_details(bodies: Iterable[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Of what a search of a stored video says of the people in it (jobs/analyses/). Celebrities
    are counted only: their ids are their photos' external ids."""
    found: dict[str, float] = {}
    celebrities: set[str] = set()
    for body in bodies:
        for match in (body or {}).get("FaceMatches", ()):
            face_id, similarity = match["Face"]["FaceId"], match["Similarity"]
            found[face_id] = max(similarity, found.get(face_id, 0.0))
        if body and "Celebrity" in body:
            celebrities.add(body["Celebrity"]["Id"])
    best = sorted(found.items(), key=lambda pair: -pair[1])
    return {"Matched": len(found) + len(celebrities), "Matches": _listed(best)}


def _listed(matches: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    return [
        {"FaceId": face_id, "Similarity": round(similarity, 3)}
        for face_id, similarity in islice(matches, LISTED_MAX)
    ]
