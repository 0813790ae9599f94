"""A folder of photos, read as the collection it describes.

Knows names, sub-folders and the manifest; reads no photo and asks no service. What is not
taken is told in a remark, for nobody should wonder where a photo went.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from streamproc.cli.collection_manifest import (
    EXTERNAL_ID_CHARS_MAX,
    MANIFEST,
    Manifest,
    ManifestError,
    legal_id,
    load_manifest,
)
from streamproc.errors import StreamprocError
from streamproc.model.person import Celebrity

COLLECTIONS = "collections"
_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png"}
_COLLECTION_ID = re.compile(r"[a-zA-Z0-9_.\-]{1,255}")
_NAMES_SHOWN = 4


class FolderError(StreamprocError):
    """A folder does not say which collection it is."""


@dataclass(frozen=True, slots=True)
class Photo:
    path: PurePath  # from the collection's folder
    external_id: str


@dataclass(frozen=True, slots=True)
class CollectionFolder:
    collection_id: str
    folder: Path
    photos: tuple[Photo, ...]  # in the order of their paths
    people: tuple[Celebrity, ...]  # of a registry; empty for an ordinary collection
    remarks: tuple[str, ...]


def find_collections(folders: Sequence[Path]) -> list[Path]:
    """The folders themselves, and the sub-folders of those that hold collections: such a one
    has no manifest, and is called collections or has a sub-folder with a manifest.

    Raises FolderError if a folder is not there, or two are of one name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FolderError(
                f"there is no folder {folder}; give the folder of a collection, or one that "
                "holds such folders"
            )
        for collection in _collections_of(folder):
            other = found.setdefault(_name(collection), collection)
            if other is not collection:
                raise FolderError(f"{other} and {collection} would be the same collection")
    return list(found.values())


def _collections_of(folder: Path) -> list[Path]:
    entries = _entries(folder)
    children = [
        folder / entry.name
        for entry in entries
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
    ]
    if (folder / MANIFEST).exists() or not (
        _name(folder) == COLLECTIONS or any((child / MANIFEST).exists() for child in children)
    ):
        return [folder]
    for entry in entries:
        if entry.is_file() and Path(entry.name).suffix.lower() in _PHOTO_SUFFIXES:
            raise FolderError(
                f"{folder} holds collections, and the photo {entry.name} is in none of them; "
                f"move it, or put a {MANIFEST} beside it if the folder is one collection"
            )
    if not children:
        raise FolderError(f"{folder} holds no collection; make a folder per collection in it")
    return children


def read_folder(folder: Path) -> CollectionFolder:
    """Raises FolderError or ManifestError with what has to be mended."""
    if not _COLLECTION_ID.fullmatch(_name(folder)):
        raise FolderError(
            f"{folder}: a folder's name is its collection id, and {_name(folder)!r} cannot be "
            "one; use a-z, A-Z, 0-9, _ . and -"
        )
    ignored: dict[str, list[str]] = defaultdict(list)
    paths = _photos(folder, PurePath(), ignored)
    file = folder / MANIFEST
    if file.is_symlink():
        raise FolderError(f"{file} is a symbolic link; put the file itself there")
    if not file.exists() and not paths:
        raise FolderError(
            f"{folder} has no photos; if its collection shall be empty, put an empty {MANIFEST} "
            "there"
        )
    manifest = load_manifest(file) if file.exists() else Manifest()
    if manifest.celebrities and paths and not manifest.people:
        raise ManifestError(f"{file}: people is missing; celebrities are those it names")
    if manifest.people:
        owners, remarks = _owners_by_manifest(file, manifest, paths, ignored)
    else:
        owners, remarks = _owners_by_name(folder, paths, ignored)
    if not manifest.celebrities and any(who.urls or who.gender for who in manifest.people):
        remarks.append("urls and gender are kept of celebrities alone; see celebrities = true")
    return CollectionFolder(
        collection_id=_name(folder),
        folder=folder,
        photos=tuple(Photo(path, owners[path]) for path in paths if path in owners),
        people=_registry(manifest),
        remarks=(
            *remarks,
            *(_ignored(reason, names) for reason, names in ignored.items() if names),
        ),
    )


