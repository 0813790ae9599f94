"""How many requests of which operation were answered how, and how quickly.

Only operations that a service's model has are named, so that nobody's requests can make labels;
all else is UNKNOWN. Knows nothing of what was asked.
"""

from collections import Counter
from typing import Final

from streamproc.gateway.routing import Route
from streamproc.model.histogram import CALL_S, Histogram

UNKNOWN: Final = "unknown"


class CallFigures:
    """Counted by the gateway, read by whoever wants to know. For one event loop."""

    def __init__(self) -> None:
        self.answers_total: Counter[tuple[str, str, int]] = Counter()
        """By service, operation and HTTP status."""
        self.seconds: dict[tuple[str, str], Histogram] = {}
        """By service and operation: until the answer, or of a stream its head, was ready."""

    def answered(self, route: Route | None, status: int, seconds: float) -> None:
        """route is None where nobody serves what was asked for."""
        is_served = route is not None and route.operation.name in route.service.handlers
        of = (route.service.name, route.operation.name) if route and is_served else (UNKNOWN,) * 2
        self.answers_total[*of, status] += 1
        if of not in self.seconds:
            self.seconds[of] = Histogram(CALL_S)
        self.seconds[of].observe(seconds)
