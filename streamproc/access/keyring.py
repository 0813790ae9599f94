"""The keys that are good now, in memory, for a daemon that is asked with every request.

A key made or revoked on the command line counts with the very next request: the file is asked
whether it changed (two stat calls), and read again only then. Implements the gateway's KeyRing
and model.caller.Caller.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias

from streamproc.access.keys import AccessKey, KeyStore
from streamproc.access.policy import Policy, parse_policy
from streamproc.clock import Clock
from streamproc.errors import PolicyError, StoreDamaged, StoreUnavailable
from streamproc.model.caller import Right

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""How often the file is read in any case: for streams, which ask nothing, and for changes that
its times did not show."""
LAST_USED_S = 300.0
"""How coarse "last used" is: no request waits for it, and the disk is left in peace."""

# A commit is seen by readers only once its bytes are on disk, and the file's time is that of the
# bytes; and file systems tell times in ticks. So what has just changed is read again.
_SETTLED_S = 2.0

_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


class KeyRing:
    """Built by open(), left by aclose()."""

    def __init__(self, path: Path, account_id: str, clock: Clock) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._account_id = account_id
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._unreadable: dict[str, str] = {}  # policies that were told to be, by key
        self._stamp: _Stamp | None = None  # of the file as it was read; None: read it again
        self._inode: int | None = None  # of the file that is open
        self._reading = asyncio.Lock()
        self._used_at: dict[str, float] = {}
        self._store: KeyStore
        self._keeping: asyncio.Task[None]

    @classmethod
    async def open(cls, path: Path, account_id: str, clock: Clock) -> Self:
        """Raises StoreDamaged or StoreUnavailable if the keys cannot be read."""
        ring = cls(path, account_id, clock)
        await ring._open()
        try:
            await ring.refresh()
        except BaseException:
            await ring._store.aclose()
            raise
        ring._keeping = asyncio.create_task(ring._keep())
        return ring

    async def aclose(self) -> None:
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        await self._write_last_used()
        await self._store.aclose()

    async def find(self, access_key_id: str) -> "KnownKey | None":
        """The key as it is now, None if it does not exist or is revoked; expired ones are found.

        Raises StoreDamaged or StoreUnavailable if that cannot be told.
        """
        await self.refresh()
        known = self.look_up(access_key_id)
        return None if known is None else KnownKey(self, known)

    def look_up(self, access_key_id: str) -> "_Known | None":
        """As of the last refresh."""
        return self._known.get(access_key_id)

    @property
    def usable_keys(self) -> int:
        """How many keys could sign a request now."""
        now = self._clock.now()
        return sum(known.key.is_good(now) for known in self._known.values())

    def now(self) -> float:
        return self._clock.now()

    def note_used(self, access_key_id: str) -> None:
        if access_key_id in self._known:
            self._used_at[access_key_id] = self._clock.now()

    async def refresh(self, *, anyway: bool = False) -> None:
        """Read the file again if it is not as it was, or anyway."""
        if self._stamp_now() == self._stamp and not anyway:
            return
        async with self._reading:
            stamp = self._stamp_now()
            if stamp == self._stamp and not anyway:
                return
            if stamp[0] is None or stamp[0][0] != self._inode:
                await self._reopen()
                stamp = self._stamp_now()
            self._known = {
                key.id: known
                for key in await self._store.all_keys()
                if key.revoked_at is None and (known := self._knowledge(key)) is not None
            }
            self._stamp = stamp if _is_settled(stamp) else None

    def _stamp_now(self) -> _Stamp:
        return _stat(self._path), _stat(self._log)

    async def _open(self) -> None:
        self._store = await KeyStore.open(self._path, self._clock)
        found = self._stamp_now()[0]
        self._inode = found[0] if found else None

    async def _reopen(self) -> None:
        """Somebody put another file in its place, or took it away: then nobody comes in."""
        log.warning("%s is another file than before; its keys are read anew", self._path)
        self._known, self._stamp = {}, None
        await self._store.aclose()
        await self._open()

    def _knowledge(self, key: AccessKey) -> "_Known | None":
        known = self._known.get(key.id)
        if known is not None and known.key == key:
            return known
        try:
            policy = parse_policy(key.policy)
        except PolicyError as error:
            if self._unreadable.get(key.id) != key.policy:
                self._unreadable[key.id] = key.policy
                log.error("key %s of %s opens nothing: %s", key.id, key.name, error)
            return None
        return _Known(key, policy, f"arn:aws:iam::{self._account_id}:user/{key.name}")

    async def _keep(self) -> None:
        written_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(WATCH_S)
            try:
                await self.refresh(anyway=True)
                if self._clock.monotonic() - written_at >= LAST_USED_S:
                    written_at = self._clock.monotonic()
                    await self._write_last_used()
            except (StoreDamaged, StoreUnavailable) as error:
                log.error("the access keys cannot be read: %s", error)

    async def _write_last_used(self) -> None:
        used_at, self._used_at = self._used_at, {}
        if not used_at:
            return
        try:
            await self._store.note_used(used_at)
        except (StoreDamaged, StoreUnavailable) as error:
            log.warning("when keys were used last is not written: %s", error)


@dataclass(frozen=True, slots=True)
class _Known:
    """One key, read."""

    key: AccessKey
    policy: Policy
    caller_arn: str


@dataclass(frozen=True, slots=True)
class KnownKey:
    """Implements the gateway's KeyView."""

    _ring: KeyRing = field(repr=False)
    _known: _Known

    @property
    def secret(self) -> str:
        return self._known.key.secret

    @property
    def is_temporary(self) -> bool:
        return self._known.key.is_temporary

    @property
    def expires_at(self) -> float | None:
        return self._known.key.expires_at

    def has_token(self, token: str) -> bool:
        return self._known.key.has_token(token)

    @property
    def caller(self) -> "KeyCaller":
        """To be asked for once the signature is known to be true: it counts as a use."""
        self._ring.note_used(self._known.key.id)
        return KeyCaller(self._ring, self._known.key.id, self._known.caller_arn)


@dataclass(frozen=True, slots=True)
class KeyCaller:
    """Implements Caller. What the key may do is asked when it matters, not when it came in: of a
    policy that is changed, a call that is under way hears with the next right it needs. A stream
    needs none; only the end of its key ends it."""

    _ring: KeyRing = field(repr=False)
    access_key_id: str
    arn: str

    def refusal(self, right: Right) -> str:
        known = self._ring.look_up(self.access_key_id)
        if known is None or not known.key.is_good(self._ring.now()):
            return f"User: {self.arn} has the key {self.access_key_id}, which is good no longer"
        return known.policy.refusal(self.arn, right)

    @property
    def is_valid(self) -> bool:
        known = self._ring.look_up(self.access_key_id)
        return known is not None and known.key.is_good(self._ring.now())


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be looked at ({error.strerror})") from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _is_settled(stamp: _Stamp) -> bool:
    """The wall clock, not the daemon's: file systems know no other."""
    return all(part is None or abs(time.time() - part[1] / 1e9) > _SETTLED_S for part in stamp)
