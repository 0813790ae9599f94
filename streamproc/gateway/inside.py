"""The services as clients of this process see them: botocore's way of asking, no wire.

A client has botocore's method names and members, and every call takes the way of calls.py: the
same constraints, rights, handlers and errors as over HTTP, where the difference would be paid
for with every record and every packet. Knows what aiobotocore would hand to a caller; knows
nothing of who calls, or why.

What differs from aiobotocore's clients: members are taken as they are (blobs are bytes; types
are not checked, for callers are our own code), timestamps keep their fractions of a second
where botocore sends whole ones, and a call whose caller is cancelled is cancelled in its
handler. So a caller should have rights to operations that bear it: those that only read, and
those that hand their change over to a task of the service, as PutRecords does.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

from botocore import xform_name
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.model import OperationModel, Shape

from streamproc.gateway.calls import Calls, told_of
from streamproc.gateway.dispatch import BoundService, RequestContext
from streamproc.gateway.errors import ServiceError
from streamproc.gateway.faults import status_of
from streamproc.gateway.payload import Payload
from streamproc.model.caller import Caller

Call: TypeAlias = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


class InsideServices:
    """Makes the clients. Implements aws.Inside."""

    def __init__(
        self, services: Sequence[BoundService], *, account_id: str, caller: Caller
    ) -> None:
        """caller is who asks, whatever is asked."""
        self._services = {service.name: service for service in services}
        self._account_id = account_id
        self._caller = caller
        self._calls = Calls()

    def client(self, service: str, region: str, *, read_timeout_s: float) -> "InsideClient":
        """A client of one service, by botocore's name of it. No answer, and no part of a
        streaming one, is waited for longer than read_timeout_s. Raises LookupError if there is
        no such service here."""
        if service not in self._services:
            served = ", ".join(sorted(self._services))
            raise LookupError(f"{service} is not served in this process; {served} are")
        return InsideClient(
            self._services[service],
            self._calls,
            region=region,
            account_id=self._account_id,
            caller=self._caller,
            read_timeout_s=read_timeout_s,
        )


class InsideClient:
    """One method per operation that is served, named and called as botocore's are:
    await client.put_records(StreamARN=…, Records=…).

    They return the answer's members and ResponseMetadata; a streaming one is a Payload. They
    raise ClientError for what the service refuses, and ReadTimeoutError.
    """

    def __init__(
        self,
        service: BoundService,
        calls: Calls,
        *,
        region: str,
        account_id: str,
        caller: Caller,
        read_timeout_s: float,
    ) -> None:
        self._service = service
        self._calls = calls
        self._region = region
        self._account_id = account_id
        self._caller = caller
        self._read_timeout_s = read_timeout_s
        self._operations = {xform_name(name): name for name in service.handlers}

    def __getattr__(self, name: str) -> Call:
        """Raises AttributeError if no operation that is served has this name."""
        try:
            operation = self._operations[name]
        except KeyError:
            served = ", ".join(self._operations)
            raise AttributeError(f"{self._service.name} has no {name} here; {served}") from None
        return partial(self._call, self._service.model.operation_model(operation))

    async def _call(self, operation: OperationModel, **members: Any) -> dict[str, Any]:
        request_id = str(uuid.uuid4())
        context = RequestContext(
            service=self._service.name,
            operation=operation.name,
            region=self._region,
            account_id=self._account_id,
            request_id=request_id,
            caller=self._caller,
        )
        called = f"{self._service.name} {operation.name}"
        try:
            async with asyncio.timeout(self._read_timeout_s) as waiting:
                asked = _asked(operation, members)
                output = await self._calls.perform(self._service, operation, asked, context)
            answer = _answered(operation, output)
        except Exception as error:
            if waiting.expired():
                raise ReadTimeoutError(endpoint_url=called, error=error) from error
            failure = told_of(error, called, self._service, request_id)
            raise self._client_error(operation, failure, request_id) from error
        for name, value in answer.items():
            if isinstance(value, AsyncIterator):
                answer[name] = Payload(value, self._read_timeout_s, called)
        status = operation.http.get("responseCode", 200)
        return {**answer, "ResponseMetadata": _metadata(request_id, status)}

    def _client_error(
        self, operation: OperationModel, error: ServiceError, request_id: str
    ) -> ClientError:
        details = {"Code": error.code, "Message": error.message}
        metadata = _metadata(request_id, status_of(error, self._service))
        return ClientError({"Error": details, "ResponseMetadata": metadata}, operation.name)


def _metadata(request_id: str, status: int) -> dict[str, Any]:
    return {"RequestId": request_id, "HTTPStatusCode": status, "RetryAttempts": 0}


def _asked(operation: OperationModel, members: Mapping[str, Any]) -> dict[str, Any]:
    """A request as handlers take it: instants are seconds since the epoch."""
    shape = operation.input_shape
    return dict(_translated(shape, members, _seconds)) if shape else {}


def _answered(operation: OperationModel, output: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as botocore hands it over: instants are datetimes."""
    shape = operation.output_shape
    return dict(_translated(shape, output, _datetime)) if shape else {}


def _translated(shape: Shape, value: Any, instant: Callable[[Any], Any]) -> Any:
    """A copy with every instant translated, and without members that are None, which are as
    absent as null is on the wire."""
    match shape.type_name:
        case "structure":
            return {
                name: _translated(shape.members[name], element, instant)
                for name, element in value.items()
                if element is not None
            }
        case "list":
            return [_translated(shape.member, element, instant) for element in value]
        case "map":
            return {
                key: _translated(shape.value, element, instant) for key, element in value.items()
            }
        case "timestamp":
            return instant(value)
        case _:
            return value


def _seconds(instant: datetime | float) -> float:
    return instant.timestamp() if isinstance(instant, datetime) else instant


def _datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), UTC)  # what formats on the wire keep
