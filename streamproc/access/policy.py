"""What a key may do: an IAM policy document, read strictly and asked about one right at a time.

Knows the language of identity-based policies (IAM user guide, "Grammar of the IAM JSON policy
language") as far as it can be enforced here: Effect, Action, NotAction, Resource and
NotResource. Whatever else a document says is refused when it is read, never passed over: a
Condition that nobody checks would grant more than was meant. Knows nothing of keys, requests
or services.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamproc.access.glob import Glob
from streamproc.errors import PolicyError
from streamproc.model.caller import Right

VERSION: Final = "2012-10-17"
POLICY_BYTES_MAX: Final = 64 * 1024
PATTERN_CHARS_MAX: Final = 2048  # IAM's own limit of an ARN
PATTERNS_MAX: Final = 1000  # of a whole policy; with the two above, what an answer may cost

_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource"},
)
_UNENFORCED: Final[Mapping[str, str]] = {
    "Condition": "conditions are not evaluated here, so the statement would grant or deny more "
    "than it says; write it without one, or leave it out",
    "Principal": "a policy here belongs to one key; leave it out",
    "NotPrincipal": "a policy here belongs to one key; leave it out",
}
_ACTION: Final = re.compile(r"\*|[a-z0-9-]+:[a-z0-9*?]+", re.ASCII | re.IGNORECASE)
_SID: Final = re.compile(r"[0-9A-Za-z]*", re.ASCII)
_ARN_PARTS: Final = 6  # arn:partition:service:region:account:resource


@dataclass(frozen=True, slots=True)
class _Statement:
    allows: bool
    actions: tuple[Glob, ...]  # in lower case
    resources: tuple[Glob, ...]
    all_actions_but: bool  # NotAction
    all_resources_but: bool  # NotResource

    def concerns(self, action: str, resource: str) -> bool:
        """action in lower case."""
        named = any(glob.matches(action) for glob in self.actions)
        if named == self.all_actions_but:
            return False
        covered = any(glob.matches(resource) for glob in self.resources)
        return covered != self.all_resources_but


_KIND: Final = "identity-based policy"


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy document. What no statement allows is denied, and a deny always wins."""

    statements: tuple[_Statement, ...]

    def refusal(self, caller_arn: str, right: Right) -> str:
        """Why the caller may not do this, in AWS's words; "" if they may."""
        action = right.action.lower()
        is_allowed = False
        for statement in self.statements:
            if statement.concerns(action, right.resource):
                if not statement.allows:
                    return f"{_refused(caller_arn, right)} with an explicit deny in an {_KIND}"
                is_allowed = True
        if is_allowed:
            return ""
        return f"{_refused(caller_arn, right)} because no {_KIND} allows the {right.action} action"


def _refused(caller_arn: str, right: Right) -> str:
    return (
        f"User: {caller_arn} is not authorized to perform: {right.action} on resource: "
        f"{right.told or right.resource}"
    )


def parse_policy(text: str) -> Policy:
    """Read a policy document.

    Raises PolicyError, which names the statement and the element, if any part of it could not
    be enforced exactly as it is written.
    """
    document = _object(_load(text), "policy document")
    for name in document:
        if name not in {"Version", "Id", "Statement"}:
            raise PolicyError(
                f'policy document: element "{_shown(name)}" is not known; Version, Id and '
                "Statement are"
            )
    if (version := document.get("Version", "(none)")) != VERSION:
        raise PolicyError(
            f"policy document: Version {_shown(version)} is not supported; "
            f'write "Version": "{VERSION}"'
        )
    if not isinstance(document.get("Id", ""), str):
        raise PolicyError(f"policy document: Id {_shown(document['Id'])} is not a string")
    listed = document.get("Statement")
    listed = [listed] if isinstance(listed, dict) else listed
    if not isinstance(listed, list) or not listed:
        raise PolicyError("policy document: Statement must be a statement, or a list of them")
    statements = tuple(_statement(item, index) for index, item in enumerate(listed))
    counts = Counter(item["Sid"] for item in listed if item.get("Sid"))
    if twice := [sid for sid, count in counts.items() if count > 1]:
        raise PolicyError(f"policy document: {twice[0]} is the Sid of two statements")
    count = sum(len(statement.actions) + len(statement.resources) for statement in statements)
    if count > PATTERNS_MAX:
        raise PolicyError(
            f"policy document: {count} actions and resources are named; the most is "
            f"{PATTERNS_MAX}. Use wildcards"
        )
    return Policy(statements)


