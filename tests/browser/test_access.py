"""Who may see the console, and what it says when the daemon is gone."""

import re
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tests.conftest import ROOT

Key: TypeAlias = dict[str, str]


@pytest.fixture(scope="module")
def guarded(start_shared_daemon: Callable[..., Any]) -> Any:
    """A daemon that asks for a key."""
    return start_shared_daemon("--set", "auth.required=true")


@pytest.fixture
def make_key(guarded: Any, run_cli: Callable[..., Any]) -> Callable[..., Key]:
    """streamproc keys create, beside the running daemon."""

    def make(name: str, *options: str) -> Key:
        done = run_cli("keys", "create", name, *options, "--data-dir", str(guarded.data_dir))
        assert done.returncode == 0, done.stderr
        return dict(re.findall(r"^export AWS_(\w+)=(\S+)$", done.stdout, re.MULTILINE))

    return make


def _sign_in(page: Any, key: Key) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Access key id").fill(key["ACCESS_KEY_ID"])
    dialog.get_by_label("Secret access key").fill(key["SECRET_ACCESS_KEY"])
    if "SESSION_TOKEN" in key:
        dialog.get_by_text("Temporary key, other region").click()
        dialog.get_by_label("Session token").fill(key["SESSION_TOKEN"])
    dialog.get_by_role("button", name="Sign in").click()


def test_who_has_a_key_signs_in_with_it(
    guarded: Any, make_key: Callable[..., Key], open_tab: Callable[..., Any], photograph: Any
) -> None:
    key = make_key("ada", "--policy", "admin")
    tab = open_tab(guarded.url)
    page = tab.show()
    page.get_by_role("heading", name="Who are you?").wait_for()
    secret = page.get_by_role("dialog").get_by_label("Secret access key")
    assert secret.get_attribute("autocomplete") == "off", "no browser keeps it"
    photograph(page, "console-sign-in")
    _sign_in(page, {**key, "SECRET_ACCESS_KEY": "wrong" * 8})
    page.get_by_role("alert").get_by_text("That key was not taken").wait_for()
    _sign_in(page, key)
    page.get_by_text("Nothing is being watched yet").wait_for()
    page.locator("#link[data-link=live]").wait_for()

    tab.show("people")  # the tab remembers it
    page.get_by_role("button", name="New collection").click()
    page.get_by_role("dialog").get_by_label("Name").fill("family")
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    page.get_by_text("Nobody is in it yet.").wait_for()
    tab.show("new")  # three services, each with a signature of its own
    page.get_by_label("Name", exact=True).fill("door")
    page.get_by_role("button", name="Create").click()
    page.locator(".title .badge", has_text="Watching").wait_for()

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Who are you?").wait_for()
    assert (
        page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})").find(
            key["SECRET_ACCESS_KEY"]
        )
        < 0
    ), "a key that signed out is forgotten"


def test_a_temporary_key_signs_too(
    guarded: Any, make_key: Callable[..., Key], open_tab: Callable[..., Any]
) -> None:
    page = open_tab(guarded.url).show()
    _sign_in(page, make_key("guest", "--policy", "admin", "--expires", "1h"))
    page.locator("#link[data-link=live]").wait_for()


# The first tab leads with its key before it has ended what it began without one.
_LOCKS_AT_ONCE = """
  const request = navigator.locks.request.bind(navigator.locks);
  navigator.locks.request = (name, options, lead) => {
    const led = lead();
    return request(name, options, () => led);
  };
"""


def test_a_second_tab_with_the_same_key_hears_from_the_first(
    guarded: Any, make_key: Callable[..., Key], open_tab: Callable[..., Any]
) -> None:
    key = make_key("twice", "--policy", "admin")
    tab = open_tab(guarded.url)
    tab.page.add_init_script(_LOCKS_AT_ONCE)
    for page in (tab.page, tab.another()):
        page.goto(f"{guarded.url}/console/")
        page.get_by_text("Asking the daemon").wait_for()
        _sign_in(page, key)
        page.locator("#link[data-link=live]").wait_for()
        page.get_by_text("Asking the daemon").wait_for(state="detached")


def test_a_right_that_is_missing_is_named_where_it_was_needed(
    guarded: Any, make_key: Callable[..., Key], open_tab: Callable[..., Any]
) -> None:
    page = open_tab(guarded.url).show("people")
    _sign_in(page, make_key("eve", "--policy", "viewer"))
    page.get_by_role("button", name="New collection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("mine")
    dialog.get_by_role("button", name="Create").click()
    dialog.get_by_role("alert").get_by_text(
        "Your key may not do this: it lacks rekognition:CreateCollection"
    ).wait_for()
    assert dialog.get_by_label("Name").input_value() == "mine"


def test_a_daemon_that_is_killed_comes_back_under_the_page(
    start_daemon: Callable[..., Any],
    open_tab: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    daemon = start_daemon("--port", str(port))
    tab = open_tab(daemon.url)
    page = tab.show()
    page.get_by_text("Nothing is being watched yet").wait_for()
    modules = {path.name for path in (ROOT / "streamproc/web/static/js").rglob("*.js")}
    loaded = "performance.getEntriesByType('resource').map((one) => one.name.split('/').pop())"
    wait_until(lambda: modules <= set(page.evaluate(loaded)), 60.0)  # views, and what they import
    daemon.kill()
    page.locator("#banner", has_text="The daemon does not answer.").wait_for()
    page.get_by_role("link", name="People", exact=True).click()  # the views are there without it
    page.get_by_text("The daemon does not answer.").nth(1).wait_for()
    page.get_by_role("link", name="Now", exact=True).click()
    daemon.start()
    page.locator("#link[data-link=live]").wait_for()
    assert page.locator("#banner p").count() == 0
    daemon.client("rekognition").create_collection(CollectionId="family")
    page.get_by_role("link", name="People", exact=True).click()
    page.get_by_text("Nobody is in it yet.").wait_for()
