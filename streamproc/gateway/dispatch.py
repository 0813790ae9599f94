"""An AWS service as a table of handlers over botocore's own model of it.

Knows operations, handlers and their dependencies; knows nothing of HTTP. app.py parses a
request and serialises what a handler returns, inside.py does without; calls.py sees to
constraints and rights before a handler is called.

A handler is an async function of (dependencies, request, context). The request is a dict of
the members that the caller sent, already checked against the model: blobs are bytes,
timestamps are floats in seconds since the epoch. It returns the output members (timestamps
again as floats, None counts as absent) or raises a ServiceError:

    rekognition = Service[ApiServices]("rekognition", validation_error="InvalidParameterException")

    @rekognition.operation("StopStreamProcessor")
    async def stop_stream_processor(
        services: ApiServices, request: dict[str, Any], context: RequestContext
    ) -> dict[str, Any]: ...

An operation that botocore's model lacks comes in `extra`, in the model's own language.
Members with a location travel in headers, the path or the query; a payload member whose blob
is streaming is the raw body. In a request it is an AsyncIterator[bytes] that raises BodyCut
when the client leaves in the middle; in an answer it is an AsyncIterator[bytes] that is
closed as soon as it ends, the client leaves or the server stops, even before its first chunk
(when a generator runs none of its code). The answer's headers leave when the handler returns.
So a generator that reads the request while it yields is full duplex, and every error that
should be an HTTP error must be raised before the handler returns.
PutMedia in local/kinesis_video/service.py is such an operation, whole.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Generic, TypeAlias, TypeVar

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import OperationModel, OperationNotFoundError, ServiceModel

from streamproc.gateway.errors import AccessDenied, UnknownOperation
from streamproc.gateway.rest import check_locations
from streamproc.gateway.validate import prepare
from streamproc.model.caller import ANYONE, Caller, Right

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Who asks for what, as far as the request itself says."""

    service: str  # botocore's name of the service
    operation: str
    region: str  # of the signing scope, else the server's default
    account_id: str
    request_id: str  # a UUID; the answer carries it as x-amzn-RequestId
    caller: Caller = ANYONE

    def require(self, *rights: Right) -> None:
        """Raises AccessDenied, in AWS's words, unless the caller has all of them."""
        for right in rights:
            if refusal := self.caller.refusal(right):
                raise AccessDenied(refusal)


Handler: TypeAlias = Callable[[S, dict[str, Any], RequestContext], Awaitable[dict[str, Any]]]
Rights: TypeAlias = Callable[[S, str, Mapping[str, Any], RequestContext], Sequence[Right]]
"""What an operation needs to be allowed, told from its (valid) request: never empty. Like a
handler it is given the dependencies, for a request may name a resource by a token. Raises
ServiceError where the request cannot name any."""

BoundHandler: TypeAlias = Callable[[dict[str, Any], RequestContext], Awaitable[dict[str, Any]]]
BoundRights: TypeAlias = Callable[[str, Mapping[str, Any], RequestContext], Sequence[Right]]


class Service(Generic[S]):
    """The operations of one AWS service that somebody has written a handler for.

    name is botocore's (kinesis-video-media). validation_error is the code of the answer to a
    request that breaks the model's constraints. rights says what a caller needs to be allowed;
    without it, prefix:Operation on *. extra adds to the model, or replaces parts of it:
    {"operations": {...}, "shapes": {...}}.
    Raises LookupError if botocore has no such service, ValueError if it speaks a protocol
    other than json and rest-json.
    """

    def __init__(
        self,
        name: str,
        *,
        validation_error: str,
        rights: Rights[S] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        description = _load(name, extra or {})
        self.name = name
        self.validation_error = validation_error
        self.model = ServiceModel(description, name)
        self.protocol = _protocol(name, self.model.metadata)
        self._statuses = _error_statuses(description["shapes"])
        self._rights = rights
        self._handlers: dict[str, Handler[S]] = {}

    @property
    def operations(self) -> frozenset[str]:
        """Names of the operations that have a handler."""
        return frozenset(self._handlers)

    def operation(self, name: str) -> Callable[[Handler[S]], Handler[S]]:
        """Register the decorated function as the handler of an operation.

        Raises LookupError if the model has no such operation, ValueError if it has a handler
        already or cannot be served (event streams need HTTP/2; members in places and
        patterns that the gateway does not know).
        """
        model = find_operation(self.model, name)
        if model is None:
            raise LookupError(f"{self.name} has no operation {name}")
        if model.has_event_stream_input or model.has_event_stream_output:
            raise ValueError(f"{self.name}.{name} is an event stream, which is not served here")
        check_locations(model)
        if model.input_shape is not None:
            prepare(model.input_shape)

        def register(handler: Handler[S]) -> Handler[S]:
            if name in self._handlers:
                raise ValueError(f"{self.name}.{name} has a handler already")
            self._handlers[name] = handler
            return handler

        return register

    def bind(self, dependencies: S) -> "BoundService":
        """The service with its dependencies in place, ready for build_app()."""
        handlers = {
            name: partial(handler, dependencies) for name, handler in self._handlers.items()
        }
        return BoundService(
            self.name,
            self.protocol,
            self.model,
            self.validation_error,
            self._statuses,
            (
                partial(_right_on_all, self.model.signing_name)
                if self._rights is None
                else partial(self._rights, dependencies)
            ),
            handlers,
        )


@dataclass(frozen=True, slots=True)
class BoundService:
    """A service that can answer; what build_app() serves."""

    name: str
    protocol: str  # json or rest-json
    model: ServiceModel
    validation_error: str
    error_statuses: Mapping[str, int]  # the HTTP status of each error that the model declares
    rights: BoundRights
    handlers: Mapping[str, BoundHandler]

    def handler(self, operation: str) -> BoundHandler:
        """Raises UnknownOperation if nobody has written one."""
        try:
            return self.handlers[operation]
        except KeyError:
            served = ", ".join(sorted(self.handlers)) or "none"
            raise UnknownOperation(
                f"{self.name} {operation} is not served here. Operations of {self.name} that "
                f"are: {served}."
            ) from None


def find_operation(model: ServiceModel, name: str) -> OperationModel | None:
    try:
        return model.operation_model(name)
    except OperationNotFoundError:
        return None


def _right_on_all(
    prefix: str, operation: str, _request: Mapping[str, Any], _context: RequestContext
) -> Sequence[Right]:
    return (Right(f"{prefix}:{operation}", "*"),)


@cache
def _loader() -> Loader:
    # It looks through the folders of all of AWS's services, and remembers.
    return Loader()


def _load(name: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    try:
        description = _loader().load_service_model(name, "service-2")
    except UnknownServiceError:
        raise LookupError(f"botocore has no service {name}") from None
    merged = {
        part: {**description[part], **extra.get(part, {})} for part in ("operations", "shapes")
    }
    return {**description, **merged}


def _protocol(name: str, metadata: Mapping[str, Any]) -> str:
    spoken = metadata.get("protocols", [metadata["protocol"]])
    for protocol in ("json", "rest-json"):
        if protocol in spoken:
            return protocol
    raise ValueError(f"{name} speaks {', '.join(spoken)}; only json and rest-json are served")


def _error_statuses(shapes: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {
        name: shape.get("error", {}).get("httpStatusCode", 500 if shape.get("fault") else 400)
        for name, shape in shapes.items()
        if shape.get("exception")
    }