def _statement(item: Any, index: int) -> _Statement:
    where = f"Statement[{index}]"
    members = _object(item, where)
    if isinstance(sid := members.get("Sid"), str) and _SID.fullmatch(sid):
        where = f"Statement[{index}] ({sid})" if sid else where
    elif "Sid" in members:
        raise PolicyError(f"{where}: Sid {_shown(sid)} is not made of letters and digits alone")
    for name in members:
        if name not in _ELEMENTS:
            why = _UNENFORCED.get(name, f"the elements are {', '.join(sorted(_ELEMENTS))}")
            raise PolicyError(f'{where}: element "{_shown(name)}" is not supported: {why}')
    effect = members.get("Effect", "(none)")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"{where}: Effect {_shown(effect)} is neither Allow nor Deny")
    action, actions = _patterns(members, "Action", where)
    resource, resources = _patterns(members, "Resource", where)
    for pattern in actions:
        if not _ACTION.fullmatch(pattern):
            raise PolicyError(
                f"{where}: {action} {_shown(pattern)} is neither * nor service:Operation, in "
                "which * and ? may stand behind the colon"
            )
    for pattern in resources:
        _check_resource(pattern, f"{where}: {resource} {_shown(pattern)}")
    return _Statement(
        allows=effect == "Allow",
        actions=tuple(Glob(pattern.lower()) for pattern in actions),
        resources=tuple(Glob(pattern) for pattern in resources),
        all_actions_but=action == "NotAction",
        all_resources_but=resource == "NotResource",
    )


def _patterns(members: Mapping[str, Any], name: str, where: str) -> tuple[str, list[str]]:
    """(Action or NotAction, its patterns); the same for Resource."""
    given = [element for element in (name, f"Not{name}") if element in members]
    if len(given) != 1:
        raise PolicyError(f"{where}: exactly one of {name} and Not{name} must be given")
    [element] = given
    value = members[element]
    patterns = [value] if isinstance(value, str) else value
    if (
        not isinstance(patterns, list)
        or not patterns
        or not all(isinstance(pattern, str) and pattern for pattern in patterns)
    ):
        raise PolicyError(f"{where}: {element} must be a string, or a list of strings")
    for pattern in patterns:
        if len(pattern) > PATTERN_CHARS_MAX:
            raise PolicyError(
                f"{where}: {element} has an entry of {len(pattern)} characters; the most is "
                f"{PATTERN_CHARS_MAX}"
            )
    return element, patterns


def _check_resource(pattern: str, what: str) -> None:
    """A resource pattern that cannot match anything would make a Deny void."""
    if "${" in pattern:
        raise PolicyError(f"{what} has a policy variable, which is not supported; write it out")
    if not pattern.isprintable():
        raise PolicyError(f"{what} has a character that cannot be printed; write ? in its place")
    parts = pattern.split(":", _ARN_PARTS - 1)
    is_whole = bool(parts[-1]) and (len(parts) == _ARN_PARTS or parts[-1].endswith("*"))
    if pattern != "*" and (parts[0] != "arn" or not is_whole):
        raise PolicyError(
            f"{what} is neither * nor an ARN (arn:aws:service:region:account:resource), in "
            "which * and ? may stand"
        )


def _load(text: str) -> Any:
    size = len(text.encode(errors="surrogatepass"))
    if size > POLICY_BYTES_MAX:
        raise PolicyError(f"policy document: {size} bytes; the most is {POLICY_BYTES_MAX}")
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError:
        raise PolicyError("policy document: nested too deeply") from None
    except ValueError as error:
        raise PolicyError(f"policy document: not JSON: {error}") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two members of one name, JSON keeps the last, whatever the writer meant."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise PolicyError(f'policy document: "{_shown(name)}" is given twice in one object')
        members[name] = value
    return members


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"{where}: {_shown(value)} is not a JSON object")
    return value


def _shown(value: Any) -> str:
    """A value on one short line."""
    text = ascii(value)[1:-1] if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
