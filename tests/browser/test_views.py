"""Each view: light, quick, for phones, keyboards and screen readers."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peers.browser import PHONE, barriers

WEIGHT_MAX = 300_000  # bytes, everything of the first load
FIRST_PAINT_MS_MAX = 1000
VIEWS = ("", "new", "people/family", "jobs", "system", "processor/door")
HOSTILE = "<img src=x onerror=alert(1)>.mp4"


@pytest.fixture(scope="module")
def daemon(start_shared_daemon: Callable[..., Any], eileen_clip: Path, portrait: bytes) -> Any:
    """A daemon with a person, a processor that stands still, a bucket with a video, and a camera
    that is off."""
    running = start_shared_daemon(
        "--set",
        f'buckets.films="{eileen_clip.parent}"',
        "--set",
        "jobs.face_fps=1",
        "--set",
        "cameras.garage.url=rtsp://viewer:opensesame@127.0.0.1:9/video",
    )
    rekognition = running.client("rekognition")
    rekognition.create_collection(CollectionId="family")
    rekognition.index_faces(
        CollectionId="family", ExternalImageId="Eileen_Collins", Image={"Bytes": portrait}
    )
    _create(rekognition, "door")
    return running


def test_the_first_load_is_light_and_painted_within_a_second(
    daemon: Any, open_tab: Callable[..., Any]
) -> None:
    tab = open_tab(daemon.url)
    sizes = []
    tab.page.on("response", lambda answer: sizes.append(answer))
    tab.show()
    tab.page.locator(".cards a", has_text="door").wait_for()
    fetched = [answer for answer in sizes if "/events" not in answer.url]
    files = [answer for answer in fetched if answer.request.method == "GET"]
    weight = sum(len(answer.body()) for answer in files)  # as if nothing were compressed
    assert len(files) > 5
    assert weight < WEIGHT_MAX
    paints = tab.page.evaluate("performance.getEntriesByType('paint').map((one) => one.startTime)")
    assert paints
    assert max(paints) < FIRST_PAINT_MS_MAX
    foreign = [answer.url for answer in sizes if not answer.url.startswith(daemon.url)]
    assert not foreign, "the page fetches from elsewhere"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_view(
    daemon: Any, open_tab: Callable[..., Any], scheme: str
) -> None:
    tab = open_tab(daemon.url, color_scheme=scheme)
    for view in VIEWS:
        page = tab.show(view)
        page.locator("#link[data-link=live]").wait_for()
        assert not barriers(page), view
    tab.show("people/family")
    tab.page.get_by_role("button", name="Delete Eileen Collins").click()
    tab.page.get_by_role("dialog").wait_for()
    assert not barriers(tab.page), "the question before something is deleted"


def test_nothing_is_cut_off_on_a_phone(
    daemon: Any, open_tab: Callable[..., Any], photograph: Any
) -> None:
    tab = open_tab(daemon.url, PHONE, has_touch=True, is_mobile=True)
    for view in VIEWS:
        page = tab.show(view)
        page.locator("#link[data-link=live]").wait_for()
        wide = page.evaluate("document.documentElement.scrollWidth") - PHONE[0]
        assert wide <= 0, f"{view} scrolls sideways by {wide} pixels"
        for button in page.locator("main button:visible, nav a:visible").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 32, (view, button.text_content())
    tab.show("people/family").get_by_text("1 person, 1 face.").wait_for()
    photograph(tab.page, "console-phone")


def test_everything_can_be_done_from_the_keyboard(
    daemon: Any, open_tab: Callable[..., Any]
) -> None:
    page = open_tab(daemon.url).show()
    page.keyboard.press("Tab")
    assert _focused(page) == "Skip to the content"
    _tab_to(page, "People")
    page.keyboard.press("Enter")
    page.get_by_text("1 person, 1 face.").wait_for()
    assert _focused(page) == "People", "a new view begins at its heading"
    _tab_to(page, "Delete")  # of the person; that of the collection says so
    assert page.evaluate("document.activeElement.ariaLabel") == "Delete Eileen Collins"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus can be seen"
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    assert _focused(page) == "Keep", "what loses nothing has the focus"
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.ariaLabel") == "Delete Eileen Collins"
    page.get_by_text("1 person, 1 face.").wait_for()
    page.goto(f"{daemon.url}/console/#/")
    page.locator(".cards a", has_text="door").wait_for()
    _tab_to(page, "New processor")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Create").wait_for()
    _tab_to(page, "Create")
    page.keyboard.press("Enter")
    page.get_by_text("Name is missing.").wait_for()
    assert page.evaluate("document.activeElement.id") == "name"


def test_nothing_moves_for_whom_that_disturbs(daemon: Any, open_tab: Callable[..., Any]) -> None:
    page = open_tab(daemon.url, reduced_motion="reduce").show()
    moving = """[...document.querySelectorAll("*")].filter(
      (one) => getComputedStyle(one).transitionDuration !== "0s"
    ).length"""
    assert page.evaluate(moving) == 0


def test_the_system_says_what_it_is_and_what_it_keeps(
    daemon: Any, open_tab: Callable[..., Any], photograph: Any
) -> None:
    page = open_tab(daemon.url).show("system")
    page.get_by_text("Not on disk; in memory while a person is in view").wait_for()
    page.get_by_text("For 30 days").wait_for()
    page.get_by_role("cell", name="dlib", exact=True).wait_for()
    page.get_by_text("It can serve.").wait_for()
    photograph(page, "console-system")


def test_a_camera_that_is_off_says_so(daemon: Any, open_tab: Callable[..., Any]) -> None:
    page = open_tab(daemon.url).show("system")
    camera = page.get_by_role("region", name="Cameras").get_by_role("listitem")
    camera.locator(".badge", has_text="Trying again").wait_for()
    camera.get_by_text("rtsp://viewer:***@127.0.0.1:9/video").wait_for()
    assert camera.locator(".message").text_content(), "and why"
    assert "opensesame" not in page.content()


def test_a_threshold_says_what_it_means(daemon: Any, open_tab: Callable[..., Any]) -> None:
    """In the words of docs/similarity.md."""
    page = open_tab(daemon.url).show("new")
    for threshold, strangers in (("80", "1,000"), ("90", "10,000"), ("99", "1,000,000")):
        page.get_by_label("Sure from Similarity").fill(threshold)
        page.get_by_text(f"One stranger in {strangers} looks this alike.").wait_for()
    page.get_by_text("People you know will be missed more often.").wait_for()
    page.get_by_label("Sure from Similarity").fill("60")
    page.get_by_text("Many people will be taken for somebody else.").wait_for()


def test_ten_tabs_of_one_browser_all_hear(daemon: Any, open_tab: Callable[..., Any]) -> None:
    tab = open_tab(daemon.url)
    tab.show()
    pages = [tab.page, *(tab.another() for _ in range(9))]
    for page in pages[1:]:
        page.goto(f"{daemon.url}/console/")
    for page in pages:
        page.locator(".cards a", has_text="door").wait_for()
        page.locator("#link[data-link=live]").wait_for()
    pages[0].close()  # whoever listened for all
    _create(daemon.client("rekognition"), "garden")
    for page in pages[1:]:
        page.locator(".cards a", has_text="garden").wait_for()
    daemon.client("rekognition").delete_stream_processor(Name="garden")


def test_a_stored_video_is_looked_through(
    daemon: Any, open_tab: Callable[..., Any], eileen_clip: Path, photograph: Any
) -> None:
    page = open_tab(daemon.url).show("jobs")
    page.get_by_text("No video was looked through yet.").wait_for()
    _start_job(page, eileen_clip.name)
    job = page.locator(".jobs li", has_text=f"films/{eileen_clip.name}")
    job.locator(".badge", has_text="Done").wait_for()
    job.get_by_role("button", name="Show what was found").click()
    job.get_by_text(re.compile(r"Eileen Collins: \d+ times?, first after")).wait_for()
    photograph(page, "console-jobs")


def test_a_name_that_looks_like_a_page_stays_a_name(
    daemon: Any, open_tab: Callable[..., Any]
) -> None:
    page = open_tab(daemon.url).show("jobs")
    _start_job(page, HOSTILE)
    dialog = page.get_by_role("dialog")
    dialog.locator(".problem strong", has_text="<img src=x").wait_for()  # told in the form,
    assert dialog.get_by_label("Video in it").input_value() == HOSTILE  # which keeps what it has
    assert page.locator("img[src=x]").count() == 0


def _create(rekognition: Any, name: str) -> None:
    account = "us-east-1:000000000000"
    rekognition.create_stream_processor(
        Name=name,
        Input={"KinesisVideoStream": {"Arn": f"arn:aws:kinesisvideo:{account}:stream/{name}/1"}},
        Output={"KinesisDataStream": {"Arn": f"arn:aws:kinesis:{account}:stream/{name}"}},
        Settings={"FaceSearch": {"CollectionId": "family"}},
        RoleArn="arn:aws:iam::000000000000:role/any",
    )


def _start_job(page: Any, file: str) -> None:
    page.get_by_role("button", name="New job").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Bucket").fill("films")
    dialog.get_by_label("Video in it").fill(file)
    dialog.get_by_role("button", name="Start").click()


def _focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim()"))


def _tab_to(page: Any, text: str) -> None:
    """Press Tab until the element with this text has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if _focused(page) == text:
            return
    pytest.fail(f"“{text}” is never reached by Tab")
