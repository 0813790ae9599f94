"""What all tables have in common."""

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

_HOST_NAME = re.compile(r"((?!-)[a-z0-9-]{1,63}(?<!-)\.)*(?!-)[a-z0-9-]{1,63}(?<!-)\.?")


class TableConfig(BaseModel):
    """One TOML table. An unknown key is an error, not a surprise."""

    # Defaults are validated like the rest: ~ must expand in them too.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def is_endpoint_url(text: str) -> bool:
    """Whether AWS clients accept this as an endpoint: they are strict about host names (RFC
    1123, so no underscore), and say so only with the first request."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port  # of which both are checked when read
    except ValueError:
        return False
    is_host = ":" in host or (len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None)
    return parts.scheme in {"http", "https"} and is_host