def _name(folder: Path) -> str:
    return folder.absolute().name or folder.resolve().name


def _photos(folder: Path, at: PurePath, ignored: dict[str, list[str]]) -> list[PurePath]:
    """Every photo of the folder and below, sorted; why others are none goes to ignored."""
    found = []
    for entry in _entries(folder / at):
        path = at / entry.name
        if path == PurePath(MANIFEST):
            continue
        if entry.name.startswith("."):
            ignored["hidden"].append(str(path))
        elif entry.is_symlink():
            ignored["symbolic links"].append(str(path))
        elif entry.is_dir():
            found += _photos(folder, path, ignored)
        elif entry.is_file() and path.suffix.lower() in _PHOTO_SUFFIXES:
            found.append(path)
        else:
            ignored["neither JPEG nor PNG by their names"].append(str(path))
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise FolderError(f"{folder} cannot be read: {error.strerror}") from None


def _person(path: PurePath) -> str | None:
    """Whom the photo shows, by the names alone: that of its sub-folder, else its own."""
    match path.parts:
        case (_,):
            return unicodedata.normalize("NFC", path.stem)
        case (person, _):
            return unicodedata.normalize("NFC", person)
    return None


def _owners_by_name(
    folder: Path, paths: Iterable[PurePath], ignored: dict[str, list[str]]
) -> tuple[dict[PurePath, str], list[str]]:
    owners: dict[PurePath, str] = {}
    persons: dict[str, str] = {}
    for path in paths:
        person = _person(path)
        if person is None:
            ignored["deeper than one sub-folder"].append(str(path))
            continue
        external_id = owners[path] = legal_id(person)
        if len(external_id) > EXTERNAL_ID_CHARS_MAX:
            raise FolderError(
                f"{folder / path}: the name of a person has {EXTERNAL_ID_CHARS_MAX} characters "
                f"at most, and {external_id} has {len(external_id)}"
            )
        other = persons.setdefault(external_id, person)
        if other != person:
            raise FolderError(
                f"{folder}: {other!r} and {person!r} would both be {external_id}; rename one"
            )
    remarks = [
        f"{person!r} is {external_id} in the collection"
        for external_id, person in persons.items()
        if external_id != person.replace(" ", "_")
    ]
    return owners, remarks


def _owners_by_manifest(
    file: Path, manifest: Manifest, paths: Sequence[PurePath], ignored: dict[str, list[str]]
) -> tuple[dict[PurePath, str], list[str]]:
    owners: dict[PurePath, str] = {}
    names: dict[str, str] = {}
    remarks = []
    named: dict[str, list[PurePath]] = defaultdict(list)
    for path in paths:
        if (shown := _person(path)) is not None:
            named[legal_id(shown)].append(path)
    for person in manifest.people:
        external_id = manifest.external_id(person)
        names[external_id] = person.name
        if person.photos is None:
            own = named[legal_id(person.name)]
        else:
            own = [path for path in paths if _fits(path, person.photos)]
        if not own:
            remarks.append(f"there is no photo of {person.name}")
        for path in own:
            if path in owners:
                raise FolderError(
                    f"{file}: {path} would be a photo of both {names[owners[path]]} and "
                    f"{person.name}; a photo shows one person"
                )
            owners[path] = external_id
    ignored[f"of nobody in {MANIFEST}"] = [str(path) for path in paths if path not in owners]
    return owners, remarks


def _fits(path: PurePath, patterns: Iterable[str]) -> bool:
    parts = [unicodedata.normalize("NFC", part) for part in path.parts]
    return any(_matches(parts, pattern.split("/")) for pattern in patterns)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path fits a glob, part by part; ** is any number of folders."""
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or _matches(parts[1:], pattern)
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _registry(manifest: Manifest) -> tuple[Celebrity, ...]:
    if not manifest.celebrities:
        return ()
    return tuple(
        Celebrity(
            manifest.external_id(person), person.name, tuple(person.urls), person.gender or ""
        )
        for person in manifest.people
    )


def _ignored(reason: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"ignored, {reason}: {shown}" + (f" and {more} more" if more > 0 else "")
