"""Files: for everybody, with headers that let nothing else run, sent once."""

import re
from collections.abc import Mapping
from urllib.parse import urljoin

import aiohttp
import pytest

from streamproc.web.pages import FOLDER, TYPES, Page
from tests.web.conftest import FILES, Serve


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("", "text/html; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("js/app.js", "text/javascript; charset=utf-8"),
        ("icon.png", "image/png"),
    ],
)
async def test_a_file_comes_whole_with_its_type(
    serve: Serve, session: aiohttp.ClientSession, path: str, type: str
) -> None:
    async with session.get(f"{await serve()}/console/{path}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == type
        assert await answer.read() == FILES[path or "index.html"]


async def test_a_page_may_run_its_own_files_only_and_stand_in_no_frame(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{await serve()}/console/") as answer:
        policy = dict(part.split(" ", 1) for part in
                      answer.headers["Content-Security-Policy"].split("; "))  # fmt: skip
    assert policy["default-src"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["frame-ancestors"] == "'none'"
    assert not {"script-src", "style-src", "connect-src"} & policy.keys()
    assert "unsafe" not in str(policy)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "camera=(self)" in answer.headers["Permissions-Policy"]


async def test_what_a_client_has_is_not_sent_again(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    url = f"{await serve()}/console/"
    async with session.get(url) as answer:
        etag = answer.headers["ETag"]
        assert answer.headers["Cache-Control"] == "no-cache"
    async with session.get(url, headers={"If-None-Match": f'"x", {etag}'}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
        assert answer.headers["ETag"] == etag
    async with session.get(url, headers={"If-None-Match": '"x"'}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br;q=1.0, GZIP;q=0.8", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0, identity", None),
        ("br", None),
        ("", None),
    ],
)
async def test_a_file_is_compressed_for_those_who_take_it(
    serve: Serve, session: aiohttp.ClientSession, accepted: str, encoding: str | None
) -> None:
    headers = {"Accept-Encoding": accepted}
    async with session.get(f"{await serve()}/console/", headers=headers) as answer:
        assert answer.headers.get("Content-Encoding") == encoding
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert await answer.read() == FILES["index.html"]  # the client inflates
        sent = int(answer.headers["Content-Length"])
        assert (sent < len(FILES["index.html"])) == (encoding == "gzip")


def test_what_does_not_become_smaller_is_not_compressed() -> None:
    assert Page.of(".png", bytes(1000)).gzipped is None
    assert Page.of(".txt", b"x").gzipped is None


@pytest.mark.parametrize(
    "path", ["nothing.js", "../pages.py", "%2e%2e/pages.py", "js", "js/", "//etc/passwd"]
)
async def test_what_is_no_file_of_the_console_is_not_found(
    serve: Serve, session: aiohttp.ClientSession, path: str
) -> None:
    async with session.get(f"{await serve()}/console/{path}") as answer:
        assert answer.status == 404


async def test_a_browser_at_the_root_is_led_to_the_console(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    url = await serve()
    for path in ("/", "/console"):
        asked = session.get(
            f"{url}{path}", headers={"Accept": "text/html,*/*"}, allow_redirects=False
        )
        async with asked as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/console/")


async def test_everybody_else_at_the_root_is_the_gateways(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    url = await serve()
    async with session.get(f"{url}/", headers={"Accept": "*/*"}) as answer:
        assert (answer.status, (await answer.json())["__type"]) == (
            404,
            "UnknownOperationException",
        )
    async with session.post(f"{url}/", headers={"Accept": "text/html"}) as answer:
        assert "x-amzn-RequestId" in answer.headers
    async with session.head(f"{url}/console/js/app.js") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


# --- the console's own files --------------------------------------------------------------


@pytest.fixture(scope="module")
def texts() -> Mapping[str, str]:
    return {
        file.relative_to(FOLDER).as_posix(): file.read_text()
        for file in FOLDER.rglob("*")
        if file.suffix in (".html", ".js", ".css")
    }


def test_every_file_of_the_console_is_served() -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    assert files
    assert {file.suffix for file in files} <= TYPES.keys()


def test_every_file_that_the_console_refers_to_is_there(texts: Mapping[str, str]) -> None:
    paths = {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*") if file.is_file()}
    wanted = re.compile(r"""(?:src|href)="([^"#:]+)"|(?:from|import)\s+["'](\.[^"']+)["']""")
    for at, text in texts.items():
        for found in wanted.finditer(text):
            assert urljoin(at, found[1] or found[2]) in paths, f"{at} refers to {found[0]}"


def test_nothing_stands_in_the_page_that_its_policy_would_stop(texts: Mapping[str, str]) -> None:
    for at, text in texts.items():
        if at.endswith(".html"):
            assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", text), at
        assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\((https?:)?//""", text), (
            at
        )


def test_the_console_is_light() -> None:
    pages = [Page.of(file.suffix, file.read_bytes()) for file in FOLDER.rglob("*")
             if file.is_file()]  # fmt: skip
    assert sum(len(page.body) for page in pages) < 300_000
