"""What tells systemd how the daemon is: ready, well, stopping.

Speaks the notification protocol (sd_notify(3), sd_watchdog_enabled(3)); without a systemd around
it all of it is silence. The dog is fed from the event loop, so a loop that is stuck feeds it no
more, and only while every check finds progress. Knows nothing of what is checked.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

from streamproc.clock import Clock

log = logging.getLogger(__name__)

Check: TypeAlias = Callable[[float], str]
"""Told how many seconds without progress are too many; "" or, in words, what is stuck."""

_FEEDS_PER_LIMIT = 4  # sd_watchdog_enabled(3) asks for two; one may then be late
_STUCK_SHARE = 0.75  # of the limit: stuck that long, the rest is the dog's


class Systemd:
    """The service manager that started us, if one did."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """environment holds NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as systemd sets them."""
        found = os.environ if environment is None else environment
        address = found.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(found) if address else 0.0

    def tell(self, *assignments: str) -> None:
        """Send READY=1 and the like. A manager that does not listen is no failure of ours."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            log.warning("systemd could not be told %s: %s", assignments[0], error)


@asynccontextmanager
async def fed(systemd: Systemd, check: Check, clock: Clock) -> AsyncIterator[None]:
    """While the block runs the dog is fed, as long as check finds nothing stuck."""
    feeding = asyncio.create_task(_feed(systemd, check, clock), name="watchdog")
    try:
        yield
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])


async def _feed(systemd: Systemd, check: Check, clock: Clock) -> None:
    limit_s, told = systemd.watchdog_s, ""
    while limit_s > 0:
        stuck = check(limit_s * _STUCK_SHARE)
        if not stuck:
            systemd.tell("WATCHDOG=1")
        elif stuck != told:
            log.critical("not feeding systemd's watchdog any more: %s", stuck)
        told = stuck
        await clock.sleep(limit_s / _FEEDS_PER_LIMIT)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """0 where no watchdog is asked for, or another process is meant."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    limit_us = environment.get("WATCHDOG_USEC", "")
    return int(limit_us) / 1e6 if limit_us.isdecimal() else 0.0
