"""streamproc keys: who may call the daemon, and what they may do.

Works on the data folder itself, beside a running daemon or without one: who may write there is
who may make keys. Every change is written into the audit log, before it as asked and behind it as
done; what cannot be written down is not done, except that a key can always be revoked.
"""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from streamproc.cli.output import AsJson, plain, print_json, say, show, table
from streamproc.config import load_config
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.access.keys import AccessKey, KeyStore, NewKey
    from streamproc.config import Config

T = TypeVar("T")

keys = typer.Typer(help="Make, list, rotate and revoke access keys.", no_args_is_help=True)

Which: TypeAlias = Annotated[str, typer.Argument(metavar="NAME|ID", help="A name, or a key's id.")]
DataDir: TypeAlias = Annotated[
    Path | None, typer.Option(help="The daemon's data folder [storage.data_dir].")
]
ConfigFile: TypeAlias = Annotated[
    Path | None, typer.Option("--config", help="TOML file, as for serve.")
]
PolicyOption: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="PRESET|FILE",
        help="admin, operator, viewer, watcher, camera or consumer; or a file with an IAM "
        "policy document.",
    ),
]
Streams: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--stream", help="With camera and consumer: a stream, by name or ARN."),
]

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LIFETIME_S_MAX = 366 * 86400


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is: a person, a camera, a program.")],
    policy: PolicyOption = "viewer",
    stream: Streams = None,
    expires: Annotated[
        str | None, typer.Option(help="Make a temporary key, such as for 30m, 12h or 7d.")
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make a key and print it, this once. A running daemon knows it at once."""
    place = _Place(config, data_dir)
    document = _policy_of(policy, stream or [])
    lifetime_s = None if expires is None else _seconds("--expires", expires)
    if lifetime_s == 0:
        raise StreamprocError(f"--expires {expires} is over at once; write 12h, say")
    asked = {"UserName": name, "Policy": policy}
    new = place.change(
        "CreateAccessKey",
        [asked],
        lambda store: store.create(name, document, lifetime_s),
        makes=True,
    )
    place.done("CreateAccessKey", {**_told(new.id, name, new.expires_at), "Policy": policy})
    Console(stderr=True).print(
        f"# {escape(name)} may do what {escape(policy)} says. The secret is not shown again.",
        highlight=False,
        soft_wrap=True,
    )
    _print_key(new)


@keys.command("list")
def list_keys(
    everything: Annotated[
        bool, typer.Option("--all", help="Revoked and expired ones too.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """The keys that are good now; never a secret."""
    now = time.time()
    found = [
        key
        for key in _Place(config, data_dir).run(lambda store: store.all_keys())
        if everything or key.is_good(now)
    ]
    if as_json:
        print_json({"AccessKeys": [_members(key, now) for key in found]})
        return
    if not found:
        say("there is no key; make one with: streamproc keys create NAME --policy admin")
        return
    shown = table(
        "name", "id", "created", "last used", "ends", fold=("created", "last used", "ends")
    )
    for key in found:
        last_used = _moment(key.last_used_at) or "never"
        shown.add_row(plain(key.name), key.id, _moment(key.created_at), last_used, _end(key, now))
    show(shown)


@keys.command()
def rotate(
    which: Which,
    keep: Annotated[str, typer.Option(help="How long the old key is good beside it.")] = "1h",
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make a new key in place of one, with its name and policy; the old one ends after --keep."""
    keep_s = _seconds("--keep", keep)
    place = _Place(config, data_dir)
    new, old = place.change(
        "RotateAccessKey", place.found(which), lambda store: store.rotate(which, keep_s)
    )
    place.done("RotateAccessKey", {**_told(new.id, old.name, None), "Replaced": old.id})
    ends = f"ends in {keep}" if keep_s else "is good no longer"
    Console(stderr=True).print(
        f"# {escape(old.name)}: {old.id} {ends}. The secret is not shown again.",
        highlight=False,
        soft_wrap=True,
    )
    _print_key(new)


@keys.command()
def revoke(which: Which, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """End a key at once, or all keys of a name. Streams that were opened with it are cut off."""
    place = _Place(config, data_dir)
    revoked = place.run(lambda store: store.revoke(which))
    for key in revoked:
        typer.echo(f"revoked {key.id} of {key.name}")
    for key in revoked:
        place.done("RevokeAccessKey", _told(key.id, key.name, None))


@keys.command()
def policy(
    which: Which,
    document: Annotated[
        str | None, typer.Argument(metavar="PRESET|FILE", help="Without it, print the policy.")
    ] = None,
    stream: Streams = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Print what a key may do, or change it. Counts with the next request."""
    place = _Place(config, data_dir)
    if document is None:
        for key in place.run(lambda store: store.find(which)):
            Console(stderr=True).print(f"# {key.id} of {escape(key.name)}", highlight=False)
            typer.echo(key.policy)
        return
    text = _policy_of(document, stream or [])
    asked = [{**key, "Policy": document} for key in place.found(which)]
    for key in place.change("PutKeyPolicy", asked, lambda store: store.set_policy(which, text)):
        place.done("PutKeyPolicy", {**_told(key.id, key.name, None), "Policy": document})
        typer.echo(f"{key.id} of {key.name} may do what {document} says")


class _Place:
    """The data folder, and the audit log in it."""

    def __init__(self, config: Path | None, data_dir: Path | None) -> None:
        overrides = {"storage": {"data_dir": data_dir}} if data_dir else {}
        self._config: Config = load_config(config, overrides)
        self.folder = self._config.storage.data_dir

    def run(self, work: "Callable[[KeyStore], Awaitable[T]]", *, makes: bool = False) -> T:
        """Do this with the keys of the folder. makes: the folder need not exist."""
        self._enter(makes=makes)
        return asyncio.run(self._run(work))

    def found(self, which: str) -> list[dict[str, Any]]:
        """What the audit log says of the good keys of this id or name."""
        good = self.run(lambda store: store.find(which))
        return [_told(key.id, key.name, None) for key in good]

    def change(
        self,
        event: str,
        asked: list[dict[str, Any]],
        work: "Callable[[KeyStore], Awaitable[T]]",
        *,
        makes: bool = False,
    ) -> T:
        """run() with a line for each of asked before it; done() is for its caller to say."""
        self._enter(makes=makes)
        for details in asked:
            self._audit(event, {"Stage": "asked", **details})
        try:
            return self.run(work)
        except StreamprocError as error:
            with suppress(StreamprocError):  # the first error is the one to be told
                for details in asked:
                    self._audit(
                        event, {"Stage": "failed", **details, "Error": type(error).__name__}
                    )
            raise

    def done(self, event: str, details: dict[str, Any]) -> None:
        """One line about a change. A new key is shown only after it."""
        self._audit(event, {"Stage": "done", **details})

    def _enter(self, *, makes: bool) -> None:
        if makes:
            self._make_folder()
        elif not self.folder.is_dir():
            raise StreamprocError(
                f"there is no data folder {self.folder}; name the daemon's with --data-dir"
            )
        self._act_as_owner()

    def _act_as_owner(self) -> None:
        """Under sudo: what root made here, the daemon could not read."""
        owner = self.folder.stat()
        if os.geteuid() == 0 != owner.st_uid:
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)

    async def _run(self, work: "Callable[[KeyStore], Awaitable[T]]") -> T:
        from streamproc.access.keys import KeyStore
        from streamproc.clock import SystemClock

        store = await KeyStore.open(self.folder / "keys.db", SystemClock())
        try:
            return await work(store)
        finally:
            await store.aclose()

    def _audit(self, event: str, details: dict[str, Any]) -> None:
        from streamproc.audit.log import operator, record_now

        if self._config.audit.enabled:
            record_now(self.folder, operator("keys"), event, details, time.time())

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StreamprocError(
                f"the data folder {self.folder} cannot be used ({error.strerror}); "
                "choose another with --data-dir"
            ) from None


def _policy_of(choice: str, streams: list[str]) -> str:
    """The document of a preset or a file, checked. Raises StreamprocError."""
    from streamproc.access.policy import parse_policy
    from streamproc.access.presets import PRESETS, preset

    if choice in PRESETS:
        return preset(choice, streams)
    if streams:
        raise StreamprocError("--stream goes with the presets camera and consumer only")
    try:
        text = Path(choice).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StreamprocError(
            f"the policy {choice} is neither a preset ({', '.join(PRESETS)}) nor a file that can "
            f"be read ({error})"
        ) from None
    parse_policy(text)
    return text


def _seconds(option: str, text: str) -> float:
    found = re.fullmatch(r"(\d{1,9})([smhd])", text, re.ASCII)
    seconds = int(found[1]) * _UNITS_S[found[2]] if found else _LIFETIME_S_MAX + 1
    if seconds > _LIFETIME_S_MAX:
        raise StreamprocError(
            f"{option} {text} is no time up to a year, such as 90s, 30m, 12h or 7d"
        )
    return seconds


def _print_key(new: "NewKey") -> None:
    """Nothing but what a shell can read: eval $(streamproc keys create …) works too."""
    typer.echo(f"export AWS_ACCESS_KEY_ID={new.id}")
    typer.echo(f"export AWS_SECRET_ACCESS_KEY={new.secret}")
    if new.token:
        typer.echo(f"export AWS_SESSION_TOKEN={new.token}")


def _told(key_id: str, name: str, expires_at: float | None) -> dict[str, Any]:
    """What the audit log says of a key."""
    ends = {} if expires_at is None else {"ExpiresAt": _moment(expires_at)}
    return {"AccessKeyId": key_id, "UserName": name, **ends}


def _members(key: "AccessKey", now: float) -> dict[str, Any]:
    """A key as JSON, named as IAM's ListAccessKeys names it; times that are not set are null."""
    return {
        "UserName": key.name,
        "AccessKeyId": key.id,
        "Status": "Active" if key.is_good(now) else "Inactive",
        "CreationTimestamp": key.created_at,
        "LastUsedTimestamp": key.last_used_at,
        "ExpirationTimestamp": key.expires_at,
        "RevocationTimestamp": key.revoked_at,
    }


def _moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%MZ")


def _end(key: "AccessKey", now: float) -> str:
    if key.revoked_at is not None:
        return f"revoked {_moment(key.revoked_at)}"
    if key.expires_at is None:
        return ""
    return _moment(key.expires_at) + ("" if key.is_good(now) else ", expired")
