"""manifest.toml: who the people of a collection are, as its keeper writes it.

Knows the file, and how names become ids. Knows nothing of photos, nor of a service.
"""

import hashlib
import re
import string
import tomllib
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from streamproc.errors import StreamprocError

MANIFEST = "manifest.toml"
EXTERNAL_ID_CHARS_MAX = 255
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CELEBRITY_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_EXTERNAL_ID = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


class ManifestError(StreamprocError):
    """manifest.toml is not as it should be; the message names the key."""


def _named(name: str) -> str:
    name = unicodedata.normalize("NFC", name).strip()
    if not name:
        raise ValueError("a person needs a name")
    return name


def _without_scheme(url: str) -> str:
    url = _SCHEME.sub("", url.strip())
    if not url:
        raise ValueError("an URL is empty")
    return url


def _inside(pattern: str) -> str:
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise ValueError("photos lie inside the folder; write the path from there, without ..")
    return unicodedata.normalize("NFC", pattern)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Person(_Table):
    """[[people]]"""

    name: Annotated[str, AfterValidator(_named), Field(max_length=255)]
    id: str | None = None
    urls: Annotated[
        list[Annotated[str, AfterValidator(_without_scheme)]], Field(max_length=255)
    ] = []
    gender: Literal["Male", "Female", "Nonbinary", "Unlisted"] | None = None
    photos: list[Annotated[str, AfterValidator(_inside)]] | None = None


class Manifest(_Table):
    celebrities: bool = False
    people: list[Person] = []

    def external_id(self, person: Person) -> str:
        """What photos of a person are indexed under; a celebrity's id is just that."""
        if person.id is not None:
            return person.id
        return celebrity_id(person.name) if self.celebrities else legal_id(person.name)


def load_manifest(file: Path) -> Manifest:
    """Raises ManifestError naming the file and the key."""
    try:
        manifest = Manifest.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise ManifestError(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file} is not TOML: {error}") from None
    except ValidationError as error:
        raise ManifestError(f"{file}: {'; '.join(map(_explain, error.errors()))}") from None
    _check_ids(file, manifest)
    return manifest


def celebrity_id(name: str) -> str:
    """The id of a celebrity who was given none: eight base-62 digits (0-9, A-Z, a-z) of the
    SHA-256 of the name (NFC, UTF-8) read as a big-endian number, its last digit first."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).digest()
    number = int.from_bytes(digest, "big")
    digits = []
    for _ in range(8):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)


def legal_id(name: str) -> str:
    """A name in the characters of external image ids, a-z A-Z 0-9 _ . - and :

    Spaces become underscores and letters lose their accents. Other letters and digits become
    u and their code point in hex, and whatever is left a hyphen.
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", name))
    return "".join(map(_legal, (c for c in decomposed if not unicodedata.combining(c))))


def _legal(char: str) -> str:
    if _EXTERNAL_ID.fullmatch(char):
        return char
    if char.isspace():
        return "_"
    return f"u{ord(char):x}" if char.isalnum() else "-"


def _check_ids(file: Path, manifest: Manifest) -> None:
    legal, rule = (
        (_CELEBRITY_ID, "1 to 64 of 0-9, A-Z and a-z")
        if manifest.celebrities
        else (_EXTERNAL_ID, "1 to 255 of 0-9, A-Z, a-z and _ . - :")
    )
    names: dict[str, str] = {}
    for index, person in enumerate(manifest.people):
        external_id = manifest.external_id(person)
        if not legal.fullmatch(external_id):
            raise ManifestError(f"{file}: people[{index}].id = {external_id!r}: an id is {rule}")
        if external_id in names:
            raise ManifestError(
                f"{file}: people[{index}] {person.name} has the id {external_id}, and so has "
                f"{names[external_id]}; give one of them another id"
            )
        names[external_id] = person.name


def _explain(error: Any) -> str:
    key = ""
    for part in error["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.removeprefix(".")
    match error["type"]:
        case "extra_forbidden":
            return f"the key {key} is not known; collections/README.md lists them all"
        case "missing":
            return f"{key} is missing"
    return f"{key} = {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"
