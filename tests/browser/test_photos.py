"""Photos that are not what one hoped: each says so beside itself, and what helps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def daemon(start_shared_daemon: Callable[..., Any]) -> Any:
    running = start_shared_daemon()
    running.client("rekognition").create_collection(CollectionId="family")
    return running


@pytest.fixture
def people(daemon: Any, open_tab: Callable[..., Any]) -> Any:
    page = open_tab(daemon.url).show("people/family")
    page.get_by_text("Add people").wait_for()
    return page


def _choose(page: Any, file: Path) -> Any:
    page.locator("input[type=file]").set_input_files(str(file))
    return page.locator(".photo", has=page.locator(".actions"))


def _names(daemon: Any) -> list[str]:
    faces = daemon.client("rekognition").list_faces(CollectionId="family")["Faces"]
    return sorted(face["ExternalImageId"] for face in faces)


@pytest.mark.parametrize(
    ("photo", "words"),
    [
        ("none", "There is no face in this photo"),
        ("tiny", "24 × 24 pixels is too small"),
        ("text", "“letter.txt” is no picture (text/plain)."),
        ("broken", "This browser cannot read “broken.png”."),
    ],
)
def test_what_cannot_be_used_is_told_where_it_was_dropped(
    people: Any, daemon: Any, photos: dict[str, Path], photo: str, words: str
) -> None:
    card = _choose(people, photos[photo])
    card.get_by_role("alert").get_by_text(words).wait_for()
    card.get_by_role("button", name="Remove").click()
    card.wait_for(state="detached")
    assert not daemon.client("rekognition").list_faces(CollectionId="family")["Faces"]


@pytest.mark.parametrize(
    ("photo", "words"),
    [("upside-down", "is upside down"), ("on-its-side", "lies on its side")],
)
def test_a_photo_that_is_not_upright_is_turned_if_one_likes(
    people: Any, daemon: Any, photos: dict[str, Path], photo: str, words: str
) -> None:
    card = _choose(people, photos[photo])
    card.get_by_text(f"This photo {words}.").wait_for()
    card.get_by_role("button", name="Turn it").click()
    card.get_by_label("Name").fill("Monica")
    card.get_by_role("button", name="Add").click()
    people.get_by_text("1 person, 1 face.").wait_for()
    assert _names(daemon) == ["Monica"]
    people.get_by_role("button", name="Delete Monica").click()
    people.get_by_role("dialog").get_by_role("button", name="Delete").click()
    people.get_by_text("Nobody is in it yet.").wait_for()


def test_of_three_faces_those_with_a_name_are_added(
    people: Any, daemon: Any, photos: dict[str, Path], photograph: Any
) -> None:
    card = _choose(people, photos["three"])
    card.get_by_text("3 faces.").wait_for()
    card.get_by_role("button", name="Add").click()
    card.get_by_text("Give a name to each face that should be remembered.").wait_for()
    fields = card.get_by_label("Face")
    fields.nth(0).fill("Zoë Müller")
    card.get_by_text("Kept as Zoe_Muller").wait_for()
    fields.nth(1).fill("李")
    card.get_by_role("button", name="Add").click()
    card.get_by_role("alert").get_by_text("This name cannot be kept").wait_for()
    fields.nth(1).fill("Tom")
    photograph(people, "console-photo")
    card.get_by_role("button", name="Add").click()
    people.get_by_text("2 people, 2 faces.").wait_for()
    assert _names(daemon) == ["Tom", "Zoe_Muller"]
    card.wait_for(state="detached")  # whom nobody named is left out


def test_a_photo_can_be_taken(people: Any) -> None:
    """Chromium's own pretended camera shows no face, which is told like of any photo."""
    people.get_by_role("button", name="Take a photo").click()
    people.get_by_role("dialog").get_by_role("button", name="Take it").click()
    people.get_by_text("There is no face in this photo").wait_for()
