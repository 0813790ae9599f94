"""A Kinesis Data client that fails as told, for tests: no local service does.

It keeps to what AWS promises and to nothing more: records that one request carries are stored
last to first, because PutRecords promises no order among them.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

_URL = "http://kinesis.invalid"


@dataclass(frozen=True, slots=True)
class Accept:
    """Store everything."""


@dataclass(frozen=True, slots=True)
class RefuseSome:
    """Store all but the records at these places in the request."""

    places: frozenset[int]
    code: str = "ProvisionedThroughputExceededException"
    message: str = "Rate exceeded for shard"


@dataclass(frozen=True, slots=True)
class RefuseAll:
    """Answer the whole call with an error; store nothing."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection; store nothing."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Store everything, then time out."""


@dataclass(frozen=True, slots=True)
class Page:
    """A proxy answers with a page, which AWS clients read as an answer without members."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Store nothing and never answer."""


Outcome: TypeAlias = Accept | RefuseSome | RefuseAll | Unreachable | LoseAnswer | Page | Hang


class FakeKinesis:
    """put_records as aiobotocore has it. Outcomes are used one per call; then all is well."""

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        self._outcomes = iter(outcomes)
        self.requests: list[list[tuple[str, bytes]]] = []  # (partition key, data), per call
        self.stored: list[tuple[str, bytes]] = []  # as a consumer reads them

    async def put_records(
        self,
        *,
        StreamARN: str,  # noqa: ARG002 (part of the call)
        Records: Sequence[dict[str, Any]],
    ) -> dict[str, Any]:
        request = [(record["PartitionKey"], record["Data"]) for record in Records]
        self.requests.append(request)
        refused: frozenset[int] = frozenset()
        code = message = ""
        match next(self._outcomes, Accept()):
            case RefuseSome(refused, code, message):
                pass
            case RefuseAll(code, message):
                raise ClientError({"Error": {"Code": code, "Message": message}}, "PutRecords")
            case Unreachable():
                raise EndpointConnectionError(endpoint_url=_URL)
            case LoseAnswer():
                self._store(request, refused)
                raise ReadTimeoutError(endpoint_url=_URL)
            case Page():
                return {"ResponseMetadata": {"HTTPStatusCode": 200}}
            case Hang():
                await asyncio.Event().wait()
        self._store(request, refused)
        results = [
            {"ErrorCode": code, "ErrorMessage": message}
            if place in refused
            else {"ShardId": "shardId-000000000000", "SequenceNumber": str(len(self.stored))}
            for place in range(len(request))
        ]
        return {"FailedRecordCount": len(refused), "Records": results}

    async def describe_stream_summary(self, *, StreamARN: str) -> dict[str, Any]:  # noqa: ARG002
        """The stream is there."""
        return {}

    def _store(self, request: Sequence[tuple[str, bytes]], refused: frozenset[int]) -> None:
        kept = [record for place, record in enumerate(request) if place not in refused]
        self.stored.extend(reversed(kept))
