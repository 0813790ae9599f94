"""The operations that Rekognition does not have and our command line needs.

In the language of botocore's models, to be merged into its Rekognition: shapes that are not
declared here are Rekognition's own. Names carry Streamproc, so that AWS will not take them.
"""

from typing import Any, Final

_LISTING_ERRORS: Final = [
    {"shape": "AccessDeniedException"},
    {"shape": "InvalidParameterException"},
    {"shape": "InvalidPaginationTokenException"},
    {"shape": "InternalServerError"},
]
_COLLECTION_ERRORS: Final = [
    {"shape": "AccessDeniedException"},
    {"shape": "InvalidParameterException"},
    {"shape": "ResourceNotFoundException"},
    {"shape": "InternalServerError"},
]


def _operation(name: str, errors: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "name": name,
        "http": {"method": "POST", "requestUri": "/"},
        "input": {"shape": f"{name}Request"},
        "output": {"shape": f"{name}Response"},
        "errors": errors,
    }


def _structure(required: tuple[str, ...] = (), /, **members: str) -> dict[str, Any]:
    """A structure of members, each with the name of its shape."""
    return {
        "type": "structure",
        "required": list(required),
        "members": {name: {"shape": shape} for name, shape in members.items()},
    }


OWN: Final[dict[str, Any]] = {
    "operations": {
        "PutStreamprocPeople": _operation("PutStreamprocPeople", _COLLECTION_ERRORS),
        "ListStreamprocPeople": _operation("ListStreamprocPeople", _COLLECTION_ERRORS),
        "ListStreamprocJobs": _operation("ListStreamprocJobs", _LISTING_ERRORS),
    },
    "shapes": {
        "PutStreamprocPeopleRequest": _structure(
            ("CollectionId", "People"), CollectionId="CollectionId", People="StreamprocPeople"
        ),
        "PutStreamprocPeopleResponse": _structure(),
        "ListStreamprocPeopleRequest": _structure(("CollectionId",), CollectionId="CollectionId"),
        "ListStreamprocPeopleResponse": _structure(People="StreamprocPeople"),
        "StreamprocPeople": {
            "type": "list",
            "member": {"shape": "StreamprocPerson"},
            "max": 100_000,
        },
        "StreamprocPerson": _structure(
            ("Id", "Name"),
            Id="StreamprocPersonId",
            Name="StreamprocPersonName",
            Urls="Urls",
            KnownGender="KnownGender",
        ),
        "StreamprocPersonId": {
            "type": "string",
            "min": 1,
            "max": 64,
            "pattern": "^[0-9A-Za-z]+$",
        },
        "StreamprocPersonName": {"type": "string", "min": 1, "max": 255},
        "ListStreamprocJobsRequest": _structure(
            MaxResults="MaxResults", NextToken="PaginationToken"
        ),
        "ListStreamprocJobsResponse": _structure(
            Jobs="StreamprocJobs", NextToken="PaginationToken"
        ),
        "StreamprocJobs": {"type": "list", "member": {"shape": "StreamprocJob"}},
        "StreamprocJob": _structure(
            JobId="JobId",
            API="String",
            JobStatus="VideoJobStatus",
            StatusMessage="StatusMessage",
            Progress="Float",
            JobTag="JobTag",
            Video="Video",
            CreationTimestamp="DateTime",
            CompletionTimestamp="DateTime",
        ),
    },
}
"""What Service(extra=…) takes."""
