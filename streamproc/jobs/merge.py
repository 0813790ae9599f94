"""One tree of members from two. Pure."""

from collections.abc import Mapping
from typing import Any


def merged(body: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The members of both, dict into dict; where both have a value, that of more. Neither
    is changed."""
    result = dict(body)
    for name, value in more.items():
        own = result.get(name)
        both = isinstance(own, Mapping) and isinstance(value, Mapping)
        result[name] = merged(own, value) if both else value  # type: ignore[arg-type]
    return result
