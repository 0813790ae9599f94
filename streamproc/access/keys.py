"""The access keys of this machine, in SQL: made, listed, rotated, revoked.

Used by the command line and by a running daemon at the same time; SQLite sees to that. A
signature can only be verified with the secret itself, so secrets lie here as they are, in a
file that nobody else may read; of a session token its SHA-256 is enough. Knows policies as
text only.
"""

import hmac
import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Column, Float, MetaData, Row, String, Table, Text, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.clock import Clock
from streamproc.db import Database, Revisions
from streamproc.errors import StreamprocError

_metadata = MetaData()
_keys = Table(
    "access_keys",
    _metadata,
    Column("id", String(20), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("token_sha256", String(64)),  # of temporary keys only
    Column("name", String(64), nullable=False),
    Column("policy", Text, nullable=False),  # a JSON document
    Column("created_at", Float(53), nullable=False),  # all times: seconds since the epoch
    Column("last_used_at", Float(53)),
    Column("expires_at", Float(53)),
    Column("revoked_at", Float(53)),
)

_REVISIONS: Final = Revisions(Path(__file__).parent / "revisions")

# As IAM has them: user names, and the two kinds of key ids.
_NAME: Final = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_KEY_ID: Final = re.compile(r"(AKIA|ASIA)[A-Z2-7]{16}", re.ASCII)
_BASE32: Final = string.ascii_uppercase + "234567"
_ALPHANUMERIC: Final = string.ascii_letters + string.digits  # nothing that a shell would read
_SECRET_CHARS: Final = 40  # 238 bits


class UnknownKey(StreamprocError):
    """No such key, or none that is still good."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One key as it is kept."""

    id: str
    name: str  # whose it is
    policy: str
    created_at: float
    last_used_at: float | None
    expires_at: float | None
    revoked_at: float | None
    secret: str = field(repr=False)
    token_sha256: str | None = field(repr=False)

    @property
    def is_temporary(self) -> bool:
        return self.token_sha256 is not None

    def has_token(self, token: str) -> bool:
        """Whether this is its session token ("" where it has none), in constant time."""
        if self.token_sha256 is None:
            return not token
        return hmac.compare_digest(_digest(token), self.token_sha256)

    def is_good(self, now: float) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewKey:
    """What its owner is told, once."""

    id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)  # "" for a key that lasts
    expires_at: float | None


