"""Which label a detector's class is, and what the label belongs to: labels.toml, read and checked.

Knows names only; knows nothing of pictures, confidences or jobs.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_KEYS = {"class", "parents", "categories", "aliases"}


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """One label, under the name that Rekognition gives it."""

    name: str
    parents: tuple[str, ...]  # all ancestors, in alphabetical order
    categories: tuple[str, ...]
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    labels: Mapping[str, LabelEntry]  # by name
    classes: Mapping[str, str]  # of the detector, each to the name of its label

    def of_class(self, name: str) -> LabelEntry:
        """The label of a detector's class; KeyError if it has none."""
        return self.labels[self.classes[name]]


@cache
def shipped_taxonomy() -> Taxonomy:
    """The one that comes with the package."""
    return parse_taxonomy(resources.files(__package__).joinpath("labels.toml").read_text("utf-8"))


def parse_taxonomy(text: str) -> Taxonomy:
    """Read the format that labels.toml explains. Raises ValueError, naming the label, if a parent
    has no entry or lists an ancestor that its child does not, or a name is used twice."""
    document = tomllib.loads(text)
    labels: dict[str, LabelEntry] = {}
    classes: dict[str, str] = {}
    for name, table in document["labels"].items():
        if unknown := set(table) - _KEYS:
            raise ValueError(f"label {name} has unknown keys: {', '.join(sorted(unknown))}")
        labels[name] = _entry(name, table)
        if "class" in table:
            first = classes.setdefault(table["class"], name)
            if first != name:
                raise ValueError(f"class {table['class']} is both {first} and {name}")
    for entry in labels.values():
        _check(entry, labels, set(document["categories"]))
    return Taxonomy(labels, classes)


def _entry(name: str, table: Mapping[str, Any]) -> LabelEntry:
    return LabelEntry(
        name,
        tuple(sorted(table.get("parents", ()))),
        tuple(table.get("categories", ())),
        tuple(table.get("aliases", ())),
    )


def _check(entry: LabelEntry, labels: Mapping[str, LabelEntry], categories: set[str]) -> None:
    # An ancestor's ancestors are ours, and none of them is itself: so there are no circles either.
    if entry.name in entry.parents:
        raise ValueError(f"label {entry.name} is its own parent")
    for parent in entry.parents:
        if parent not in labels:
            raise ValueError(f"label {entry.name} has the parent {parent}, which has no entry")
        if left_out := set(labels[parent].parents) - set(entry.parents):
            raise ValueError(
                f"label {entry.name} has the parent {parent} but not its parents "
                f"{', '.join(sorted(left_out))}"
            )
    if not entry.categories or not set(entry.categories) <= categories:
        raise ValueError(f"label {entry.name} needs categories of the list, and no others")
    if taken := set(entry.aliases) & set(labels):
        raise ValueError(f"label {entry.name} has an alias that is a label: {', '.join(taken)}")
