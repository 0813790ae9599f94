"""A real browser for tests: Debian's Chromium, headless, driven by Playwright.

Knows how to start it, what a page may not do unnoticed (errors, blocked content), and how to ask
axe about accessibility. Knows nothing of what the page shows.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
)  # fmt: skip
TIMEOUT_MS = 60_000
DESKTOP, PHONE = (1100, 720), (390, 844)
SCREENSHOT_BYTES_MAX = 150_000
_COLOURS = 200

# What a page says when its daemon is gone, which some tests do on purpose.
_EXPECTED = ("net::ERR_CONNECTION", "net::ERR_EMPTY", "net::ERR_INCOMPLETE", "status of 4")


class Tab:
    """A browser of its own with a page of the console; `errors` is what its pages complained of."""

    def __init__(self, browser: Any, url: str, size: tuple[int, int], **options: Any) -> None:
        viewport = {"width": size[0], "height": size[1]}
        self.context = browser.new_context(viewport=viewport, **options)
        self.context.set_default_timeout(TIMEOUT_MS)
        self._url = url
        self.errors: list[str] = []
        self.page = self.another()

    def another(self) -> Any:
        """A further page that shares everything a browser's tabs share."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._on_console)
        return page

    def _on_console(self, message: Any) -> None:
        if message.type == "error" and not any(text in message.text for text in _EXPECTED):
            self.errors.append(message.text)

    def show(self, route: str = "") -> Any:
        """Open a view, such as people/family, and wait for its heading."""
        self.page.goto(f"{self._url}/console/#/{route}")
        self.page.locator("#main h1[tabindex]").wait_for()
        return self.page


@contextmanager
def chromium() -> Iterator[Any]:
    """A running Chromium; the test is skipped, with the reason, where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def barriers(page: Any) -> list[str]:
    """What axe finds of serious or critical impact, as text."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def save_screenshot(page: Any, file: Path) -> None:
    """What the page shows, as a small PNG, in fewer colours if it must be."""
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file, optimize=True)
    if file.stat().st_size > SCREENSHOT_BYTES_MAX:
        picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    assert file.stat().st_size <= SCREENSHOT_BYTES_MAX