class KeyStore:
    """Each change is one transaction, on disk when the call returns."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    async def open(cls, path: Path, clock: Clock) -> Self:
        """Open, and make what is missing; its folder must exist. Raises StoreDamaged and
        StoreUnavailable, as every method does."""
        return cls(await Database.open_file(path, _metadata, _REVISIONS), clock)

    async def aclose(self) -> None:
        await self._database.close()

    async def create(self, name: str, policy: str, lifetime_s: float | None = None) -> NewKey:
        """A key for this name; one with a lifetime is temporary and has a session token.

        Raises StreamprocError for a name that IAM would not take, or that has a lasting key.
        """
        if not _NAME.fullmatch(name) or _KEY_ID.fullmatch(name):
            raise StreamprocError(
                f"the name {name!r} is not 1 to 64 letters, digits and _+=,.@- (and no key's id)"
            )
        async with self._database.write() as connection:
            present = await _read(connection, name)
            if lifetime_s is None and (lasting := _lasting(present, self._clock.now())):
                raise StreamprocError(
                    f"{name} has the key {lasting[0].id}; choose another name, or run: "
                    f"streamproc keys rotate {name}"
                )
            return await self._insert(connection, name, policy, lifetime_s)

    async def all_keys(self) -> list[AccessKey]:
        """All there ever were, by name, oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(_keys).order_by(_keys.c.name, _keys.c.created_at)
            )
            return [_of_row(row) for row in rows]

    async def find(self, id_or_name: str) -> list[AccessKey]:
        """The good keys of this id or name. Raises UnknownKey if there is none."""
        async with self._database.read() as connection:
            return self._good(await _read(connection, id_or_name), id_or_name)

    async def rotate(self, id_or_name: str, keep_s: float) -> tuple[NewKey, AccessKey]:
        """A new key in place of a lasting one, and the old one, which is good for keep_s more.

        Raises UnknownKey if there is none.
        """
        async with self._database.write() as connection:
            now = self._clock.now()
            good = self._good(await _read(connection, id_or_name), id_or_name)
            lasting = _lasting(good, now)
            if not lasting:
                raise UnknownKey(
                    f"{good[0].id} of {good[0].name} ends by itself; make another with: "
                    f"streamproc keys create {good[0].name}"
                )
            old = lasting[0]
            if keep_s > 0:
                this = update(_keys).where(_keys.c.id == old.id)
                await connection.execute(this.values(expires_at=now + keep_s))
            else:
                await _end(connection, [old.id], now)
            new = await self._insert(connection, old.name, old.policy, None)
        await self._database.forget()
        return new, old

    async def revoke(self, id_or_name: str) -> list[AccessKey]:
        """Every good key of this id or name is good no longer; returns them. Raises UnknownKey."""
        async with self._database.write() as connection:
            good = self._good(await _read(connection, id_or_name), id_or_name)
            ids = [key.id for key in good]
            await _end(connection, ids, self._clock.now())
        await self._database.forget()  # no byte of a secret stays in any file
        return good

    async def set_policy(self, id_or_name: str, policy: str) -> list[AccessKey]:
        """Give every good key of this id or name this policy. Raises UnknownKey."""
        async with self._database.write() as connection:
            good = self._good(await _read(connection, id_or_name), id_or_name)
            ids = [key.id for key in good]
            await connection.execute(update(_keys).where(_keys.c.id.in_(ids)).values(policy=policy))
            return good

    async def note_used(self, used_at: Mapping[str, float]) -> None:
        """Remember when keys were used last, by id."""
        async with self._database.write() as connection:
            for key_id, at in used_at.items():
                this = update(_keys).where(_keys.c.id == key_id)
                await connection.execute(this.values(last_used_at=at))

    def _good(self, found: Iterable[AccessKey], id_or_name: str) -> list[AccessKey]:
        now = self._clock.now()
        if good := [key for key in found if key.is_good(now)]:
            return good
        raise UnknownKey(f"there is no good key {id_or_name}; see: streamproc keys list")

    async def _insert(
        self, connection: AsyncConnection, name: str, policy: str, lifetime_s: float | None
    ) -> NewKey:
        is_temporary = lifetime_s is not None
        now = self._clock.now()
        kind = "ASIA" if is_temporary else "AKIA"
        new = NewKey(
            id=kind + _random(_BASE32, 16),
            secret=_random(_ALPHANUMERIC, _SECRET_CHARS),
            token=secrets.token_urlsafe(64) if is_temporary else "",
            expires_at=now + lifetime_s if lifetime_s is not None else None,
        )
        values: dict[str, Any] = {
            "id": new.id,
            "secret": new.secret,
            "token_sha256": _digest(new.token) if is_temporary else None,
            "name": name,
            "policy": policy,
            "created_at": now,
            "expires_at": new.expires_at,
        }
        await connection.execute(insert(_keys).values(**values))
        return new


def _lasting(keys: Iterable[AccessKey], now: float) -> list[AccessKey]:
    """Those that end only when somebody ends them."""
    return [key for key in keys if key.is_good(now) and key.expires_at is None]


async def _read(connection: AsyncConnection, id_or_name: str) -> list[AccessKey]:
    this = (_keys.c.id == id_or_name) | (_keys.c.name == id_or_name)
    rows = await connection.execute(select(_keys).where(this).order_by(_keys.c.created_at))
    return [_of_row(row) for row in rows]


async def _end(connection: AsyncConnection, ids: list[str], now: float) -> None:
    """Revoked for good: nothing needs the secret any more."""
    these = update(_keys).where(_keys.c.id.in_(ids))
    await connection.execute(these.values(revoked_at=now, secret="", token_sha256=""))


def _of_row(row: Row[Any]) -> AccessKey:
    return AccessKey(**row._mapping)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
