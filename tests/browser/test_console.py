"""The whole console, walked by hand: every view, against a live daemon and a camera."""

import re
from collections.abc import Callable
from typing import Any

import pytest

UNKNOWN = re.compile(r"unknown-\d+")
# Enough for one person to be known, and little for a machine that runs other tests too: what the
# docs show is not a machine that cannot keep up.
FEW_FRAMES = ("--set", "processors.analysis_fps=1", "--set", "processors.analysis_fps_min=1")


@pytest.fixture(scope="module")
def daemon(start_shared_daemon: Callable[..., Any]) -> Any:
    return start_shared_daemon(*FEW_FRAMES)


def test_a_day_with_the_console(
    daemon: Any, open_tab: Callable[..., Any], camera: Any, eileen_clip: Any, photograph: Any,
    portrait: bytes,
) -> None:  # fmt: skip
    """Create, start, watch boxes appear, name an unknown, see the event, drop a photo, delete."""
    tab = open_tab(daemon.url)
    page = tab.show()
    page.get_by_text("Nothing is being watched yet").wait_for()
    _add_collection(page, tab, "family")

    page.get_by_role("link", name="Now", exact=True).click()
    page.get_by_role("link", name="New processor").click()
    page.get_by_label("Name", exact=True).fill("door")
    page.get_by_text("A video stream of this name will be made").wait_for()
    assert page.get_by_label("Collection").input_value() == "family"
    assert page.get_by_label("Data stream").input_value() == "door-records"
    page.get_by_text("One stranger in 10,000 looks this alike.").wait_for()
    photograph(page, "console-create")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", name="door", exact=True).wait_for()
    page.locator(".title .badge", has_text="Watching").wait_for()

    with camera(daemon.url, eileen_clip, "door"):
        page.locator(".box[data-known=false]", has_text=UNKNOWN).wait_for()
        page.locator(".in-view strong", has_text=UNKNOWN).wait_for()
        tab.show()
        page.get_by_text("1 stranger in view.").wait_for()
        page.locator(".in-view").get_by_role("button", name=re.compile("Name unknown")).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("img", name="The face that was seen").wait_for()
        photograph(page, "console-naming")
        dialog.get_by_label("Name", exact=True).fill("Eileen Collins")
        dialog.get_by_text("Kept as Eileen_Collins").wait_for()
        dialog.get_by_role("button", name="Remember this face").click()
        dialog.wait_for(state="detached")
        page.get_by_text(re.compile(r"Eileen Collins recognised, was unknown-\d+")).wait_for()
        page.locator("#announcer", has_text="recognised at door").wait_for(state="attached")
        page.get_by_text("Eileen Collins in view.").wait_for()
        page.locator(".in-view img").wait_for()
        photograph(page, "console-now")
        tab.show("processor/door")
        page.locator(".box[data-known=true]", has_text="Eileen Collins").wait_for()
        page.locator(".in-view img").wait_for()
        photograph(page, "console-processor")

        tab.show("people/family")
        page.get_by_text("1 person, 1 face.").wait_for()
        _drop(page, "photo.png", portrait)
        page.get_by_label("Name", exact=True).fill("Pilot")
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_text("2 people, 2 faces.").wait_for()
        photograph(page, "console-people")
        page.get_by_role("button", name="Delete Pilot").click()
        dialog.get_by_text("1 face of Pilot in family is deleted for good.").wait_for()
        dialog.get_by_role("button", name="Delete").click()
        page.get_by_text("1 person, 1 face.").wait_for()

    tab.show("processor/door")
    page.get_by_text("Eileen Collins left").or_(
        page.get_by_text("was last seen when the video ended")
    ).first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator(".title .badge", has_text="Stopped").wait_for()
    page.get_by_text("Not watching.").wait_for()
    page.get_by_role("button", name="Start").click()
    page.locator(".title .badge", has_text="Watching").wait_for()
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_text("Nothing is being watched yet").wait_for()
    assert daemon.client("rekognition").list_stream_processors()["StreamProcessors"] == []

    tab.show("people/family")
    page.get_by_role("button", name="Delete collection").click()
    dialog.get_by_text("1 face is deleted for good").wait_for()
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_text("There is no collection yet.").wait_for()


def _add_collection(page: Any, tab: Any, name: str) -> None:
    tab.show("people")
    page.get_by_role("button", name="New collection").click()
    page.get_by_role("dialog").get_by_label("Name").fill(name)
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    page.get_by_text("Nobody is in it yet.").wait_for()


def _drop(page: Any, name: str, picture: bytes) -> None:
    """Drop a file as a person does: the browser's own event, with the file's bytes."""
    data = page.evaluate_handle(
        """([bytes, name]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
          return data;
        }""",
        [list(picture), name],
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": data})
