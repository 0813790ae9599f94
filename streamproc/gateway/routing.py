"""Which operation of which service a request is for.

awsJson names it in X-Amz-Target, rest-json in method and path; where two services have the
same path, the signing scope decides. Pure.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from botocore.model import OperationModel

from streamproc.gateway.dispatch import BoundService, find_operation
from streamproc.gateway.errors import UnknownOperation, UnknownPath
from streamproc.gateway.words import shown

_LABEL = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True, slots=True)
class Route:
    service: BoundService
    operation: OperationModel
    labels: Mapping[str, str] = field(default_factory=dict)  # raw parts of the path


@dataclass(frozen=True, slots=True)
class _Rule:
    method: str
    path: re.Pattern[str]
    service: BoundService
    operation: OperationModel


class Router:
    """The operations of all services of one server.

    Raises ValueError if two services share a target prefix.
    """

    def __init__(self, services: Sequence[BoundService]) -> None:
        self._targets: dict[str, BoundService] = {}
        # By the path's first part, so that a request meets a handful of rules.
        self._rules: dict[str, list[_Rule]] = defaultdict(list)
        self._names = ", ".join(service.name for service in services)
        for service in services:
            if service.protocol == "json":
                prefix = service.model.metadata["targetPrefix"]
                if prefix in self._targets:
                    raise ValueError(f"two services have the target prefix {prefix}")
                self._targets[prefix] = service
            else:
                self._add_rules(service)

    def find(self, method: str, path: str, target: str | None, signing_name: str | None) -> Route:
        """Raises UnknownOperation, or UnknownPath if the path says nothing either."""
        if target is not None and method == "POST":
            return self._find_target(target)
        matches = [
            (rule, found)
            for rule in self._rules_of(path)
            if rule.method == method and (found := rule.path.fullmatch(path))
        ]
        if not matches:
            raise UnknownPath(
                f"{method} {shown(path)} is no operation here. This is an AWS endpoint of "
                f"{self._names}; call it with an AWS SDK or the AWS CLI (--endpoint-url)."
            )
        # More literal characters first: /a/b before /a/{name}.
        rule, found = max(
            matches,
            key=lambda match: (
                match[0].service.model.signing_name == signing_name,
                match[0].operation.name in match[0].service.handlers,
                -sum(map(len, match[1].groups())),
            ),
        )
        return Route(rule.service, rule.operation, found.groupdict())

    def methods(self, path: str) -> list[str]:
        """The methods that an operation exists for at this path."""
        methods = {rule.method for rule in self._rules_of(path) if rule.path.fullmatch(path)}
        return sorted(methods | {"POST"} if self._targets else methods)

    def _find_target(self, target: str) -> Route:
        prefix, _, name = target.rpartition(".")
        service = self._targets.get(prefix)
        if service is None:
            known = ", ".join(self._targets) or "none"
            raise UnknownOperation(
                f"X-Amz-Target '{shown(target)}' names no service here. Known prefixes: {known}."
            )
        operation = find_operation(service.model, name)
        if operation is None:
            raise UnknownOperation(f"{service.name} has no operation '{shown(name)}'.")
        return Route(service, operation)

    def _add_rules(self, service: BoundService) -> None:
        for name in service.model.operation_names:
            operation = service.model.operation_model(name)
            path = operation.http["requestUri"].partition("?")[0]
            rule = _Rule(operation.http["method"], _compile_path(path), service, operation)
            self._rules[_first_part(path)].append(rule)

    def _rules_of(self, path: str) -> list[_Rule]:
        # "" holds the rules whose first part is a label.
        first = _first_part(path)
        return self._rules.get(first, []) + (self._rules.get("", []) if first else [])


def _first_part(path: str) -> str:
    first = path.removeprefix("/").partition("/")[0]
    return "" if "{" in first else first


def _compile_path(path: str) -> re.Pattern[str]:
    """/streams/{Name}/tags/{Key+} as a pattern with a group per label."""
    pieces: list[str] = []
    at = 0
    for label in _LABEL.finditer(path):
        inside = ".+" if label[2] else "[^/]+"
        pieces += (re.escape(path[at : label.start()]), f"(?P<{label[1]}>{inside})")
        at = label.end()
    return re.compile("".join(pieces) + re.escape(path[at:]))
