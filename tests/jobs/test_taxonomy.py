"""The label taxonomy as it is shipped, as a whole, and what a mistake in such a file is told."""

import re

import pytest

from streamproc.engines.coco import CLASSES
from streamproc.jobs.analyses.taxonomy import (
    LabelEntry,
    Taxonomy,
    parse_taxonomy,
    shipped_taxonomy,
)

FILTERABLE = re.compile(r"[A-Za-z0-9àâèçñó'\-_(). ]{1,50}")  # GeneralLabelsFilterValue
SHIPPED = shipped_taxonomy()


def test_every_class_of_the_detector_has_a_label_and_no_other_has() -> None:
    assert set(SHIPPED.classes) == set(CLASSES)
    assert len(set(SHIPPED.classes.values())) == len(CLASSES) == 80


@pytest.mark.parametrize("label", SHIPPED.labels.values(), ids=lambda label: label.name)
def test_every_label_stands_on_labels_and_can_be_filtered(label: LabelEntry) -> None:
    assert label.name not in label.parents
    for parent in label.parents:
        assert set(SHIPPED.labels[parent].parents) < set(label.parents)
    assert list(label.parents) == sorted(set(label.parents))
    assert label.categories
    for name in (label.name, *label.categories):
        assert FILTERABLE.fullmatch(name)


def test_every_label_is_a_class_or_the_parent_of_one() -> None:
    named = set(SHIPPED.classes.values())
    parents = {parent for name in named for parent in SHIPPED.labels[name].parents}
    assert set(SHIPPED.labels) == named | parents


def test_an_alias_is_nobody_elses_name() -> None:
    aliases = [alias for label in SHIPPED.labels.values() for alias in label.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(SHIPPED.labels)


@pytest.mark.parametrize(
    ("class_", "entry"),
    [
        ("person", LabelEntry("Person", (), ("Person Description",), ("Human",))),
        (
            "car",
            LabelEntry(
                "Car", ("Transportation", "Vehicle"), ("Vehicles and Automotive",), ("Automobile",)
            ),
        ),
        (
            "dog",
            LabelEntry("Dog", ("Animal", "Canine", "Mammal", "Pet"), ("Animals and Pets",), ()),
        ),
        ("cup", LabelEntry("Cup", (), ("Kitchen and Dining",), ("Mug",))),
        ("sofa", LabelEntry("Couch", ("Furniture",), ("Furniture and Furnishings",), ())),
    ],
)
def test_labels_that_rekognition_is_known_to_give_are_the_same_here(
    class_: str, entry: LabelEntry
) -> None:
    assert SHIPPED.of_class(class_) == entry


def test_a_cell_phone_is_a_mobile_phone_by_another_name() -> None:
    phone = SHIPPED.of_class("cell phone")
    assert (phone.name, phone.aliases) == ("Mobile Phone", ("Cell Phone",))
    assert "Phone" in phone.parents


def parse(*labels: str) -> Taxonomy:
    return parse_taxonomy("\n".join(['categories = ["Things"]', "[labels]", *labels]))


def test_a_file_is_read_as_it_says() -> None:
    taxonomy = parse(
        'Thing = { categories = ["Things"] }',
        "[labels.Box]",
        'class = "crate"',
        'parents = ["Thing"]',
        'categories = ["Things"]',
        'aliases = ["Case"]',
    )
    assert taxonomy.of_class("crate") == LabelEntry("Box", ("Thing",), ("Things",), ("Case",))
    assert taxonomy.labels["Thing"].parents == ()


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (['A = { parents = ["B"], categories = ["Things"] }'], "parent B, which has no entry"),
        (['A = { parents = ["A"], categories = ["Things"] }'], "A is its own parent"),
        (
            [
                'A = { parents = ["B"], categories = ["Things"] }',
                'B = { parents = ["A"], categories = ["Things"] }',
            ],
            "A has the parent B but not its parents A",
        ),
        (
            [
                'A = { parents = ["B"], categories = ["Things"] }',
                'B = { parents = ["C"], categories = ["Things"] }',
                'C = { categories = ["Things"] }',
            ],
            "A has the parent B but not its parents C",
        ),
        (["A = { }"], "A needs categories"),
        (['A = { categories = ["Thnigs"] }'], "A needs categories"),
        (['A = { categories = ["Things"], alias = ["B"] }'], "A has unknown keys: alias"),
        (
            ['A = { categories = ["Things"], aliases = ["B"] }', 'B = { categories = ["Things"] }'],
            "A has an alias that is a label: B",
        ),
        (
            [
                'A = { class = "x", categories = ["Things"] }',
                'B = { class = "x", categories = ["Things"] }',
            ],
            "class x is both A and B",
        ),
    ],
)
def test_a_mistake_is_told_by_the_name_of_its_label(labels: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(*labels)
